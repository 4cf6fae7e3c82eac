//! A filter as SQL conditions on `gatepost_events e`, `gatepost_deliveries d` or `gatepost_quarantine`; runs nothing.

use jiff::Timestamp;
use tokio_postgres::types::ToSql;

use crate::event::{KeptHeaders, Name};
use crate::store::archive::EventFilter;
use crate::store::dead_letters::DeadLetterFilter;
use crate::store::delivery::{DeliveryId, State};
use crate::store::quarantine::QuarantineFilter;
use crate::store::sql::sql;
use crate::store::stored::{DEAD, PENDING, micros};

/// Conditions joined by AND, and the values of their parameters in order.
pub(super) struct Conditions {
    parts: Vec<String>,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Conditions {
    fn none() -> Self {
        Self { parts: vec!["true".into()], values: Vec::new() }
    }

    /// Adds `part`, in which `?` stands for `value`.
    pub(super) fn add(&mut self, part: &str, value: impl ToSql + Sync + Send + 'static) {
        let parameter = self.parameter(value);
        self.parts.push(part.replace('?', &parameter));
    }

    /// Only rows that come after (`first`, `second`) in an order that goes down by these two columns.
    pub(super) fn after(&mut self, first_column: &str, first: i64, second_column: &str, second: i64) {
        let (first, second) = (self.parameter(first), self.parameter(second));
        self.parts.push(format!("({first_column}, {second_column}) < ({first}, {second})"));
    }

    /// Adds `value` and returns the parameter it becomes.
    pub(super) fn parameter(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    /// The SQL after `WHERE`.
    pub(super) fn sql(&self) -> String {
        self.parts.join(" AND ")
    }

    /// One for each parameter.
    pub(super) fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect()
    }

    /// Only what was received between the two, the first one included.
    fn received(&mut self, column: &str, since: Option<Timestamp>, until: Option<Timestamp>) {
        if let Some(since) = since {
            self.add(&format!("{column} >= ?"), micros(since));
        }
        if let Some(until) = until {
            self.add(&format!("{column} < ?"), micros(until));
        }
    }

    /// Only events of this source and type.
    fn of_event(&mut self, source: Option<&Name>, kind: Option<&String>) {
        if let Some(source) = source {
            self.add("e.source = ?", source.as_str().to_owned());
        }
        if let Some(kind) = kind {
            self.add("e.kind = ?", kind.clone());
        }
    }

    /// `filter` for a listing of events.
    pub(super) fn events(filter: &EventFilter) -> Self {
        let mut conditions = Self::none();
        conditions.of_event(filter.source.as_ref(), filter.kind.as_ref());
        conditions.received("e.received_at", filter.since, filter.until);
        if let Some(header) = filter.header.as_ref().and_then(KeptHeaders::stored) {
            conditions.add("position(? IN e.headers) > 0", header.to_vec());
        }
        if filter.sink.is_some() || filter.error.is_some() {
            let mut of = vec!["d.seq = e.seq".to_owned()];
            if let Some(sink) = &filter.sink {
                of.push(format!("d.sink = {}", conditions.parameter(sink.as_str().to_owned())));
            }
            if let Some(error) = &filter.error {
                of.push(format!("strpos(d.error, {}) > 0", conditions.parameter(error.clone())));
            }
            let of = of.join(" AND ");
            conditions.parts.push(format!("EXISTS (SELECT 1 FROM gatepost_deliveries d WHERE {of})"));
        }
        let in_state = |state: i64| format!("(SELECT d.seq FROM gatepost_deliveries d WHERE d.state = {state})");
        let (pending, dead) = (in_state(PENDING), in_state(DEAD));
        match filter.state {
            Some(State::Pending) => conditions.parts.push(format!("e.seq IN {pending}")),
            Some(State::Dead) => conditions.parts.push(format!("e.seq IN {dead} AND e.seq NOT IN {pending}")),
            Some(State::Delivered) => conditions.parts.push(format!("e.seq NOT IN {dead} AND e.seq NOT IN {pending}")),
            None => {}
        }
        conditions
    }

    /// `ids` and `filter` for dead letters; the time stands in `clock`.
    pub(super) fn dead_letters(ids: &[DeliveryId], filter: &DeadLetterFilter) -> Self {
        let mut conditions = Self::none();
        conditions.of_event(filter.source.as_ref(), filter.kind.as_ref());
        conditions.received("e.received_at", filter.since, filter.until);
        // What somebody has claimed is being delivered, by whoever knows the sink.
        let gone: Vec<String> = filter.gone.iter().map(|sink| sink.as_str().to_owned()).collect();
        let free = sql!("d.state = {PENDING} AND (d.claimed_at IS NULL OR d.due_at <= t)");
        conditions.add(&format!("(d.state = {DEAD} OR ({free} AND d.sink = ANY (?)))"), gone);
        if let Some(sink) = &filter.sink {
            conditions.add("d.sink = ?", sink.as_str().to_owned());
        }
        if let Some(error) = &filter.error {
            conditions.add("strpos(d.error, ?) > 0", error.clone());
        }
        if !ids.is_empty() {
            conditions.add("d.id = ANY (?)", ids.iter().map(|id| id.0).collect::<Vec<i64>>());
        }
        conditions
    }

    /// `filter` for a listing of the quarantine.
    pub(super) fn quarantine(filter: &QuarantineFilter) -> Self {
        let mut conditions = Self::none();
        if let Some(source) = &filter.source {
            conditions.add("source = ?", source.as_str().to_owned());
        }
        if let Some(reason) = &filter.reason {
            conditions.add("reason = ?", reason.clone());
        }
        conditions.received("received_at", filter.since, filter.until);
        conditions
    }
}
