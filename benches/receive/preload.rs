//! Fills a store through the program's own library, many inserts at a time, so that group commits become large.

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;
use gatepost::clock::Clock;
use gatepost::event::{Event, EventId, KeptHeaders, Name};
use gatepost::metrics::Metrics;
use gatepost::store::{self, QuarantineBounds, Settings, Store};

use crate::result::BenchResult;
use crate::setting::Setting;

/// Inserts under way at once.
const AT_ONCE: usize = 4096;

/// What a store holds before anything is measured.
pub(crate) struct Stored {
    /// Events.
    pub count: u64,
    /// Body length of each.
    pub bytes: usize,
    /// How many of them have a delivery waiting.
    pub queued: u64,
    /// For which sink.
    pub sink: &'static str,
}

/// Puts `stored` into the store; one that was filled before (to the end) is left as it is.
pub(crate) fn fill(setting: &Setting, stored: &Stored) -> BenchResult<()> {
    let mark = setting.store_file().map(|file| file.with_extension("filled"));
    if stored.count == 0 || mark.as_ref().is_some_and(|mark| mark.exists()) {
        return Ok(());
    }
    setting.forget_store()?;
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(insert_all(&setting.store, stored))?;
    println!("preloaded {} events in {:.1} s", stored.count, start.elapsed().as_secs_f64());
    if let Some(mark) = mark {
        std::fs::write(mark, "")?;
    }
    Ok(())
}

async fn insert_all(url: &str, stored: &Stored) -> BenchResult<()> {
    let Stored { count, bytes, queued, sink } = *stored;
    let settings = Settings {
        url: url.to_owned(),
        retention: std::time::Duration::from_hours(2000),
        quarantine: QuarantineBounds { max_entries: 10_000, max_bytes: 64 << 20 },
    };
    let store = store::open(&settings, Arc::new(Metrics::new())).await?;
    let random: Vec<u8> = (0..bytes * 2).map(|_| fastrand::alphanumeric() as u8).collect();
    let run = fastrand::u64(..);
    let (no_sink, sinks): (Arc<[Name]>, Arc<[Name]>) = (Arc::from([]), Arc::from([Name::from(sink)]));
    let mut inserts = futures_util::stream::iter(0..count)
        .map(|n| insert(&store, event(run, n, &random, bytes), if n < queued { &sinks } else { &no_sink }))
        .buffer_unordered(AT_ONCE);
    while let Some(inserted) = inserts.next().await {
        inserted?;
    }
    drop(inserts);
    store.maintenance.close().await?;
    Ok(())
}

async fn insert(store: &Store, event: BenchResult<Event>, sinks: &Arc<[Name]>) -> BenchResult<()> {
    store.inbox.insert(event?, Arc::clone(sinks)).await?;
    Ok(())
}

/// An event as the cognigy source stores it: named by a digest, spread evenly over the key space.
fn event(run: u64, n: u64, random: &[u8], bytes: usize) -> BenchResult<Event> {
    let id = EventId::new(&format!("sha256:{run:016x}{n:048x}")).ok_or("no id")?;
    let offset = usize::try_from(n)? % bytes.max(1);
    let mut body = format!(r#"{{"n":{n},"data":""#).into_bytes();
    body.extend_from_slice(random.get(offset..offset + bytes.saturating_sub(body.len() + 2)).unwrap_or_default());
    body.extend_from_slice(b"\"}");
    Ok(Event {
        source: Name::from("cognigy"),
        id,
        kind: "order_status".to_owned(),
        received_at: Clock::system().now(),
        content_type: "application/json".to_owned(),
        payload: bytes::Bytes::from(body).into(),
        key: "0".to_owned(),
        request_id: format!("preload-{n}"),
        client_ip: None,
        traceparent: None,
        headers: KeptHeaders::default(),
    })
}
