//! Duplicates that come again and again: what the store has just called one is called so from memory for a while.
//!
//! A sender that is stuck repeats what it has, and each repetition would wait its turn at the store. The tables stay the
//! judge: remembered is only their own word, with the digest of the body, for ten seconds at most, and no longer than until
//! this process' retention forgets ids. By so much an id may outlast what another process forgets; none goes early.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::BootClock;
use crate::event::{Digest, Event, EventKey, Name};
use crate::store::error::StoreError;
use crate::store::inbox::{Inbox, Insertion};

/// A generation takes no more after this; it is known for as long again.
const TURN: Duration = Duration::from_secs(5);
/// Events of one generation: what a table of 2^15 places holds before it doubles, 1.6 MB.
const EVENTS: usize = 28_672;

/// An inbox with the memory in front of it.
pub(super) struct KnownDuplicates {
    inbox: Arc<dyn Inbox>,
    boot: BootClock,
    known: Mutex<Known>,
}

/// Two generations, so that nothing need be said of each event but what it was.
#[derive(Default)]
struct Known {
    young: HashMap<EventKey, Digest>,
    old: HashMap<EventKey, Digest>,
    /// Since when there is a young one.
    began: Duration,
}

impl Known {
    /// Lets go what was told too long ago, at `now`.
    fn turn(&mut self, now: Duration) {
        let age = now.saturating_sub(self.began);
        if age >= 2 * TURN {
            *self = Self { began: now, ..Self::default() };
        } else if age >= TURN {
            (self.old, self.began) = (std::mem::take(&mut self.young), self.began + TURN);
        }
    }

    /// Takes what was told at `now`.
    fn add(&mut self, key: EventKey, body: Digest, now: Duration) {
        self.turn(now);
        if self.young.len() >= EVENTS {
            (self.old, self.began) = (std::mem::take(&mut self.young), now);
        }
        self.young.insert(key, body);
    }

    fn get(&self, key: &EventKey) -> Option<Digest> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }
}

