//! Fills a store through the program's own library: events of some days, most of them delivered, some dead, the newest
//! waiting, and a few that have waited for long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use gatepost::clock::Clock;
use gatepost::event::{Event, EventId, KeptHeaders, Name};
use gatepost::metrics::Metrics;
use gatepost::store::{self, QuarantineBounds, Settings, Settled, Settlement, Store};
use jiff::{SignedDuration, Timestamp};

use crate::config::{MAIN, SOURCES, STUCK};
use crate::refused;
use crate::result::BenchResult;
use crate::setting::Setting;

/// Over how long the events came.
pub(crate) const HOURS: i64 = 96;
/// Inserts under way at once.
const AT_ONCE: usize = 4096;
/// Deliveries claimed and settled at once.
const CLAIMED: usize = 2000;
/// Of a thousand events, those that wait, as the newest; those that are dead; those that wait for a sink that is away.
const WAITING: u64 = 10;
const DEAD: u64 = 5;
const AWAY: u64 = 1;
/// What dead deliveries died of.
const ERRORS: [&str; 3] = ["500 Internal Server Error", "connection refused", "404 Not Found: no such flow"];

/// Fills the store of `setting` as `events` and `bytes` say, unless that was done before.
pub(crate) fn fill(setting: &Setting, events: u64, bytes: usize) -> BenchResult<()> {
    let mark = setting.store_file().map(|file| file.with_extension("filled"));
    if mark.as_ref().is_some_and(|mark| mark.exists()) {
        return Ok(());
    }
    setting.forget_store()?;
    let start = Instant::now();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let settings = Settings {
            url: setting.store.clone(),
            retention: Duration::from_hours(2000),
            quarantine: QuarantineBounds { max_entries: refused::ENTRIES, max_bytes: 64 << 20 },
        };
        let store = store::open(&settings, Arc::new(Metrics::new())).await?;
        let maker = Maker { from: Clock::system().now(), count: events, bytes };
        let settled = events - events * WAITING / 1000;
        insert(&store, &maker, 0..settled).await?;
        settle(&store).await?;
        insert(&store, &maker, settled..events).await?;
        refused::fill(&store).await?;
        store.maintenance.prune().await?;
        store.maintenance.close().await?;
        BenchResult::Ok(())
    })?;
    println!("filled with {events} events in {:.1} s", start.elapsed().as_secs_f64());
    if let Some(mark) = mark {
        std::fs::write(mark, "")?;
    }
    Ok(())
}

async fn insert(store: &Store, maker: &Maker, numbers: std::ops::Range<u64>) -> BenchResult<()> {
    let (main, both): (Arc<[Name]>, Arc<[Name]>) = (Arc::from([MAIN.into()]), Arc::from([MAIN.into(), STUCK.into()]));
    let one = async |n: u64| {
        let sinks = if n % 1000 < AWAY { &both } else { &main };
        store.inbox.insert(maker.event(n)?, Arc::clone(sinks)).await?;
        BenchResult::Ok(())
    };
    let mut inserts = futures_util::stream::iter(numbers).map(one).buffer_unordered(AT_ONCE);
    while let Some(inserted) = inserts.next().await {
        inserted?;
    }
    Ok(())
}

/// Delivers all that waits for the main sink, but for what dies.
async fn settle(store: &Store) -> BenchResult<()> {
    let sink = Name::from(MAIN);
    let mut n = 0;
    loop {
        let claimed = store.outbox.claim(&sink, CLAIMED, Duration::from_mins(1)).await?;
        if claimed.is_empty() {
            return Ok(());
        }
        let mut settlements = Vec::with_capacity(claimed.len());
        for one in claimed {
            n += 1;
            let error = ERRORS.get(usize::try_from(n / 1000 % 3)?).copied().unwrap_or_default();
            let outcome = if n % 1000 < DEAD {
                Settled::Dead { error: error.to_owned() }
            } else {
                Settled::Done { duplicate: false }
            };
            settlements.push(Settlement { id: one.id, lease: one.lease, outcome });
        }
        store.outbox.settle(settlements).await?;
    }
}

struct Maker {
    /// When the newest event comes.
    from: Timestamp,
    count: u64,
    bytes: usize,
}

impl Maker {
    fn event(&self, n: u64) -> BenchResult<Event> {
        let source = of_thousand(spread(n) % 1000);
        let left = i64::try_from(self.count - n)? * HOURS * 3600 * 1000 / i64::try_from(self.count)?;
        let mut body = format!(r#"{{"n":{n},"data":""#).into_bytes();
        body.resize(self.bytes.saturating_sub(2).max(body.len()), b'x');
        body.extend_from_slice(b"\"}");
        let header = format!("c-{n}");
        let kept = [("x-correlation-id", header.as_bytes())];
        Ok(Event {
            source: source.into(),
            id: EventId::new(&format!("sha256:{:016x}{n:048x}", spread(n))).ok_or("no id")?,
            kind: kind(n),
            received_at: self.from - SignedDuration::from_millis(left),
            content_type: "application/json".to_owned(),
            payload: bytes::Bytes::from(body).into(),
            key: "0".to_owned(),
            request_id: format!("fill-{n}"),
            client_ip: None,
            traceparent: None,
            headers: if n.is_multiple_of(10) { kept.into_iter().collect() } else { KeptHeaders::default() },
        })
    }
}

/// The same number for the same `n`, with no pattern in its end.
const fn spread(n: u64) -> u64 {
    let mixed = (n ^ (n >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

/// The source of this one in a thousand.
pub(crate) fn of_thousand(mut number: u64) -> &'static str {
    for (source, share) in SOURCES {
        if number < share {
            return source;
        }
        number -= share;
    }
    "cognigy"
}

/// A dozen types, and one that there is of one event in a hundred thousand.
fn kind(n: u64) -> String {
    if n % 100_000 == 77 { "account.closed".to_owned() } else { format!("conversation.step{}", spread(n) / 1000 % 12) }
}
