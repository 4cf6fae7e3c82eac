//! A [`Filter`] as SQL conditions on `events e` and `deliveries d`; runs nothing.

use rusqlite::types::Value;

use crate::store::sqlite::rows::{Names, micros};
use crate::store::sqlite::schema::SINKS;
use crate::store::{Filter, State};

/// Conditions joined by AND, and the values of their parameters in order.
pub(super) struct Conditions {
    parts: Vec<String>,
    /// One for each `?`.
    pub values: Vec<Value>,
}

impl Conditions {
    /// Adds `part`, whose `?` stand for `values`.
    pub(super) fn add(&mut self, part: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.parts.push(part.into());
        self.values.extend(values);
    }

    /// The SQL after `WHERE`.
    pub(super) fn sql(&self) -> String {
        self.parts.join(" AND ")
    }
}

/// The source, type and time of `filter`, on `e`; `None` when nothing can match.
fn of_event(filter: &Filter, sources: &Names) -> Option<Conditions> {
    let mut conditions = Conditions { parts: vec!["1".into()], values: Vec::new() };
    if let Some(source) = &filter.source {
        conditions.add("e.source = ?", [sources.id(source)?.into()]);
    }
    if let Some(kind) = &filter.kind {
        conditions.add("e.kind = ?", [kind.clone().into()]);
    }
    if let Some(since) = filter.since {
        conditions.add("e.received_at >= ?", [micros(since).into()]);
    }
    if let Some(until) = filter.until {
        conditions.add("e.received_at < ?", [micros(until).into()]);
    }
    Some(conditions)
}

/// `filter` for a listing of events; `None` when nothing can match.
pub(super) fn events(filter: &Filter, sources: &Names, sinks: &Names) -> Option<Conditions> {
    let mut conditions = of_event(filter, sources)?;
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
    let pending = format!("(SELECT id / {SINKS} FROM deliveries WHERE state = 0)");
    let dead = format!("(SELECT id / {SINKS} FROM deliveries WHERE state = 2)");
    match filter.state {
        Some(State::Pending) => conditions.add(format!("e.seq IN {pending}"), []),
        Some(State::Dead) => conditions.add(format!("e.seq IN {dead} AND e.seq NOT IN {pending}"), []),
        Some(State::Delivered) => conditions.add(format!("e.seq NOT IN {dead} AND e.seq NOT IN {pending}"), []),
        None => {}
    }
    Some(conditions)
}

/// `ids` and `filter` for dead letters at store time `now`; `None` when nothing can match.
pub(super) fn dead(ids: &[i64], filter: &Filter, (sources, sinks): (&Names, &Names), now: i64) -> Option<Conditions> {
    let mut conditions = of_event(filter, sources)?;
    // What somebody has claimed is being delivered, by whoever knows the sink.
    let gone: Vec<String> = filter.gone.iter().filter_map(|sink| sinks.id(sink)).map(|id| id.to_string()).collect();
    let free = "d.state = 0 AND (d.claimed_at IS NULL OR d.due_at <= ?)";
    conditions.add(format!("(d.state = 2 OR ({free} AND d.sink IN ({})))", gone.join(",")), [now.into()]);
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
