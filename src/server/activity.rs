//! What a connection is doing, and until when it may: the one clock behind every deadline of a connection.
//!
//! hyper's own header timer runs while a kept-alive connection is idle, too, and nothing in it watches a client that
//! never reads. So the socket, the requests and the answers report here, and the driver in `conn.rs` asks
//! [`Activity::look`]. It decides about time only and closes nothing itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::limits::Limits;

/// How long a closing connection is read from (and what arrives thrown away), so that the client can read its answer:
/// a socket closed with unread bytes sends a reset, which may destroy the answer on its way.
const LINGER: Duration = Duration::from_secs(2);

/// The reports of one connection; shared by its socket, its requests and its driver.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    /// Those of the moment, so that a reload reaches connections that stay open for days.
    limits: Arc<ArcSwap<Limits>>,
}

#[derive(Debug)]
struct State {
    /// HTTP/2: bytes may be pings or window updates, so they begin no head.
    multiplexed: bool,
    /// Requests whose answer has not been handed over whole.
    in_flight: usize,
    /// A head has begun to arrive.
    in_head: bool,
    /// Since when there is a head, or since when there is nothing.
    since: Instant,
    /// HTTP/2: since when the client owes the rest of something, its preface included.
    owed_since: Option<Instant>,
    /// Answers being handed over: number and since when. At most as many as streams; the oldest is first.
    answers: Vec<(u64, Instant)>,
    requests: u64,
    /// Since when the client has not taken bytes that we wanted to send.
    stalled: Option<Instant>,
    last_bytes: Option<Instant>,
    /// When a closed connection is no longer read from.
    linger_until: Option<Instant>,
}

impl State {
    /// A head begins at `now`, unless it has begun or there can be none; whether there can be one.
    fn heads_for(&mut self, now: Instant) -> bool {
        let heads = !self.multiplexed && self.in_flight == 0;
        if heads && !self.in_head {
            self.in_head = true;
            self.since = now;
        }
        heads
    }
}

/// What [`Activity::look`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    /// Nothing is overdue before then. May be early, never late.
    Until(Instant),
    /// Nothing in flight for too long: close politely.
    Idle,
    /// The client is too slow with a head or with taking an answer, or is done lingering: cut the connection.
    Overdue,
}

impl Activity {
    pub(super) fn new(limits: Arc<ArcSwap<Limits>>) -> Arc<Self> {
        let state = State {
            multiplexed: false,
            in_flight: 0,
            in_head: false,
            since: Instant::now(),
            owed_since: None,
            answers: Vec::new(),
            requests: 0,
            stalled: None,
            last_bytes: None,
            linger_until: None,
        };
        Arc::new(Self { state: Mutex::new(state), limits })
    }

    /// The handshake is done: what came so far was no head.
    pub(super) fn opened(&self, multiplexed: bool, now: Instant) {
        let mut state = self.lock();
        state.multiplexed = multiplexed;
        state.in_head = false;
        state.since = now;
        state.owed_since = multiplexed.then_some(now);
    }

    /// HTTP/2: whether the client has something half sent that is no body, and whether by the latest bytes something
    /// has come whole that was.
    pub(super) fn framing(&self, is_open: bool, passed: bool, now: Instant) {
        let mut state = self.lock();
        let since = state.owed_since.filter(|_| !passed).unwrap_or(now);
        state.owed_since = is_open.then_some(since);
    }

    /// Whether a request has been received whole up to its body.
    pub(super) fn served(&self) -> bool {
        self.lock().requests > 0
    }

