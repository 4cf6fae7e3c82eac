//! Which events a filter means, newest first, as one statement that walks along an index and stops: after a page where each
//! row is wanted, else after [`LOOKED`] rows, found or not; the next page goes on from there.
//!
//! `OFFSET 0` keeps the planner from making one join of what is to be asked for each row: it would read whole tables for
//! it as soon as it thinks that there are many rows.

use crate::store::archive::EventFilter;
use crate::store::delivery::State;
use crate::store::listing::{Cursor, PagedFilter};
use crate::store::postgres::selection::Conditions;
use crate::store::sql::{EVENT, sql};

/// Rows that one page looks at where not each is wanted.
const LOOKED: i64 = 4096;

/// A page of a listing.
pub(super) struct Search {
    pub conditions: Conditions,
    /// What is looked at: `gen`, `seq` and `at`, in order.
    candidates: String,
    order: &'static str,
    /// Whether some of that may not be wanted.
    bounded: bool,
    /// Whether it goes by the time of receipt; else by number.
    by_time: bool,
}

impl Search {
    /// The page of `filter` after `from`.
    pub(super) fn of(filter: &EventFilter, from: Option<Cursor>) -> Self {
        let mut conditions = Conditions::none();
        let open = matches!(filter.state, Some(State::Pending | State::Dead));
        let by_time = is_narrowed(filter) && !open;
        let bounded = looks_at_rows(filter) || open;
        let wanted = i64::try_from(filter.page_rows()).unwrap_or(i64::MAX);
        let most = conditions.parameter(if bounded { LOOKED.max(wanted) } else { wanted });
        let candidates = match filter.state {
            Some(State::Pending) => open_ones(sql!("{PENDING}"), from, &mut conditions, &most),
            Some(State::Dead) => open_ones(sql!("{DEAD}"), from, &mut conditions, &most),
            _ if by_time => narrowed(filter, from, &mut conditions, &most),
            _ => {
                let after = after(from, "e.seq < ?", &mut conditions);
                format!(
                    "SELECT e.gen, e.seq, 0::bigint AS at FROM gatepost_events e WHERE {after}
                     ORDER BY e.seq DESC LIMIT {most}"
                )
            }
        };
        let order = if by_time { "f.at DESC, f.seq DESC" } else { "f.seq DESC" };
        Self { conditions, candidates, order, bounded, by_time }
    }

    /// The rows of the page: [`EVENT`], body, its length, `seq`, what is left of it and `at`.
    pub(super) fn page(&mut self, filter: &EventFilter) -> String {
        let wanted = i64::try_from(filter.page_rows()).unwrap_or(i64::MAX);
        self.conditions.of_row(filter);
        let count = self.conditions.parameter(wanted);
        format!(
            "SELECT {EVENT}, NULL::bytea, length(e.body)::bigint, e.seq, e.erased, f.at FROM ({}) AS f
             CROSS JOIN LATERAL (
                 SELECT * FROM gatepost_events e WHERE e.gen = f.gen AND e.seq = f.seq OFFSET 0
             ) AS e WHERE {} ORDER BY {} LIMIT {count}",
            self.candidates,
            self.conditions.sql(),
            self.order
        )
    }

    /// Where a page that found less than was wanted stopped to look: `seq` and `at` of a row, if there is one. `None` where
    /// it looked at all.
    pub(super) fn looked_to(&self) -> Option<String> {
        let last =
            format!("SELECT f.seq, f.at FROM ({}) AS f ORDER BY {} OFFSET {}", self.candidates, self.order, LOOKED - 1);
        self.bounded.then(|| format!("{last} LIMIT 1"))
    }

    /// The cursor that goes on after a row.
    pub(super) const fn cursor(&self, seq: i64, at: i64) -> Cursor {
        if self.by_time { Cursor(at, seq) } else { Cursor(seq, 0) }
    }
}

/// Whether `filter` looks for what an index of the events has.
const fn is_narrowed(filter: &EventFilter) -> bool {
    filter.source.is_some() || filter.kind.is_some() || filter.since.is_some() || filter.until.is_some()
}

/// Whether each event that it leaves has to be looked at beyond that.
const fn looks_at_rows(filter: &EventFilter) -> bool {
    filter.header.is_some()
        || filter.sink.is_some()
        || filter.error.is_some()
        || filter.state.is_some()
        || filter.id_prefix.is_some()
}

fn after(from: Option<Cursor>, part: &str, conditions: &mut Conditions) -> String {
    from.map_or_else(|| "true".to_owned(), |Cursor(seq, _)| part.replace('?', &conditions.parameter(seq)))
}

/// Events of deliveries in `state`: what is sorted is what is open.
fn open_ones(state: &str, from: Option<Cursor>, conditions: &mut Conditions, most: &str) -> String {
    let after = after(from, "d.seq < ?", conditions);
    format!(
        "SELECT DISTINCT d.gen, d.seq, 0::bigint AS at FROM (
             SELECT d.gen, d.seq FROM gatepost_deliveries d WHERE d.state = {state} AND {after}
             ORDER BY d.seq DESC LIMIT {most}
         ) AS d ORDER BY d.seq DESC"
    )
}

/// Events of this source and type, from when to when: along the index of each source, of which there are few.
fn narrowed(filter: &EventFilter, from: Option<Cursor>, conditions: &mut Conditions, most: &str) -> String {
    let mut parts = Vec::new();
    let source = filter.source.as_ref().map(|source| conditions.parameter(source.as_str().to_owned()));
    parts.push(format!("e.source = {}", source.as_deref().unwrap_or("s.name")));
    if let Some(kind) = &filter.kind {
        parts.push(format!("e.kind = {}", conditions.parameter(kind.clone())));
    }
    if let Some(since) = filter.since {
        parts.push(format!("e.received_at >= {}", conditions.parameter(since.as_microsecond())));
    }
    if let Some(until) = filter.until {
        parts.push(format!("e.received_at < {}", conditions.parameter(until.as_microsecond())));
    }
    if let Some(Cursor(at, seq)) = from {
        let (at, seq) = (conditions.parameter(at), conditions.parameter(seq));
        parts.push(format!("(e.received_at, e.seq) < ({at}, {seq})"));
    }
    let of_source = format!(
        "SELECT e.gen, e.seq, e.received_at AS at FROM gatepost_events e WHERE {}
         ORDER BY e.received_at DESC, e.seq DESC LIMIT {most}",
        parts.join(" AND ")
    );
    if source.is_some() {
        return of_source;
    }
    format!(
        "SELECT e.gen, e.seq, e.at FROM gatepost_sources s CROSS JOIN LATERAL ({of_source}) AS e
         ORDER BY e.at DESC, e.seq DESC LIMIT {most}"
    )
}
