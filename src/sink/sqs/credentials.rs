//! The credentials that sign: fixed ones, or those of a role, which are renewed before they expire.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::identity::Identity;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use jiff::{SignedDuration, Timestamp};
use tokio_util::task::AbortOnDropHandle;

use super::source::Source;
use super::variables::Variables;
use crate::clock::Clock;
use crate::secret::Secret;
use crate::settings::ConfigError;
use crate::sink::client_settings::ClientSettings;
use crate::sink::delivery::{Retry, SinkError};

/// How long before they expire credentials are renewed. AWS has the next ones ready by then.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// How long a renewal waits that brought nothing new, while the old ones are good.
const PAUSE: SignedDuration = SignedDuration::from_secs(30);

/// What decides who signs.
pub(super) struct Asked<'s> {
    /// Key `token`.
    pub(super) token: Option<&'s Secret>,
    /// How to reach whoever gives credentials.
    pub(super) client: &'s ClientSettings,
    /// AWS's variables.
    pub(super) variables: &'s Variables,
    /// The most that asking may take.
    pub(super) timeout: Duration,
}

/// Where the identity comes from that signs a call.
pub(super) enum Signer {
    /// From the configuration, for good.
    Fixed(Identity),
    /// From a role, for a while.
    Role(Role),
}

impl Signer {
    /// By `token`, else the variables for a key, else a role ([`Source::choose`]).
    ///
    /// # Errors
    /// [`ConfigError`] at `token` or `ca_file`.
    pub(super) fn new(asked: &Asked, region: String, clock: Clock) -> Result<Self, ConfigError> {
        let Asked { token, client, variables, timeout } = *asked;
        if let Some(credentials) = fixed(token, variables)? {
            return Ok(Self::Fixed(credentials.into()));
        }
        let source = Source::choose(client, timeout, region, variables, clock.clone())?;
        Ok(Self::Role(Role { source: Arc::new(source), limit: timeout, clock, state: Mutex::default() }))
    }

    /// Who signs now.
    ///
    /// # Errors
    /// [`SinkError`] with [`Retry::Backoff`] where a role gives no credentials: it may yet.
    pub(super) async fn identity(&self) -> Result<Identity, SinkError> {
        match self {
            Self::Fixed(identity) => Ok(identity.clone()),
            Self::Role(role) => {
                role.identity().await.map_err(|message| SinkError { message, status: None, retry: Retry::Backoff })
            }
        }
    }
}

fn fixed(token: Option<&Secret>, variables: &Variables) -> Result<Option<Credentials>, ConfigError> {
    let wrong = |problem: &str| ConfigError::new("token", problem);
    let (key, secret, session) = if let Some(token) = token {
        let form = || wrong("expected ACCESS_KEY_ID:SECRET_ACCESS_KEY, perhaps with :SESSION_TOKEN");
        let mut parts = std::str::from_utf8(token.expose()).map_err(|_| form())?.splitn(3, ':');
        let key = parts.next().filter(|key| !key.is_empty()).ok_or_else(form)?;
        let secret = parts.next().filter(|secret| !secret.is_empty()).ok_or_else(form)?;
        (key.to_owned(), secret.to_owned(), parts.next().map(str::to_owned))
    } else {
        let named = |name: &str| variables.filled(name).map(str::to_owned);
        match (named("AWS_ACCESS_KEY_ID"), named("AWS_SECRET_ACCESS_KEY")) {
            (Some(key), Some(secret)) => (key, secret, named("AWS_SESSION_TOKEN")),
            (None, None) => return Ok(None),
            _ => return Err(wrong("missing, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set")),
        }
    };
    Ok(Some(Credentials::new(key, secret, session, None, "gatepost")))
}

/// The credentials of a role. One request for new ones at a time; deliveries wait for it only when there are none.
pub(super) struct Role {
    source: Arc<Source>,
    /// The most that asking may take.
    limit: Duration,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// The request under way, or one whose answer nobody has taken in yet. Dropping it ends it.
    asking: Option<Asking>,
    /// Not before is asked again while those held are good.
    pause: Option<Timestamp>,
}

type Asking = Shared<BoxFuture<'static, Result<Held, String>>>;

#[derive(Clone)]
struct Held {
    identity: Identity,
    expires: Timestamp,
}

impl Held {
    fn new(credentials: Credentials) -> Self {
        let expires = credentials.expiry().map(|at| Timestamp::try_from(at).unwrap_or(Timestamp::MAX));
        Self { identity: credentials.into(), expires: expires.unwrap_or(Timestamp::MAX) }
    }

    fn key(&self) -> Option<&str> {
        self.identity.data::<Credentials>().map(Credentials::access_key_id)
    }
}

impl Role {
    async fn identity(&self) -> Result<Identity, String> {
        let asking = {
            let now = self.clock.now();
            let mut state = self.state();
            state.take_in(now);
            let good = state.held.as_ref().filter(|held| now < held.expires);
            let due = good.is_none_or(|held| held.expires.duration_since(now) <= AHEAD);
            let paused = good.is_some() && state.pause.is_some_and(|until| now < until);
            let good = good.map(|held| held.identity.clone());
            if due && !paused && state.asking.is_none() {
                state.asking = Some(self.ask());
            }
            match (good, &state.asking) {
                (Some(identity), _) => return Ok(identity),
                (None, Some(asking)) => asking.clone(),
                (None, None) => return Err("no credentials and nobody asked".to_owned()),
            }
        };
        let held = asking.await?;
        if self.clock.now() >= held.expires {
            let (from, expired) = (self.source.name(), held.expires);
            return Err(format!("{from} gave credentials that expired at {expired}; is this machine's clock right?"));
        }
        Ok(held.identity)
    }

