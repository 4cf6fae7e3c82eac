//! What is measured, in order.

use crate::options::{Kind, Options};
use crate::result::BenchResult;
use crate::{config, cpu, disk, drain, latency, report};

/// Prepares, measures, prints.
pub(crate) fn run(options: &Options) -> BenchResult<()> {
    let pinned = cpu::can_pin();
    let setting = config::prepare(options, pinned)?;
    disk::report(&setting.dir)?;
    if pinned {
        cpu::pin_self()?;
        println!("program on core 0, sinks on core 1; {} rounds of {} events each", options.rounds, options.events);
    } else {
        println!("note: NOT pinned (needs two cores and taskset of util-linux): figures will scatter");
    }
    let mut rows = Vec::new();
    for kind in options.sink.iter().filter(|kind| **kind != Kind::None) {
        for concurrency in &options.concurrency {
            let rounds: BenchResult<Vec<_>> =
                (0..options.rounds.max(1)).map(|_| drain::round(*kind, *concurrency, &setting, options)).collect();
            rows.push((format!("{kind:?}").to_lowercase(), *concurrency, rounds?));
        }
    }
    report::head();
    for (kind, concurrency, rounds) in &rows {
        report::row(kind, *concurrency, rounds);
    }
    if options.latency > 0 { latency::run(&setting, options) } else { Ok(()) }
}
