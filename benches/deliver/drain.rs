//! One round: a store full of deliveries, the program, and what comes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatepost::event::Name;
use gatepost::metrics::Metrics;
use gatepost::store::{self, QuarantineBounds, Settings};

use crate::config;
use crate::cpu::CpuTime;
use crate::numbers::float;
use crate::options::{Kind, Options, SINK};
use crate::preload;
use crate::receiver::Receiver;
use crate::report::Figures;
use crate::result::BenchResult;
use crate::server::Server;
use crate::setting::Setting;

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(20);
/// Nothing new for so long means that something is wrong.
const STUCK: Duration = Duration::from_secs(30);
/// After the last arrival the program still has to write down that it arrived.
const SETTLE: Duration = Duration::from_millis(500);

/// Fills, drains, checks.
pub(crate) fn round(kind: Kind, concurrency: usize, setting: &Setting, options: &Options) -> BenchResult<Figures> {
    setting.forget_store()?;
    preload::fill(setting, &options.stored())?;
    let receiver = Receiver::start(kind, setting, options)?;
    config::configure(setting, &receiver.lines(), concurrency)?;
    let program = Server::program(setting, options)?;
    let figures = watch(&program, &receiver, options.events)?;
    receiver.check(options.events)?;
    program.stop()?;
    nothing_waits(&setting.store)?;
    setting.forget_store()?;
    Ok(figures)
}

/// Looks on until everything is there. What was before the first look that saw something counts for nothing, so that
/// starting is not measured with it.
fn watch(program: &Server, receiver: &Receiver, count: u64) -> BenchResult<Figures> {
    let (begun, begun_at) = progress(receiver, 0, count)?;
    let (cpu, other_cpu) = (program.cpu()?, CpuTime::of(&receiver.processes())?);
    let first = program.resident_kib()?;
    let (mut arrived, mut last, mut most) = (begun, begun_at, first);
    while arrived < count {
        (arrived, last) = progress(receiver, arrived, count)?;
        most = most.max(program.resident_kib()?);
    }
    let other_cpu = CpuTime::of(&receiver.processes())?.micros_since(&other_cpu);
    std::thread::sleep(SETTLE);
    let delivered = float(count - begun);
    let mib = |kib: u64| float(kib) / 1024.0;
    Ok(Figures {
        rate: delivered / (last - begun_at).as_secs_f64(),
        cpu: program.cpu()?.micros_since(&cpu) / delivered,
        other_cpu: other_cpu / delivered,
        memory_first: mib(first),
        memory_most: mib(most),
        memory_last: mib(program.resident_kib()?),
    })
}

/// How much has arrived and when the last of it did, once that is more than `before`.
fn progress(receiver: &Receiver, before: u64, count: u64) -> BenchResult<(u64, Instant)> {
    let since = Instant::now();
    while since.elapsed() < STUCK {
        std::thread::sleep(LOOK);
        let (arrived, last) = receiver.arrived()?;
        if arrived > before {
            return Ok((arrived, last));
        }
    }
    Err(format!("{before} of {count} events arrived, then none for {STUCK:?}").into())
}

/// That everything arrived must also be in the store, or it would be delivered again.
fn nothing_waits(url: &str) -> BenchResult<()> {
    let settings = Settings {
        url: url.to_owned(),
        retention: Duration::from_hours(96),
        quarantine: QuarantineBounds { max_entries: 10_000, max_bytes: 64 << 20 },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let left = runtime.block_on(async {
        let store = store::open(&settings, Arc::new(Metrics::new())).await?;
        let backlog = store.outbox.backlog(&Name::from(SINK)).await?;
        store.maintenance.close().await?;
        BenchResult::Ok(backlog)
    })?;
    if left.pending == 0 && left.dead == 0 { Ok(()) } else { Err(format!("the store still holds {left:?}").into()) }
}
