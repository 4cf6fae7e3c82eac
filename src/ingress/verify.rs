//! Proof: buffers the body under the cap, the budget and a deadline, and lets the scheme verify it.
//!
//! The only file that can make a [`Verified`], and the only one that buffers a body.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Response, header::CONTENT_LENGTH, header::EXPECT, request::Parts};
use http_body_util::{BodyExt, LengthLimitError};
use tower::{BoxError, Layer, Service};

use crate::event::Payload;
use crate::scheme::KeyIndex;
use crate::server::client::{ConnectionId, Peer};

use super::load::{BodyBudget, Charge};
use super::quarantine::Keeper;
use super::record::{Arrival, Ended};
use super::reject::Reject;
use super::source::Source;
use super::waiting::{Coming, Waiting};
use super::window::Claimed;

/// Bodies larger than this are hashed off the async workers, so that others are answered meanwhile.
const INLINE_BYTES: usize = 256 * 1024;
/// How long a request that is refused by its head is looked at for its body, which mostly came along with the head.
const GLIMPSE: Duration = Duration::from_millis(50);

/// A request that proved who sent it. Its fields are private to this file on the way in: nobody else can make one.
pub(super) struct Verified {
    head: Parts,
    payload: Payload,
    key: KeyIndex,
}

impl Verified {
    /// The head, every header of it as received.
    #[must_use]
    pub(super) const fn head(&self) -> &Parts {
        &self.head
    }

    /// The body as received.
    #[must_use]
    pub(super) const fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The key that verified it.
    #[must_use]
    pub(super) const fn key(&self) -> KeyIndex {
        self.key
    }

    /// What is left of it once it turned out to be no event.
    #[must_use]
    pub(super) fn into_parts(self) -> (Parts, Bytes) {
        (self.head, self.payload.bytes().clone())
    }
}

/// Turns a [`Claimed`] request into a [`Verified`] one.
#[derive(Clone)]
pub(super) struct VerifyLayer {
    /// Whose scheme.
    pub source: Arc<Source>,
    /// What all bodies share.
    pub budget: Arc<BodyBudget>,
    /// How many may wait for their body.
    pub waiting: Arc<Waiting>,
    /// From first byte wanted to last byte read.
    pub timeout: Duration,
    /// Where what does not verify is kept.
    pub keeper: Arc<Keeper>,
}

impl<S> Layer<S> for VerifyLayer {
    type Service = Verify<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Verify { layer: self.clone(), inner }
    }
}

/// See [`VerifyLayer`].
#[derive(Clone)]
pub(super) struct Verify<S> {
    layer: VerifyLayer,
    inner: S,
}

impl<S, B> Service<Claimed<B>> for Verify<S>
where
    S: Service<Verified, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error = BoxError> + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Claimed<B>) -> Self::Future {
        let layer = self.layer.clone();
        let clone = self.inner.clone();
        // The service that was polled ready is the one to call.
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            match layer.verify(request).await {
                Ok(verified) => inner.call(verified).await,
                Err(refused) => Ok(refused.into_response()),
            }
        })
    }
}

/// A refusal, and how much of the body had been read.
struct Refused {
    reject: Reject,
    bytes: usize,
}

impl Refused {
    fn into_response(self) -> Response<Body> {
        let mut response = self.reject.into_response();
        if let Some(ended) = response.extensions_mut().get_mut::<Ended>() {
            ended.bytes = self.bytes;
        }
        response
    }
}

impl VerifyLayer {
    async fn verify<B>(self, request: Claimed<B>) -> Result<Verified, Refused>
    where
        B: http_body::Body<Data = Bytes, Error = BoxError> + Send + 'static,
    {
        let Claimed { head, claims, body } = request;
        let Self { source, budget, waiting, timeout, keeper } = self;
        let declared = declared_length(&head.headers);
        let mut charge = budget.open(declared);
        let whole = arrival(&head, &waiting, buffer(body, declared, &mut charge));
        let body = match tokio::time::timeout(timeout, whole).await {
            Ok(read) => read.map_err(|reject| Refused { reject, bytes: 0 })?,
            Err(_) => return Err(Refused { reject: Reject::BodyTimeout, bytes: 0 }),
        };
        let (bytes, payload) = (body.len(), Payload::from(charge.hold(body)));
        let prove = move || match source.scheme.verify(&head, &claims, &payload) {
            Ok(key) => Ok(Verified { head, payload, key }),
            Err(refusal) => {
                let reject = Reject::from(refusal);
                keeper.offer(&reject, &head, payload.bytes());
                Err(reject)
            }
        };
        let verdict = if bytes <= INLINE_BYTES {
            prove()
        } else {
            // Fails only when the runtime is shutting down.
            tokio::task::spawn_blocking(prove).await.unwrap_or(Err(Reject::IncompleteBody))
        };
        verdict.map_err(|reject| Refused { reject, bytes })
    }
}

