//! Reads bodies, under the budget; the only file that buffers one.

use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_LENGTH};
use http_body_util::{BodyExt, LengthLimitError};
use tower::BoxError;

use super::body_budget::{BodyBudget, Charge};
use super::reject::Reject;

/// How long a request that is refused by its head is looked at for its body, which mostly came along with the head.
const PEEK: Duration = Duration::from_millis(50);

/// The body of a request that is refused by its head, for the quarantine; `None` where it is not whole at once, too
/// large for the limit or for the budget. Proves nothing.
pub(super) async fn peek_body<B>(headers: &HeaderMap, body: B, budget: Arc<BodyBudget>) -> Option<Bytes>
where
    B: http_body::Body<Data = Bytes, Error = BoxError>,
{
    let declared = declared_length(headers);
    let mut charge = budget.open(declared);
    let body = tokio::time::timeout(PEEK, buffer(body, declared, &mut charge)).await.ok()?.ok()?;
    Some(charge.hold(body))
}

/// What `Content-Length` says, 0 where it says nothing; never trusted with memory.
pub(super) fn declared_length(headers: &HeaderMap) -> usize {
    headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// Reads `body` to its end. The common body of one frame is taken as it is; others are joined in a buffer that is
/// charged by what it holds, not by what was declared. Trailers are read and forgotten.
pub(super) async fn buffer<B>(body: B, declared: usize, charge: &mut Charge) -> Result<Bytes, Reject>
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
    async fn a_peek_is_the_whole_body_or_nothing() {
        let budget = || Arc::new(BodyBudget::new(2500, Arc::new(Metrics::new())));
        let seen = |body: Option<Bytes>| body.map(|body| body.len());
        assert_eq!(seen(peek_body(&HeaderMap::new(), frames(&[1000, 500]), budget()).await), Some(1500));
        assert_eq!(seen(peek_body(&HeaderMap::new(), frames(&[1000, 1000, 1000]), budget()).await), None);
        let endless = StreamBody::new(futures_util::stream::pending::<Result<http_body::Frame<Bytes>, BoxError>>());
        assert_eq!(seen(peek_body(&HeaderMap::new(), endless, budget()).await), None);
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
