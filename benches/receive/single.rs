//! What is not requests: handshakes, idle connections, starting.

use std::time::Duration;

use crate::figures::Figures;
use crate::load::{self, Pool};
use crate::numbers::{float, median, millis};
use crate::options::Options;
use crate::report;
use crate::request::{Expected, Kind, Maker};
use crate::result::BenchResult;
use crate::rounds::ECHOED;
use crate::server::Server;
use crate::setting::Setting;

/// Full TLS 1.3 handshakes, rounds alternating.
pub(crate) async fn handshakes(a: &Server, b: &Server, options: &Options) -> BenchResult<()> {
    let (mut figures_a, mut figures_b) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds.max(1) {
        for (server, figures) in [(a, &mut figures_a), (b, &mut figures_b)] {
            let before = server.cpu()?;
            let seen = load::handshakes(&server.target, options.handshakes).await?;
            figures.push(Figures::new(&seen, server.cpu()?.micros_since(&before)));
        }
    }
    report::row("handshakes", load::HANDSHAKES_AT_ONCE, &figures_a, &figures_b, 0);
    Ok(())
}

/// Memory of idle connections, each of which has had one request; on servers of its own that have been busy before.
pub(crate) async fn idle(setting: &Setting, options: &Options) -> BenchResult<()> {
    let echo = Server::echo(setting)?;
    let a = idle_at(&echo, ECHOED, options).await?;
    drop(echo);
    let program = Server::program(setting, options)?;
    program.ready()?;
    let b = idle_at(&program, Kind::Cognigy.expected(), options).await?;
    println!("idle: {} connections: A {a:.1} KiB each, B {b:.1} KiB each", options.idle);
    program.stop()
}

async fn idle_at(server: &Server, expected: Expected, options: &Options) -> BenchResult<f64> {
    let mut maker = Maker::new(options.bytes);
    let mut busy = Pool::open(&server.target, 64).await?;
    busy.send(maker.make(Kind::Cognigy, options.events)?, expected, None).await?;
    let before = server.resident_kib()?;
    let mut pool = Pool::open(&server.target, options.idle).await?;
    pool.touch(&maker.make(Kind::Cognigy, options.idle)?, expected).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok((float(server.resident_kib()?) - float(before)) / float(u64::try_from(options.idle)?.max(1)))
}

/// From spawn to ready with the store as it is, and memory at rest then.
pub(crate) fn start(setting: &Setting, options: &Options) -> BenchResult<()> {
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds.max(1) {
        let program = Server::program(setting, options)?;
        times.push(program.ready()?.as_secs_f64());
        std::thread::sleep(Duration::from_millis(500));
        memory.push(float(program.resident_kib()?));
        program.stop()?;
    }
    let (time, mib) = (Duration::from_secs_f64(median(times)), median(memory) / 1024.0);
    println!("start: ready after {}, {mib:.1} MiB resident at rest", millis(time));
    Ok(())
}
