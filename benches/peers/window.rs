//! A window: one row under load for a moment, over connections of its own.

use std::time::Duration;

use crate::figures::Figures;
use crate::load::{Pace, Pool};
use crate::numbers::float;
use crate::options::Options;
use crate::peer::Peer;
use crate::request::Maker;
use crate::result::BenchResult;

/// Before each window, so that nothing of the one before (a checkpoint, closed connections) is counted with it.
const SETTLE: Duration = Duration::from_millis(150);
/// Requests on each connection before the window, for caches and compilers.
const WARM_UP: usize = 8;
/// All requests of a window are made before it and kept in memory, 2.3 KB each.
const MOST: u32 = 200_000;
const FEWEST: u32 = 200;

/// Loads `peer` with as many requests as fill the window at `rate` a second, or at the arrivals asked for.
pub(crate) async fn window(
    peer: &Peer,
    maker: &mut Maker,
    connections: usize,
    rate: f64,
    options: &Options,
) -> BenchResult<Figures> {
    let rate = options.at.unwrap_or(rate);
    let pace = options.at.map(|at| Pace { interval: Duration::from_secs_f64(1.0 / at) });
    let (warm_up, requests) = (maker.make(connections * WARM_UP)?, maker.make(fitting(rate * options.seconds))?);
    let mut pool = Pool::open(&peer.target, connections).await?;
    pool.send(warm_up, peer.name.accepted(), None).await?;
    tokio::time::sleep(SETTLE).await;
    let before = peer.cpu()?;
    let seen = pool.send(requests, peer.name.accepted(), pace).await?;
    let cpu = peer.cpu()?.micros_since(&before);
    if seen.reconnects > 0 {
        return Err(format!("{} closed {} connections under load", peer.name.title(), seen.reconnects).into());
    }
    Ok(Figures::new(&seen, cpu))
}

/// The whole number of requests, within what memory and a clock tick allow.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what is whole and positive")]
fn fitting(count: f64) -> usize {
    count.clamp(float(FEWEST.into()), float(MOST.into())) as usize
}
