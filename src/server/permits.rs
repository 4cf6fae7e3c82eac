//! How many connections may be open, in all and by client address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::Limits;
use crate::metrics::Metrics;

/// The counts of one listener.
pub(super) struct Permits {
    open: Mutex<Open>,
    /// Those of the moment: a lower one closes no connection, it lets no further one in until enough have left.
    limits: Arc<ArcSwap<Limits>>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

impl Permits {
    pub(super) fn new(limits: Arc<ArcSwap<Limits>>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), limits, metrics })
    }

    /// Room for one connection, counted against `client` where one is given; `None` where there is none.
    pub(super) fn take(self: &Arc<Self>, client: Option<IpAddr>) -> Option<Permit> {
        let Limits { max_connections, max_connections_per_client, .. } = **self.limits.load();
        let mut open = self.lock();
        if open.all >= max_connections {
            return None;
        }
        if let Some(client) = client {
            let count = open.by_client.entry(client).or_default();
            // An entry that is full is never zero, so nothing empty stays behind.
            if *count >= max_connections_per_client.max(1) {
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

    fn limits(max_connections: usize, max_connections_per_client: usize) -> Arc<ArcSwap<Limits>> {
        let never = std::time::Duration::MAX;
        Arc::new(ArcSwap::from_pointee(Limits {
            max_connections,
            max_connections_per_client,
            handshake_timeout: never,
            header_timeout: never,
            idle_timeout: never,
        }))
    }

    #[test]
    fn limits_can_change_while_connections_are_open() {
        let limited = limits(1, 1);
        let permits = Permits::new(Arc::clone(&limited), Arc::new(Metrics::new()));
        let first = permits.take(A).unwrap();
        assert!(permits.take(B).is_none());
        limited.store(limits(3, 2).load_full());
        let (second, third) = (permits.take(A).unwrap(), permits.take(B).unwrap());
        limited.store(limits(2, 2).load_full());
        drop(first);
        assert!(permits.take(B).is_none(), "two are open, and two is the limit now");
        drop(second);
        assert!(permits.take(B).is_some());
        drop(third);
    }

    #[test]
    fn a_client_is_held_to_its_share_and_everybody_to_the_whole() {
        let permits = Permits::new(limits(4, 2), Arc::new(Metrics::new()));
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
        let permits = Permits::new(limits(4, 2), Arc::clone(&metrics));
        let held = [permits.take(A).unwrap(), permits.take(B).unwrap()];
        assert_eq!(metrics.connections.get(), 2);
        drop(held);
        assert_eq!(metrics.connections.get(), 0);
        assert!(permits.lock().by_client.is_empty());
    }
}
