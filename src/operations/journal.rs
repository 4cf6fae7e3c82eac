//! The audit record of what operators do: in the log of this process, and in the queue towards the SIEM where there is one.

use super::Operations;
use super::operator::Operator;
use crate::audit;
use crate::audit_record::OperatorRecord;
use crate::event::Name;
use crate::store::EventRef;

/// What was done, and to what.
pub(super) struct Deed<'a> {
    /// Such as `sink_pause`.
    pub action: &'static str,
    /// The source of what it was done to, where that has one.
    pub source: Option<&'a Name>,
    /// To what: a sink, `source:id`, the number of a refused request.
    pub subject: String,
    /// Why, where that was said.
    pub reason: Option<&'a str>,
}

impl<'a> Deed<'a> {
    /// `action` done to one event.
    pub(super) fn to_event(action: &'static str, event: &'a EventRef) -> Self {
        let source = event.source.as_ref();
        let subject = source.map_or_else(|| event.id.to_string(), |source| format!("{source}:{}", event.id));
        Self { action, source, subject, reason: None }
    }
}

impl Operations<'_> {
    /// Writes down who did it. It is done by then: a queue that cannot take the record is told in the log.
    pub(super) async fn record(&self, operator: &Operator, deeds: impl IntoIterator<Item = Deed<'_>>) {
        let mut records = Vec::new();
        for Deed { action, source, subject, reason } in deeds {
            let mut record = OperatorRecord::new(self.clock.now(), action, operator.as_str(), subject);
            (record.source, record.reason) = (source.cloned(), reason.map(str::to_owned));
            record.client_ip = operator.client_ip();
            // Of strings, numbers and nulls: it cannot fail.
            let Ok(json) = serde_json::to_string(&record) else { continue };
            tracing::info!(target: "gatepost::audit", record = json.as_str());
            records.push(json);
        }
        if self.siem && !records.is_empty() {
            match self.store.audit_queue.push(records, audit::CAPACITY).await {
                Ok(0) => {}
                Ok(dropped) => {
                    tracing::warn!(dropped, "the queue of audit records is full: records for the SIEM are lost");
                }
                Err(error) => tracing::warn!(%error, "audit records for the SIEM are lost"),
            }
        }
    }
}
