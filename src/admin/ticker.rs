//! The newest sample of what there is to see, and who may follow it.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{Semaphore, watch};

/// Pages followed at once; connections are left for probes and for looking.
const FOLLOWERS: usize = 24;

/// What changes when there is something new to see.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, utoipa::ToSchema)]
pub(super) struct Tick {
    /// Another number with each sample.
    pub(super) now: u64,
    /// Another number when an event came, or a delivery of the newest ended.
    pub(super) events: u64,
    /// Another number when a request was refused and kept, or one was taken away.
    pub(super) refused: u64,
}

/// The newest sample, and who may follow it.
pub(crate) struct Ticker {
    pub(super) tick: watch::Sender<Tick>,
    pub(super) followers: Arc<Semaphore>,
}

impl Default for Ticker {
    fn default() -> Self {
        Self { tick: watch::Sender::default(), followers: Arc::new(Semaphore::new(FOLLOWERS)) }
    }
}
