//! Takes what another store held, for a migration; what is there already is left alone.

use std::collections::HashSet;
use std::sync::Arc;

use tokio_postgres::types::ToSql;

use crate::event::Name;
use crate::store::error::StoreError;
use crate::store::postgres::candidate::Candidate;
use crate::store::postgres::clock::clock;
use crate::store::postgres::handing::Handing;
use crate::store::postgres::insert;
use crate::store::postgres::quarantine;
use crate::store::postgres::rows::text;
use crate::store::postgres::schema::GENERATIONS;
use crate::store::postgres::session::{Session, Values, within};
use crate::store::postgres::{address, schema};
use crate::store::quarantine::Quarantined;
use crate::store::sink_controls::RateOverride;
use crate::store::sql::sql;
use crate::store::stored::{micros, state_number};
use crate::store::transfer::{MovedAudit, MovedDelivery, MovedEvent, MovedPause};

/// A delivery that is there already is left as it is there. Where the event is there already and about to be forgotten,
/// nothing is added to it any more.
const DELIVERIES: &str = sql!(
    clock!(),
    "given AS (
    SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::int[], $5::bigint[], $6::bigint[], $7::text[],
        $8::int[], $9::boolean[]) AS g (key, sink, state, attempts, due_in, queued_in, error, replays, duplicate)
), added AS (
    INSERT INTO gatepost_deliveries (gen, seq, sink, state, attempts, due_at, queued_at, lease, error, replays, duplicate)
    SELECT i.gen, i.seq, g.sink, g.state, g.attempts, c.t + g.due_in, c.t + g.queued_in, 0, g.error,
        g.replays, g.duplicate
    FROM given g JOIN gatepost_ids i ON i.key = g.key CROSS JOIN clock c
    WHERE i.gen NOT IN (SELECT gen FROM gatepost_generations WHERE leaving)
    ON CONFLICT DO NOTHING RETURNING sink, state
)
INSERT INTO gatepost_sink_counts
SELECT sink, count(*) FILTER (WHERE state = {PENDING}), count(*) FILTER (WHERE state = {DEAD}) FROM added GROUP BY sink"
);

/// What is left of an event that was erased in the other store, unless this one has it whole.
const ERASED: &str = "
UPDATE gatepost_events e SET erased = $2 FROM gatepost_ids i
WHERE i.key = $1 AND e.gen = i.gen AND e.seq = i.seq AND octet_length(e.body) = 0 AND e.erased IS NULL";

const PAUSE: &str = sql!(
    clock!(),
    "one AS (SELECT 1)
INSERT INTO gatepost_pauses (sink, began, ended, paused_at, paused_by, reason)
SELECT $1, t + $2, t + $3, $4, $5, $6 FROM clock ON CONFLICT DO NOTHING"
);

const MARK: &str = "
INSERT INTO gatepost_imports VALUES ($1, $2, $3)
ON CONFLICT (store, what) DO UPDATE SET last = greatest(gatepost_imports.last, $3)";

/// A store being filled.
pub(crate) struct Import {
    events: Session,
    other: Session,
    from: i64,
    sources: HashSet<Name>,
}

impl Import {
    /// Opens the store at `url`, migrating its schema, for what comes from store `from`.
    pub(crate) async fn open(url: &str, from: i64) -> Result<Self, StoreError> {
        let address = address::parse(url)?;
        within(async {
            let other = Session::connect(&address, "", || ()).await?;
            other.check_server().await?;
            schema::migrate(&other).await?;
            let events = Session::connect(&address, insert::SETUP, || ()).await?;
            Ok(Self { events, other, from, sources: HashSet::new() })
        })
        .await
    }

    /// The last of `what` that was taken from that store.
    pub(crate) async fn last(&self, what: &str) -> Result<i64, StoreError> {
        let sql = "SELECT last FROM gatepost_imports WHERE store = $1 AND what = $2";
        let rows = within(self.other.query(sql, &[&self.from, &what])).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
    }

    /// Takes events with their deliveries; returns how many were new.
    ///
    /// Deliveries follow in a second commit: broken off between the two, a repetition adds them.
    pub(crate) async fn events(&mut self, moved: &[MovedEvent]) -> Result<u64, StoreError> {
        for one in moved {
            if self.sources.insert(one.event.source.clone()) {
                within(insert::note_source(&self.events, &one.event.source)).await?;
            }
        }
        let none: Arc<[Name]> = Arc::new([]);
        let candidate = |one: &MovedEvent| Candidate {
            key: one.event.unique_key(),
            twins: Vec::new(),
            event: one.event.clone(),
            sinks: Arc::clone(&none),
        };
        let mut candidates: Vec<Candidate> = moved.iter().map(candidate).collect();
        candidates.sort_by_key(|candidate| candidate.key);
        let batch: Vec<_> = candidates.iter().collect();
        let fresh = within(insert::insert(&self.events, &batch, &Handing::default())).await?;
        let deliveries: Vec<(Vec<u8>, &MovedDelivery)> = moved
            .iter()
            .flat_map(|one| one.deliveries.iter().map(|to| (one.event.unique_key().0.to_vec(), to)))
            .collect();
        within(self.deliveries(&deliveries)).await?;
        for one in moved {
            if let Some(erased) = &one.erased {
                let key = one.event.unique_key();
                within(self.other.execute(ERASED, &[&&key.0[..], &text(erased)])).await?;
            }
        }
        Ok(fresh.keys.len() as u64)
    }

