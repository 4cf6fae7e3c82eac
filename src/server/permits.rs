//! How many connections may be open, in all and by client address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::metrics::Metrics;

/// The counts of one listener.
pub(super) struct Permits {
    open: Mutex<Open>,
    max: usize,
    max_per_client: usize,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

impl Permits {
    pub(super) fn new(max: usize, max_per_client: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), max, max_per_client, metrics })
    }

    /// Room for one connection, counted against `client` where one is given; `None` where there is none.
    pub(super) fn take(self: &Arc<Self>, client: Option<IpAddr>) -> Option<Permit> {
        let mut open = self.lock();
        if open.all >= self.max {
            return None;
        }
        if let Some(client) = client {
            let count = open.by_client.entry(client).or_default();
            // An entry that is full is never zero, so nothing empty stays behind.
            if *count >= self.max_per_client.max(1) {
                return None;
            }
            *count += 1;
        }
        open.all += 1;
        self.metrics.connections.inc();
        Some(Permit { permits: Arc::clone(self), client })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Counting cannot panic half-way.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open connection; gives its room back when dropped.
pub(super) struct Permit {
    permits: Arc<Permits>,
    client: Option<IpAddr>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.permits.lock();
        open.all -= 1;
        if let Some(client) = self.client
            && let Some(count) = open.by_client.get_mut(&client)
        {
            *count -= 1;
            if *count == 0 {
                open.by_client.remove(&client);
            }
        }
        self.permits.metrics.connections.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const B: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    #[test]
    fn a_client_is_held_to_its_share_and_everybody_to_the_whole() {
        let permits = Permits::new(4, 2, Arc::new(Metrics::new()));
        let first = permits.take(A).unwrap();
        let _second = permits.take(A).unwrap();
        assert!(permits.take(A).is_none(), "A has its share");
        let _third = permits.take(B).unwrap();
        let _fourth = permits.take(None).unwrap();
        assert!(permits.take(B).is_none(), "all are taken");
        drop(first);
        assert!(permits.take(A).is_some());
    }

    #[test]
    fn nothing_remains_of_clients_that_left() {
        let metrics = Arc::new(Metrics::new());
        let permits = Permits::new(4, 2, Arc::clone(&metrics));
        let held = [permits.take(A).unwrap(), permits.take(B).unwrap()];
        assert_eq!(metrics.connections.get(), 2);
        drop(held);
        assert_eq!(metrics.connections.get(), 0);
        assert!(permits.lock().by_client.is_empty());
    }
}
