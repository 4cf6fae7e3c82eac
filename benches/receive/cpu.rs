//! What processes have consumed: CPU time and memory, from /proc. And where they run: taskset.

use std::collections::HashMap;
use std::fs;
use std::process::{Command, Stdio};

use crate::result::BenchResult;

/// One clock tick of `/proc/PID/stat` (`USER_HZ` is 100 on every Linux).
const TICK_NANOS: u64 = 10_000_000;

/// CPU time of some processes at one moment.
pub(crate) struct CpuTime {
    /// Nanoseconds on a core by thread; precise, but gone with its thread.
    threads: HashMap<u64, u64>,
    /// User and system ticks of the processes, ended threads included.
    ticks: u64,
}

impl CpuTime {
    /// Reads it for all of `processes`.
    pub(crate) fn of(processes: &[u32]) -> BenchResult<Self> {
        let mut now = Self { threads: HashMap::new(), ticks: 0 };
        for process in processes {
            now.ticks += ticks(*process)?;
            for task in fs::read_dir(format!("/proc/{process}/task"))? {
                let task = task?;
                // A thread may end between the listing and the look.
                let Ok(line) = fs::read_to_string(task.path().join("schedstat")) else { continue };
                let nanos = line.split(' ').next().unwrap_or_default().parse()?;
                now.threads.insert(task.file_name().to_string_lossy().parse()?, nanos);
            }
        }
        Ok(now)
    }

    /// Microseconds consumed since `earlier`. Ticks win where threads took their time with them.
    pub(crate) fn micros_since(&self, earlier: &Self) -> f64 {
        let spent = |(thread, nanos): (&u64, &u64)| nanos - earlier.threads.get(thread).unwrap_or(&0).min(nanos);
        let precise: u64 = self.threads.iter().map(spent).sum();
        let coarse = (self.ticks - earlier.ticks.min(self.ticks)) * TICK_NANOS;
        let nanos = if coarse > precise + 3 * TICK_NANOS { coarse } else { precise };
        crate::numbers::float(nanos) / 1000.0
    }
}

/// User and system time of a process and of the children it has waited for, in ticks: fields 14 to 17, counted behind
/// the name, which may hold anything.
fn ticks(process: u32) -> BenchResult<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let times = fields.get(11..15).ok_or("short stat")?;
    times.iter().try_fold(0, |sum, time| Ok(sum + time.parse::<u64>()?))
}

/// A process and its children.
pub(crate) fn family(parent: u32) -> BenchResult<Vec<u32>> {
    let mut members = vec![parent];
    for entry in fs::read_dir("/proc")? {
        let Ok(process) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
        let of_parent = stat.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1);
        if of_parent.and_then(|text| text.parse().ok()) == Some(parent) {
            members.push(process);
        }
    }
    Ok(members)
}

/// Resident memory in KiB.
pub(crate) fn resident_kib(process: u32) -> BenchResult<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Whether server and generator can have a core each.
pub(crate) fn can_pin() -> bool {
    let two = std::thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2);
    two && Command::new("taskset").arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// Puts this process on core 1; threads started later inherit it.
pub(crate) fn pin_self() -> BenchResult<()> {
    let id = std::process::id().to_string();
    let status = Command::new("taskset").args(["-a", "-c", "-p", "1", &id]).stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err("taskset failed".into()) }
}
