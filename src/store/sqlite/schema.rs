//! The tables of the SQLite store and their migration; knows no behaviour.
//!
//! One row per event; its id lives exactly as long as it does. A delivery's id is its event's `seq` times
//! [`SINKS`] plus its sink's number: a delivery is found from its event, and an event's deliveries lie side by side,
//! without another index. Beside each event, which has its body, lies a narrow row in `arrivals` for all that goes through many
//! of them; both are appended to, which writes one page of each in a commit. Times are microseconds since 1970, but only `received_at` is wall time: see `clock.rs`.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::error::StoreError;
use crate::store::sqlite::foreign;

/// The schema this program writes.
pub(super) const VERSION: i64 = 9;
/// Cache of a connection while it migrates, in KiB: with what it has otherwise each row is a page that is read and written.
const CACHE_KIB: i64 = 65_536;
/// How many sink names one store may ever see.
pub(super) const SINKS: i64 = 4096;

/// Step `n` takes a store from version `n` to `n + 1`.
const STEPS: [&str; 9] = [
    "
CREATE TABLE sources (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE sinks (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, pending INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES
    ('pruned_to', 0), ('quarantine_entries', 0), ('quarantine_bytes', 0), ('audit_entries', 0), ('probe', 0),
    ('store', random()), ('recent_epoch', 0);

CREATE TABLE recent (seq INTEGER PRIMARY KEY, key BLOB NOT NULL);
CREATE TABLE ids (key BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, source INTEGER NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
    received_at INTEGER NOT NULL, content_type TEXT NOT NULL, key TEXT NOT NULL, request_id TEXT NOT NULL,
    client_ip TEXT, traceparent TEXT, body BLOB NOT NULL
);
CREATE TABLE loose (seq INTEGER PRIMARY KEY);

CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY, sink INTEGER NOT NULL, state INTEGER NOT NULL, attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL, queued_at INTEGER NOT NULL, lease INTEGER NOT NULL, claimed_at INTEGER, error TEXT
);
CREATE INDEX deliveries_due ON deliveries (sink, due_at) WHERE state = 0;
CREATE INDEX deliveries_queued ON deliveries (sink, queued_at) WHERE state = 0;
CREATE INDEX deliveries_dead ON deliveries (due_at) WHERE state = 2;

CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, reason TEXT NOT NULL, received_at INTEGER NOT NULL,
    request_id TEXT NOT NULL, client_ip TEXT, target TEXT NOT NULL, headers TEXT NOT NULL, event_id TEXT,
    body BLOB NOT NULL
);
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL DEFAULT 0
);
",
    // Store time, see `clock.rs`, and what retention knows of it, see `retention.rs`.
    "
CREATE TABLE clock (
    id INTEGER PRIMARY KEY CHECK (id = 1), boot TEXT NOT NULL, ahead INTEGER NOT NULL, mark INTEGER NOT NULL,
    base INTEGER NOT NULL
);
CREATE TABLE ticks (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL);
ALTER TABLE loose ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
",
    // Who holds how much of the quarantine, and which event a conflict is about.
    "
ALTER TABLE quarantine ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE quarantine SET bytes = length(body) + length(CAST(headers AS BLOB));
CREATE INDEX quarantine_shares ON quarantine (source, reason, bytes);
CREATE INDEX quarantine_events ON quarantine (source, event_id) WHERE event_id IS NOT NULL;
",
    // How often a delivery was replayed, and whether the sink that took it had it already.
    "
ALTER TABLE deliveries ADD COLUMN replays INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN duplicate INTEGER NOT NULL DEFAULT 0;
",
    // The sender's headers that are kept, where there are any: one byte a row where there are none.
    "ALTER TABLE events ADD COLUMN headers BLOB",
    // What operators decide about sinks; what is left of an event that was erased; and what listings look for, in the
    // order in which they list, without the bodies.
    "
