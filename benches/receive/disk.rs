//! The disk's own speed: what one durable write costs without any program around it.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::numbers::millis;
use crate::result::BenchResult;

const PROBES: usize = 300;
const BLOCK: [u8; 4096] = [0x5a; 4096];

/// Prints what a durable write to `dir` takes.
pub(crate) fn report(dir: &Path) -> BenchResult<()> {
    println!("one 4 KiB write and fdatasync in {}: {}", dir.display(), millis(fsync_time(dir)?));
    Ok(())
}

/// Median of appending 4 KiB and fdatasync in `dir`.
fn fsync_time(dir: &Path) -> BenchResult<Duration> {
    let path = dir.join("fsync-probe");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(PROBES);
    for _ in 0..PROBES {
        let start = Instant::now();
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    std::fs::remove_file(&path)?;
    times.sort_unstable();
    Ok(times.get(PROBES / 2).copied().unwrap_or_default())
}