    /// A task of its own, so that it goes on when the delivery that began it is cut off, or does not wait.
    #[expect(clippy::disallowed_methods, reason = "the state owns it: it ends with the sink")]
    fn ask(&self) -> Asking {
        let (source, limit) = (Arc::clone(&self.source), self.limit);
        let task = AbortOnDropHandle::new(tokio::spawn(async move { source.ask(limit).await.map(Held::new) }));
        async move { task.await.unwrap_or_else(|error| Err(format!("asking for credentials broke off: {error}"))) }
            .boxed()
            .shared()
    }

    /// Nothing panics while it is held, and if: what is in it is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes in the answer, where one has come.
    fn take_in(&mut self, now: Timestamp) {
        let Some(answer) = self.asking.clone().and_then(FutureExt::now_or_never) else { return };
        self.asking = None;
        let old = self.held.as_ref().filter(|held| now < held.expires);
        // The same again or nothing: asking at once would bring no more.
        let pause = old.is_some_and(|old| answer.as_ref().map_or(true, |new| new.key() == old.key()));
        self.pause = pause.then(|| now.saturating_add(PAUSE).unwrap_or(Timestamp::MAX));
        match answer {
            Ok(new) => self.held = Some(new),
            Err(problem) => {
                // Without good ones the deliveries that waited say it.
                if let Some(old) = old {
                    tracing::warn!(until = %old.expires, "credentials for SQS not renewed, the old ones are used on: {problem}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// An instance's metadata service whose nth document (from 0) is `document(n)`; counts them.
    async fn instance(document: impl Fn(usize) -> Option<String> + Send + 'static) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (endpoint, asked) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&asked);
        let serve = async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let body = if request.starts_with(b"PUT ") {
                    Some("a token".to_owned())
                } else if request.starts_with(b"GET /latest/meta-data/iam/security-credentials/ ") {
                    Some("role".to_owned())
                } else {
                    document(count.fetch_add(1, Ordering::SeqCst))
                };
                let (status, body) = body.map_or((404, String::new()), |body| (200, body));
                let answer = format!(
                    "HTTP/1.1 {status} -\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\nConnection: close\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(serve);
        (endpoint, asked)
    }

    fn document(key: &str, expires: &str) -> String {
        format!(
            r#"{{"Code":"Success","AccessKeyId":"{key}","SecretAccessKey":"s","Token":"t","Expiration":"{expires}"}}"#
        )
    }

    fn role(endpoint: &str, clock: &Clock) -> Role {
        let variables = Variables::of(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)]);
        let (client, timeout) = (ClientSettings::default(), Duration::from_secs(10));
        let asked = Asked { token: None, client: &client, variables: &variables, timeout };
        match Signer::new(&asked, "eu-west-1".to_owned(), clock.clone()) {
            Ok(Signer::Role(role)) => role,
            _ => panic!("a role"),
        }
    }

    async fn key(role: &Role) -> Result<String, String> {
        let identity = role.identity().await?;
        Ok(identity.data::<Credentials>().unwrap().access_key_id().to_owned())
    }

    #[tokio::test]
    async fn good_credentials_sign_on_while_there_are_no_new_ones_and_not_longer() {
        let clock = Clock::manual("2026-01-02T03:00:00Z".parse().unwrap());
        let (endpoint, asked) = instance(|number| match number {
            0 => Some(document("A", "2026-01-02T03:10:00Z")),
            2 => Some(document("B", "2026-01-02T04:00:00Z")),
            _ => None,
        })
        .await;
        let role = role(&endpoint, &clock);
        assert_eq!(key(&role).await.unwrap(), "A");
        clock.advance(Duration::from_mins(6));
        // Due: asks, is told no, and pauses; all the while the old ones sign.
        while role.state().pause.is_none() {
            assert_eq!(key(&role).await.unwrap(), "A");
            tokio::task::yield_now().await;
        }
        assert_eq!(key(&role).await.unwrap(), "A");
        assert!(role.state().asking.is_none());
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        clock.advance(Duration::from_secs(31));
        while key(&role).await.unwrap() != "B" {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_hours(2));
        let problem = key(&role).await.unwrap_err();
        assert!(problem.starts_with("no credentials from the instance's metadata service (IMDSv2): "), "{problem}");
        assert!(problem.ends_with("or set `token`, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"), "{problem}");
    }

    #[tokio::test]
    async fn deliveries_that_wait_wait_for_one_request() {
        let clock = Clock::manual("2026-01-02T03:00:00Z".parse().unwrap());
        let (endpoint, asked) = instance(|_| Some(document("A", "2026-01-02T09:00:00Z"))).await;
        let role = role(&endpoint, &clock);
        let keys = futures_util::future::join_all((0..16).map(|_| key(&role))).await;
        assert!(keys.iter().all(|key| key.as_deref() == Ok("A")), "{keys:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn half_a_key_is_an_error_and_none_is_not() {
        let both = [("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")];
        assert!(fixed(None, &Variables::of(&both)).unwrap().is_some());
        let none = Variables::of(&[]);
        assert!(fixed(None, &none).unwrap().is_none());
        for half in both {
            assert_eq!(fixed(None, &Variables::of(&[half])).unwrap_err().at, "token");
        }
        for junk in ["AKIDEXAMPLE", ":secret", "AKIDEXAMPLE:"] {
            let token = Secret::token(junk).unwrap();
            assert_eq!(fixed(Some(&token), &none).unwrap_err().at, "token");
        }
    }
}
