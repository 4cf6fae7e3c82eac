//! How many connections may be open, in all and by client address; where there is no room, silent ones make it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Limits;
use crate::metrics::Metrics;

/// The counts of one listener.
pub(super) struct Permits {
    open: Mutex<Open>,
    /// Somebody has left.
    left: Notify,
    /// Those of the moment: a lower one closes no connection, it lets no further one in until enough have left.
    limits: Arc<ArcSwap<Limits>>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_client: HashMap<IpAddr, Client>,
    /// Who has not sent a whole `ClientHello` yet, in the order of arrival.
    silent: BTreeMap<u64, Silent>,
    /// Who was asked to leave and has not left yet.
    leaving: usize,
    next: u64,
}

/// The connections of one client, those that are leaving not among them.
#[derive(Default)]
struct Client {
    open: usize,
    silent: BTreeSet<u64>,
}

struct Silent {
    client: Option<IpAddr>,
    leave: CancellationToken,
}

/// What a newcomer finds.
enum Found {
    Room(Permit),
    /// Somebody was asked to leave.
    RoomSoon,
    NoRoom,
}

impl Permits {
    pub(super) fn new(limits: Arc<ArcSwap<Limits>>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), left: Notify::new(), limits, metrics })
    }

    /// Room for one connection, counted against `client` where one is given. Where there is none, the longest silent
    /// connection (of that client, or of all) is closed for it: it costs a sender nothing to hold one, and a good one is
    /// silent for a round trip. `None` where nobody is silent.
    pub(super) async fn take(self: &Arc<Self>, client: Option<IpAddr>) -> Option<Permit> {
        loop {
            // Armed before looking, so that who leaves in between is noticed.
            let left = self.left.notified();
            match self.look(client) {
                Found::Room(permit) => return Some(permit),
                Found::RoomSoon => left.await,
                Found::NoRoom => return None,
            }
        }
    }

    fn look(self: &Arc<Self>, client: Option<IpAddr>) -> Found {
        let limits = self.limits.load();
        let mut open = self.lock();
        if !client.is_none_or(|client| open.has_share(client, limits.max_connections_per_client)) {
            return Found::NoRoom;
        }
        if open.all >= limits.max_connections {
            // One that is leaving makes room for one.
            return if open.leaving > 0 || open.dismiss_longest_silent() { Found::RoomSoon } else { Found::NoRoom };
        }
        let (number, leave) = (open.next, CancellationToken::new());
        open.next += 1;
        open.all += 1;
        open.silent.insert(number, Silent { client, leave: leave.clone() });
        if let Some(client) = client {
            open.count(client, number);
        }
        self.metrics.connections.inc();
        Found::Room(Permit { permits: Arc::clone(self), number, client, leave, silent: true })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Counting cannot panic half-way.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Whether `client` may have one more, its longest silent one given up for it where need be.
    fn has_share(&mut self, client: IpAddr, max: usize) -> bool {
        let Some(counts) = self.by_client.get(&client) else { return true };
        if counts.open < max.max(1) {
            return true;
        }
        let longest = counts.silent.first().copied();
        longest.is_some_and(|number| self.dismiss(number))
    }

    fn dismiss_longest_silent(&mut self) -> bool {
        let longest = self.silent.first_key_value().map(|(number, _)| *number);
        longest.is_some_and(|number| self.dismiss(number))
    }

    /// From now on it counts as a connection, and no longer as its client's.
    fn dismiss(&mut self, number: u64) -> bool {
        let Some(silent) = self.silent.remove(&number) else { return false };
        silent.leave.cancel();
        self.leaving += 1;
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

/// One open connection; gives its room back when dropped.
pub(super) struct Permit {
    permits: Arc<Permits>,
    number: u64,
    client: Option<IpAddr>,
    leave: CancellationToken,
    silent: bool,
}

impl Permit {
    /// Waits until the connection, still silent, is to make room for another.
    pub(super) fn dismissed(&self) -> impl Future<Output = ()> + use<> {
        self.leave.clone().cancelled_owned()
    }

    /// A PROXY header has told whose connection this is. Whether it is within that client's share.
    pub(super) fn belongs_to(&mut self, client: IpAddr) -> bool {
        if self.client == Some(client) {
            return true;
        }
        let max = self.permits.limits.load().max_connections_per_client;
        let mut open = self.permits.lock();
        if !open.silent.contains_key(&self.number) || !open.has_share(client, max) {
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

    /// Its `ClientHello` is there: it makes room for nobody any more. False where it was to do so already.
    pub(super) fn spoke(&mut self) -> bool {
        let mut open = self.permits.lock();
        self.silent = open.silent.remove(&self.number).is_none();
        if !self.silent
            && let Some(client) = self.client.and_then(|client| open.by_client.get_mut(&client))
        {
            client.silent.remove(&self.number);
        }
        !self.silent
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.permits.lock();
        open.all -= 1;
        // Who was dismissed is no longer among the silent, and counted for nobody.
        if self.silent && open.silent.remove(&self.number).is_none() {
            open.leaving -= 1;
        } else if let Some(client) = self.client {
            open.discount(client, self.number);
        }
        drop(open);
        self.permits.metrics.connections.dec();
        self.permits.left.notify_waiters();
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

    fn permits(max: usize, max_per_client: usize) -> Arc<Permits> {
        Permits::new(limits(max, max_per_client), Arc::new(Metrics::new()))
    }

    /// A connection of `client` that has sent its `ClientHello`.
    async fn spoken(permits: &Arc<Permits>, client: Option<IpAddr>) -> Option<Permit> {
        let mut permit = permits.take(client).await?;
        assert!(permit.spoke());
        Some(permit)
    }

    fn is_dismissed(permit: &Permit) -> bool {
        permit.leave.is_cancelled()
    }

    #[tokio::test]
    async fn limits_can_change_while_connections_are_open() {
        let limited = limits(1, 1);
        let permits = Permits::new(Arc::clone(&limited), Arc::new(Metrics::new()));
        let first = spoken(&permits, A).await.unwrap();
        assert!(permits.take(B).await.is_none());
        limited.store(limits(3, 2).load_full());
        let (second, third) = (spoken(&permits, A).await.unwrap(), spoken(&permits, B).await.unwrap());
        limited.store(limits(2, 2).load_full());
        drop(first);
        assert!(permits.take(B).await.is_none(), "two are open, and two is the limit now");
        drop(second);
        assert!(permits.take(B).await.is_some());
        drop(third);
    }

    #[tokio::test]
    async fn a_client_is_held_to_its_share_and_everybody_to_the_whole() {
        let permits = permits(4, 2);
        let first = spoken(&permits, A).await.unwrap();
        let _second = spoken(&permits, A).await.unwrap();
        assert!(permits.take(A).await.is_none(), "A has its share");
        let _third = spoken(&permits, B).await.unwrap();
        let _fourth = spoken(&permits, None).await.unwrap();
        assert!(permits.take(B).await.is_none(), "all are taken");
        drop(first);
        assert!(permits.take(A).await.is_some());
    }

    #[tokio::test]
    async fn the_longest_silent_makes_room_when_all_are_taken() {
        let permits = permits(3, 3);
        let (first, second) = (permits.take(A).await.unwrap(), permits.take(B).await.unwrap());
        let _spoken = spoken(&permits, A).await.unwrap();
        let mut taking = newcomer(&permits, None);
        assert!(futures_util::poll!(&mut taking).is_pending(), "there is room only when one has left");
        assert!(is_dismissed(&first) && !is_dismissed(&second), "the longest silent, and no more than one");
        drop(first);
        let third = taking.await.unwrap();
        let mut taking = newcomer(&permits, None);
        assert!(futures_util::poll!(&mut taking).is_pending());
        assert!(is_dismissed(&second) && !is_dismissed(&third));
        drop(second);
        assert!(taking.await.is_some());
    }

    /// A newcomer who may have to wait.
    fn newcomer(
        permits: &Arc<Permits>,
        client: Option<IpAddr>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Option<Permit>>>> {
        let permits = Arc::clone(permits);
        Box::pin(async move { permits.take(client).await })
    }

    #[tokio::test]
    async fn a_client_at_its_share_gives_up_its_own_and_at_once() {
        let permits = permits(10, 2);
        let others = permits.take(B).await.unwrap();
        let (first, second) = (permits.take(A).await.unwrap(), permits.take(A).await.unwrap());
        let third = permits.take(A).await.unwrap();
        assert!(is_dismissed(&first) && !is_dismissed(&second) && !is_dismissed(&others));
        assert_eq!(permits.metrics.connections.get(), 4, "who is leaving is still open");
        drop((first, third));
        let _again = permits.take(A).await.unwrap();
        assert!(!is_dismissed(&second), "the one that left was no longer counted for A, the other was");
    }

    #[tokio::test]
    async fn who_was_dismissed_cannot_speak_and_who_spoke_is_not_dismissed() {
        let permits = permits(10, 1);
        let mut first = permits.take(A).await.unwrap();
        let mut second = permits.take(A).await.unwrap();
        assert!(!first.spoke());
        assert!(second.spoke());
        assert!(permits.take(A).await.is_none());
        drop(first);
        assert!(permits.take(A).await.is_none());
        drop(second);
        assert!(permits.take(A).await.is_some());
    }

    #[tokio::test]
    async fn behind_a_proxy_the_client_of_the_header_counts() {
        let permits = permits(10, 2);
        let client = A.unwrap();
        let mut all = Vec::new();
        for _ in 0..2 {
            let mut permit = permits.take(None).await.unwrap();
            assert!(permit.belongs_to(client) && permit.spoke());
            all.push(permit);
        }
        let mut third = permits.take(None).await.unwrap();
        assert!(!third.belongs_to(client), "A has its share");
        assert!(third.belongs_to(B.unwrap()));
        drop(all);
        drop(third);
        assert!(permits.lock().by_client.is_empty());
    }

    #[tokio::test]
    async fn nothing_remains_of_clients_that_left() {
        let metrics = Arc::new(Metrics::new());
        let permits = Permits::new(limits(4, 2), Arc::clone(&metrics));
        let held = [permits.take(A).await.unwrap(), spoken(&permits, B).await.unwrap()];
        assert_eq!(metrics.connections.get(), 2);
        drop(held);
        assert_eq!(metrics.connections.get(), 0);
        let open = permits.lock();
        assert!(open.by_client.is_empty() && open.silent.is_empty() && open.leaving == 0 && open.all == 0);
    }
}