/// Waits for the body that `reading` reads, as long as its client may wait with that many requests. A body that came
/// along with its head takes no lock.
async fn arrival<F>(head: &Parts, waiting: &Arc<Waiting>, reading: F) -> Result<Bytes, Reject>
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
    let client = head.extensions.get::<Arrival>().and_then(|arrival| arrival.client.ok());
    let peer = head.extensions.get::<Peer>().map(|peer| peer.0.to_canonical());
    let connection = head.extensions.get::<ConnectionId>().copied().filter(|_| client == peer);
    let client = client.or(peer).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let mut place = waiting.wait(client, connection, coming)?;
    tokio::select! {
        biased;
        read = reading => read,
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

/// The body of a request that is refused by its head, for the quarantine; `None` where it is not whole at once, too
/// large for the limit or for the budget. Proves nothing.
pub(super) async fn glimpse<B>(headers: &HeaderMap, body: B, budget: Arc<BodyBudget>) -> Option<Bytes>
where
    B: http_body::Body<Data = Bytes, Error = BoxError>,
{
    let declared = declared_length(headers);
    let mut charge = budget.open(declared);
    let body = tokio::time::timeout(GLIMPSE, buffer(body, declared, &mut charge)).await.ok()?.ok()?;
    Some(charge.hold(body))
}

/// What `Content-Length` says, as a hint for the buffer; never trusted with memory.
fn declared_length(headers: &HeaderMap) -> usize {
    headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// Reads `body` to its end. The common body of one frame is taken as it is; others are joined in a buffer that is
/// charged by what it holds, not by what was declared. Trailers are read and forgotten.
async fn buffer<B>(body: B, declared: usize, charge: &mut Charge) -> Result<Bytes, Reject>
where
    B: http_body::Body<Data = Bytes, Error = BoxError>,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut joined = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if first.is_empty() && joined.is_empty() {
            charge.raise_to(data.len())?;
            first = data;
            continue;
        }
        if joined.is_empty() {
            charge.raise_to(first.len() + data.len())?;
            joined.extend_from_slice(&std::mem::take(&mut first));
        }
        let length = joined.len() + data.len();
        if length > joined.capacity() {
            // Doubling, so that a body is copied at most twice, but not past what was declared.
            let target = length.max((joined.capacity() * 2).min(declared));
            charge.raise_to(target)?;
            joined.reserve_exact(target - joined.len());
        }
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() { first } else { joined.into() })
}

/// A body that broke: past the cap, framed wrongly, or cut off.
fn broken(error: &BoxError) -> Reject {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error.as_ref());
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return Reject::PayloadTooLarge;
        }
        let wrong = |error: &io::Error| matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData);
        let chunks = error.downcast_ref().is_some_and(wrong);
        let stream = error.downcast_ref().is_some_and(h2::Error::is_library);
        if chunks || stream {
            return Reject::BadRequest("the body is framed wrongly");
        }
        cause = error.source();
    }
    Reject::IncompleteBody
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use http_body_util::StreamBody;

    fn frames(sizes: &[usize]) -> impl http_body::Body<Data = Bytes, Error = BoxError> {
        let frames: Vec<Result<_, BoxError>> =
            sizes.iter().map(|size| Ok(http_body::Frame::data(Bytes::from(vec![b'x'; *size])))).collect();
        StreamBody::new(futures_util::stream::iter(frames))
    }

    #[tokio::test]
    async fn many_frames_become_one_body_that_is_charged_for_what_it_holds() {
        let budget = Arc::new(BodyBudget::new(10_000, Arc::new(Metrics::new())));
        let mut charge = Arc::clone(&budget).open(0);
        let body = buffer(frames(&[1000, 1000, 1000]), 1_000_000, &mut charge).await;
        assert_eq!(body.map(|body| body.len()), Ok(3000));
        let mut other = budget.open(0);
        assert!(other.raise_to(4000).is_ok(), "a declared megabyte must not have been charged");
    }

    #[tokio::test(start_paused = true)]
    async fn a_glimpse_is_the_whole_body_or_nothing() {
        let budget = || Arc::new(BodyBudget::new(2500, Arc::new(Metrics::new())));
        let seen = |body: Option<Bytes>| body.map(|body| body.len());
        assert_eq!(seen(glimpse(&HeaderMap::new(), frames(&[1000, 500]), budget()).await), Some(1500));
        assert_eq!(seen(glimpse(&HeaderMap::new(), frames(&[1000, 1000, 1000]), budget()).await), None);
        let endless = StreamBody::new(futures_util::stream::pending::<Result<http_body::Frame<Bytes>, BoxError>>());
        assert_eq!(seen(glimpse(&HeaderMap::new(), endless, budget()).await), None);
    }

    #[tokio::test]
    async fn a_body_past_the_budget_is_shed() {
        let budget = Arc::new(BodyBudget::new(2500, Arc::new(Metrics::new())));
        let mut charge = Arc::clone(&budget).open(0);
        assert_eq!(buffer(frames(&[1000, 1000, 1000]), 0, &mut charge).await, Err(Reject::Overloaded));
        drop(charge);
        assert!(budget.open(0).raise_to(2500).is_ok());
    }
}
