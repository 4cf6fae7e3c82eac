//! The handshake of a source: which requests ask for it, what they must bring, and what they are told.

use axum::body::Body;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::Body as _;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::scheme::{self, Asked, Echo, Place, Proof};

use super::challenge::Said;
use super::json::Pointer;
use super::refused::Capped;
use super::reject::Reject;
use super::rescue::{json_text, uncached};
use super::settings::{HandshakeSettings, SourceSettings};

/// One source's handshake.
pub(super) struct Handshake {
    row: &'static scheme::Handshake,
    /// What is compared of the handshake's own token: of one length, whatever the tokens' are.
    token: Option<[u8; 32]>,
    /// Where an event's mark and challenge stand.
    fields: [Pointer; 2],
}

impl Handshake {
    /// That of `settings`.
    pub(super) fn new(settings: &HandshakeSettings) -> Self {
        let row = settings.row;
        let pointer = |place: Option<&Place>| match place {
            Some(Place::Field(pointer)) => Pointer::new(pointer),
            Some(Place::Query(_) | Place::Header(_)) | None => Pointer::new(""),
        };
        Self {
            row,
            token: settings.token.as_ref().map(|token| Sha256::digest(token.expose()).into()),
            fields: [pointer(row.mark.as_ref().map(|(place, _)| place)), pointer(Some(&row.challenge))],
        }
    }

    /// The methods that its source takes.
    pub(super) const fn methods(&self) -> &'static str {
        self.row.methods()
    }

    /// Whether a request of `method` may be one, whatever else it says.
    pub(super) fn takes(&self, method: &Method) -> bool {
        match self.row.asked {
            Asked::Get => method == Method::GET,
            Asked::Options => method == Method::OPTIONS,
            Asked::EmptyPost | Asked::Event => false,
        }
    }

    /// Whether a request asks for it that no event could be.
    pub(super) fn is_asked(&self, head: &Parts, body: &Capped) -> bool {
        match (self.row.asked, &self.row.challenge) {
            (Asked::EmptyPost, Place::Header(name)) => {
                // Over HTTP/2 the end of the stream may come after the head.
                let empty =
                    body.is_end_stream() || head.headers.get(CONTENT_LENGTH).is_some_and(|length| length == "0");
                head.method == Method::POST && empty && head.headers.contains_key(*name)
            }
            _ => self.takes(&head.method),
        }
    }

    /// Whether whoever asks before anything is signed needs one of the source's tokens, where that has any.
    pub(super) fn wants_token(&self) -> bool {
        self.row.proof == Proof::Token
    }

    /// Whether whoever asks has brought a token of the handshake's own.
    pub(super) const fn has_own_token(&self) -> bool {
        self.row.has_own_token()
    }

    /// The answer to a request that [asks](Self::is_asked).
    ///
    /// # Errors
    /// [`Reject::MissingToken`] or [`Reject::TokenMismatch`], then [`Reject::BadRequest`].
    pub(super) fn answer(&self, head: &Parts) -> Result<Response<Body>, Reject> {
        if let Proof::Own(place) = &self.row.proof {
            self.admit(Said::in_head(place, head))?;
        }
        if let Some((place, text)) = &self.row.mark
            && !matches!(Said::in_head(place, head), Said::Once(said) if said == *text)
        {
            return Err(Reject::BadRequest("this is not the handshake of this source"));
        }
        self.echo(&Said::in_head(&self.row.challenge, head).challenge()?, None)
    }

    /// The answer to the verified event `body`, where it is the handshake; `prove` makes a MAC with the secret that
    /// verified it.
    ///
    /// # Errors
    /// [`Reject::BadRequest`] where it is one that cannot be answered.
    pub(super) fn answer_event(
        &self,
        body: &[u8],
        prove: impl FnOnce(&[u8]) -> Option<String>,
    ) -> Result<Option<Response<Body>>, Reject> {
        let (Asked::Event, Some((_, text))) = (self.row.asked, &self.row.mark) else { return Ok(None) };
        let Some(Ok([mark, challenge])) = Said::in_body(body, &self.fields).map(<[Said; 2]>::try_from) else {
            return Ok(None);
        };
        match mark {
            Said::Once(said) if said == *text => {}
            // It may be one or not, depending on who reads it.
            Said::Twice => return Err(Reject::BadRequest("what would tell a handshake from an event stands twice")),
            Said::Once(_) | Said::Nothing | Said::NoText => return Ok(None),
        }
        let challenge = challenge.challenge()?;
        let mac = prove(challenge.as_bytes());
        self.echo(&challenge, mac).map(Some)
    }

    /// Compares in time that does not tell how much of it fits.
    fn admit(&self, said: Said) -> Result<(), Reject> {
        let given = match said {
            Said::Nothing => return Err(Reject::MissingToken),
            Said::Once(given) if given.is_empty() => return Err(Reject::MissingToken),
            Said::Once(given) => given,
            Said::NoText | Said::Twice => return Err(Reject::TokenMismatch),
        };
        let given: [u8; 32] = Sha256::digest(given).into();
        match &self.token {
            Some(token) if bool::from(token.ct_eq(&given)) => Ok(()),
            Some(_) | None => Err(Reject::TokenMismatch),
        }
    }

    /// What is sent back of `challenge`. Whatever stands in it, no browser takes it for a page.
    fn echo(&self, challenge: &str, mac: Option<String>) -> Result<Response<Body>, Reject> {
        let mut response = match self.row.echo {
            Echo::Text => {
                let mut response = uncached(Body::from(challenge.to_owned()));
                let plain = HeaderValue::from_static("text/plain; charset=utf-8");
                response.headers_mut().insert(CONTENT_TYPE, plain);
                response
            }
            Echo::Json { field, mac: name } => {
                let mac = name.zip(mac).map(|(name, mac)| (name.to_owned(), Value::String(mac)));
                let own = (field.to_owned(), Value::String(challenge.to_owned()));
                let fields: Map<_, _> = std::iter::once(own).chain(mac).collect();
                json_text(StatusCode::OK, Value::Object(fields).to_string())
            }
            Echo::Header { name, beside } => {
                let value = HeaderValue::from_str(challenge);
                let value = value.map_err(|_| Reject::BadRequest("the challenge fits into no header"))?;
                let mut response = uncached(Body::empty());
                let headers = response.headers_mut();
                headers.insert(HeaderName::from_static(name), value);
                headers.extend(
                    beside.iter().map(|(name, it)| (HeaderName::from_static(name), HeaderValue::from_static(it))),
                );
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.row.asked == Asked::Options {
            headers.insert(ALLOW, HeaderValue::from_static(self.methods()));
        }
        Ok(response)
    }
}

/// Whether the body of a POST to `source` asks for its handshake, signed or not: then it is no event.
#[must_use]
pub fn asks_handshake(source: &SourceSettings, body: &[u8]) -> bool {
    let handshake = source.handshake.as_ref().map(Handshake::new);
    handshake.is_some_and(|handshake| !matches!(handshake.answer_event(body, |_| None), Ok(None)))
}
