//! Audit: every audit record of ingress, through a bounded queue in the store, to the SIEM. Never in the way of a request:
//! who has one uses `try_send` and counts what does not fit.

mod collector;
mod flood;
mod format;
mod sender;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use crate::audit_record::AuditRecord;
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::store::AuditQueue;
use collector::Collector;
use sender::Sender;

pub(crate) use collector::CAPACITY;
pub use sender::{Target, Targets};
pub use settings::{Siem, SiemFormat};

/// What may be spent on the last records after the cut-off.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Brings audit records to the SIEM.
pub struct Auditor {
    collector: Collector,
    sender: Sender,
}

impl Auditor {
    /// An auditor that takes `records` and sends them, through `queue`, to the target of the moment. While there is none
    /// what is queued stays there.
    #[must_use]
    pub fn new(
        targets: Targets,
        queue: Arc<dyn AuditQueue>,
        records: mpsc::Receiver<AuditRecord>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let pushed = Arc::new(Notify::new());
        let sender = Sender::new(targets, Arc::clone(&queue), Arc::clone(&metrics), clock.clone(), Arc::clone(&pushed));
        Self { collector: Collector::new(records, queue, metrics, clock, pushed), sender }
    }

    /// Runs until `lifecycle` stops accepting: by then, whoever makes records is to be done. What came until then is
    /// in the store when this returns, or a second after the cut-off at the latest; the next start sends it.
    pub async fn run(self, lifecycle: Lifecycle) {
        let cut_off = async {
            lifecycle.cut_off().cancelled().await;
            tokio::time::sleep(FLUSH_TIMEOUT).await;
        };
        tokio::select! {
            ((), ()) = async { tokio::join!(self.collector.run(&lifecycle), self.sender.run(&lifecycle)) } => {}
            () = cut_off => tracing::warn!("audit records cut off: those not stored yet are lost"),
        }
    }
}
