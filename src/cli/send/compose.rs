//! From a source to signed messages: good ones, or wrong ones of a chosen kind. Sends nothing.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, EXPECT, HOST, USER_AGENT};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request};
use jiff::Timestamp;

use crate::clock::Clock;
use crate::ingress::{IdRule, SourceSettings as Source, TypeRule};
use crate::scheme::{ClaimValue, Scheme};
use crate::settings::{ConfigError, ConfigErrors};

use super::super::failure::Failure;
use super::fault::{Expected, Kind};
use super::sample;
use super::target::Target;
use super::wrong_token;

/// How far beyond its window a stale or future request is dated: slow clocks must not bring it back inside.
const BEYOND_SECONDS: u64 = 120;

/// A body from `--body`.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// What it holds.
    pub(super) bytes: Bytes,
    /// Where it came from, unless that was stdin.
    pub(super) file: Option<PathBuf>,
}

/// A request ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// As on the wire: origin form, every header but the length.
    pub(super) head: Parts,
    /// As on the wire.
    pub(super) body: Bytes,
    /// The file that holds exactly this body, if one does.
    pub(super) file: Option<PathBuf>,
    /// How many of the body's last bytes are blanks added to make it too large.
    pub(super) padding: usize,
    /// The answer it should get.
    pub(super) expected: Expected,
}

/// Makes messages for one source.
pub(super) struct Composer {
    source: Source,
    scheme: Arc<dyn Scheme>,
    /// As `scheme`, with a key that the source does not know.
    stranger: Arc<dyn Scheme>,
    target: Target,
    given: Option<Given>,
    fault: Option<Kind>,
    clock: Clock,
}

impl Composer {
    /// Refuses kinds of fault that the source cannot show.
    pub(super) fn new(
        source: &Source,
        target: Target,
        given: Option<Given>,
        fault: Option<Kind>,
        clock: Clock,
    ) -> Result<Self, Failure> {
        let under = |errors: Vec<ConfigError>| {
            let parent = format!("source {:?}", source.name.as_str());
            Failure::from(ConfigErrors(errors.into_iter().map(|error| error.under(&parent)).collect()))
        };
        if let Some(why) = source.scheme.cannot_sign() {
            return Err(Failure::Usage(format!("{} {why}", source.name)));
        }
        let scheme = source.scheme.build().map_err(under)?;
        let stranger = source.scheme.estranged(&mut || std::array::from_fn(|_| fastrand::u8(..)));
        let stranger = stranger.map_err(|error| Failure::runtime("cannot make a key", &error))?;
        let stranger = stranger.build().map_err(under)?;
        let composer = Self { source: source.clone(), scheme, stranger, target, given, fault, clock };
        composer.refuse_impossible()?;
        Ok(composer)
    }

    /// What logs call the key that signs, where there is more than one.
    pub(super) fn key_of_several(&self) -> Option<&str> {
        self.scheme.keys().first().filter(|_| self.source.scheme.secrets().len() > 1).map(String::as_str)
    }

    fn refuse_impossible(&self) -> Result<(), Failure> {
        let name = &self.source.name;
        match self.fault {
            Some(Kind::Conflict) if matches!(self.source.event_id, IdRule::Digest | IdRule::Signed) => {
                let problem =
                    format!("{name} cannot conflict: its event id is a digest, so another body is another event");
                Err(Failure::Usage(problem))
            }
            Some(Kind::Stale | Kind::Future) if !self.signs_tokens() && !self.has_timestamp()? => {
                Err(Failure::Usage(format!("{name} has no timestamp, so nothing is too old or too new for it")))
            }
            Some(Kind::WrongKey | Kind::BadSignature | Kind::MissingSignature | Kind::TamperedBody)
                if self.scheme.keys().is_empty() =>
            {
                Err(Failure::Usage(format!("{name} signs nothing, so no signature of it can be wrong")))
            }
            Some(Kind::NoCertificate) if self.source.client_certificates.is_empty() => {
                Err(Failure::Usage(format!("{name} has no client_certificates, so it misses none")))
            }
            Some(Kind::BadSignature | Kind::MissingSignature) if self.signs_tokens() => Ok(()),
            Some(Kind::TamperedBody) if self.signs_tokens() && self.source.scheme.proves_only_the_sender() => {
                Err(Failure::Usage(format!("{name} has no body_hash, so its token goes with every body")))
            }
            Some(Kind::BadSignature | Kind::MissingSignature | Kind::TamperedBody)
                if self.source.scheme.proves_only_the_sender() =>
            {
                Err(Failure::Usage(format!("{name} is not signed: a token is all that it looks at")))
            }
            Some(kind) if kind.is_about_tokens() => wrong_token::check(&self.source, kind),
            _ => Ok(()),
        }
    }

    /// Whether what is signed is a token, with its time in it.
    fn signs_tokens(&self) -> bool {
        self.source.scheme.has_claims()
    }

    /// Whether what the scheme signs carries a time.
    fn has_timestamp(&self) -> Result<bool, Failure> {
        let message = self.good(&self.draft()?, self.clock.now(), &*self.scheme)?;
        Ok(matches!(self.scheme.timestamp(&message.head), Ok(Some(_))))
    }

