//! Key `oauth2`: an access token by the client credentials grant (RFC 6749 4.4), which every delivery shares.
//!
//! One request for a token at a time. It is renewed ahead of its end, without anybody waiting, and at once when the sink
//! says that it does not take it any more.

mod endpoint;
mod settings;
mod token;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use self::endpoint::TokenEndpoint;
pub(super) use self::settings::Settings;
use self::token::Token;
use super::super::client_settings::ClientSettings;
use super::super::delivery::{Retry, SinkError};
use crate::clock::Clock;
use crate::settings::ConfigError;

/// How long a renewal waits that failed while the old token is good.
const PAUSE: Duration = Duration::from_secs(5);
/// A token that came in place of one that the sink refused, and that it never took either, is not replaced before this.
const PATIENCE: Duration = Duration::from_mins(1);

/// The tokens of one sink.
pub(super) struct Tokens {
    endpoint: Arc<TokenEndpoint>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// The request under way, or one whose answer nobody has taken in yet. Dropping it ends it.
    asking: Option<Asking>,
    /// Not before is asked again while the one that is held is good.
    pause: Option<Instant>,
    /// Whether the next token comes in place of one that the sink refused.
    refused: bool,
}

type Asking = Shared<BoxFuture<'static, Result<Arc<Token>, SinkError>>>;

struct Held {
    token: Arc<Token>,
    /// Whether it came in place of one that the sink refused.
    second: bool,
}

impl Tokens {
    /// Tokens as `settings` say, asked for over the way that `client` says. Asks for none yet.
    ///
    /// # Errors
    /// At `ca_file` and the keys of the client certificate.
    pub(super) fn new(
        settings: &Settings,
        client: &ClientSettings,
        timeout: Duration,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let endpoint = TokenEndpoint::new(settings, client, timeout, clock)?;
        Ok(Self { endpoint: Arc::new(endpoint), state: Mutex::default() })
    }

    /// A token that is good now.
    ///
    /// # Errors
    /// [`SinkError`] where there is none to be had; it may be later.
    pub(super) async fn get(&self) -> Result<Arc<Token>, SinkError> {
        let asking = {
            let now = Instant::now();
            let mut state = self.state();
            state.take_in(now);
            let good = state.held.as_ref().filter(|held| held.token.is_good(now)).map(|held| Arc::clone(&held.token));
            let due = good.as_ref().is_none_or(|token| token.is_due(now));
            let paused = good.is_some() && state.pause.is_some_and(|until| now < until);
            if due && !paused && state.asking.is_none() {
                state.asking = Some(self.ask());
            }
            match (good, &state.asking) {
                (Some(token), _) => return Ok(token),
                (None, Some(asking)) => asking.clone(),
                (None, None) => return Err(broken_off("nobody asked for a token")),
            }
        };
        asking.await
    }

    /// Another token than `refused`, which the sink did not take. `None` where that would be of no use: the sink has
    /// taken none since one that it refused before.
    ///
    /// # Errors
    /// As [`Tokens::get`].
    pub(super) async fn instead_of(&self, refused: &Arc<Token>) -> Result<Option<Arc<Token>>, SinkError> {
        {
            let now = Instant::now();
            let mut state = self.state();
            state.take_in(now);
            if let Some(held) = state.held.take_if(|held| Arc::ptr_eq(&held.token, refused)) {
                let hopeless = held.second && !held.token.has_been_taken();
                if hopeless && held.token.age(now) < PATIENCE {
                    state.held = Some(held);
                    return Ok(None);
                }
                state.refused = true;
            }
        }
        self.get().await.map(Some)
    }

    /// A task of its own, so that it goes on when the delivery that began it is cut off, or does not wait.
    #[expect(clippy::disallowed_methods, reason = "the state owns it: it ends with the sink")]
    fn ask(&self) -> Asking {
        let endpoint = Arc::clone(&self.endpoint);
        let task = AbortOnDropHandle::new(tokio::spawn(async move { endpoint.ask().await.map(Arc::new) }));
        async move { task.await.unwrap_or_else(|error| Err(broken_off(&error.to_string()))) }.boxed().shared()
    }

    /// Nothing panics while it is held, and if: what is in it is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes in the answer, where one has come.
    fn take_in(&mut self, now: Instant) {
        let Some(answer) = self.asking.clone().and_then(FutureExt::now_or_never) else { return };
        self.asking = None;
        match answer {
            Ok(token) => {
                self.pause = None;
                self.held = Some(Held { token, second: std::mem::take(&mut self.refused) });
            }
            Err(error) => {
                // Without a good one the deliveries that waited say it.
                if self.held.as_ref().is_some_and(|held| held.token.is_good(now)) {
                    self.pause = Some(now + PAUSE);
                    tracing::warn!(%error, "the access token is not renewed, the old one is used on");
                }
            }
        }
    }
}

fn broken_off(problem: &str) -> SinkError {
    SinkError {
        message: format!("asking for an access token broke off: {problem}"),
        status: None,
        retry: Retry::Backoff,
    }
}
