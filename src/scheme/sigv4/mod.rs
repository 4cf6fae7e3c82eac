//! AWS Signature Version 4, header form, for services other than S3. What cannot be told apart from a wrong signature
//! by its answer is not told apart by its time either: every request is hashed to the end.

mod amz_headers;
mod authorization;
mod canonical;
mod date;
mod diagnose;
mod query;
mod settings;
mod signing_key;

use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use self::amz_headers::{CONTENT_SHA256, SECURITY_TOKEN};
use self::authorization::{ALGORITHM, Authorization, Credential};
use self::canonical::HASH_LEN;
use self::date::AmzDate;
use self::query::Plus;
use self::settings::{AccessKey, Settings, UnsignedHeader};
use self::signing_key::{Scope, SigningKeys, TERMINATOR};
use super::header::Occurrence;
use super::mac::{Key, Mac};
use super::{KeyIndex, Refusal, Scheme};
use crate::clock::UnixSeconds;
use crate::event::{Digest, Payload};
use crate::secret::Secret;
use crate::settings::ConfigError;

pub(super) use self::settings::{Variables, Vendor};

/// `x-amz-*` headers that may arrive unsigned: `CloudFront` adds the first; the second says nothing that is not checked
/// against the body, and real clients send it unsigned (aws-requests-auth), which AWS takes.
const HARMLESS: [&str; 2] = ["x-amz-cf-id", CONTENT_SHA256];

/// What a head claims. Anything already known to be wrong is kept here and answered by `verify`, as a wrong signature.
struct Claims {
    /// The configured key with the access key id given; `None` for an unknown one.
    key: Option<usize>,
    /// Whether the scope is the configured one on the request's own day.
    scoped: bool,
    /// Sorted names joined with `;`.
    signed_headers: String,
    /// `None` where it is not 64 lower-case hex digits.
    signature: Option<Mac>,
}

/// A source whose sender signs with AWS keys.
struct SigV4 {
    scope: Scope,
    keys: Vec<SignerKey>,
    /// What logs call the keys; mostly their ids.
    labels: Vec<String>,
    /// `x-amz-*` headers that may arrive unsigned, by the operator's word.
    unsigned_headers: Vec<UnsignedHeader>,
    /// Stands in for unknown access keys, so that they take as long as known ones; never verifies anything.
    stranger: SigningKeys,
}

/// One access key.
struct SignerKey {
    access_key_id: String,
    signing: SigningKeys,
    session_token: Option<Secret>,
}

/// Keys the secret that stands in for those of unknown access keys; it need not be secret, for it verifies nothing.
const STRANGER: &[u8] = b"an access key that nobody configured";

impl SigV4 {
    /// The scheme that `settings` describe.
    ///
    /// # Errors
    /// Every error, each with its key relative to the source.
    fn new(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let errors = settings.check();
        let scope = settings.region.as_ref().zip(settings.service.as_ref());
        let (Some((region, service)), []) = (scope, errors.as_slice()) else { return Err(errors) };
        let keys = settings.keys.iter().map(|key| SignerKey {
            access_key_id: key.access_key_id.clone(),
            signing: SigningKeys::new(key.secret.expose()),
            session_token: key.session_token.clone(),
        });
        Ok(Self {
            scope: Scope { region: region.to_string(), service: service.to_string() },
            keys: keys.collect(),
            labels: settings.keys.iter().map(AccessKey::name).collect(),
            unsigned_headers: settings.unsigned_headers.clone(),
            stranger: SigningKeys::new(STRANGER),
        })
    }

    fn claims(&self, head: &Parts, authorization: &Authorization<'_>) -> Claims {
        Claims {
            key: self.index_of(authorization.credential.access_key_id),
            scoped: self.is_scope(head, &authorization.credential),
            signed_headers: authorization.signed_headers.to_owned(),
            signature: Mac::from_lower_hex(authorization.signature.as_bytes()),
        }
    }

    /// The last of the equal ids, of which configuration allows one; all are looked at.
    fn index_of(&self, access_key_id: &str) -> Option<usize> {
        let same = |key: &SignerKey| bool::from(key.access_key_id.as_bytes().ct_eq(access_key_id.as_bytes()));
        self.keys.iter().enumerate().fold(None, |found, (index, key)| if same(key) { Some(index) } else { found })
    }

    /// Not today's date but the request's own: it may cross midnight on its way.
    fn is_scope(&self, head: &Parts, credential: &Credential<'_>) -> bool {
        AmzDate::of(head).is_ok_and(|date| date.day() == *credential.date.as_bytes())
            && credential.region == self.scope.region
            && credential.service == self.scope.service
            && credential.terminator == TERMINATOR
    }