    /// The messages of one more event, to be sent one after the other.
    pub(super) fn compose(&self) -> Result<Vec<Message>, Failure> {
        let now = self.clock.now();
        let draft = self.draft()?;
        let Some(kind) = self.fault else { return Ok(vec![self.good(&draft, now, &*self.scheme)?]) };
        let mut message = match kind {
            Kind::Stale => self.good(&draft, self.beyond(now, -1), &*self.scheme)?,
            Kind::Future => self.good(&draft, self.beyond(now, 1), &*self.scheme)?,
            Kind::WrongKey => self.good(&draft, now, &*self.stranger)?,
            Kind::Oversize => self.oversize(draft, now)?,
            Kind::WrongContentType => self.good(&self.with_wrong_type(draft), now, &*self.scheme)?,
            Kind::BadSignature
            | Kind::MissingSignature
            | Kind::NoCertificate
            | Kind::MissingToken
            | Kind::WrongToken
            | Kind::WordTwice
            | Kind::QuotedToken
            | Kind::OtherWord
            | Kind::TamperedBody
            | Kind::Duplicate
            | Kind::Conflict => self.good(&draft, now, &*self.scheme)?,
        };
        match kind {
            Kind::BadSignature | Kind::MissingSignature if self.signs_tokens() => {
                wrong_token::spoil(&self.source, kind, &mut message.head)?;
            }
            Kind::BadSignature => self.change_signature(&mut message, now)?,
            Kind::MissingSignature => {
                message.head.headers.remove(self.signature_header()?);
            }
            Kind::MissingToken | Kind::WrongToken | Kind::WordTwice | Kind::QuotedToken | Kind::OtherWord => {
                wrong_token::spoil(&self.source, kind, &mut message.head)?;
            }
            Kind::TamperedBody => tamper(&mut message),
            Kind::Duplicate => {
                let again = Message { expected: Expected::Duplicate, ..message.clone() };
                return Ok(vec![message, again]);
            }
            Kind::Conflict => {
                let mut other = self.draft_with(&message);
                other.body = altered(&other.body);
                let second = Message { expected: Expected::Quarantined, ..self.good(&other, now, &*self.scheme)? };
                return Ok(vec![message, second]);
            }
            Kind::Stale
            | Kind::Future
            | Kind::WrongKey
            | Kind::NoCertificate
            | Kind::Oversize
            | Kind::WrongContentType => {}
        }
        message.expected = self.told(kind).refusal(self.source.stale_status).unwrap_or(Expected::Accepted);
        Ok(vec![message])
    }

    /// As what `kind` is refused: where a token is the only key of a source, or what is signed, it is the token.
    fn told(&self, kind: Kind) -> Kind {
        let signed =
            matches!(kind, Kind::Stale | Kind::Future | Kind::WrongKey | Kind::BadSignature | Kind::MissingSignature);
        let alone = kind == Kind::WrongKey && self.source.scheme.proves_only_the_sender();
        if alone || signed && self.signs_tokens() { Kind::WrongToken } else { kind }
    }

    /// An unsigned message with an id of its own.
    fn draft(&self) -> Result<Draft, Failure> {
        let id = new_id();
        let body = match &self.given {
            Some(given) => given.bytes.clone(),
            None => sample::body(&self.source, &id, self.clock.now()),
        };
        let mut headers = Vec::new();
        let mut claims = vec![("jti".to_owned(), new_id())];
        if let IdRule::Claim(name) = &self.source.event_id {
            claims.push((name.clone(), format!("msg_{id}")));
        }
        if let IdRule::Header(name) = &self.source.event_id {
            headers.push((header_name(name)?, header_value(&format!("msg_{id}"))?));
        }
        if let TypeRule::Header(name) = &self.source.event_type {
            headers.push((header_name(name)?, HeaderValue::from_static("sample.event")));
        }
        let content_type = header_value(sample::content_type(&self.source, &body))?;
        let file = self.given.as_ref().and_then(|given| given.file.clone());
        Ok(Draft { headers, claims, content_type, body, file })
    }

    /// What `message` was made from: its id stays.
    fn draft_with(&self, message: &Message) -> Draft {
        let head = &message.head.headers;
        let kept = match &self.source.event_id {
            IdRule::Header(name) => head
                .iter()
                .filter(|(header, _)| header == &name.as_str())
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            IdRule::Signed | IdRule::Digest | IdRule::Pointer(_) | IdRule::Claim(_) => Vec::new(),
        };
        let mut claims = vec![("jti".to_owned(), new_id())];
        if let IdRule::Claim(name) = &self.source.event_id
            && let ClaimValue::Text(id) = self.source.scheme.claim(&message.head, name)
        {
            claims.push((name.clone(), id));
        }
        let content_type = head.get(CONTENT_TYPE).cloned().unwrap_or(HeaderValue::from_static("application/json"));
        Draft { headers: kept, claims, content_type, body: message.body.clone(), file: None }
    }

