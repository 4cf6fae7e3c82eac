//! A filter as SQL conditions on `events e`, `deliveries d` or `quarantine`; runs nothing.

use jiff::Timestamp;
use rusqlite::types::Value;

use crate::event::{KeptHeaders, Name};
use crate::store::archive::{EventFilter, RECENT};
use crate::store::dead_letters::DeadLetterFilter;
use crate::store::delivery::State;
use crate::store::quarantine::QuarantineFilter;
use crate::store::sql::sql;
use crate::store::sqlite::rows::Names;
use crate::store::sqlite::schema::SINKS;
use crate::store::stored::micros;

/// Conditions joined by AND, and the values of their parameters in order.
pub(super) struct Conditions {
    parts: Vec<String>,
    /// One for each `?`.
    pub values: Vec<Value>,
}

impl Conditions {
    fn none() -> Self {
        Self { parts: vec!["1".into()], values: Vec::new() }
    }

    /// Adds `part`, whose `?` stand for `values`.
    pub(super) fn add(&mut self, part: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.parts.push(part.into());
        self.values.extend(values);
    }

    /// The SQL after `WHERE`.
    pub(super) fn sql(&self) -> String {
        self.parts.join(" AND ")
    }

    /// Only what was received between the two, the first one included.
    fn received(&mut self, column: &str, since: Option<Timestamp>, until: Option<Timestamp>) {
        if let Some(since) = since {
            self.add(format!("{column} >= ?"), [micros(since).into()]);
        }
        if let Some(until) = until {
            self.add(format!("{column} < ?"), [micros(until).into()]);
        }
    }

    /// Only events of this source and type, columns of `table`; `None` when nothing can match.
    fn of_event(&mut self, table: &str, source: Option<&Name>, kind: Option<&String>, sources: &Names) -> Option<()> {
        if let Some(source) = source {
            self.add(format!("{table}.source = ?"), [sources.id(source)?.into()]);
        }
        if let Some(kind) = kind {
            self.add(format!("{table}.kind = ?"), [kind.clone().into()]);
        }
        Some(())
    }
}

/// Whether `filter` looks for what only some events have, in columns of `arrivals`.
pub(super) const fn is_narrowed(filter: &EventFilter) -> bool {
    filter.source.is_some() || filter.kind.is_some() || filter.since.is_some() || filter.until.is_some()
}

/// Whether each event that `filter` leaves has to be looked at beyond that.
pub(super) fn looks_at_rows(filter: &EventFilter) -> bool {
    filter.header.is_some()
        || filter.sink.is_some()
        || filter.error.is_some()
        || filter.state.is_some()
        || filter.id_prefix.is_some()
}

/// `filter` for a listing of `events e` and `arrivals a`, but for which deliveries are to be open; `None` when nothing can match.
pub(super) fn events(filter: &EventFilter, sources: &Names, sinks: &Names) -> Option<Conditions> {
    let mut conditions = Conditions::none();
    conditions.of_event("a", filter.source.as_ref(), filter.kind.as_ref(), sources)?;
    conditions.received("a.received_at", filter.since, filter.until);
    if let Some(prefix) = &filter.id_prefix {
        let recent = format!("e.seq > (SELECT max(seq) FROM events) - {RECENT}");
        conditions.add(
            format!("{recent} AND substr(e.id, 1, length(?)) = ?"),
            [prefix.clone().into(), prefix.clone().into()],
        );
    }
    if let Some(header) = filter.header.as_ref().and_then(KeptHeaders::stored) {
        conditions.add("instr(e.headers, ?) > 0", [header.to_vec().into()]);
    }
    let all = format!("d.id BETWEEN e.seq * {SINKS} AND e.seq * {SINKS} + {}", SINKS - 1);
    let of_sink = match &filter.sink {
        Some(sink) => Some(sinks.id(sink)?),
        None => None,
    };
    let any = format!("EXISTS (SELECT 1 FROM deliveries d WHERE {all})");
    let which = of_sink.map_or_else(|| all.clone(), |sink| format!("d.id = e.seq * {SINKS} + {sink}"));
    if let Some(error) = &filter.error {
        let part = format!("EXISTS (SELECT 1 FROM deliveries d WHERE {which} AND instr(d.error, ?) > 0)");
        conditions.add(part, [error.clone().into()]);
    } else if of_sink.is_some() {
        conditions.add(format!("EXISTS (SELECT 1 FROM deliveries d WHERE {which})"), []);
    }
    // Of those that are open a listing starts out from the deliveries themselves.
    let none = |state: &str| format!("NOT EXISTS (SELECT 1 FROM deliveries d WHERE {all} AND d.state {state})");
    match filter.state {
        Some(State::Dead) => conditions.add(none(sql!("= {PENDING}")), []),
        Some(State::Delivered) => conditions.add(format!("{} AND {any}", none(sql!("<> {DELIVERED}"))), []),
        Some(State::Stored) => conditions.add(format!("NOT {any}"), []),
        Some(State::Pending) | None => {}
    }
    Some(conditions)
}

