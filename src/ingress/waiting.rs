//! Requests whose body has not arrived yet, and how many of the request permits they may hold.
//!
//! A head costs its sender nothing and may hold a permit for the whole body timeout, unproven. So one client may wait
//! with an eighth of the permits, one connection of it with half of that, and all of them together with half of all
//! permits: whoever has sent the body finds the rest. Where all wait, the longest waiting of the client that waits with
//! most goes. A body that came along with its head never comes by here.
//!
//! Within a share, those that have waited keep their place, for they may be long uploads; the last places are for
//! newcomers, and the longest waiting of these goes for the next. So a body that comes a moment after its head is
//! received also where a crowd behind the same address has the rest of the share for as long as it likes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::server::client::ConnectionId;

use super::reject::Reject;

/// The part of the request permits, as a divisor, that one client may wait with (contract 7). Of fewer permits than
/// this there is no such part, and nothing is limited here.
const CLIENT_PART: usize = 8;
/// The part that all clients together may.
const ALL_PART: usize = 2;
/// The part of a client's share that is for newcomers.
const NEWCOMERS_PART: usize = 8;

/// The requests that wait. Made once; survives reloads, so that shares hold across them.
pub struct Waiting {
    permits: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    all: usize,
    next: u64,
    clients: HashMap<IpAddr, Requests>,
    connections: HashMap<ConnectionId, usize>,
    /// The same clients by how many requests they wait with, then by how long.
    ranks: BTreeSet<Rank>,
}

/// One client's requests, the longest waiting first.
type Requests = BTreeMap<u64, Request>;
type Rank = (usize, Reverse<u64>, IpAddr);

struct Request {
    connection: Option<ConnectionId>,
    /// Tells it to give up; never used but by being dropped.
    _stay: oneshot::Sender<()>,
}

/// Whether a body that is not there is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coming {
    /// As far as anybody knows.
    ByItself,
    /// `Expect: 100-continue`: a refusal now costs its sender least.
    WhenAsked,
}

/// A request's leave to wait; given back when dropped.
pub struct Place {
    waiting: Arc<Waiting>,
    client: IpAddr,
    number: u64,
    stay: oneshot::Receiver<()>,
}

impl Waiting {
    /// For so many request permits.
    #[must_use]
    pub fn new(permits: usize) -> Self {
        Self { permits: AtomicUsize::new(permits), state: Mutex::default() }
    }

    /// For so many request permits from now on; what waits stays.
    pub fn set_limit(&self, permits: usize) {
        self.permits.store(permits, Ordering::Release);
    }

    /// Leave to wait for a body of `client`; `connection` is given where that is the client's own and no proxy's.
    /// `Coming` says whether the body is under way or is waiting to be asked for.
    ///
    /// # Errors
    /// [`Reject::Overloaded`] where the connection has its share, or the client has and nobody asked for the body yet.
    pub fn wait(
        self: &Arc<Self>,
        client: IpAddr,
        connection: Option<ConnectionId>,
        coming: Coming,
    ) -> Result<Place, Reject> {
        let client = network(client);
        let permits = self.permits.load(Ordering::Acquire);
        let part = |divisor: usize| if permits < CLIENT_PART { permits } else { permits / divisor };
        let (share, most) = (part(CLIENT_PART), part(ALL_PART));
        let mut state = self.lock();
        let of_client = state.clients.get(&client).map_or(0, BTreeMap::len);
        let of_connection = connection.and_then(|id| state.connections.get(&id)).copied().unwrap_or(0);
        let own = if permits < CLIENT_PART { permits } else { share.div_ceil(2) };
        if of_connection >= own || (of_client >= share && coming == Coming::WhenAsked) {
            return Err(Reject::Overloaded);
        }
        if of_client >= share {
            state.make_way(client, share - (share / NEWCOMERS_PART).clamp(1, share));
        } else if state.all >= most {
            state.shed();
        }
        let (stay, told) = oneshot::channel();
        let number = state.add(client, Request { connection, _stay: stay });
        Ok(Place { waiting: Arc::clone(self), client, number, stay: told })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Changes are counts and sets; none can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Resolves when the request has to give up, for the sake of others.
    pub async fn shed(&mut self) {
        let _ = (&mut self.stay).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.lock().remove(self.client, self.number);
    }
}

impl State {
    fn add(&mut self, client: IpAddr, request: Request) -> u64 {
        self.next += 1;
        self.all += 1;
        if let Some(connection) = request.connection {
            *self.connections.entry(connection).or_default() += 1;
        }
        let requests = self.clients.entry(client).or_default();
        if let Some(rank) = rank(client, requests) {
            self.ranks.remove(&rank);
        }
        requests.insert(self.next, request);
        self.ranks.extend(rank(client, requests));
        self.next
    }

