//! A [`Filter`] as SQL conditions on `gatepost_events e` and `gatepost_deliveries d`; runs nothing.

use tokio_postgres::types::ToSql;

use crate::store::postgres::rows::micros;
use crate::store::{DeliveryId, Filter, State};

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

    fn of_event(filter: &Filter) -> Self {
        let mut conditions = Self::none();
        if let Some(source) = &filter.source {
            conditions.add("e.source = ?", source.as_str().to_owned());
        }
        if let Some(kind) = &filter.kind {
            conditions.add("e.kind = ?", kind.clone());
        }
        conditions.time("e.received_at", filter);
        conditions
    }

    fn time(&mut self, column: &str, filter: &Filter) {
        if let Some(since) = filter.since {
            self.add(&format!("{column} >= ?"), micros(since));
        }
        if let Some(until) = filter.until {
            self.add(&format!("{column} < ?"), micros(until));
        }
    }

    /// `filter` for a listing of events.
    pub(super) fn events(filter: &Filter) -> Self {
        let mut conditions = Self::of_event(filter);
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
        let in_state = |state: i8| format!("(SELECT d.seq FROM gatepost_deliveries d WHERE d.state = {state})");
        let (pending, dead) = (in_state(0), in_state(2));
        match filter.state {
            Some(State::Pending) => conditions.parts.push(format!("e.seq IN {pending}")),
            Some(State::Dead) => conditions.parts.push(format!("e.seq IN {dead} AND e.seq NOT IN {pending}")),
            Some(State::Delivered) => conditions.parts.push(format!("e.seq NOT IN {dead} AND e.seq NOT IN {pending}")),
            None => {}
        }
        conditions
    }

    /// `ids` and `filter` for dead letters; the time stands in `clock`.
    pub(super) fn dead(ids: &[DeliveryId], filter: &Filter) -> Self {
        let mut conditions = Self::of_event(filter);
        // What somebody has claimed is being delivered, by whoever knows the sink.
        let gone: Vec<String> = filter.gone.iter().map(|sink| sink.as_str().to_owned()).collect();
        let free = "d.state = 0 AND (d.claimed_at IS NULL OR d.due_at <= t)";
        conditions.add(&format!("(d.state = 2 OR ({free} AND d.sink = ANY (?)))"), gone);
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

    /// `filter` for the quarantine, where `error` is the reason.
    pub(super) fn quarantine(filter: &Filter) -> Self {
        let mut conditions = Self::none();
        if let Some(source) = &filter.source {
            conditions.add("source = ?", source.as_str().to_owned());
        }
        if let Some(reason) = &filter.error {
            conditions.add("reason = ?", reason.clone());
        }
        conditions.time("received_at", filter);
        conditions
    }
}
