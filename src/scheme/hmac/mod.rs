//! HMAC over a template of body, timestamp and id, as the preset table or the operator spells it.
//! One scheme for every vendor that signs so; what differs between them is data.

mod content;
mod diagnose;
mod format;
mod list;
mod settings;
mod spelled;
mod template;
mod time;

use http::request::Parts;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use subtle::{Choice, ConditionallySelectable as _};

use self::content::{Content, Sent, Texts};
use self::format::Format;
use self::spelled::Spelled;
use super::header::Occurrence;
use super::mac::{Key, Mac};
use super::{KeyIndex, Refusal, Scheme};
use crate::clock::UnixSeconds;
use crate::event::{Digest, Payload};
use crate::settings::ConfigError;

pub(super) use self::settings::{Settings, Vendor};
pub(super) use self::time::Unit;
pub(super) use super::mac::Algorithm;
pub(super) use super::secret_encoding::SecretEncoding;

/// What a head claims: the MACs its signature headers offer. Empty where it can never verify; that is said only once
/// the body is here and has been hashed, as for any other wrong signature.
struct Claims {
    macs: Vec<Mac>,
}

/// One vendor's way to sign, made from [`Settings`].
struct Hmac {
    /// At least one; any of them may carry a signature, what we sign goes into the first.
    signature_headers: Vec<HeaderName>,
    algorithm: Algorithm,
    format: Format,
    /// The header with the timestamp; `None` where the format carries it or there is none.
    timestamp_header: Option<HeaderName>,
    /// How the timestamp is written; `None` where there is none.
    unit: Option<Unit>,
    content: Content,
    id_header: Option<HeaderName>,
    public_url: Option<Box<str>>,
    keys: Vec<Key>,
    labels: Vec<String>,
}

impl Hmac {
    /// The scheme that `settings` describe.
    ///
    /// # Errors
    /// Every error, each with its key relative to the source.
    fn new(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let mut errors = settings.check();
        errors.extend(settings.check_labels());
        let keys = settings.keys().map_err(|found| errors.extend(found)).unwrap_or_default();
        let (format, content) = (settings.signature_format.clone(), settings.signed_content.clone());
        let (Some(format), Some(content), []) = (format, content, errors.as_slice()) else { return Err(errors) };
        Ok(Self {
            signature_headers: settings.signature_headers.iter().cloned().map(Spelled::value).collect(),
            algorithm: settings.algorithm,
            format: format.value(),
            timestamp_header: settings.timestamp_header.clone().map(Spelled::value),
            unit: settings.timestamp_unit,
            content: content.value(),
            id_header: settings.id_header.clone().map(Spelled::value),
            public_url: settings.public_url.as_deref().map(Into::into),
            keys,
            labels: settings.labels(),
        })
    }

    /// One mark for each key, where the MAC covers nothing but the body: two sources that have one in common believe
    /// the same signatures of the same bodies.
    fn body_marks(&self) -> Vec<[u8; 32]> {
        if !self.content.is_body_only() {
            return Vec::new();
        }
        let nobody = http::HeaderMap::new();
        let sent = Sent { base: "", target: "", headers: &nobody };
        let texts = Texts { body: b"gatepost", timestamp: b"", id: b"", sent };
        self.keys.iter().map(|key| key.mac(self.content.bytes(texts)).mark()).collect()
    }

    /// The timestamp's text exactly as sent.
    fn timestamp_text<'a>(&self, head: &'a Parts) -> Result<&'a [u8], Refusal> {
        if let Some(name) = &self.timestamp_header {
            return match Occurrence::of(&head.headers, name) {
                Occurrence::Absent => Err(Refusal::MissingTimestamp),
                Occurrence::Once(text) => Ok(text),
                Occurrence::Repeated => Err(Refusal::InvalidTimestamp),
            };
        }
        // A format with a timestamp has one header: configuration sees to it.
        match self.signature_headers.first().map_or(Occurrence::Absent, |name| Occurrence::of(&head.headers, name)) {
            // The one header that is missing is the signature's; the timestamp would have come with it.
            Occurrence::Absent => Err(Refusal::MissingSignature),
            Occurrence::Once(value) => self.format.timestamp(value),
            Occurrence::Repeated => Err(Refusal::InvalidTimestamp),
        }
    }

    /// The MACs that the signature headers offer, each of which may stand once.
    fn macs(&self, head: &Parts) -> Result<Vec<Mac>, Refusal> {
        let mut macs = Vec::new();
        let (mut repeated, mut readable) = (false, false);
        for name in &self.signature_headers {
            match Occurrence::of(&head.headers, name) {
                Occurrence::Absent => {}
                Occurrence::Repeated => repeated = true,
                Occurrence::Once(value) => {
                    if let Ok(offered) = self.format.macs(value, self.algorithm) {
                        readable = true;
                        macs.extend(offered);
                    }
                }
            }
        }
        match (repeated, readable) {
            // Said only once the body is here, as for any other wrong signature.
            (true, _) => Ok(Vec::new()),
            (false, true) => Ok(macs),
            (false, false) => Err(Refusal::MissingSignature),
        }
    }

    /// The texts that the MAC covers; `None` where one of them does not stand exactly once.
    fn texts<'a>(&'a self, head: &'a Parts, body: &'a [u8]) -> Option<Texts<'a>> {
        let timestamp = if self.content.has_timestamp() { self.timestamp_text(head).ok()? } else { b"" };
        let id = match self.id_header.as_ref().filter(|_| self.content.has_id()) {
            Some(name) => Occurrence::of(&head.headers, name).once()?,
            None => b"",
        };
        let stands_once = |name| Occurrence::of(&head.headers, name).once().is_some();
        self.content.headers().all(stands_once).then(|| Texts { body, timestamp, id, sent: self.sent(head) })
    }

    fn sent<'a>(&'a self, head: &'a Parts) -> Sent<'a> {
        Sent::of(head, self.public_url.as_deref())
    }
}