    async fn deliveries(&self, deliveries: &[(Vec<u8>, &MovedDelivery)]) -> Result<(), StoreError> {
        let keys: Vec<&[u8]> = deliveries.iter().map(|(key, _)| &key[..]).collect();
        let sinks: Vec<&str> = deliveries.iter().map(|(_, to)| to.sink.as_str()).collect();
        let states: Vec<i64> = deliveries.iter().map(|(_, to)| state_number(to.state)).collect();
        let attempts: Vec<i32> = deliveries.iter().map(|(_, to)| to.attempts).collect();
        let due: Vec<i64> = deliveries.iter().map(|(_, to)| to.due_in).collect();
        let queued: Vec<i64> = deliveries.iter().map(|(_, to)| to.queued_in).collect();
        let errors: Vec<_> = deliveries.iter().map(|(_, to)| to.error.as_deref().map(text)).collect();
        let replays: Vec<i32> = deliveries.iter().map(|(_, to)| to.replays).collect();
        let duplicates: Vec<bool> = deliveries.iter().map(|(_, to)| to.duplicate).collect();
        let given: [&(dyn ToSql + Sync); 9] =
            [&keys, &sinks, &states, &attempts, &due, &queued, &errors, &replays, &duplicates];
        self.other.batch(&format!("BEGIN; SELECT pg_advisory_xact_lock_shared({GENERATIONS})")).await?;
        self.other.execute(DELIVERIES, &given).await?;
        self.other.batch("COMMIT").await
    }

    /// Takes quarantine entries, with the mark up to which they were taken; returns how many.
    pub(crate) async fn quarantine(&self, entries: &[Quarantined]) -> Result<u64, StoreError> {
        within(async {
            self.other.batch("BEGIN").await?;
            for entry in entries {
                quarantine::add(&self.other, entry).await?;
            }
            self.mark("quarantine", entries.last().map_or(0, |entry| entry.id)).await?;
            self.other.batch("COMMIT").await
        })
        .await?;
        Ok(entries.len() as u64)
    }

    /// Takes audit records, with the mark up to which they were taken; returns how many.
    pub(crate) async fn audit(&self, records: &[MovedAudit]) -> Result<u64, StoreError> {
        let texts: Vec<_> = records.iter().map(|audit| text(&audit.record)).collect();
        within(async {
            self.other.batch("BEGIN").await?;
            let sql = "INSERT INTO gatepost_audit (record)
                       SELECT record FROM unnest($1::text[]) WITH ORDINALITY AS g (record, n) ORDER BY n";
            self.other.execute(sql, &[&texts]).await?;
            self.mark("audit", records.last().map_or(0, |audit| audit.id)).await?;
            self.other.batch("COMMIT").await
        })
        .await?;
        Ok(records.len() as u64)
    }

    /// Takes pauses of sinks, with the mark up to which they were taken. A sink that is paused here already stays so.
    pub(crate) async fn pauses(&self, pauses: &[MovedPause]) -> Result<(), StoreError> {
        within(async {
            self.other.batch("BEGIN").await?;
            for MovedPause { sink, began_in, ended_in, pause, .. } in pauses {
                let (by, reason) = (text(&pause.by), pause.reason.as_deref().map(text));
                let given: Values<'_> = &[&sink.as_str(), began_in, ended_in, &micros(pause.at), &by, &reason];
                self.other.execute(PAUSE, given).await?;
            }
            self.mark("pauses", pauses.last().map_or(0, |pause| pause.id)).await?;
            self.other.batch("COMMIT").await
        })
        .await
    }

    /// Takes rates that operators gave; one that was given here stays.
    pub(crate) async fn rates(&self, rates: &[(Name, RateOverride)]) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO gatepost_rates (sink, rate, set_at, set_by) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        for (sink, RateOverride { rate, at, by }) in rates {
            within(self.other.execute(sql, &[&sink.as_str(), rate, &micros(*at), &text(by)])).await?;
        }
        Ok(())
    }

    async fn mark(&self, what: &str, last: i64) -> Result<(), StoreError> {
        self.other.execute(MARK, &[&self.from, &what, &last]).await?;
        Ok(())
    }
}
