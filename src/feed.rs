//! What happens, told to whoever follows it live: accepted, refused, delivered, dead. Kept nowhere, waits for nobody.
//!
//! Without a follower an event costs one look at a number; with one that is slow, the oldest that it has not taken yet go,
//! and it is told how many.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::clock::Clock;
use crate::event::Name;

/// Followers at once, at most.
pub const MOST_FOLLOWERS: usize = 20;
/// Events that wait for the slowest follower, at most.
const WAITING: usize = 1024;

/// One thing that happened. Texts are escaped and cut by whoever tells it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FeedEvent {
    /// When.
    pub time: Timestamp,
    /// What: the outcome of a request, or what became of an attempt at a delivery (`delivered`, `retry`, `dead`).
    pub outcome: &'static str,
    /// The source.
    pub source: Option<Name>,
    /// The event id, once there is one.
    pub event_id: Option<String>,
    /// The event type, likewise.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// Why, unless all went well.
    pub reason: Option<String>,
    /// The status of the answer, for a request.
    pub status: Option<u16>,
    /// The sink, for a delivery.
    pub sink: Option<Name>,
    /// Which attempt, for a delivery.
    pub attempt: Option<u32>,
    /// The request that brought it, as in the access record.
    pub request_id: Option<String>,
    /// How long the request, or the attempt, took.
    pub latency_us: Option<u64>,
}

/// What is told to every follower.
#[derive(Debug)]
pub struct Told {
    event: FeedEvent,
    json: OnceLock<String>,
}

impl Told {
    /// The event as JSON: made once, however many follow.
    #[must_use]
    pub fn json(&self) -> &str {
        // Of strings and numbers: it cannot fail, and has no line end in it.
        self.json.get_or_init(|| serde_json::to_string(&self.event).unwrap_or_default())
    }
}

impl Deref for Told {
    type Target = FeedEvent;

    fn deref(&self) -> &FeedEvent {
        &self.event
    }
}

/// Where it is told; cheap to clone.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sender: broadcast::Sender<Arc<Told>>,
    followers: AtomicUsize,
    clock: Clock,
}

impl Feed {
    /// A feed whose events are dated by `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner { sender: broadcast::Sender::new(WAITING), followers: AtomicUsize::new(0), clock }))
    }

    /// Whether anybody follows.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.0.followers.load(Ordering::Relaxed) > 0
    }

    /// Tells what `event` makes, which is not called where nobody follows; its time is put in.
    pub fn publish(&self, event: impl FnOnce() -> FeedEvent) {
        if self.is_followed() {
            let event = FeedEvent { time: self.0.clock.now(), ..event() };
            // The last follower may just have gone.
            let _ = self.0.sender.send(Arc::new(Told { event, json: OnceLock::new() }));
        }
    }

    /// Follows from now on; `None` where [`MOST_FOLLOWERS`] do already.
    #[must_use]
    pub fn follow(&self) -> Option<Follower> {
        let one_more = |followers: usize| (followers < MOST_FOLLOWERS).then_some(followers + 1);
        self.0.followers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Follower { receiver: self.0.sender.subscribe(), feed: self.clone() })
    }
}

/// One who follows, until dropped.
#[derive(Debug)]
pub struct Follower {
    receiver: broadcast::Receiver<Arc<Told>>,
    feed: Feed,
}

/// What a follower gets.
#[derive(Clone, Debug)]
pub enum Followed {
    /// The next event.
    Event(Arc<Told>),
    /// It was too slow for so many, which are gone.
    Missed(u64),
}

impl Follower {
    /// The next; waits for it.
    pub async fn next(&mut self) -> Followed {
        match self.receiver.recv().await {
            Ok(event) => Followed::Event(event),
            Err(RecvError::Lagged(missed)) => Followed::Missed(missed),
            // The feed holds the sender, and this the feed.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    /// The next, if there is one already.
    pub fn at_hand(&mut self) -> Option<Followed> {
        match self.receiver.try_recv() {
            Ok(event) => Some(Followed::Event(event)),
            Err(TryRecvError::Lagged(missed)) => Some(Followed::Missed(missed)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.feed.0.followers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(feed: &Feed, outcome: &'static str) {
        feed.publish(|| FeedEvent { outcome, ..FeedEvent::default() });
    }

    #[tokio::test]
    async fn nothing_is_made_while_nobody_follows_and_everybody_gets_the_rest() {
        let feed = Feed::new(Clock::manual(Timestamp::from_second(7).unwrap()));
        feed.publish(|| unreachable!("nobody follows"));
        let (mut one, mut two) = (feed.follow().unwrap(), feed.follow().unwrap());
        told(&feed, "accepted");
        for follower in [&mut one, &mut two] {
            let Followed::Event(event) = follower.next().await else { panic!("an event") };
            assert_eq!((event.outcome, event.time.as_second()), ("accepted", 7));
            assert!(event.json().contains("\"accepted\"") && follower.at_hand().is_none());
        }
        drop((one, two));
        feed.publish(|| unreachable!("nobody follows any more"));
    }

    #[tokio::test]
    async fn the_slow_are_told_what_they_missed_and_hold_up_nobody() {
        let feed = Feed::new(Clock::system());
        let mut slow = feed.follow().unwrap();
        (0..WAITING + 10).for_each(|_| told(&feed, "refused"));
        assert!(matches!(slow.next().await, Followed::Missed(10)));
        assert!(matches!(slow.next().await, Followed::Event(_)));
    }

    #[test]
    fn there_is_room_for_so_many_and_for_the_next_when_one_goes() {
        let feed = Feed::new(Clock::system());
        let mut all: Vec<Follower> = (0..MOST_FOLLOWERS).map(|_| feed.follow().unwrap()).collect();
        assert!(feed.follow().is_none());
        drop(all.pop());
        assert!(feed.follow().is_some() && feed.is_followed());
    }
}
