//! Rounds: A, B, A, B … with the same requests to both, so that whatever the machine does meanwhile it does to both.

use std::time::Duration;

use crate::figures::Figures;
use crate::load::{Pace, Pool, Seen};
use crate::options::Options;
use crate::report;
use crate::request::{Expected, Kind, Maker};
use crate::result::BenchResult;
use crate::server::Server;

/// What A always answers; also taken for what B refuses.
pub(crate) const ECHOED: Expected = Expected { status: 200, contains: r#""duplicate":false"# };
/// Before each round, so that nothing of the round before (a checkpoint, a flush) is counted with it.
const SETTLE: Duration = Duration::from_millis(150);
/// Requests before the first round, for caches and pools.
const WARM_UP: usize = 2000;

/// Both servers, and the maker of what they are sent.
pub(crate) struct Rounds<'a> {
    /// The echo.
    pub a: &'a Server,
    /// The program.
    pub b: &'a Server,
    /// Makes requests.
    pub maker: Maker,
    /// How many rounds of what length.
    pub options: &'a Options,
}

impl Rounds<'_> {
    /// One line of the table: `kind` over `connections`; gives B's median events a second.
    pub(crate) async fn run(&mut self, name: &str, kind: Kind, connections: usize) -> BenchResult<f64> {
        let count = self.options.events_at(connections);
        self.measure(name, kind, connections, count, None).await
    }

    /// The same with arrivals at `per_second`, whatever the answers do.
    pub(crate) async fn run_paced(
        &mut self,
        name: &str,
        kind: Kind,
        connections: usize,
        per_second: f64,
    ) -> BenchResult<f64> {
        let pace = Pace { interval: Duration::from_secs_f64(1.0 / per_second) };
        self.measure(name, kind, connections, self.options.events, Some(pace)).await
    }

    async fn measure(
        &mut self,
        name: &str,
        kind: Kind,
        connections: usize,
        count: usize,
        pace: Option<Pace>,
    ) -> BenchResult<f64> {
        let mut pool_a = Pool::open(&self.a.target, connections).await?;
        let mut pool_b = Pool::open(&self.b.target, connections).await?;
        let stored = self.store_first(kind, &mut pool_b, count).await?;
        let warm_up = self.maker.make(kind, if stored.is_empty() { WARM_UP } else { 0 })?;
        pool_a.send(warm_up.clone(), ECHOED, None).await?;
        pool_b.send(warm_up, kind.expected(), None).await?;
        let (mut figures_a, mut figures_b, mut reconnects) = (Vec::new(), Vec::new(), 0);
        for _ in 0..self.options.rounds.max(1) {
            let requests = if stored.is_empty() { self.maker.make(kind, count)? } else { stored.clone() };
            figures_a.push(once(self.a, &mut pool_a, requests.clone(), ECHOED, pace).await?.0);
            let (figures, seen) = once(self.b, &mut pool_b, requests, kind.expected(), pace).await?;
            figures_b.push(figures);
            reconnects += seen.reconnects;
        }
        report::row(name, connections, &figures_a, &figures_b, reconnects);
        Ok(Figures::median(&figures_b).rate)
    }

    /// What can be a duplicate has to be there before; gives the requests to repeat, for other kinds none.
    async fn store_first(&mut self, kind: Kind, pool: &mut Pool, count: usize) -> BenchResult<Vec<Vec<u8>>> {
        if kind != Kind::Duplicate {
            return Ok(Vec::new());
        }
        let requests = self.maker.make(kind, count)?;
        pool.send(requests.clone(), Kind::Cognigy.expected(), None).await?;
        Ok(requests)
    }
}

/// One round of one server.
pub(crate) async fn once(
    server: &Server,
    pool: &mut Pool,
    requests: Vec<Vec<u8>>,
    expected: Expected,
    pace: Option<Pace>,
) -> BenchResult<(Figures, Seen)> {
    tokio::time::sleep(SETTLE).await;
    let before = server.cpu()?;
    let seen = pool.send(requests, expected, pace).await?;
    let cpu = server.cpu()?.micros_since(&before);
    Ok((Figures::new(&seen, cpu), seen))
}
