//! The verifier: which token is believed, with the head and against the body.

use http::request::Parts;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;

use super::algorithm::Algorithm;
use super::body_hash::BodyHash;
use super::claims::Wanted;
use super::compact::{Compact, Header};
use super::fault::Fault;
use super::keys::Keys;
use super::object::Object;
use super::sign::Signer;
use crate::clock::UnixSeconds;
use crate::event::Payload;
use crate::scheme::token_place::{Format, given};
use crate::scheme::{Admission, Claims, KeyIndex, Moment, Refusal, Scheme};

/// What verifies the tokens of one source.
pub(super) struct Jwt {
    pub(super) keys: Keys,
    pub(super) names: Vec<String>,
    /// What tokens may be signed with.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) wanted: Wanted,
    /// The pointer to the claim that holds the hash of the body.
    pub(super) body_hash: Option<String>,
    pub(super) header: HeaderName,
    pub(super) format: Format,
    /// What we make tokens with ourselves; `None` where only public keys are known.
    pub(super) signer: Option<Signer>,
}

/// What a token has proven.
struct Proven {
    /// Position of the key that made it.
    key: usize,
    /// What it says of the body, where it must.
    body: Option<BodyHash>,
}

impl Jwt {
    /// The one of the pinned algorithms that `header` names.
    pub(super) fn pinned(&self, header: &Header) -> Result<Algorithm, Fault> {
        let named = Algorithm::named(&header.algorithm).filter(|algorithm| self.algorithms.contains(algorithm));
        named.ok_or_else(|| Fault::Algorithm(header.algorithm.clone()))
    }

    /// Which key made `token`, by its header and signature alone.
    pub(super) fn signer(&self, token: &Compact<'_>) -> Result<usize, Fault> {
        let header = Header::read(token)?;
        let algorithm = self.pinned(&header)?;
        let candidates = self.keys.candidates(algorithm, &header)?;
        self.keys.signer(&candidates, algorithm, token).ok_or(Fault::Signature)
    }

    /// What `token` proves, at `moment` where times matter.
    fn prove_token(&self, token: &[u8], moment: Option<Moment>) -> Result<Proven, Fault> {
        let token = Compact::split(token)?;
        let claims = token.claims()?;
        // What costs least first: whoever makes up a token learns nothing by it.
        let faults = moment.map(|moment| self.wanted.faults(&claims, moment)).unwrap_or_default();
        if let Some(fault) = faults.into_iter().next() {
            return Err(fault);
        }
        let key = self.signer(&token)?;
        Ok(Proven { key, body: self.body_of(&claims) })
    }

    /// What `claims` say of the body, where they must.
    pub(super) fn body_of(&self, claims: &Object<'_>) -> Option<BodyHash> {
        self.body_hash.as_ref().map(|pointer| BodyHash::read(claims, pointer))
    }

    fn proven(&self, head: &Parts, moment: Option<Moment>) -> Result<Proven, Refusal> {
        let token = given(head, &self.header, &self.format)?;
        self.prove_token(&token, moment).map_err(|_| Refusal::TokenMismatch)
    }
}

impl Scheme for Jwt {
    fn admit(&self, head: &Parts, moment: Moment) -> Result<Option<Admission>, Refusal> {
        let proven = self.proven(head, Some(moment))?;
        Ok(Some(Admission { key: KeyIndex(proven.key), claims: Some(Claims::of(proven)) }))
    }

    /// What is older than the window may still be valid: the token says itself when it ends.
    fn timestamp(&self, _: &Parts) -> Result<Option<UnixSeconds>, Refusal> {
        Ok(None)
    }

    fn read(&self, head: &Parts) -> Result<Claims, Refusal> {
        self.proven(head, None).map(Claims::of)
    }

    fn verify(&self, _: &Parts, claims: &Claims, body: &Payload) -> Result<KeyIndex, Refusal> {
        let proven = claims.get::<Proven>().ok_or(Refusal::SignatureMismatch)?;
        let holds = proven.body.as_ref().is_none_or(|hash| hash.is_of(body));
        if holds { Ok(KeyIndex(proven.key)) } else { Err(Refusal::SignatureMismatch) }
    }

    fn keys(&self) -> &[String] {
        &self.names
    }

    /// Headers are trusted as much as the body is where the token covers neither.
    fn covers_header(&self, _: &str) -> bool {
        self.body_hash.is_none()
    }

    fn sign(&self, head: &mut Parts, body: &[u8], at: Timestamp) {
        self.sign_claiming(head, body, at, &[]);
    }

    fn sign_claiming(&self, head: &mut Parts, body: &[u8], at: Timestamp, said: &[(&str, &str)]) {
        let Some(signer) = &self.signer else { return };
        let body = self.body_hash.as_deref().map(|pointer| (pointer, body));
        let token = signer.token(&self.wanted, body, at, said).unwrap_or_default();
        if let Ok(value) = HeaderValue::from_bytes(&self.format.write(token.as_bytes())) {
            head.headers.insert(&self.header, value);
        }
    }
}
