//! The limit of open connections, in all and by client address; at the limit, silent ones are evicted for new ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::limits::Limits;
use crate::metrics::Metrics;

/// The counts of one listener.
pub(super) struct ConnectionLimit {
    open: Mutex<Open>,
    /// Somebody has left.
    left: Notify,
    /// A lowered limit closes no connection; it admits no further one until enough have left.
    limits: Arc<ArcSwap<Limits>>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_client: HashMap<IpAddr, Client>,
    /// Who has not sent a whole `ClientHello` yet, in the order of arrival.
    silent: BTreeMap<u64, Silent>,
    /// Evicted and not closed yet.
    evicted: usize,
    next: u64,
}

/// The connections of one client, evicted ones not among them.
#[derive(Default)]
struct Client {
    open: usize,
    silent: BTreeSet<u64>,
}

struct Silent {
    client: Option<IpAddr>,
    evict: CancellationToken,
}

enum Admission {
    Granted(ConnectionPermit),
    /// One was evicted: again once it has closed.
    Evicting,
    Denied,
}

impl ConnectionLimit {
    pub(super) fn new(limits: Arc<ArcSwap<Limits>>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), left: Notify::new(), limits, metrics })
    }

    /// A permit for one connection, counted against `client` where one is given. At the limit, the longest silent
    /// connection (of that client, or of all) is closed for it: it costs a sender nothing to hold one, and a good one is
    /// silent for a round trip. `None` where nobody is silent.
    pub(super) async fn acquire(self: &Arc<Self>, client: Option<IpAddr>) -> Option<ConnectionPermit> {
        loop {
            // Armed before looking, so that who leaves in between is noticed.
            let left = self.left.notified();
            match self.try_acquire(client) {
                Admission::Granted(permit) => return Some(permit),
                Admission::Evicting => left.await,
                Admission::Denied => return None,
            }
        }
    }

    fn try_acquire(self: &Arc<Self>, client: Option<IpAddr>) -> Admission {
        let limits = self.limits.load();
        let mut open = self.lock();
        if !client.is_none_or(|client| open.make_room_for(client, limits.max_connections_per_client)) {
            return Admission::Denied;
        }
        if open.all >= limits.max_connections {
            // One that was evicted makes room for one.
            let evicting = open.evicted > 0 || open.evict_longest_silent();
            return if evicting { Admission::Evicting } else { Admission::Denied };
        }
        let (number, evict) = (open.next, CancellationToken::new());
        open.next += 1;
        open.all += 1;
        open.silent.insert(number, Silent { client, evict: evict.clone() });
        if let Some(client) = client {
            open.count(client, number);
        }
        self.metrics.connections.inc();
        Admission::Granted(ConnectionPermit { limit: Arc::clone(self), number, client, evict, silent: true })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Counting cannot panic half-way.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Whether `client` may have one more; its longest silent one is evicted for it where need be.
    fn make_room_for(&mut self, client: IpAddr, max: usize) -> bool {
        let Some(counts) = self.by_client.get(&client) else { return true };
        if counts.open < max.max(1) {
            return true;
        }
        let longest = counts.silent.first().copied();
        longest.is_some_and(|number| self.evict(number))
    }

    fn evict_longest_silent(&mut self) -> bool {
        let longest = self.silent.first_key_value().map(|(number, _)| *number);
        longest.is_some_and(|number| self.evict(number))
    }

    /// From now on it counts as a connection, and no longer as its client's.
    fn evict(&mut self, number: u64) -> bool {
        let Some(silent) = self.silent.remove(&number) else { return false };
        silent.evict.cancel();
        self.evicted += 1;
        if let Some(client) = silent.client {
            self.discount(client, number);
        }
        true
    }

    fn count(&mut self, client: IpAddr, number: u64) {
        let counts = self.by_client.entry(client).or_default();
        counts.open += 1;
        counts.silent.insert(number);
    }

    fn discount(&mut self, client: IpAddr, number: u64) {
        let Some(counts) = self.by_client.get_mut(&client) else { return };
        counts.open -= 1;
        counts.silent.remove(&number);
        if counts.open == 0 {
            self.by_client.remove(&client);
        }
    }
}