/// What a block must have for `filter` to find something in it; `None` when nothing can match.
pub(super) fn blocks(filter: &EventFilter, sources: &Names) -> Option<Conditions> {
    let mut conditions = Conditions::none();
    if let Some(source) = &filter.source {
        conditions.add("source = ?", [sources.id(source)?.into()]);
    }
    if let Some(kind) = &filter.kind {
        conditions.add("kind IN (?, '*')", [kind.clone().into()]);
    }
    if let Some(since) = filter.since {
        conditions.add("last_at >= ?", [micros(since).into()]);
    }
    if let Some(until) = filter.until {
        conditions.add("first_at < ?", [micros(until).into()]);
    }
    Some(conditions)
}

/// What `filter` asks of a dead letter and its event beside sink and state; `None` when nothing can match.
pub(super) fn dead_letters(filter: &DeadLetterFilter, sources: &Names) -> Option<Conditions> {
    let mut conditions = Conditions::none();
    conditions.of_event("e", filter.source.as_ref(), filter.kind.as_ref(), sources)?;
    conditions.received("e.received_at", filter.since, filter.until);
    if let Some(error) = &filter.error {
        conditions.add("instr(d.error, ?) > 0", [error.clone().into()]);
    }
    Some(conditions)
}

/// Deliveries that are dead, or wait for a sink that is gone at store time `now`, of `ids` and to the sink of `filter`: one
/// set of conditions for each index to walk; none when nothing can match.
pub(super) fn over(ids: &[i64], filter: &DeadLetterFilter, sinks: &Names, now: i64) -> Vec<Conditions> {
    let wanted = filter.sink.as_ref().map(|sink| sinks.id(sink));
    let of_sink = |id: i64| wanted.is_none_or(|wanted| wanted == Some(id));
    let mut dead = Conditions::none();
    dead.add(sql!("d.state = {DEAD}"), []);
    if let Some(Some(sink)) = wanted {
        dead.add("d.sink = ?", [sink.into()]);
    }
    let gone = filter.gone.iter().filter_map(|sink| sinks.id(sink)).filter(|id| of_sink(*id)).flat_map(|sink| {
        let (mut waiting, mut lapsed) = (Conditions::none(), Conditions::none());
        waiting.add(sql!("{WAITING} AND d.sink = ?"), [sink.into()]);
        // What somebody has claimed is being delivered, by whoever knows the sink.
        lapsed.add(sql!("{CLAIMED} AND d.sink = ? AND d.due_at <= ?"), [sink.into(), now.into()]);
        [waiting, lapsed]
    });
    let all = std::iter::once(dead).filter(|_| wanted != Some(None)).chain(gone);
    let list: Vec<String> = ids.iter().map(ToString::to_string).collect();
    all.map(|mut conditions| {
        if !ids.is_empty() {
            conditions.add(format!("d.id IN ({})", list.join(",")), []);
        }
        conditions
    })
    .collect()
}

/// `filter` for a listing of the quarantine.
pub(super) fn quarantine(filter: &QuarantineFilter) -> Conditions {
    let mut conditions = Conditions::none();
    if let Some(source) = &filter.source {
        conditions.add("source = ?", [source.as_str().to_owned().into()]);
    }
    if let Some(reason) = &filter.reason {
        conditions.add("reason = ?", [reason.clone().into()]);
    }
    conditions.received("received_at", filter.since, filter.until);
    conditions
}
