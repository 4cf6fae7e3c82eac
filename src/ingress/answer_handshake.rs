//! Answers handshakes that nobody signs: the layer before the first look for a signature.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use tower::{Layer, Service};

use super::handshake::Handshake;
use super::refused::Refused;
use super::request_end::{Answered, Known, RequestEnd};
use super::source::Source;
use super::token::Admitted;

/// Makes [`AnswerHandshake`].
#[derive(Clone)]
pub(super) struct AnswerHandshakeLayer {
    /// Whose handshake.
    pub source: Arc<Source>,
}

impl<S> Layer<S> for AnswerHandshakeLayer {
    type Service = AnswerHandshake<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AnswerHandshake { layer: self.clone(), inner }
    }
}

/// Passes on what does not ask for a handshake.
#[derive(Clone)]
pub(super) struct AnswerHandshake<S> {
    layer: AnswerHandshakeLayer,
    inner: S,
}

impl<S> Service<Admitted> for AnswerHandshake<S>
where
    S: Service<Admitted, Response = Box<Answered>, Error = Box<Refused>>,
{
    type Response = Box<Answered>;
    type Error = Box<Refused>;
    type Future = Either<Ready<Result<Box<Answered>, Box<Refused>>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Box<Refused>>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Admitted) -> Self::Future {
        match &self.layer.source.handshake {
            Some(handshake) if handshake.is_asked(&request.head, &request.body) => {
                Either::Left(ready(self.layer.answer(handshake, &request)))
            }
            Some(_) | None => Either::Right(self.inner.call(request)),
        }
    }
}

impl AnswerHandshakeLayer {
    fn answer(&self, handshake: &Handshake, request: &Admitted) -> Result<Box<Answered>, Box<Refused>> {
        // Nothing is kept of one that is refused: it could be no event.
        let response = handshake.answer(&request.head)?;
        let (token, certificate) = (request.token.as_ref().map(|token| token.key), request.origin.certificate);
        let proven = token.is_some() || certificate.is_some();
        let key = self.source.note_use(token.into_iter(), certificate, request.origin.at);
        let known = proven.then(|| Box::new(Known { key, ..Known::default() }));
        // Where only the address was looked at, nobody was validated.
        let validated = (proven || handshake.has_own_token()).then_some(true);
        Ok(Box::new(Answered { response, end: RequestEnd::handshake(validated, known) }))
    }
}