CREATE TABLE pauses (
    id INTEGER PRIMARY KEY, sink TEXT NOT NULL, began INTEGER NOT NULL, ended INTEGER, paused_at INTEGER NOT NULL,
    paused_by TEXT NOT NULL, reason TEXT
);
CREATE UNIQUE INDEX pauses_open ON pauses (sink) WHERE ended IS NULL;
CREATE TABLE rates (sink TEXT PRIMARY KEY, rate TEXT NOT NULL, set_at INTEGER NOT NULL, set_by TEXT NOT NULL);
ALTER TABLE events ADD COLUMN erased TEXT;
CREATE INDEX events_listed ON events (seq, source, kind, received_at);
",
    // What lies where, see `blocks.rs`, from the oldest event on; and whom dead letters were for beside when they died.
    "
CREATE TABLE blocks (
    block INTEGER NOT NULL, source INTEGER NOT NULL, kind TEXT NOT NULL, first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL, PRIMARY KEY (block, source, kind)
) WITHOUT ROWID;
INSERT INTO counters SELECT 'blocks', coalesce(min(seq), 0) / 1024 FROM events;
DROP INDEX deliveries_dead;
CREATE INDEX deliveries_dead ON deliveries (due_at, id, sink) WHERE state = 2;
",
    // What was in an index of its own and in a table of recent keys, in rows that are appended; keys that have moved to the
    // index lie where they are. The index in parts, see `ids.rs`.
    "
CREATE TABLE arrivals (
    seq INTEGER PRIMARY KEY, source INTEGER NOT NULL, kind TEXT NOT NULL, received_at INTEGER NOT NULL, key BLOB
);
INSERT INTO arrivals
    SELECT e.seq, e.source, e.kind, e.received_at, r.key
    FROM events e INDEXED BY events_listed LEFT JOIN recent r ON r.seq = e.seq ORDER BY e.seq;
INSERT INTO counters
    SELECT 'moved_to', coalesce((SELECT min(seq) FROM recent) - 1, (SELECT max(seq) FROM events), 0);
DROP INDEX events_listed;
DROP TABLE recent;
ALTER TABLE ids RENAME TO whole;
CREATE TABLE ids (part INTEGER NOT NULL, key BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (part, key)) WITHOUT ROWID;
INSERT INTO ids SELECT seq / 2097152, key, seq FROM whole;
DROP TABLE whole;
",
    // What is claimed lies apart from what waits: it is little, and a delivery that is handed over is in one index for as long as
    // that takes, not in two.
    "
DROP INDEX deliveries_due;
DROP INDEX deliveries_queued;
CREATE INDEX deliveries_due ON deliveries (sink, due_at) WHERE state = 0 AND claimed_at IS NULL;
CREATE INDEX deliveries_queued ON deliveries (sink, queued_at) WHERE state = 0 AND claimed_at IS NULL;
CREATE INDEX deliveries_claimed ON deliveries (sink, due_at) WHERE state = 0 AND claimed_at IS NOT NULL;
",
];

/// Brings the store up to [`VERSION`], in one transaction; several processes may do so at once.
///
/// # Errors
/// [`StoreError::TooNew`] where a newer program has written it.
pub(super) fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    if version(conn)? == VERSION {
        return Ok(());
    }
    let cache: i64 = conn.pragma_query_value(None, "cache_size", |row| row.get(0))?;
    conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
    let migrated = steps(conn);
    conn.pragma_update(None, "cache_size", cache)?;
    migrated
}

fn steps(conn: &mut Connection) -> Result<(), StoreError> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&tx)?;
    let from = usize::try_from(found).map_err(|_| StoreError::Corrupt(format!("schema version {found}")))?;
    if found > VERSION {
        return Err(StoreError::TooNew { found, known: VERSION });
    }
    if (1..VERSION).contains(&found) {
        tracing::info!(from = found, to = VERSION, "migrating the store: it takes the longer the more events it holds");
    }
    for step in STEPS.iter().skip(from) {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "application_id", foreign::OURS)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    Ok(tx.commit()?)
}

fn version(conn: &Connection) -> Result<i64, StoreError> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}
