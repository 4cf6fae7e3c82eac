//! The memory that unfinished heads may hold: they arrive before anybody knows whose they are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connection_failure::{FailureLog, FailureReason};

/// As much of a head as is not counted: the read buffer that every connection has.
const FREE: usize = 8 * 1024;
/// What unfinished heads may hold together beyond that. Heads of that size are rare, and arrive within milliseconds.
const MAX: usize = 64 * 1024 * 1024;
/// One client's share of it, as a divisor.
const SHARE: usize = 8;

/// The budget of one listener.
pub(super) struct HeadBudget {
    used: Mutex<Used>,
    max: usize,
    failures: Arc<FailureLog>,
}

#[derive(Default)]
struct Used {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

impl HeadBudget {
    pub(super) fn new(failures: Arc<FailureLog>) -> Arc<Self> {
        Arc::new(Self { used: Mutex::default(), max: MAX, failures })
    }

    /// Nothing yet, for a connection of `peer`; `holder` is whose share it counts for, where there is one.
    pub(super) const fn reservation(self: Arc<Self>, peer: IpAddr, holder: Option<IpAddr>) -> HeadReservation {
        HeadReservation { budget: self, peer, holder, bytes: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        // Counting cannot panic half-way.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the head of one connection holds; given back when dropped.
pub(super) struct HeadReservation {
    budget: Arc<HeadBudget>,
    peer: IpAddr,
    holder: Option<IpAddr>,
    bytes: usize,
}

impl HeadReservation {
    /// Holds what a head of `length` bytes needs. Whether there is room.
    pub(super) fn grow_to(&mut self, length: usize) -> bool {
        let more = length.saturating_sub(FREE).saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        let mut used = self.budget.lock();
        let own = self.holder.and_then(|holder| used.by_client.get(&holder)).copied().unwrap_or_default();
        if used.all + more > self.budget.max || (self.holder.is_some() && own + more > self.budget.max / SHARE) {
            drop(used);
            self.budget.failures.record(FailureReason::HeadMemory, self.peer, None);
            return false;
        }
        used.all += more;
        self.bytes += more;
        if let Some(holder) = self.holder {
            *used.by_client.entry(holder).or_default() += more;
        }
        true
    }

    /// The head is there, or nobody waits for it any more.
    pub(super) fn release(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes == 0 {
            return;
        }
        let mut used = self.budget.lock();
        used.all -= bytes;
        if let Some(holder) = self.holder
            && let Some(own) = used.by_client.get_mut(&holder)
        {
            *own -= bytes;
            if *own == 0 {
                used.by_client.remove(&holder);
            }
        }
    }
}

impl Drop for HeadReservation {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn budget(max: usize) -> Arc<HeadBudget> {
        Arc::new(HeadBudget { used: Mutex::default(), max, failures: Arc::default() })
    }

    #[test]
    fn a_client_has_an_eighth_all_have_the_whole_and_small_heads_are_free() {
        let budget = budget(8000);
        let open = |ip| Arc::clone(&budget).reservation(ip, Some(ip));
        let (mut first, mut second) = (open(A), open(A));
        assert!(first.grow_to(FREE + 600) && first.grow_to(FREE + 600));
        assert!(!second.grow_to(FREE + 401), "A has its share");
        assert!(second.grow_to(FREE + 400) && second.grow_to(FREE));
        assert!(open(B).grow_to(FREE + 1000));
        let mut proxy = Arc::clone(&budget).reservation(B, None);
        assert!(!proxy.grow_to(FREE + 7001) && proxy.grow_to(FREE + 7000));
        assert!(!open(B).grow_to(FREE + 1) && open(B).grow_to(FREE));
        first.release();
        assert!(second.grow_to(FREE + 1000));
    }

    #[test]
    fn nothing_remains_of_heads_that_went() {
        let budget = budget(8000);
        let mut head = Arc::clone(&budget).reservation(A, Some(A));
        assert!(head.grow_to(FREE + 100) && head.grow_to(FREE + 200));
        drop(head);
        assert!(budget.lock().by_client.is_empty() && budget.lock().all == 0);
    }
}
