//! An open store, taken apart into what each consumer may do with it.

use std::sync::Arc;

use crate::store::archive::Archive;
use crate::store::audit_queue::AuditQueue;
use crate::store::dead_letters::DeadLetters;
use crate::store::inbox::Inbox;
use crate::store::maintenance::Maintenance;
use crate::store::outbox::Outbox;
use crate::store::quarantine::Quarantine;
use crate::store::sink_controls::SinkControls;

/// An open store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    /// For ingress: takes events.
    pub inbox: Arc<dyn Inbox>,
    /// For dispatch: what is to be delivered.
    pub outbox: Arc<dyn Outbox>,
    /// For the command line: what was accepted.
    pub archive: Arc<dyn Archive>,
    /// For the command line: deliveries that ran out of attempts.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// For ingress and the command line: refused requests kept for inspection.
    pub quarantine: Arc<dyn Quarantine>,
    /// For audit: the queue towards the SIEM.
    pub audit_queue: Arc<dyn AuditQueue>,
    /// For operators: what they decided about sinks.
    pub sink_controls: Arc<dyn SinkControls>,
    /// For app: probes, retention, flush.
    pub maintenance: Arc<dyn Maintenance>,
}