    /// Since when no request is in flight, half a head or not; `None` while one is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.lock();
        (state.in_flight == 0).then_some(state.since)
    }

    /// Bytes came from the client.
    pub(super) fn received(&self, now: Instant) {
        let mut state = self.lock();
        state.last_bytes = Some(now);
        state.heads_for(now);
    }

    /// Text came out of what was received. Whether it belongs to a head of HTTP/1.1.
    ///
    /// What came together with the client's last handshake message is noticed only here. It is as old as the bytes that
    /// it came in, so nobody has to look at the clock again.
    pub(super) fn received_text(&self) -> bool {
        let mut state = self.lock();
        let at = state.last_bytes.map_or(state.since, |at| at.max(state.since));
        state.heads_for(at)
    }

    /// Whether the client has sent anything at all, a `ClientHello` included.
    pub(super) fn heard(&self) -> bool {
        self.lock().last_bytes.is_some()
    }

    /// The client takes no more bytes.
    pub(super) fn stalled(&self, now: Instant) {
        self.lock().stalled.get_or_insert(now);
    }

    /// The client took some after all.
    pub(super) fn unstalled(&self) {
        self.lock().stalled = None;
    }

    /// The write side is closed. Whether the read side is worth lingering for.
    pub(super) fn closing(&self, now: Instant) -> bool {
        let mut state = self.lock();
        state.linger_until = Some(now + LINGER);
        state.last_bytes.is_some_and(|at| now - at < LINGER)
    }

    /// A request's head is there.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        let mut state = self.lock();
        state.in_flight += 1;
        state.in_head = false;
        state.requests += 1;
        InFlight { number: state.requests, activity: Arc::clone(self) }
    }

    /// What is overdue at `now`, or until when nothing is. While a request is in flight and its answer is not yet
    /// made, that is the service's matter, and `Until` is only when to look again: early enough for whatever may begin.
    pub(super) fn look(&self, now: Instant) -> Look {
        let Limits { header_timeout, idle_timeout, .. } = **self.limits.load();
        let state = self.lock();
        if let Some(until) = state.linger_until {
            return if until <= now { Look::Overdue } else { Look::Until(until) };
        }
        let mut until = now + idle_timeout;
        let slow_reader = state.answers.first().map(|(_, since)| *since).into_iter().chain(state.stalled);
        for since in slow_reader {
            until = until.min(since + idle_timeout);
        }
        if state.in_flight == 0 && state.in_head {
            until = until.min(state.since + header_timeout);
        }
        if let Some(since) = state.owed_since {
            until = until.min(since + header_timeout);
        }
        if until <= now {
            return Look::Overdue;
        }
        if state.in_flight == 0 && !state.in_head {
            until = until.min(state.since + idle_timeout);
            if until <= now {
                return Look::Idle;
            }
        }
        Look::Until(until)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a few assignments that cannot panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request, from its head to the last byte of its answer handed over; dropped at the end, however it ends.
#[derive(Debug)]
pub(super) struct InFlight {
    number: u64,
    activity: Arc<Activity>,
}

impl InFlight {
    /// The answer is made: from now on it is the client that may be slow.
    pub(super) fn answered(&self, now: Instant) {
        self.activity.lock().answers.push((self.number, now));
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.activity.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.answers.retain(|(number, _)| *number != self.number);
        if state.in_flight == 0 {
            state.since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_mins(1);
    const A_WHILE: Duration = Duration::from_secs(30);

    fn limits(idle_timeout: Duration) -> Arc<ArcSwap<Limits>> {
        let (max_connections, max_connections_per_client, handshake_timeout) = (1, 1, HEADER);
        Arc::new(ArcSwap::from_pointee(Limits {
            max_connections,
            max_connections_per_client,
            handshake_timeout,
            header_timeout: HEADER,
            idle_timeout,
        }))
    }

    fn opened(multiplexed: bool) -> (Arc<Activity>, Instant) {
        let (activity, start) = (Activity::new(limits(IDLE)), Instant::now());
        activity.opened(multiplexed, start);
        if multiplexed {
            activity.framing(false, true, start);
        }
        (activity, start)
    }

    #[test]
    fn nothing_in_flight_is_idle_after_the_idle_timeout() {
        let (activity, start) = opened(false);
        assert_eq!(activity.look(start), Look::Until(start + IDLE));
        assert_eq!(activity.look(start + IDLE), Look::Idle);
    }

    #[test]
    fn a_limit_that_changes_holds_for_connections_that_are_open() {
        let (activity, start) = opened(false);
        activity.limits.store(limits(A_WHILE).load_full());
        assert_eq!(activity.look(start), Look::Until(start + A_WHILE));
        assert_eq!(activity.look(start + A_WHILE), Look::Idle);
    }

    #[test]
    fn a_head_has_the_header_timeout_from_its_first_byte_and_more_bytes_do_not_extend_it() {
        let (activity, start) = opened(false);
        activity.received(start + A_WHILE);
        activity.received(start + A_WHILE + HEADER / 2);
        assert_eq!(activity.look(start + A_WHILE), Look::Until(start + A_WHILE + HEADER));
        assert_eq!(activity.look(start + A_WHILE + HEADER), Look::Overdue);
    }

    #[test]
    fn text_that_came_with_the_handshake_is_a_head() {
        let (activity, start) = (Activity::new(limits(IDLE)), Instant::now());
        activity.received(start);
        activity.opened(false, start + HEADER / 2);
        assert_eq!(activity.look(start), Look::Until(start + IDLE));
        assert!(activity.received_text(), "it is one");
        assert_eq!(activity.look(start), Look::Until(start + HEADER / 2 + HEADER));
        let _flight = activity.begin();
        assert!(!activity.received_text(), "a body");
    }

    #[test]
    fn a_request_in_flight_is_nobodys_delay_until_it_is_answered() {
        let (activity, start) = opened(false);
        activity.received(start);
        let flight = activity.begin();
        let later = start + IDLE * 3;
        assert_eq!(activity.look(later), Look::Until(later + IDLE));
        flight.answered(later);
        assert_eq!(activity.look(later + IDLE), Look::Overdue, "the answer was not taken");
        drop(flight);
        assert_eq!(activity.look(later + IDLE), Look::Idle);
    }

    #[test]
    fn the_oldest_answer_counts_whatever_the_others_do() {
        let (activity, start) = opened(true);
        let (first, second) = (activity.begin(), activity.begin());
        first.answered(start);
        second.answered(start + A_WHILE);
        drop(second);
        assert_eq!(activity.look(start + IDLE), Look::Overdue);
        let third = activity.begin();
        third.answered(start + A_WHILE);
        drop(first);
        assert_eq!(activity.look(start + IDLE), Look::Until(start + A_WHILE + IDLE));
    }

    #[test]
    fn a_client_that_takes_nothing_is_overdue_and_one_that_takes_a_little_is_not() {
        let (activity, start) = opened(false);
        let _flight = activity.begin();
        activity.stalled(start);
        activity.stalled(start + A_WHILE);
        assert_eq!(activity.look(start + IDLE), Look::Overdue);
        activity.unstalled();
        assert_ne!(activity.look(start + IDLE), Look::Overdue);
    }

    #[test]
    fn bytes_on_a_multiplexed_connection_do_not_keep_it_from_being_idle() {
        let (activity, start) = opened(true);
        activity.received(start + IDLE);
        assert_eq!(activity.look(start + IDLE), Look::Idle);
    }

    #[test]
    fn what_an_http_2_client_owes_has_the_header_timeout_from_its_first_byte() {
        let (activity, start) = opened(true);
        activity.opened(true, start);
        assert_eq!(activity.look(start + HEADER), Look::Overdue, "not even a preface");
        activity.framing(true, false, start + HEADER / 2);
        assert_eq!(activity.look(start + HEADER), Look::Overdue, "half of it");
        activity.framing(false, true, start + HEADER / 2);
        assert_eq!(activity.look(start + HEADER), Look::Until(start + IDLE));
        activity.framing(true, false, start + A_WHILE);
        let _flight = activity.begin();
        activity.framing(true, false, start + A_WHILE + HEADER / 2);
        assert_eq!(activity.look(start + A_WHILE + HEADER), Look::Overdue, "other streams do not extend it");
        activity.framing(true, true, start + A_WHILE + HEADER / 2);
        assert_ne!(activity.look(start + A_WHILE + HEADER), Look::Overdue, "one whole and the next half");
    }

    #[test]
    fn lingering_is_for_clients_that_were_just_sending_and_ends() {
        let (activity, start) = opened(false);
        assert!(!activity.closing(start), "an idle connection may be dropped");
        activity.received(start);
        assert!(activity.closing(start));
        assert!(!activity.closing(start + LINGER));
        assert!(activity.closing(start));
        assert_eq!(activity.look(start), Look::Until(start + LINGER));
        assert_eq!(activity.look(start + LINGER), Look::Overdue);
    }
}
