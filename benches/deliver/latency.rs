//! From a sender to the sink: events one at a time into a running program whose queue is empty.

use std::time::{Duration, Instant};

use crate::config;
use crate::options::{Kind, Options};
use crate::report;
use crate::request::{Kind as Request, Maker};
use crate::result::BenchResult;
use crate::server::Server;
use crate::setting::Setting;
use crate::web::Web;

/// Between two events at most; at random, so that no timer of the program's is in step with it.
const PAUSE_MICROS: u64 = 20_000;
/// An arrival that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before the first one that counts, for caches and connections.
const WARM_UP: usize = 50;

/// Measures and prints.
pub(crate) fn run(setting: &Setting, options: &Options) -> BenchResult<()> {
    setting.forget_store()?;
    let web = Web::start(Kind::Http, setting, 0)?;
    config::configure(setting, &web.lines(), options.concurrency.first().copied().unwrap_or(16))?;
    let program = Server::program(setting, options)?;
    program.ready()?;
    let requests = Maker::new(options.body_bytes).make(Request::Cognigy, WARM_UP + options.latency)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut times = runtime.block_on(send(&program, &web, &requests))?.split_off(WARM_UP);
    program.stop()?;
    println!("one event at a time to an http sink, {} of them:", times.len());
    report::times("request sent to its 200", times.iter().map(|time| time.answered).collect());
    report::times("request sent to arrival", times.iter().map(|time| time.arrived).collect());
    let after = |time: Times| time.arrived.saturating_sub(time.answered);
    report::times("its 200 to arrival", times.drain(..).map(after).collect());
    setting.forget_store()
}

/// Of one event, since it was sent.
#[derive(Clone, Copy)]
struct Times {
    answered: Duration,
    arrived: Duration,
}

async fn send(program: &Server, web: &Web, requests: &[Vec<u8>]) -> BenchResult<Vec<Times>> {
    let mut connection = program.target.connect().await?;
    let mut times = Vec::with_capacity(requests.len());
    for (sent, request) in requests.iter().enumerate() {
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..PAUSE_MICROS))).await;
        let start = Instant::now();
        connection.exchange(request, Request::Cognigy.expected()).await?;
        let answered = start.elapsed();
        let arrived = tokio::time::timeout(PATIENCE, arrival(web, u64::try_from(sent)? + 1)).await?;
        times.push(Times { answered, arrived: arrived - start });
    }
    Ok(times)
}

/// When the request number `count` came to the sink.
async fn arrival(web: &Web, count: u64) -> Instant {
    loop {
        let (total, last) = {
            let seen = web.arrivals.seen();
            (seen.total, seen.last)
        };
        if total >= count {
            return last;
        }
        web.arrivals.news.notified().await;
    }
}
