//! Load from one thread: closed loops that fill a server, open arrivals that do not wait for it, bare handshakes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::client::{Connection, Target};
use crate::request::Expected;
use crate::result::BenchResult;

/// Connections opened at once; more only queue at the one core of the server.
pub(crate) const HANDSHAKES_AT_ONCE: usize = 16;

/// What a load saw.
pub(crate) struct Seen {
    /// From first request to last answer.
    pub took: Duration,
    /// Of single requests, in microseconds.
    pub latency: Histogram<u64>,
    /// Connections that had to be opened again because the server closed them.
    pub reconnects: usize,
}

/// Open connections to one server.
pub(crate) struct Pool {
    target: Target,
    connections: Vec<Connection>,
}

impl Pool {
    /// Opens `count` connections.
    pub(crate) async fn open(target: &Target, count: usize) -> BenchResult<Self> {
        let mut connections = Vec::with_capacity(count);
        while connections.len() < count {
            let batch = HANDSHAKES_AT_ONCE.min(count - connections.len());
            let opened = futures_util::future::join_all((0..batch).map(|_| target.connect())).await;
            for connection in opened {
                connections.push(connection?);
            }
        }
        Ok(Self { target: target.clone(), connections })
    }

    /// Sends one request on every connection, one after the other.
    pub(crate) async fn touch(&mut self, requests: &[Vec<u8>], expected: Expected) -> BenchResult<()> {
        for (connection, request) in self.connections.iter_mut().zip(requests) {
            connection.exchange(request, expected).await?;
        }
        Ok(())
    }

    /// Sends all of `requests` over all connections, each as soon as it has its answer (`pace` none) or at its time.
    pub(crate) async fn send(
        &mut self,
        requests: Vec<Vec<u8>>,
        expected: Expected,
        pace: Option<Pace>,
    ) -> BenchResult<Seen> {
        let shared = Rc::new(Shared {
            requests,
            next: Cell::new(0),
            turn: Mutex::new(()),
            pace,
            start: Instant::now(),
            expected,
            target: self.target.clone(),
            latency: RefCell::new(histogram()?),
        });
        let local = tokio::task::LocalSet::new();
        let mut tasks = JoinSet::new();
        for connection in self.connections.drain(..) {
            tasks.spawn_local_on(work(Rc::clone(&shared), connection), &local);
        }
        let mut reconnects = 0;
        local
            .run_until(async {
                while let Some(done) = tasks.join_next().await {
                    let (connection, again) = done??;
                    self.connections.push(connection);
                    reconnects += again;
                }
                BenchResult::Ok(())
            })
            .await?;
        let took = shared.start.elapsed();
        Ok(Seen { took, latency: shared.latency.borrow().clone(), reconnects })
    }
}

/// Arrivals at fixed times.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// From one arrival to the next.
    pub interval: Duration,
}

struct Shared {
    requests: Vec<Vec<u8>>,
    next: Cell<usize>,
    turn: Mutex<()>,
    pace: Option<Pace>,
    start: Instant,
    expected: Expected,
    target: Target,
    latency: RefCell<Histogram<u64>>,
}

impl Shared {
    /// The next request and since when its sender waits; `None` when all are sent.
    async fn take(&self) -> Option<(&[u8], Instant)> {
        // One waits for the clock, the others for their turn: 64 that spin would leave no time for answers.
        let _turn = if self.pace.is_some() { Some(self.turn.lock().await) } else { None };
        let index = self.next.get();
        let request = self.requests.get(index)?;
        self.next.set(index + 1);
        let Some(pace) = self.pace else { return Some((request, Instant::now())) };
        let due = self.start + pace.interval * u32::try_from(index).ok()?;
        // The runtime's timer counts whole milliseconds; what is left is spent looking for answers.
        while Instant::now() < due {
            tokio::task::yield_now().await;
        }
        Some((request, due))
    }
}

/// Microseconds up to a minute.
fn histogram() -> BenchResult<Histogram<u64>> {
    Ok(Histogram::new_with_max(60_000_000, 3)?)
}

fn record(latency: &mut Histogram<u64>, time: Duration) {
    latency.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

/// One connection's loop; gives the connection back, and how often it had to be opened again.
async fn work(shared: Rc<Shared>, mut connection: Connection) -> Result<(Connection, usize), String> {
    let words = |error: Box<dyn std::error::Error>| error.to_string();
    let mut reconnects = 0;
    while let Some((request, since)) = shared.take().await {
        connection.exchange(request, shared.expected).await.map_err(words)?;
        record(&mut shared.latency.borrow_mut(), since.elapsed());
        if connection.closing() {
            connection = shared.target.connect().await.map_err(words)?;
            reconnects += 1;
        }
    }
    Ok((connection, reconnects))
}

/// Full handshakes, each connection closed at once; how long all took.
pub(crate) async fn handshakes(target: &Target, count: usize) -> BenchResult<Seen> {
    let left = Cell::new(count);
    let mut seen = Seen { took: Duration::ZERO, latency: histogram()?, reconnects: 0 };
    let start = Instant::now();
    let one_after_the_other = || async {
        let mut times = Vec::new();
        while let Some(rest) = left.get().checked_sub(1) {
            left.set(rest);
            let start = Instant::now();
            let connection = target.connect().await?;
            times.push(start.elapsed());
            connection.close().await?;
        }
        BenchResult::Ok(times)
    };
    let loops = (0..HANDSHAKES_AT_ONCE).map(|_| one_after_the_other());
    for times in futures_util::future::join_all(loops).await {
        for time in times? {
            record(&mut seen.latency, time);
        }
    }
    seen.took = start.elapsed();
    Ok(seen)
}
