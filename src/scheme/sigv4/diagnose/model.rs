//! A canonical request in parts, so that each can be exchanged for what the sender may have signed instead.

use http::request::Parts;

use super::super::authorization::ALGORITHM;
use super::super::canonical;
use super::super::query::{self, Plus};
use super::parts::{hash, value};
use crate::scheme::diagnose::Cause;
use crate::scheme::mac::{Algorithm, Key, Mac};

/// The lines of a canonical request, without the method's meaning or the headers' order being looked at again.
#[derive(Clone)]
pub(super) struct Model {
    method: Vec<u8>,
    uri: Vec<u8>,
    query: Vec<u8>,
    /// The signed names with their values, in the order of `SignedHeaders`.
    headers: Vec<(String, Vec<u8>)>,
    payload: Vec<u8>,
}

impl Model {
    /// The canonical request of `head` as the verifier makes it, a raw `+` read as `plus` says; `payload` is the hash in
    /// hex.
    pub(super) fn of(head: &Parts, signed_headers: &str, payload: &[u8; canonical::HASH_LEN], plus: Plus) -> Self {
        let (mut uri, mut encoded) = (Vec::new(), Vec::new());
        canonical::put_uri(&mut uri, head.uri.path().as_bytes());
        query::put_canonical(&mut encoded, head.uri.query().unwrap_or_default().as_bytes(), plus);
        let headers = signed_headers.split(';').map(|name| (name.to_owned(), value(head, name)));
        let method = head.method.as_str().as_bytes().to_vec();
        Self { method, uri, query: encoded, headers: headers.collect(), payload: payload.to_vec() }
    }

    /// The text to be hashed.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut text = [self.method.as_slice(), b"\n", &self.uri, b"\n", &self.query, b"\n"].concat();
        for (name, value) in &self.headers {
            text.extend_from_slice(name.as_bytes());
            text.push(b':');
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        text.push(b'\n');
        text.extend_from_slice(names.join(";").as_bytes());
        text.push(b'\n');
        text.extend_from_slice(&self.payload);
        text
    }

    /// The same after `changes`.
    pub(super) fn with<'a>(&self, changes: impl IntoIterator<Item = &'a Variant>) -> Self {
        let mut model = self.clone();
        for change in changes {
            if let Some(uri) = &change.patch.uri {
                model.uri.clone_from(uri);
            }
            if let Some(query) = &change.patch.query {
                model.query.clone_from(query);
            }
            if let Some(payload) = &change.patch.payload {
                model.payload.clone_from(payload);
            }
            if let Some((name, value)) = &change.patch.header
                && let Some((_, signed)) = model.headers.iter_mut().find(|(signed, _)| signed == name)
            {
                signed.clone_from(value);
            }
        }
        model
    }
}

/// What may have been signed in place of one part or two.
#[derive(Clone, Default)]
pub(super) struct Patch {
    /// The path, encoded as it is hashed.
    pub uri: Option<Vec<u8>>,
    /// The query, encoded as it is hashed.
    pub query: Option<Vec<u8>>,
    /// A header's value.
    pub header: Option<(String, Vec<u8>)>,
    /// The hash of the body, or what stands for it.
    pub payload: Option<Vec<u8>>,
}

impl Patch {
    /// Whether two of them change different parts.
    fn is_apart_from(&self, other: &Self) -> bool {
        let header = |patch: &Self| patch.header.as_ref().map(|(name, _)| name.clone());
        !(self.uri.is_some() && other.uri.is_some()
            || self.query.is_some() && other.query.is_some()
            || self.payload.is_some() && other.payload.is_some()
            || header(self).is_some() && header(self) == header(other))
    }
}

/// A known mistake: what may have been signed, and what that would mean.
#[derive(Clone)]
pub(super) struct Variant {
    /// What it would mean.
    pub cause: Cause,
    /// The same for this request, in words.
    pub detail: String,
    /// What it changes.
    pub patch: Patch,
}

impl Variant {
    /// Another path.
    pub(super) fn uri(cause: Cause, uri: Vec<u8>, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into(), patch: Patch { uri: Some(uri), ..Patch::default() } }
    }

    /// Another query.
    pub(super) fn query(cause: Cause, query: Vec<u8>, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into(), patch: Patch { query: Some(query), ..Patch::default() } }
    }

    /// Another value of header `name`.
    pub(super) fn header(cause: Cause, name: &str, value: Vec<u8>, detail: impl Into<String>) -> Self {
        let header = Some((name.to_owned(), value));
        Self { cause, detail: detail.into(), patch: Patch { header, ..Patch::default() } }
    }

    /// Another hash of the body.
    pub(super) fn payload(cause: Cause, payload: Vec<u8>, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into(), patch: Patch { payload: Some(payload), ..Patch::default() } }
    }

    /// Whether both can have happened.
    pub(super) fn goes_with(&self, other: &Self) -> bool {
        self.patch.is_apart_from(&other.patch)
    }
}

/// What a signature was made of besides the canonical request and the key.
pub(super) struct Envelope<'a> {
    /// `X-Amz-Date` as sent.
    pub date: &'a [u8],
    /// Date, region, service and terminator of the scope as the sender gave it.
    pub scope: [&'a str; 4],
    /// The signature as sent.
    pub signature: &'a Mac,
}

impl Envelope<'_> {
    /// The signing key of `secret` in the sender's own scope.
    pub(super) fn key(&self, secret: &[u8]) -> Key {
        let first = Key::new(&zeroize::Zeroizing::new([b"AWS4", secret].concat()), Algorithm::Sha256);
        self.scope.iter().fold(first, |key, part| Key::from_mac(&key.mac([part.as_bytes()])))
    }

    /// Whether `key` makes the signature of `model`.
    pub(super) fn fits(&self, key: &Key, model: &Model) -> bool {
        let hash = hash(&model.text());
        let scope = self.scope.join("/");
        let parts: [&[u8]; 7] =
            [ALGORITHM.as_bytes(), b"\n", self.date, b"\n", scope.as_bytes(), b"\n", hash.as_slice()];
        self.signature.matches(&key.mac(parts)).into()
    }
}
