//! The tables of the PostgreSQL store and their migration; knows no behaviour.
//!
//! Ids and events are partitioned by generation, a stretch of time: see `generations.rs`. Bodies are neither
//! compressed nor moved out of line while a row fits a page. What waits per sink is counted by differences, summed up
//! when asked for, so that no two commits wait for one row. Times are microseconds since 1970.

use crate::store::error::StoreError;
use crate::store::postgres::indexes;
use crate::store::postgres::session::Session;

/// The schema this program writes.
pub(super) const VERSION: i64 = 5;
/// Held while migrating: replicas that start together do it once.
const MIGRATING: i64 = 0x6761_7465_0001;
/// Held shared by every transaction that adds events or queues deliveries, exclusively while generations change.
pub(super) const GENERATIONS: i64 = 0x6761_7465_0002;
/// Held by the one replica that opens and drops generations.
pub(super) const TURNING: i64 = 0x6761_7465_0004;
/// Held while the quarantine or the audit queue is measured and added to.
pub(super) const BOUNDS: i64 = 0x6761_7465_0003;

/// Step `n` takes a store from version `n` to `n + 1`.
const STEPS: [&str; 5] = [
    "
CREATE TABLE gatepost_sources (name text PRIMARY KEY);
CREATE TABLE gatepost_generations (gen int PRIMARY KEY, opened_at bigint, closed_at bigint);
CREATE SEQUENCE gatepost_event_seq;
CREATE TABLE gatepost_ids (
    key bytea NOT NULL, gen int NOT NULL, seq bigint NOT NULL, PRIMARY KEY (key, gen)
) PARTITION BY LIST (gen);
CREATE TABLE gatepost_events (
    seq bigint NOT NULL, gen int NOT NULL, source text NOT NULL, id text NOT NULL, kind text NOT NULL,
    received_at bigint NOT NULL, content_type text NOT NULL, key text NOT NULL, request_id text NOT NULL,
    client_ip text, traceparent text, body bytea NOT NULL, PRIMARY KEY (seq, gen)
) PARTITION BY LIST (gen);
ALTER TABLE gatepost_events ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE gatepost_deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gen int NOT NULL, seq bigint NOT NULL, sink text NOT NULL,
    state smallint NOT NULL, attempts int NOT NULL, due_at bigint NOT NULL, queued_at bigint NOT NULL,
    lease bigint NOT NULL, claimed_at bigint, error text, UNIQUE (seq, sink)
);
CREATE INDEX gatepost_deliveries_due ON gatepost_deliveries (sink, due_at) WHERE state = 0;
CREATE INDEX gatepost_deliveries_queued ON gatepost_deliveries (sink, queued_at) WHERE state = 0;
CREATE INDEX gatepost_deliveries_dead ON gatepost_deliveries (due_at) WHERE state = 2;
CREATE TABLE gatepost_sink_counts (sink text NOT NULL, pending bigint NOT NULL, dead bigint NOT NULL);

CREATE TABLE gatepost_quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text NOT NULL, reason text NOT NULL,
    received_at bigint NOT NULL, request_id text NOT NULL, client_ip text, target text NOT NULL,
    headers text NOT NULL, event_id text, body bytea NOT NULL, bytes bigint NOT NULL
);
CREATE TABLE gatepost_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, record text NOT NULL, attempts int NOT NULL DEFAULT 0,
    due_at bigint NOT NULL DEFAULT 0
);
CREATE TABLE gatepost_imports (store bigint, what text, last bigint NOT NULL, PRIMARY KEY (store, what));
CREATE TABLE gatepost_probe (at timestamptz NOT NULL);
INSERT INTO gatepost_probe VALUES (now());
",
    "
ALTER TABLE gatepost_generations ADD COLUMN leaving boolean NOT NULL DEFAULT false, ADD COLUMN cleared_to bigint;
CREATE INDEX gatepost_quarantine_shares ON gatepost_quarantine (source, reason, bytes, id);
CREATE INDEX gatepost_quarantine_events ON gatepost_quarantine (source, event_id) WHERE event_id IS NOT NULL;
",
    // How often a delivery was replayed, and whether the sink that took it had it already.
    "
ALTER TABLE gatepost_deliveries ADD COLUMN replays int NOT NULL DEFAULT 0;
ALTER TABLE gatepost_deliveries ADD COLUMN duplicate boolean NOT NULL DEFAULT false;
",
    // The sender's headers that are kept, where there are any: no row is rewritten, in no generation.
    "ALTER TABLE gatepost_events ADD COLUMN headers bytea",
    // What operators decide about sinks, and what is left of an event that was erased.
    "
CREATE TABLE gatepost_pauses (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sink text NOT NULL, began bigint NOT NULL, ended bigint,
    paused_at bigint NOT NULL, paused_by text NOT NULL, reason text
);
CREATE UNIQUE INDEX gatepost_pauses_open ON gatepost_pauses (sink) WHERE ended IS NULL;
CREATE TABLE gatepost_rates (sink text PRIMARY KEY, rate text NOT NULL, set_at bigint NOT NULL, set_by text NOT NULL);
ALTER TABLE gatepost_events ADD COLUMN erased text;
",
];

/// The SQL that makes generation `number` while nobody uses the tables yet.
fn generation(number: i32) -> String {
    format!(
        "CREATE TABLE gatepost_ids_{number} PARTITION OF gatepost_ids FOR VALUES IN ({number});
         CREATE TABLE gatepost_events_{number} PARTITION OF gatepost_events FOR VALUES IN ({number})
             WITH (toast_tuple_target = 8160);"
    )
}

/// Brings the store up to [`VERSION`], in one transaction.
///
/// # Errors
/// [`StoreError::TooNew`] where a newer program has written it.
pub(super) async fn migrate(session: &Session) -> Result<(), StoreError> {
    session.batch(&format!("BEGIN; SELECT pg_advisory_xact_lock({MIGRATING})")).await?;
    session.batch("CREATE TABLE IF NOT EXISTS gatepost_schema (version bigint NOT NULL)").await?;
    let found = session.client().query_opt("SELECT max(version) FROM gatepost_schema", &[]).await?;
    let found = found.and_then(|row| row.get::<_, Option<i64>>(0)).unwrap_or(0);
    if found > VERSION {
        return Err(StoreError::TooNew { found, known: VERSION });
    }
    let from = usize::try_from(found).map_err(|_| StoreError::Corrupt(format!("schema version {found}")))?;
    for step in STEPS.iter().skip(from) {
        session.batch(step).await?;
    }
    if from == 0 {
        // Generation 0 is never dropped: it takes what outlives its own.
        session.batch(&format!("{}{}", generation(0), generation(1))).await?;
        for table in ["gatepost_events_0", "gatepost_events_1"] {
            session.batch(&indexes::of_new(table)).await?;
        }
        session.batch("INSERT INTO gatepost_generations VALUES (1, NULL, NULL)").await?;
    }
    if found < VERSION {
        session.batch(&format!("INSERT INTO gatepost_schema VALUES ({VERSION})")).await?;
    }
    session.batch("COMMIT").await
}
