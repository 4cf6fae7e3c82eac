//! A filter as SQL conditions on `gatepost_events e`, `gatepost_deliveries d` or `gatepost_quarantine`; runs nothing.

use jiff::Timestamp;
use tokio_postgres::types::ToSql;

use crate::event::{KeptHeaders, Name};
use crate::store::archive::{EventFilter, RECENT};
use crate::store::dead_letters::DeadLetterFilter;
use crate::store::delivery::State;
use crate::store::quarantine::QuarantineFilter;
use crate::store::sql::sql;
use crate::store::stored::micros;

/// Whether an event has somewhere to go.
const ANY_DELIVERY: &str = "EXISTS (SELECT 1 FROM gatepost_deliveries d WHERE d.seq = e.seq OFFSET 0)";

/// Conditions joined by AND, and the values of their parameters in order.
pub(super) struct Conditions {
    parts: Vec<String>,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Conditions {
    /// None.
    pub(super) fn none() -> Self {
        Self { parts: vec!["true".into()], values: Vec::new() }
    }

    /// Adds `part`, in which `?` stands for `value`.
    pub(super) fn add(&mut self, part: &str, value: impl ToSql + Sync + Send + 'static) {
        let parameter = self.parameter(value);
        self.parts.push(part.replace('?', &parameter));
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

    /// How many parameters there are.
    pub(super) const fn count(&self) -> usize {
        self.values.len()
    }

    /// Values of the first `count` parameters.
    pub(super) fn first(&self, count: usize) -> Vec<&(dyn ToSql + Sync)> {
        self.values.iter().take(count).map(|value| &**value as &(dyn ToSql + Sync)).collect()
    }

    /// One for each parameter.
    pub(super) fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.first(self.count())
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

    /// What `filter` asks of an event `e` itself. The planner is kept from joining what is asked for each row (see `search.rs`).
    pub(super) fn of_row(&mut self, filter: &EventFilter) {
        self.of_event(filter.source.as_ref(), filter.kind.as_ref());
        self.received("e.received_at", filter.since, filter.until);
        if let Some(prefix) = &filter.id_prefix {
            self.parts.push(format!("e.seq > (SELECT max(seq) FROM gatepost_events) - {RECENT}"));
            self.add("starts_with(e.id, ?)", prefix.clone());
        }
        if let Some(header) = filter.header.as_ref().and_then(KeptHeaders::stored) {
            self.add("position(? IN e.headers) > 0", header.to_vec());
        }
        let exists =
            |of: &str| format!("EXISTS (SELECT 1 FROM gatepost_deliveries d WHERE d.seq = e.seq AND {of} OFFSET 0)");
        if filter.sink.is_some() || filter.error.is_some() {
            let mut of = Vec::new();
            if let Some(sink) = &filter.sink {
                of.push(format!("d.sink = {}", self.parameter(sink.as_str().to_owned())));
            }
            if let Some(error) = &filter.error {
                of.push(format!("strpos(d.error, {}) > 0", self.parameter(error.clone())));
            }
            self.parts.push(exists(&of.join(" AND ")));
        }
        match filter.state {
            Some(State::Dead) => self.parts.push(format!("NOT {}", exists(sql!("d.state = {PENDING}")))),
            Some(State::Delivered) => {
                self.parts.push(format!("NOT {} AND {ANY_DELIVERY}", exists(sql!("d.state <> {DELIVERED}"))));
            }
            Some(State::Stored) => self.parts.push(format!("NOT {ANY_DELIVERY}")),
            Some(State::Pending) | None => {}
        }
    }

    /// What `filter` asks of a dead letter `d` and its event `e`, beside sink and state.
    pub(super) fn of_letter(&mut self, filter: &DeadLetterFilter) {
        self.of_event(filter.source.as_ref(), filter.kind.as_ref());
        self.received("e.received_at", filter.since, filter.until);
        if let Some(error) = &filter.error {
            self.add("strpos(d.error, ?) > 0", error.clone());
        }
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