    /// The signature that `key` makes of `canonical` at `date`.
    fn signature(&self, key: &Key, date: AmzDate<'_>, canonical: &[u8]) -> Mac {
        let hash = hex_of(&Sha256::digest(canonical).into());
        key.mac(self.string_to_sign(date, &date.day(), &hash))
    }

    /// The string to sign, in pieces.
    fn string_to_sign<'a>(&'a self, date: AmzDate<'a>, day: &'a [u8], hash: &'a [u8; HASH_LEN]) -> [&'a [u8]; 13] {
        let newline = b"\n".as_slice();
        let slash = b"/".as_slice();
        [
            ALGORITHM.as_bytes(),
            newline,
            date.text(),
            newline,
            day,
            slash,
            self.scope.region.as_bytes(),
            slash,
            self.scope.service.as_bytes(),
            slash,
            TERMINATOR.as_bytes(),
            newline,
            hash,
        ]
    }
}

impl Scheme for SigV4 {
    fn timestamp(&self, head: &Parts) -> Result<Option<UnixSeconds>, Refusal> {
        Ok(Some(AmzDate::of(head)?.at()))
    }

    fn read(&self, head: &Parts) -> Result<super::Claims, Refusal> {
        if head.uri.query().is_some_and(authorization::in_query) {
            return Err(Refusal::MalformedAuthorization("authentication in the query is not accepted"));
        }
        let claims = match Occurrence::of(&head.headers, AUTHORIZATION) {
            Occurrence::Absent => return Err(Refusal::MissingSignature),
            Occurrence::Once(value) => {
                let authorization = authorization::parse(value).map_err(Refusal::MalformedAuthorization)?;
                self.claims(head, &authorization)
            }
            // Each may be well-formed; it is their number that can never verify.
            Occurrence::Repeated => Claims { key: None, scoped: false, signed_headers: String::new(), signature: None },
        };
        Ok(super::Claims::of(claims))
    }

    fn verify(&self, head: &Parts, claims: &super::Claims, body: &Payload) -> Result<KeyIndex, Refusal> {
        let Some(claims) = claims.get::<Claims>() else { return Err(Refusal::SignatureMismatch) };
        let date = AmzDate::of(head).map_err(|_| Refusal::SignatureMismatch)?;
        let key = claims.key.and_then(|index| self.keys.get(index));
        let signing = key.map_or(&self.stranger, |key| &key.signing).of(date.day(), &self.scope);
        let payload_hash = hex_of(&body.digest().0);
        let (mut matched, mut complete) = (Choice::from(0), true);
        // How many readings there are shows in the query alone; all are tried whatever the outcome of the first.
        for plus in Plus::readings(head.uri.query().unwrap_or_default().as_bytes()) {
            let canonical = canonical::request(head, &claims.signed_headers, &payload_hash, *plus);
            let expected = self.signature(&signing, date, &canonical.text);
            matched |= claims.signature.as_ref().map_or(Choice::from(0), |signature| signature.matches(&expected));
            complete &= canonical.complete;
        }
        let sound = claims.scoped
            & complete
            & self.signs_what_it_must(&head.headers, &claims.signed_headers)
            & hashes_what_came(&head.headers, &payload_hash)
            & key.is_some_and(|key| key.token_fits(&head.headers));
        match claims.key {
            Some(index) if sound & bool::from(matched) => Ok(KeyIndex(index)),
            _ => Err(Refusal::SignatureMismatch),
        }
    }

    fn keys(&self) -> &[String] {
        &self.labels
    }

    /// `host` and every `x-amz-*` header must be signed, but for those that may arrive unsigned (the body's hash is
    /// checked all the same); any other may be, by the sender's choice at each request.
    fn covers_header(&self, name: &str) -> bool {
        name == HOST || name == CONTENT_SHA256 || self.must_be_signed(name)
    }

    fn signed(&self, head: &Parts, body: &Payload) -> Option<Digest> {
        canonical_request(head, body).map(|text| Digest::of(&text))
    }

    fn sign(&self, head: &mut Parts, body: &[u8], at: Timestamp) {
        let Some(key) = self.keys.first() else { return };
        prepare(head, key, at);
        let signed_headers = headers_to_sign(&head.headers);
        let Ok(date) = AmzDate::of(head) else { return };
        let canonical = canonical::request(head, &signed_headers, &hex_of(&Sha256::digest(body).into()), Plus::Blank);
        let day = date.day();
        let signature = self.signature(&key.signing.of(day, &self.scope), date, &canonical.text).to_hex();
        let (day, Scope { region, service }) = (String::from_utf8_lossy(&day), &self.scope);
        let id = &key.access_key_id;
        let value = format!(
            "{ALGORITHM} Credential={id}/{day}/{region}/{service}/{TERMINATOR}, SignedHeaders={signed_headers}, Signature={signature}"
        );
        if let Ok(value) = HeaderValue::from_str(&value) {
            head.headers.insert(AUTHORIZATION, value);
        }
    }
}

