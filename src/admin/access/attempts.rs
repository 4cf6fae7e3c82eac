//! How often somebody may guess: failed attempts to sign in, by client address and in all, a minute at a time.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::server::client::counted_as;

/// Failures that a client address has in a minute.
const BY_ADDRESS: usize = 5;
/// Failures that all have together: whoever has many addresses does not guess faster for it.
const IN_ALL: usize = 20;
const WINDOW: Duration = Duration::from_mins(1);

/// The failures of the last minute; at most [`IN_ALL`].
#[derive(Default)]
pub(crate) struct Attempts(Mutex<VecDeque<(Instant, Option<IpAddr>)>>);

impl Attempts {
    /// Takes one more attempt of `client`, which counts as failed until [`Attempts::succeeded`], so that no number of
    /// attempts at once makes more than the most.
    ///
    /// # Errors
    /// How long to wait, where there were too many.
    pub(super) fn begin(&self, client: Option<IpAddr>) -> Result<Attempt, Duration> {
        let (now, client) = (Instant::now(), client.map(counted_as));
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while failures.front().is_some_and(|(at, _)| *at + WINDOW <= now) {
            failures.pop_front();
        }
        let own = failures.iter().filter(|(_, of)| *of == client);
        let full = (own.count() >= BY_ADDRESS)
            .then(|| failures.iter().find(|(_, of)| *of == client))
            .or_else(|| (failures.len() >= IN_ALL).then(|| failures.front()))
            .flatten();
        if let Some((at, _)) = full {
            return Err(*at + WINDOW - now);
        }
        failures.push_back((now, client));
        Ok(Attempt { at: now, client })
    }

    /// `attempt` did not fail.
    pub(super) fn succeeded(&self, attempt: &Attempt) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = failures.iter().rposition(|failure| *failure == (attempt.at, attempt.client)) {
            failures.remove(at);
        }
    }
}

/// One attempt.
pub(super) struct Attempt {
    at: Instant,
    client: Option<IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_five_failures_a_minute_and_all_have_twenty() {
        let attempts = Attempts::default();
        for _ in 0..BY_ADDRESS {
            assert!(attempts.begin(Some(ip(1))).is_ok());
        }
        assert_eq!(attempts.begin(Some(ip(1))).err(), Some(WINDOW));
        for n in BY_ADDRESS..IN_ALL {
            assert!(attempts.begin(Some(ip(u8::try_from(n).unwrap()))).is_ok());
        }
        assert!(attempts.begin(Some(ip(200))).is_err());
        tokio::time::advance(WINDOW).await;
        assert!(attempts.begin(Some(ip(1))).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_knows_the_token_is_never_held_up_by_signing_in() {
        let attempts = Attempts::default();
        for _ in 0..100 {
            let attempt = attempts.begin(Some(ip(1))).unwrap_or_else(|_| panic!("held up"));
            attempts.succeeded(&attempt);
        }
    }
}
