//! The body of a request on its way out, which can wait a moment for the answer to come first.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// How long a body that asked for `100 Continue` waits before it goes anyway, as curl does (RFC 9110, 10.1.1).
const PATIENCE: Duration = Duration::from_secs(1);

/// One piece of bytes, now or after a moment.
pub(super) struct Outgoing {
    bytes: Bytes,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Outgoing {
    /// `bytes`, once the other side has had its chance to refuse them when `patient`.
    pub(super) fn new(bytes: Bytes, patient: bool) -> Self {
        Self { bytes, wait: patient.then(|| Box::pin(sleep(PATIENCE))) }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(wait) = self.wait.as_mut() {
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