/// The right to be open; given back when dropped.
pub(super) struct ConnectionPermit {
    limit: Arc<ConnectionLimit>,
    number: u64,
    client: Option<IpAddr>,
    evict: CancellationToken,
    silent: bool,
}

impl ConnectionPermit {
    /// Waits until the connection, still silent, is evicted.
    pub(super) fn evicted(&self) -> impl Future<Output = ()> + use<> {
        self.evict.clone().cancelled_owned()
    }

    /// A PROXY header has told whose connection this is. Whether it is within that client's share.
    pub(super) fn assign_to(&mut self, client: IpAddr) -> bool {
        if self.client == Some(client) {
            return true;
        }
        let max = self.limit.limits.load().max_connections_per_client;
        let mut open = self.limit.lock();
        if !open.silent.contains_key(&self.number) || !open.make_room_for(client, max) {
            return false;
        }
        if let Some(before) = self.client.replace(client) {
            open.discount(before, self.number);
        }
        open.count(client, self.number);
        if let Some(silent) = open.silent.get_mut(&self.number) {
            silent.client = self.client;
        }
        true
    }

    /// Its `ClientHello` is there: it is no longer evicted for others. False where it was already.
    pub(super) fn client_hello_received(&mut self) -> bool {
        let mut open = self.limit.lock();
        self.silent = open.silent.remove(&self.number).is_none();
        if !self.silent
            && let Some(client) = self.client.and_then(|client| open.by_client.get_mut(&client))
        {
            client.silent.remove(&self.number);
        }
        !self.silent
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.limit.lock();
        open.all -= 1;
        // One that was evicted is no longer among the silent, and counted for nobody.
        if self.silent && open.silent.remove(&self.number).is_none() {
            open.evicted -= 1;
        } else if let Some(client) = self.client {
            open.discount(client, self.number);
        }
        drop(open);
        self.limit.metrics.connections.dec();
        self.limit.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const A: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const B: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    fn limits(max_connections: usize, max_connections_per_client: usize) -> Arc<ArcSwap<Limits>> {
        let never = Duration::MAX;
        Arc::new(ArcSwap::from_pointee(Limits {
            max_connections,
            max_connections_per_client,
            handshake_timeout: never,
            header_timeout: never,
            idle_timeout: never,
        }))
    }

    fn limit_of(max: usize, max_per_client: usize) -> Arc<ConnectionLimit> {
        ConnectionLimit::new(limits(max, max_per_client), Arc::new(Metrics::new()))
    }

    /// A connection of `client` that has sent its `ClientHello`.
    async fn spoken(limit: &Arc<ConnectionLimit>, client: Option<IpAddr>) -> Option<ConnectionPermit> {
        let mut permit = limit.acquire(client).await?;
        assert!(permit.client_hello_received());
        Some(permit)
    }

    fn is_evicted(permit: &ConnectionPermit) -> bool {
        permit.evict.is_cancelled()
    }

    #[tokio::test]
    async fn limits_can_change_while_connections_are_open() {
        let limited = limits(1, 1);
        let limit = ConnectionLimit::new(Arc::clone(&limited), Arc::new(Metrics::new()));
        let first = spoken(&limit, A).await.unwrap();
        assert!(limit.acquire(B).await.is_none());
        limited.store(limits(3, 2).load_full());
        let (second, third) = (spoken(&limit, A).await.unwrap(), spoken(&limit, B).await.unwrap());
        limited.store(limits(2, 2).load_full());
        drop(first);
        assert!(limit.acquire(B).await.is_none(), "two are open, and two is the limit now");
        drop(second);
        assert!(limit.acquire(B).await.is_some());
        drop(third);
    }

    #[tokio::test]
    async fn a_client_is_held_to_its_share_and_everybody_to_the_whole() {
        let limit = limit_of(4, 2);
        let first = spoken(&limit, A).await.unwrap();
        let _second = spoken(&limit, A).await.unwrap();
        assert!(limit.acquire(A).await.is_none(), "A has its share");
        let _third = spoken(&limit, B).await.unwrap();
        let _fourth = spoken(&limit, None).await.unwrap();
        assert!(limit.acquire(B).await.is_none(), "all are taken");
        drop(first);
        assert!(limit.acquire(A).await.is_some());
    }

    #[tokio::test]
    async fn the_longest_silent_makes_room_when_all_are_taken() {
        let limit = limit_of(3, 3);
        let (first, second) = (limit.acquire(A).await.unwrap(), limit.acquire(B).await.unwrap());
        let _spoken = spoken(&limit, A).await.unwrap();
        let mut taking = newcomer(&limit, None);
        assert!(futures_util::poll!(&mut taking).is_pending(), "there is room only when one has left");
        assert!(is_evicted(&first) && !is_evicted(&second), "the longest silent, and no more than one");
        drop(first);
        let third = taking.await.unwrap();
        let mut taking = newcomer(&limit, None);
        assert!(futures_util::poll!(&mut taking).is_pending());
        assert!(is_evicted(&second) && !is_evicted(&third));
        drop(second);
        assert!(taking.await.is_some());
    }

    /// A newcomer who may have to wait.
    fn newcomer(
        limit: &Arc<ConnectionLimit>,
        client: Option<IpAddr>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Option<ConnectionPermit>>>> {
        let limit = Arc::clone(limit);
        Box::pin(async move { limit.acquire(client).await })
    }

    #[tokio::test]
    async fn a_client_at_its_share_gives_up_its_own_and_at_once() {
        let limit = limit_of(10, 2);
        let others = limit.acquire(B).await.unwrap();
        let (first, second) = (limit.acquire(A).await.unwrap(), limit.acquire(A).await.unwrap());
        let third = limit.acquire(A).await.unwrap();
        assert!(is_evicted(&first) && !is_evicted(&second) && !is_evicted(&others));
        assert_eq!(limit.metrics.connections.get(), 4, "who is leaving is still open");
        drop((first, third));
        let _again = limit.acquire(A).await.unwrap();
        assert!(!is_evicted(&second), "the one that left was no longer counted for A, the other was");
    }

    #[tokio::test]
    async fn who_was_evicted_cannot_speak_and_who_spoke_is_not_evicted() {
        let limit = limit_of(10, 1);
        let mut first = limit.acquire(A).await.unwrap();
        let mut second = limit.acquire(A).await.unwrap();
        assert!(!first.client_hello_received());
        assert!(second.client_hello_received());
        assert!(limit.acquire(A).await.is_none());
        drop(first);
        assert!(limit.acquire(A).await.is_none());
        drop(second);
        assert!(limit.acquire(A).await.is_some());
    }

    #[tokio::test]
    async fn behind_a_proxy_the_client_of_the_header_counts() {
        let limit = limit_of(10, 2);
        let client = A.unwrap();
        let mut all = Vec::new();
        for _ in 0..2 {
            let mut permit = limit.acquire(None).await.unwrap();
            assert!(permit.assign_to(client) && permit.client_hello_received());
            all.push(permit);
        }
        let mut third = limit.acquire(None).await.unwrap();
        assert!(!third.assign_to(client), "A has its share");
        assert!(third.assign_to(B.unwrap()));
        drop(all);
        drop(third);
        assert!(limit.lock().by_client.is_empty());
    }

    #[tokio::test]
    async fn nothing_remains_of_clients_that_left() {
        let metrics = Arc::new(Metrics::new());
        let limit = ConnectionLimit::new(limits(4, 2), Arc::clone(&metrics));
        let held = [limit.acquire(A).await.unwrap(), spoken(&limit, B).await.unwrap()];
        assert_eq!(metrics.connections.get(), 2);
        drop(held);
        assert_eq!(metrics.connections.get(), 0);
        let open = limit.lock();
        assert!(open.by_client.is_empty() && open.silent.is_empty() && open.evicted == 0 && open.all == 0);
    }
}