impl Scheme for Hmac {
    fn timestamp(&self, head: &Parts) -> Result<Option<UnixSeconds>, Refusal> {
        let Some(unit) = self.unit else { return Ok(None) };
        unit.read(self.timestamp_text(head)?).map(Some).ok_or(Refusal::InvalidTimestamp)
    }

    fn read(&self, head: &Parts) -> Result<super::Claims, Refusal> {
        Ok(super::Claims::of(Claims { macs: self.macs(head)? }))
    }

    fn verify(&self, head: &Parts, claims: &super::Claims, body: &Payload) -> Result<KeyIndex, Refusal> {
        let Some(claims) = claims.get::<Claims>() else { return Err(Refusal::SignatureMismatch) };
        let texts = self.texts(head, body.bytes());
        let sound = Choice::from(u8::from(texts.is_some()));
        let nothing = || Texts { body: body.bytes(), timestamp: b"", id: b"", sent: self.sent(head) };
        let texts = texts.unwrap_or_else(nothing);
        let (mut matched, mut index) = (Choice::from(0), 0_u64);
        // No early exit: which secret fits, and whether one does, must not show in the time it takes.
        for (position, key) in (0_u64..).zip(&self.keys) {
            let expected = key.mac(self.content.bytes(texts));
            let fits = claims.macs.iter().fold(Choice::from(0), |fits, mac| fits | mac.matches(&expected));
            index.conditional_assign(&position, fits & !matched);
            matched |= fits;
        }
        match usize::try_from(index) {
            Ok(index) if bool::from(matched & sound) => Ok(KeyIndex(index)),
            _ => Err(Refusal::SignatureMismatch),
        }
    }

    fn prove(&self, key: KeyIndex, text: &[u8]) -> Option<String> {
        let key = self.keys.get(key.0).filter(|_| self.algorithm == Algorithm::Sha256)?;
        Some(key.mac([text]).to_hex())
    }

    fn keys(&self) -> &[String] {
        &self.labels
    }

    fn covers_header(&self, name: &str) -> bool {
        let covered = |header: &Option<HeaderName>, by: bool| by && header.as_ref().is_some_and(|own| own == name);
        covered(&self.id_header, self.content.binds_id())
            || covered(&self.timestamp_header, self.content.has_timestamp())
            || self.content.headers().any(|own| own == name && self.content.binds_header(own))
    }

    fn signed(&self, head: &Parts, body: &Payload) -> Option<Digest> {
        if self.content.is_body_only() {
            return Some(body.digest());
        }
        Some(Digest::of_parts(self.content.bytes(self.texts(head, body.bytes())?)))
    }

    fn sign(&self, head: &mut Parts, body: &[u8], at: Timestamp) {
        let (Some(key), Some(signature_header)) = (self.keys.first(), self.signature_headers.first()) else { return };
        let timestamp = self.unit.map(|unit| unit.write(at)).unwrap_or_default();
        if let Some(name) = &self.timestamp_header {
            insert(head, name, &timestamp);
        }
        // An id the caller chose stays: that is how a duplicate or a conflict is sent on purpose.
        if let Some(name) = self.id_header.as_ref().filter(|name| !head.headers.contains_key(*name)) {
            insert(head, name, &format!("msg_{}", Digest::of(body)));
        }
        for name in self.content.headers().filter(|name| !head.headers.contains_key(*name)).cloned().collect::<Vec<_>>()
        {
            insert(head, &name, "sample");
        }
        let Some(texts) = self.texts_to_sign(head, body, &timestamp) else { return };
        let mac = key.mac(self.content.bytes(texts));
        insert(head, signature_header, &self.format.write(&mac, &timestamp));
    }
}

impl Hmac {
    /// As [`Hmac::texts`], for a head whose signature header (and with it perhaps the timestamp) is yet to come.
    fn texts_to_sign<'a>(&'a self, head: &'a Parts, body: &'a [u8], timestamp: &'a str) -> Option<Texts<'a>> {
        let id = match &self.id_header {
            Some(name) => Occurrence::of(&head.headers, name).once()?,
            None => b"",
        };
        Some(Texts { body, timestamp: timestamp.as_bytes(), id, sent: self.sent(head) })
    }
}

/// Sets header `name`; what we write is always ASCII, so that a value is never refused.
fn insert(head: &mut Parts, name: &HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        head.headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests;