impl KnownDuplicates {
    /// Puts it in front of `inbox`; how long ago something was told goes by `boot`.
    pub(super) fn before(inbox: Arc<dyn Inbox>, boot: BootClock) -> Self {
        Self { inbox, boot, known: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing in there panics half-way.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body that `key` has for sure.
    fn body_of(&self, key: &EventKey) -> Option<Digest> {
        let mut known = self.lock();
        if known.is_empty() {
            return None;
        }
        known.turn(self.boot.now());
        known.get(key)
    }

    /// Lets all of it go: retention has forgotten some.
    pub(super) fn forget(&self) {
        *self.lock() = Known::default();
    }

    fn note(&self, key: EventKey, body: Digest) {
        let now = self.boot.now();
        self.lock().add(key, body, now);
    }
}

#[async_trait]
impl Inbox for KnownDuplicates {
    async fn insert_beside(
        &self,
        event: Event,
        twins: &[EventKey],
        sinks: Arc<[Name]>,
    ) -> Result<Insertion, StoreError> {
        let (key, payload) = (event.unique_key(), event.payload.clone());
        if self.body_of(&key).is_some_and(|body| body == payload.digest()) {
            return Ok(Insertion::Duplicate);
        }
        let insertion = self.inbox.insert_beside(event, twins, sinks).await?;
        // As one under its own id: of a twin's the store may think otherwise the next time.
        if insertion == Insertion::Duplicate && twins.is_empty() {
            self.note(key, payload.digest());
        }
        Ok(insertion)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::clock::Clock;
    use crate::event::{EventId, KeptHeaders};

    /// Says so each time, and counts how often it was asked.
    struct Says(Insertion, Mutex<usize>);

    #[async_trait]
    impl Inbox for Says {
        async fn insert_beside(&self, _: Event, _: &[EventKey], _: Arc<[Name]>) -> Result<Insertion, StoreError> {
            *self.1.lock().unwrap() += 1;
            Ok(self.0)
        }
    }

    struct Bench {
        store: Arc<Says>,
        known: KnownDuplicates,
        boot: BootClock,
    }

    fn says(insertion: Insertion) -> Bench {
        let store = Arc::new(Says(insertion, Mutex::default()));
        let boot = BootClock::manual(None, Duration::from_secs(100));
        let known = KnownDuplicates::before(Arc::clone(&store) as Arc<dyn Inbox>, boot.clone());
        Bench { store, known, boot }
    }

    impl Bench {
        /// Whether the store was asked about an event of `id` and `body`, and what is told.
        async fn send_beside(&self, id: &str, body: &str, twins: &[EventKey]) -> (bool, Insertion) {
            let asked = || *self.store.1.lock().unwrap();
            let before = asked();
            let event = Event {
                source: "s".into(),
                id: EventId::new(id).unwrap(),
                kind: String::new(),
                received_at: Clock::system().now(),
                content_type: String::new(),
                payload: Bytes::copy_from_slice(body.as_bytes()).into(),
                key: String::new(),
                request_id: String::new(),
                client_ip: None,
                traceparent: None,
                headers: KeptHeaders::default(),
            };
            let told = self.known.insert_beside(event, twins, Arc::from([])).await.unwrap();
            (asked() > before, told)
        }

        async fn send(&self, id: &str, body: &str) -> (bool, Insertion) {
            self.send_beside(id, body, &[]).await
        }
    }

    #[tokio::test]
    async fn what_the_store_called_a_duplicate_is_one_without_it_but_no_other_body_and_no_other_id() {
        let bench = says(Insertion::Duplicate);
        assert_eq!(bench.send("1", "a").await, (true, Insertion::Duplicate));
        assert_eq!(bench.send("1", "a").await, (false, Insertion::Duplicate));
        assert!(bench.send("1", "b").await.0, "the store says what comes of another body");
        assert!(bench.send("2", "a").await.0);
    }

    #[tokio::test]
    async fn nothing_else_that_it_says_is_known_for_the_next() {
        for said in [Insertion::Accepted, Insertion::Conflict] {
            let bench = says(said);
            assert_eq!(bench.send("1", "a").await, (true, said));
            assert_eq!(bench.send("1", "a").await, (true, said));
        }
        let bench = says(Insertion::Duplicate);
        let twin = [EventKey([1; 16])];
        assert!(bench.send_beside("1", "a", &twin).await.0);
        assert!(bench.send_beside("1", "a", &twin).await.0, "that the body is stored under another id");
    }

    #[tokio::test]
    async fn it_is_known_for_five_to_ten_seconds() {
        let bench = says(Insertion::Duplicate);
        let millisecond = Duration::from_millis(1);
        bench.send("1", "a").await;
        bench.boot.advance(Duration::from_millis(4_999));
        bench.send("2", "a").await;
        assert!(!bench.send("1", "a").await.0);
        bench.boot.advance(TURN);
        assert!(!bench.send("1", "a").await.0);
        bench.boot.advance(millisecond);
        assert!(bench.send("1", "a").await.0, "told ten seconds ago, although it was asked for since");
        assert!(bench.send("2", "a").await.0, "of the same generation");
        assert!(!bench.send("2", "a").await.0);
        bench.boot.advance(2 * TURN);
        assert!(bench.send("1", "a").await.0, "nobody came for a while");
    }

    #[tokio::test]
    async fn no_more_are_known_than_two_generations_have_room_for() {
        let bench = says(Insertion::Duplicate);
        for number in 0..3 * EVENTS {
            bench.send(&number.to_string(), "a").await;
        }
        assert!(!bench.send(&EVENTS.to_string(), "a").await.0);
        assert!(bench.send("0", "a").await.0, "it went with the oldest");
        let (young, old) = {
            let known = bench.known.lock();
            (known.young.capacity(), known.old.capacity())
        };
        assert!(young <= EVENTS && old <= EVENTS, "{young} and {old}");
    }
}