    /// Takes a request away, where it has not been shed.
    fn remove(&mut self, client: IpAddr, number: u64) {
        let Some(requests) = self.clients.get_mut(&client) else { return };
        let before = rank(client, requests);
        let Some(request) = requests.remove(&number) else { return };
        if let Some(before) = before {
            self.ranks.remove(&before);
        }
        self.ranks.extend(rank(client, requests));
        if requests.is_empty() {
            self.clients.remove(&client);
        }
        self.all -= 1;
        if let Some(connection) = request.connection
            && let Some(count) = self.connections.get_mut(&connection)
        {
            *count -= 1;
            if *count == 0 {
                self.connections.remove(&connection);
            }
        }
    }

    /// Sends away the longest waiting request of the client that waits with most.
    fn shed(&mut self) {
        if let Some((_, Reverse(longest), client)) = self.ranks.last().copied() {
            self.remove(client, longest);
        }
    }

    /// Sends away the longest waiting request of `client` but for the first `kept`.
    fn make_way(&mut self, client: IpAddr, kept: usize) {
        if let Some(number) = self.clients.get(&client).and_then(|requests| requests.keys().nth(kept)).copied() {
            self.remove(client, number);
        }
    }
}

/// Greatest: the client with most requests; of several, the one that has waited longest.
fn rank(client: IpAddr, requests: &Requests) -> Option<Rank> {
    requests.first_key_value().map(|(longest, _)| (requests.len(), Reverse(*longest), client))
}

/// Whom an address stands for: one host of IPv4, but a /64 of IPv6, which is the least that a site gets.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn waiting(permits: usize) -> Arc<Waiting> {
        Arc::new(Waiting::new(permits))
    }

    fn wait(waiting: &Arc<Waiting>, client: IpAddr, connection: u64) -> Result<Place, Reject> {
        waiting.wait(client, Some(ConnectionId(connection)), Coming::WhenAsked)
    }

    /// On a connection of a proxy's.
    fn behind(waiting: &Arc<Waiting>, client: IpAddr) -> Result<Place, Reject> {
        waiting.wait(client, None, Coming::WhenAsked)
    }

    fn shed(place: &mut Place) -> bool {
        place.shed().now_or_never().is_some()
    }

    #[test]
    fn a_client_waits_with_an_eighth_and_its_connection_with_half_of_that() {
        let waiting = waiting(64);
        let mut held = Vec::new();
        for connection in 1..=2 {
            held.extend((0..4).map(|_| wait(&waiting, ip(1), connection).ok().unwrap()));
            assert!(wait(&waiting, ip(1), connection).is_err(), "the connection has its share");
        }
        assert!(wait(&waiting, ip(1), 3).is_err(), "the client has its share");
        assert!(behind(&waiting, ip(2)).is_ok(), "others have theirs");
        drop(held.pop());
        assert!(wait(&waiting, ip(1), 3).is_ok());
        waiting.set_limit(8);
        assert!(behind(&waiting, ip(3)).is_ok() && behind(&waiting, ip(1)).is_err(), "the limits of the moment");
    }

    #[test]
    fn behind_a_proxy_each_client_has_its_own_share_of_one_connection() {
        let waiting = waiting(64);
        let held: Vec<_> = (0..3).flat_map(|n| (0..8).map(move |_| n)).map(|n| behind(&waiting, ip(n))).collect();
        assert!(held.iter().all(Result::is_ok));
    }

    #[test]
    fn a_site_of_ipv6_is_one_client() {
        let waiting = waiting(8);
        let of = |text: &str| text.parse::<IpAddr>().unwrap();
        let _one = behind(&waiting, of("2001:db8:1:2::1")).ok().unwrap();
        assert!(behind(&waiting, of("2001:db8:1:2:ffff::")).is_err());
        assert!(behind(&waiting, of("2001:db8:1:3::1")).is_ok());
        let _mapped = behind(&waiting, of("::ffff:192.0.2.1")).ok().unwrap();
        assert!(behind(&waiting, ip(1)).is_err());
        assert!(behind(&waiting, ip(2)).is_ok(), "IPv4 counts by address");
    }

    #[test]
    fn within_a_share_newcomers_make_way_for_each_other_and_long_uploads_stay() {
        for (permits, kept) in [(64, 7), (512, 56), (8, 0)] {
            let waiting = waiting(permits);
            let newcomer = || waiting.wait(ip(1), None, Coming::ByItself).ok().unwrap();
            let mut held: Vec<_> = (0..permits / 8).map(|_| newcomer()).collect();
            let mut late: Vec<_> = (0..50).map(|_| newcomer()).collect();
            assert!(!held[..kept].iter_mut().any(shed) && held[kept..].iter_mut().all(shed), "{permits}");
            assert_eq!(
                late.iter_mut().filter_map(|place| shed(place).then_some(())).count(),
                50 - (permits / 8 - kept)
            );
            assert!(!shed(&mut late[49]), "{permits}: the last has a place");
            assert_eq!(waiting.lock().all, permits / 8);
        }
    }

    #[test]
    fn where_all_wait_the_longest_of_the_largest_goes() {
        let waiting = waiting(64);
        let mut large: Vec<_> =
            (0..3).flat_map(|n| (0..8).map(move |_| n)).map(|n| (n, behind(&waiting, ip(n)).ok().unwrap())).collect();
        let mut small: Vec<_> = (10..18).map(|n| behind(&waiting, ip(n)).ok().unwrap()).collect();
        assert!(!large.iter_mut().any(|(_, place)| shed(place)), "half of the permits wait, and no more");
        small.extend((20..23).map(|n| behind(&waiting, ip(n)).ok().unwrap()));
        let gone: Vec<u8> = large.iter_mut().filter_map(|(n, place)| shed(place).then_some(*n)).collect();
        assert_eq!(gone, [0, 1, 2], "the first of each");
        assert!(!small.iter_mut().any(shed));
    }

    #[test]
    fn where_many_wait_with_one_each_the_longest_waiting_goes_whoever_it_is() {
        let waiting = waiting(8);
        let mut held: Vec<_> = [9, 1, 5, 3, 7, 2].iter().map(|n| behind(&waiting, ip(*n)).ok().unwrap()).collect();
        let gone: Vec<bool> = held.iter_mut().map(shed).collect();
        assert_eq!(gone, [true, true, false, false, false, false]);
    }

    #[test]
    fn fewer_than_eight_permits_are_not_divided() {
        let waiting = waiting(2);
        let mut held: Vec<_> = (0..2).map(|_| wait(&waiting, ip(1), 1).ok().unwrap()).collect();
        assert!(!held.iter_mut().any(shed));
    }

    #[test]
    fn nothing_remains_of_what_came_and_of_what_was_shed() {
        let waiting = waiting(8);
        let held: Vec<_> = (0..20).filter_map(|n| wait(&waiting, ip(n), u64::from(n)).ok()).collect();
        assert_eq!(held.len(), 20);
        drop(held);
        let state = waiting.lock();
        assert!(state.clients.is_empty() && state.connections.is_empty() && state.ranks.is_empty() && state.all == 0);
    }
}