    /// Signs `draft` with `scheme` as of `at`.
    fn good(&self, draft: &Draft, at: Timestamp, scheme: &dyn Scheme) -> Result<Message, Failure> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.target.path.as_str())
            .header(HOST, self.target.authority.as_str())
            .header(CONTENT_TYPE, &draft.content_type);
        for (name, value) in &draft.headers {
            request = request.header(name, value);
        }
        let request = request.body(()).map_err(|error| Failure::runtime("cannot write the request", &error))?;
        let (mut head, ()) = request.into_parts();
        let said: Vec<_> = draft.claims.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        scheme.sign_claiming(&mut head, &draft.body, at, &said);
        // After signing: no vendor signs it, and no proxy may break the signature by changing it.
        head.headers.insert(USER_AGENT, HeaderValue::from_static(concat!("gatepost/", env!("CARGO_PKG_VERSION"))));
        let (body, file) = (draft.body.clone(), draft.file.clone());
        Ok(Message { head, body, file, padding: 0, expected: Expected::Accepted })
    }

    fn beyond(&self, now: Timestamp, direction: i64) -> Timestamp {
        let seconds = self.source.max_drift.as_secs().saturating_add(BEYOND_SECONDS);
        let shift = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(direction);
        now.checked_add(jiff::SignedDuration::from_secs(shift)).unwrap_or(now)
    }

    /// Blanks behind the body, which JSON and XML allow, to one byte more than is taken.
    fn oversize(&self, mut draft: Draft, now: Timestamp) -> Result<Message, Failure> {
        let wanted = self.source.body_bytes.saturating_add(1);
        let padding = wanted.saturating_sub(draft.body.len());
        if padding > 0 {
            let mut body = draft.body.to_vec();
            body.resize(wanted, b' ');
            draft.body = body.into();
            draft.file = None;
        }
        let mut message = self.good(&draft, now, &*self.scheme)?;
        // As curl does with a body this large: the refusal arrives before the body is on its way.
        message.head.headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
        message.padding = padding;
        Ok(message)
    }

    fn with_wrong_type(&self, draft: Draft) -> Draft {
        let taken = |media: &str| self.source.content_types.iter().any(|taken| taken == media);
        let wrong = if taken("text/plain") { "application/octet-stream" } else { "text/plain" };
        Draft { content_type: HeaderValue::from_static(wrong), ..draft }
    }

    fn signature_header(&self) -> Result<HeaderName, Failure> {
        header_name(self.source.scheme.signature_headers().first().map_or("", String::as_str))
    }

    /// Changes the first character of the MAC: where the header differs from that of a stranger's signature, which
    /// shares everything else.
    fn change_signature(&self, message: &mut Message, at: Timestamp) -> Result<(), Failure> {
        let name = self.signature_header()?;
        let stranger = self.good(&self.draft_with(message), at, &*self.stranger)?;
        let (own, other) = (message.head.headers.get(&name), stranger.head.headers.get(&name));
        let (Some(own), Some(other)) = (own, other) else { return Ok(()) };
        let mut bytes = own.as_bytes().to_vec();
        let differs = bytes.iter().zip(other.as_bytes()).position(|(a, b)| a != b);
        if let Some(byte) = differs.and_then(|position| bytes.get_mut(position)) {
            *byte = if *byte == b'0' { b'1' } else { b'0' };
        }
        let changed =
            HeaderValue::from_bytes(&bytes).map_err(|error| Failure::runtime("cannot write a header", &error))?;
        message.head.headers.insert(name, changed);
        Ok(())
    }
}

/// An unsigned message.
struct Draft {
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What a token says besides, later ones in the place of earlier ones of their name.
    claims: Vec<(String, String)>,
    content_type: HeaderValue,
    body: Bytes,
    file: Option<PathBuf>,
}

fn tamper(message: &mut Message) {
    message.body = altered(&message.body);
    message.file = None;
}

/// Another body of the same kind: one more member in an object, one more line end in anything else.
fn altered(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    let brace = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).filter(|&at| bytes.get(at) == Some(&b'{'));
    match brace {
        Some(at) => {
            let empty = bytes.iter().skip(at + 1).find(|byte| !byte.is_ascii_whitespace()) == Some(&b'}');
            let member: &[u8] = if empty { br#""tampered":true"# } else { br#""tampered":true,"# };
            bytes.splice(at + 1..=at, member.iter().copied());
        }
        None => bytes.push(b'\n'),
    }
    bytes.into()
}

/// A random UUID (RFC 9562, version 4): no two runs share an id.
fn new_id() -> String {
    let bits = (fastrand::u128(..) & !(0xf000 << 64) & !(0xc000 << 48)) | (0x4000 << 64) | (0x8000 << 48);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn header_name(name: &str) -> Result<HeaderName, Failure> {
    name.parse().map_err(|_| Failure::Usage(format!("{name:?} is not a header name")))
}

fn header_value(value: &str) -> Result<HeaderValue, Failure> {
    value.parse().map_err(|_| Failure::Usage(format!("{value:?} does not fit into a header")))
}

#[cfg(test)]
mod tests;
