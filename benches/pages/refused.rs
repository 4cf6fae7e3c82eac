//! A full quarantine.

use gatepost::clock::Clock;
use gatepost::event::Name;
use gatepost::store::{Quarantined, Store};
use jiff::SignedDuration;

use crate::fill::{HOURS, of_thousand};
use crate::result::BenchResult;

/// What it holds at most.
pub(crate) const ENTRIES: u64 = 10_000;
const REASONS: [&str; 4] = ["signature_mismatch", "timestamp_expired", "missing_signature", "invalid_timestamp"];

/// Fills it.
pub(crate) async fn fill(store: &Store) -> BenchResult<()> {
    let now = Clock::system().now();
    for n in 0..ENTRIES {
        let ago = i64::try_from(ENTRIES - n)? * HOURS * 3600 / i64::try_from(ENTRIES)?;
        let source = of_thousand(n % 1000);
        store
            .quarantine
            .put(Quarantined {
                id: 0,
                source: Name::from(source),
                reason: REASONS.get(usize::try_from(n / 7 % 4)?).copied().unwrap_or_default().to_owned(),
                received_at: now - SignedDuration::from_secs(ago),
                request_id: format!("refused-{n}"),
                client_ip: None,
                target: format!("POST /webhook/{source}"),
                headers:
                    r#"[["content-type","application/json"],["x-cognigy-signature","00"],["x-cognigy-timestamp","1"]]"#
                        .to_owned(),
                event_id: None,
                body: vec![b'x'; 2048].into(),
            })
            .await?;
    }
    Ok(())
}
