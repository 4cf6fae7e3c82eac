//! Texts of the settings that have a grammar: parts of a credential's scope, headers that may arrive unsigned.

use std::fmt;

use http::HeaderName;
use http::header::{AUTHORIZATION, HOST};

use crate::scheme::sigv4::{SECURITY_TOKEN, date};

/// A region or a service: what can stand between the slashes of a credential.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::scheme::sigv4) struct ScopePart(String);

impl ScopePart {
    /// Reads one.
    ///
    /// # Errors
    /// What cannot stand there.
    pub(in crate::scheme::sigv4) fn parse(text: &str) -> Result<Self, String> {
        if fits_credential(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("`{text}` cannot stand in a scope: no blanks, slashes or commas, and not empty"))
    }

    /// Its text.
    pub(in crate::scheme::sigv4) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScopePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads an access key id.
///
/// # Errors
/// What cannot stand there.
pub(super) fn access_key_id(text: &str) -> Result<String, String> {
    if fits_credential(text) {
        return Ok(text.to_owned());
    }
    Err("is not an access key id: no blanks, slashes or commas, and not empty".to_owned())
}

fn fits_credential(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b','))
}

/// An `x-amz-*` header that may arrive unsigned: none that the signature rests on, and none that may anyway.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::scheme::sigv4) struct UnsignedHeader(HeaderName);

impl UnsignedHeader {
    /// Reads one.
    ///
    /// # Errors
    /// Why it cannot be left unsigned, or need not be named.
    pub(in crate::scheme::sigv4) fn parse(text: &str) -> Result<Self, String> {
        let name: HeaderName = text.parse().map_err(|_| format!("expected the name of a header, found {text:?}"))?;
        if [HOST.as_str(), AUTHORIZATION.as_str(), date::HEADER, SECURITY_TOKEN].contains(&name.as_str()) {
            return Err(format!("{name} can never be left unsigned: the signature rests on it"));
        }
        if !name.as_str().starts_with("x-amz-") {
            return Err(format!("{name} has no effect: only x-amz-* headers have to be signed"));
        }
        Ok(Self(name))
    }

    /// Its name, lower case.
    pub(in crate::scheme::sigv4) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for UnsignedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
