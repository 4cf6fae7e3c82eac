//! Memory of heads that are on their way: they arrive before anybody knows whose they are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tls_failure::{FailureLog, Reason};

/// As much of a head as needs no charge: the read buffer that every connection has.
const FREE: usize = 8 * 1024;
/// What unfinished heads may hold together beyond that. Heads of that size are rare, and arrive within milliseconds.
const MAX: usize = 64 * 1024 * 1024;
/// One client's part of it, as a divisor.
const SHARE: usize = 8;

/// The heads of one listener.
pub(super) struct Heads {
    used: Mutex<Used>,
    max: usize,
    failures: Arc<FailureLog>,
}

#[derive(Default)]
struct Used {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

impl Heads {
    pub(super) fn new(failures: Arc<FailureLog>) -> Arc<Self> {
        Arc::new(Self { used: Mutex::default(), max: MAX, failures })
    }

    /// A head of nobody's yet on a connection of `peer`; `holder` is whose share it counts for, where there is one.
    pub(super) const fn open(self: Arc<Self>, peer: IpAddr, holder: Option<IpAddr>) -> HeadCharge {
        HeadCharge { heads: self, peer, holder, bytes: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        // Counting cannot panic half-way.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the head of one connection holds; given back when dropped.
pub(super) struct HeadCharge {
    heads: Arc<Heads>,
    peer: IpAddr,
    holder: Option<IpAddr>,
    bytes: usize,
}

impl HeadCharge {
    /// Raises the charge to that of a head of `length` bytes. Whether there is room.
    pub(super) fn raise_to(&mut self, length: usize) -> bool {
        let more = length.saturating_sub(FREE).saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        let mut used = self.heads.lock();
        let own = self.holder.and_then(|holder| used.by_client.get(&holder)).copied().unwrap_or_default();
        if used.all + more > self.heads.max || (self.holder.is_some() && own + more > self.heads.max / SHARE) {
            drop(used);
            self.heads.failures.note(Reason::HeadMemory, self.peer, None);
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
        let mut used = self.heads.lock();
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

impl Drop for HeadCharge {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn heads(max: usize) -> Arc<Heads> {
        Arc::new(Heads { used: Mutex::default(), max, failures: Arc::default() })
    }

    #[test]
    fn a_client_has_an_eighth_all_have_the_whole_and_small_heads_are_free() {
        let heads = heads(8000);
        let open = |ip| Arc::clone(&heads).open(ip, Some(ip));
        let (mut first, mut second) = (open(A), open(A));
        assert!(first.raise_to(FREE + 600) && first.raise_to(FREE + 600));
        assert!(!second.raise_to(FREE + 401), "A has its share");
        assert!(second.raise_to(FREE + 400) && second.raise_to(FREE));
        assert!(open(B).raise_to(FREE + 1000));
        let mut proxy = Arc::clone(&heads).open(B, None);
        assert!(!proxy.raise_to(FREE + 7001) && proxy.raise_to(FREE + 7000));
        assert!(!open(B).raise_to(FREE + 1) && open(B).raise_to(FREE));
        first.release();
        assert!(second.raise_to(FREE + 1000));
    }

    #[test]
    fn nothing_remains_of_heads_that_went() {
        let heads = heads(8000);
        let mut charge = Arc::clone(&heads).open(A, Some(A));
        assert!(charge.raise_to(FREE + 100) && charge.raise_to(FREE + 200));
        drop(charge);
        assert!(heads.lock().by_client.is_empty() && heads.lock().all == 0);
    }
}
