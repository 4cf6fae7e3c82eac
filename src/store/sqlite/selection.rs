//! A filter as SQL conditions on `events e`, `deliveries d` or `quarantine`; runs nothing.

use jiff::Timestamp;
use rusqlite::types::Value;

use crate::event::{KeptHeaders, Name};
use crate::store::archive::EventFilter;
use crate::store::dead_letters::DeadLetterFilter;
use crate::store::delivery::State;
use crate::store::quarantine::QuarantineFilter;
use crate::store::sql::sql;
use crate::store::sqlite::rows::Names;
use crate::store::sqlite::schema::SINKS;
use crate::store::stored::{DEAD, PENDING, micros};

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

    /// Only events of this source and type; `None` when nothing can match.
    fn of_event(&mut self, source: Option<&Name>, kind: Option<&String>, sources: &Names) -> Option<()> {
        if let Some(source) = source {
            self.add("e.source = ?", [sources.id(source)?.into()]);
        }
        if let Some(kind) = kind {
            self.add("e.kind = ?", [kind.clone().into()]);
        }
        Some(())
    }
}

/// Whether `filter` looks for what only some events have, in columns of the narrow index.
pub(super) const fn is_narrowed(filter: &EventFilter) -> bool {
    filter.source.is_some() || filter.kind.is_some() || filter.since.is_some() || filter.until.is_some()
}

/// `filter` for a listing of events; `None` when nothing can match.
pub(super) fn events(filter: &EventFilter, sources: &Names, sinks: &Names) -> Option<Conditions> {
    let mut conditions = Conditions::none();
    conditions.of_event(filter.source.as_ref(), filter.kind.as_ref(), sources)?;
    conditions.received("e.received_at", filter.since, filter.until);
    if let Some(header) = filter.header.as_ref().and_then(KeptHeaders::stored) {
        conditions.add("instr(e.headers, ?) > 0", [header.to_vec().into()]);
    }
    let all = format!("d.id BETWEEN e.seq * {SINKS} AND e.seq * {SINKS} + {}", SINKS - 1);
    let of_sink = match &filter.sink {
        Some(sink) => Some(sinks.id(sink)?),
        None => None,
    };
    let which = of_sink.map_or(all, |sink| format!("d.id = e.seq * {SINKS} + {sink}"));
    if let Some(error) = &filter.error {
        let part = format!("EXISTS (SELECT 1 FROM deliveries d WHERE {which} AND instr(d.error, ?) > 0)");
        conditions.add(part, [error.clone().into()]);
    } else if of_sink.is_some() {
        conditions.add(format!("EXISTS (SELECT 1 FROM deliveries d WHERE {which})"), []);
    }
    // Led by the small partial indexes: these states are the exception among stored events.
    let pending = format!("(SELECT id / {SINKS} FROM deliveries WHERE state = {PENDING})");
    let dead = format!("(SELECT id / {SINKS} FROM deliveries WHERE state = {DEAD})");
    match filter.state {
        Some(State::Pending) => conditions.add(format!("e.seq IN {pending}"), []),
        Some(State::Dead) => conditions.add(format!("e.seq IN {dead} AND e.seq NOT IN {pending}"), []),
        Some(State::Delivered) => conditions.add(format!("e.seq NOT IN {dead} AND e.seq NOT IN {pending}"), []),
        None => {}
    }
    Some(conditions)
}

/// `ids` and `filter` for dead letters at store time `now`; `None` when nothing can match.
pub(super) fn dead_letters(
    ids: &[i64],
    filter: &DeadLetterFilter,
    (sources, sinks): (&Names, &Names),
    now: i64,
) -> Option<Conditions> {
    let mut conditions = Conditions::none();
    conditions.of_event(filter.source.as_ref(), filter.kind.as_ref(), sources)?;
    conditions.received("e.received_at", filter.since, filter.until);
    // What somebody has claimed is being delivered, by whoever knows the sink.
    let gone: Vec<String> = filter.gone.iter().filter_map(|sink| sinks.id(sink)).map(|id| id.to_string()).collect();
    let free = sql!("d.state = {PENDING} AND (d.claimed_at IS NULL OR d.due_at <= ?)");
    conditions.add(format!("(d.state = {DEAD} OR ({free} AND d.sink IN ({})))", gone.join(",")), [now.into()]);
    if let Some(sink) = &filter.sink {
        conditions.add("d.sink = ?", [sinks.id(sink)?.into()]);
    }
    if let Some(error) = &filter.error {
        conditions.add("instr(d.error, ?) > 0", [error.clone().into()]);
    }
    if !ids.is_empty() {
        let list: Vec<String> = ids.iter().map(ToString::to_string).collect();
        conditions.add(format!("d.id IN ({})", list.join(",")), []);
    }
    Some(conditions)
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