impl SignerKey {
    /// Temporary keys come with their token and no other; lasting keys come without one.
    fn token_fits(&self, headers: &HeaderMap) -> bool {
        match (Occurrence::of(headers, SECURITY_TOKEN), &self.session_token) {
            (Occurrence::Absent, None) => true,
            (Occurrence::Once(given), Some(token)) => bool::from(given.ct_eq(token.expose())),
            _ => false,
        }
    }
}

impl SigV4 {
    /// Whether `signed` holds what must be signed, and nothing that cannot be: host, date and every `x-amz-*` header
    /// that came (CVE-2026-54330) but for those that are harmless without.
    fn signs_what_it_must(&self, headers: &HeaderMap, signed: &str) -> bool {
        let names = |wanted: &str| signed.split(';').any(|name| name == wanted);
        names(HOST.as_str())
            && names(date::HEADER)
            && !names(AUTHORIZATION.as_str())
            && headers.keys().all(|name| !self.must_be_signed(name.as_str()) || names(name.as_str()))
    }

    fn must_be_signed(&self, name: &str) -> bool {
        must_be_signed(&self.unsigned_headers, name)
    }
}

/// Whether header `name` (lower case) may not arrive unsigned, where the operator allows `unsigned` to. `x-amzn-*` is
/// not meant, for load balancers add it.
fn must_be_signed(unsigned: &[UnsignedHeader], name: &str) -> bool {
    name.starts_with("x-amz-") && !HARMLESS.contains(&name) && !unsigned.iter().any(|allowed| allowed.as_str() == name)
}

/// Whether the request makes no other claim about its body than the hash of what was received: no `UNSIGNED-PAYLOAD`,
/// no `STREAMING-…` (CVE-2025-31489), no chunks with signatures of their own.
fn hashes_what_came(headers: &HeaderMap, hash: &[u8; HASH_LEN]) -> bool {
    let claimed = match Occurrence::of(headers, CONTENT_SHA256) {
        Occurrence::Absent => true,
        Occurrence::Once(claimed) => claimed == hash,
        Occurrence::Repeated => false,
    };
    let chunked = |value: &HeaderValue| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"aws-chunked"))
    };
    claimed && !headers.get_all(CONTENT_ENCODING).iter().any(chunked)
}

/// Gives a request to be signed the headers that a signature needs.
fn prepare(head: &mut Parts, key: &SignerKey, at: Timestamp) {
    if let Ok(value) = HeaderValue::from_str(&date::write(at)) {
        head.headers.insert(date::HEADER, value);
    }
    let token = key.session_token.as_ref().and_then(|token| HeaderValue::from_bytes(token.expose()).ok());
    if let Some(mut value) = token {
        // Neither `Debug` nor a command line for others shows it.
        value.set_sensitive(true);
        head.headers.insert(SECURITY_TOKEN, value);
    }
    let authority = head.uri.authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    if let Some(Ok(value)) = authority.filter(|_| !head.headers.contains_key(HOST)) {
        head.headers.insert(HOST, value);
    }
}

/// `content-type`, `host` and every `x-amz-*` header, sorted.
fn headers_to_sign(headers: &HeaderMap) -> String {
    let signed = |name: &&str| *name == CONTENT_TYPE || *name == HOST || name.starts_with("x-amz-");
    let mut names: Vec<&str> = headers.keys().map(http::HeaderName::as_str).filter(signed).collect();
    names.sort_unstable();
    names.join(";")
}

/// The canonical request as the verifier sees it; `None` without exactly one `Authorization` that can be parsed.
fn canonical_request(head: &Parts, body: &Payload) -> Option<Vec<u8>> {
    let authorization = authorization::parse(Occurrence::of(&head.headers, AUTHORIZATION).once()?).ok()?;
    // A raw `+` as AWS itself reads it; which reading a sender used, only its signature tells.
    Some(canonical::request(head, authorization.signed_headers, &hex_of(&body.digest().0), Plus::Blank).text)
}

/// A SHA-256 digest in lower-case hex, on the stack.
fn hex_of(digest: &[u8; 32]) -> [u8; HASH_LEN] {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + (nibble - 10) };
    let mut text = [0; HASH_LEN];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

#[cfg(test)]
mod tests;
