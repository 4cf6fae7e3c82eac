//! An access token: how old it is, and whether the sink has taken it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

/// How long before its end a token is renewed at most: a short one when a fifth of its life is left.
const AHEAD: Duration = Duration::from_mins(1);

/// An access token.
pub(in crate::sink::http) struct Token {
    pub(in crate::sink::http) authorization: HeaderValue,
    asked: Instant,
    lifetime: Duration,
    /// Whether the sink has taken it.
    taken: AtomicBool,
}

impl Token {
    /// One that was asked for at `asked` and is good for `lifetime`.
    pub(super) const fn new(authorization: HeaderValue, asked: Instant, lifetime: Duration) -> Self {
        Self { authorization, asked, lifetime, taken: AtomicBool::new(false) }
    }

    /// The sink has taken it.
    pub(in crate::sink::http) fn was_taken(&self) {
        self.taken.store(true, Ordering::Relaxed);
    }

    /// Whether the sink has ever taken it.
    pub(super) fn has_been_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    /// How long ago it was asked for.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.asked)
    }

    /// Whether it has not ended.
    pub(super) fn is_good(&self, now: Instant) -> bool {
        self.age(now) < self.lifetime
    }

    /// Whether it is to be renewed.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.age(now) + AHEAD.min(self.lifetime / 5) >= self.lifetime
    }
}
