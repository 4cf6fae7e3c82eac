//! Proof: reads the body under a deadline, and lets the scheme verify it.
//!
//! The only file that can make a [`Verified`].

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{header::EXPECT, request::Parts};
use tower::{Layer, Service};

use crate::event::Payload;
use crate::scheme::KeyIndex;
use crate::server::client::Peer;

use super::arrival::Origin;
use super::body::{buffer, declared_length};
use super::body_budget::BodyBudget;
use super::refused::Refused;
use super::reject::Reject;
use super::request_end::Answered;
use super::source::Source;
use super::waiting::{Coming, Waiting};
use super::window::Unverified;

/// Bodies larger than this are hashed off the async workers, so that others are answered meanwhile.
const INLINE_BYTES: usize = 256 * 1024;

/// A request that proved who sent it. Its fields are private to this file on the way in: nobody else can make one.
pub(super) struct Verified {
    origin: Origin,
    head: Arc<Parts>,
    payload: Payload,
    key: KeyIndex,
    token: Option<KeyIndex>,
}

impl Verified {
    /// Where it came from.
    #[must_use]
    pub(super) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The head, every header of it as received.
    #[must_use]
    pub(super) fn head(&self) -> &Parts {
        &self.head
    }

    /// The body as received.
    #[must_use]
    pub(super) const fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The keys that vouch for it, each once: the one that verified it, and the token beside a signature.
    pub(super) fn keys(&self) -> impl Iterator<Item = KeyIndex> {
        std::iter::once(self.key).chain(self.token.filter(|token| *token != self.key))
    }

    /// What is left of it once it turned out to be no event, or could not be stored.
    #[must_use]
    pub(super) fn refused(self, reject: Reject) -> Box<Refused> {
        Refused::read(reject, self.origin, self.head, self.payload.bytes().clone())
    }
}

/// Turns an [`Unverified`] request into a [`Verified`] one.
pub(super) struct Verifier {
    /// Whose scheme.
    pub source: Arc<Source>,
    /// What all bodies share.
    pub budget: Arc<BodyBudget>,
    /// How many may wait for their body.
    pub waiting: Arc<Waiting>,
    /// From first byte wanted to last byte read.
    pub timeout: Duration,
}

/// Passes on what its [`Verifier`] has verified.
#[derive(Clone)]
pub(super) struct VerifyLayer(Arc<Verifier>);

impl From<Verifier> for VerifyLayer {
    fn from(verifier: Verifier) -> Self {
        Self(Arc::new(verifier))
    }
}

impl<S> Layer<S> for VerifyLayer {
    type Service = Verify<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Verify { verifier: Arc::clone(&self.0), inner }
    }
}

/// See [`VerifyLayer`].
#[derive(Clone)]
pub(super) struct Verify<S> {
    verifier: Arc<Verifier>,
    inner: S,
}

impl<S> Service<Unverified> for Verify<S>
where
    S: Service<Verified, Response = Box<Answered>, Error = Box<Refused>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Box<Answered>;
    type Error = Box<Refused>;
    type Future = Pin<Box<dyn Future<Output = Result<Box<Answered>, Box<Refused>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Box<Refused>>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Unverified) -> Self::Future {
        let verifier = Arc::clone(&self.verifier);
        let clone = self.inner.clone();
        // The service that was polled ready is the one to call.
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move { inner.call(verifier.verify(request).await?).await })
    }
}

impl Verifier {
    async fn verify(self: Arc<Self>, request: Unverified) -> Result<Verified, Box<Refused>> {
        let Unverified { origin, head, token, claims, body } = request;
        let declared = declared_length(&head.headers);
        let mut charge = Arc::clone(&self.budget).open(declared);
        let reading = buffer(body, declared, &mut charge);
        let body = arrival(&origin, &head, (&self.waiting, self.timeout), reading).await?;
        let payload = Payload::from(charge.hold(body));
        let inline = payload.bytes().len() <= INLINE_BYTES;
        let prove = move || match self.source.scheme.verify(&head, &claims, &payload) {
            // A scheme without keys proves nothing by itself.
            Ok(_) if self.source.scheme.keys().is_empty() && origin.certificate.is_none() => {
                let reject = Reject::ClientCertificateMismatch("no client certificate was shown");
                Err(Refused::read(reject, origin, head, payload.bytes().clone()))
            }
            Ok(key) => Ok(Verified { origin, head, payload, key, token }),
            Err(refusal) => Err(Refused::read(refusal.into(), origin, head, payload.bytes().clone())),
        };
        if inline {
            return prove();
        }
        // Fails only when the runtime is shutting down.
        tokio::task::spawn_blocking(prove).await.unwrap_or_else(|_| Err(Reject::IncompleteBody.into()))
    }
}

/// Waits for the body that `reading` reads, up to a timeout and as long as its client may wait with that many requests. A
/// body that came along with its head takes no lock and no timer.
async fn arrival<F>(
    origin: &Origin,
    head: &Parts,
    (waiting, timeout): (&Arc<Waiting>, Duration),
    reading: F,
) -> Result<Bytes, Reject>
where
    F: Future<Output = Result<Bytes, Reject>>,
{
    let mut reading = pin!(reading);
    // Who waits to be asked has sent nothing, and must not be asked for what would be refused.
    let coming = if head.headers.contains_key(EXPECT) { Coming::WhenAsked } else { Coming::ByItself };
    if coming == Coming::ByItself
        && let Some(read) = at_once(reading.as_mut()).await
    {
        return read;
    }
    let own = head.extensions.get::<Peer>().filter(|peer| peer.ip.to_canonical() == origin.client);
    let connection = own.map(|peer| peer.connection);
    let mut place = waiting.wait(origin.client, connection, coming)?;
    tokio::select! {
        biased;
        read = tokio::time::timeout(timeout, reading) => read.unwrap_or(Err(Reject::BodyTimeout)),
        () = place.shed() => Err(Reject::Overloaded),
    }
}

/// What is ready in the first or the second moment: hyper hands out what it has of an HTTP/1.1 body only after it was
/// asked for it.
async fn at_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    let mut asked = false;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if asked => Poll::Ready(None),
        Poll::Pending => {
            asked = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}
