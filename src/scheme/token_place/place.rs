//! Where a token stands: the header that holds it, and what is around it there.

use std::fmt;

use http::HeaderName;
use http::request::Parts;
use zeroize::Zeroizing;

use super::format::Format;
use crate::scheme::Refusal;
use crate::scheme::header::Occurrence;
use crate::settings::kind::text;
use crate::settings::{Diagnostics, Table, key};

pub(in crate::scheme) const TOKEN_HEADER: &str = "token_header";
pub(in crate::scheme) const TOKEN_FORMAT: &str = "token_format";

/// What is wrong where they are missing.
pub(in crate::scheme) const NO_HEADER: &str = "is missing: name the header that holds the token";
pub(in crate::scheme) const NO_FORMAT: &str =
    "is missing: say how the token stands in its header, as in `Bearer {token}`";

/// Where a token stands, unless somebody says otherwise (RFC 6750).
pub(in crate::scheme) const AUTHORIZATION: &str = "Authorization";
pub(in crate::scheme) const BEARER: &str = "Bearer {token}";

/// The name of a header, as it is written.
#[derive(Clone)]
pub(in crate::scheme) struct Header {
    name: HeaderName,
    text: Box<str>,
}

impl Header {
    /// Reads `text`.
    ///
    /// # Errors
    /// What was expected.
    pub(in crate::scheme) fn parse(text: &str) -> Result<Self, String> {
        let name = text.parse().map_err(|_| format!("{text:?} is not the name of a header"))?;
        Ok(Self { name, text: text.into() })
    }

    pub(in crate::scheme) const fn name(&self) -> &HeaderName {
        &self.name
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where a token stands. What is `None` was missing or wrong, and is told.
#[derive(Clone)]
pub(in crate::scheme) struct Place {
    pub(in crate::scheme) header: Option<Header>,
    pub(in crate::scheme) format: Option<Format>,
}

impl Place {
    /// Reads a source's keys over what a row says: `header` and `format`.
    pub(in crate::scheme) fn read(
        header: &str,
        format: &str,
        table: &mut Table,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        // What a row spells is well spelled: a test reads every row.
        let (row_header, row_format) = (header, format);
        let header = key(
            TOKEN_HEADER,
            "The header that must hold the token, once.",
            text(Header::parse, "the name of a header"),
        )
        .or_maybe(Header::parse(row_header).ok(), table, diagnostics)
        .filter(|_| !table.is_faulty(TOKEN_HEADER, diagnostics));
        let format = key(
            TOKEN_FORMAT,
            "How the token stands there: {token} as it is, or {basic} where the secret is user:password and arrives in \
             base64, with text around it. The case of a word before it, such as Bearer, does not matter; all else does.",
            text(Format::parse, "a template of {token} or {basic}"),
        )
        .or_maybe(Format::parse(row_format).ok(), table, diagnostics)
        .filter(|_| !table.is_faulty(TOKEN_FORMAT, diagnostics));
        Self { header, format }
    }

    /// The same over what stands in most senders' forms.
    pub(in crate::scheme) fn bearer(table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        Self::read(AUTHORIZATION, BEARER, table, diagnostics)
    }
}

/// The token that `head` holds in `header`, written as `format` says.
///
/// # Errors
/// [`Refusal::MissingToken`] where there is none, [`Refusal::TokenMismatch`] for one that stands twice or otherwise.
pub(in crate::scheme) fn given(
    head: &Parts,
    header: &HeaderName,
    format: &Format,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    match Occurrence::of(&head.headers, header) {
        Occurrence::Absent | Occurrence::Once(b"") => Err(Refusal::MissingToken),
        Occurrence::Once(value) => format.read(value).ok_or(Refusal::TokenMismatch),
        Occurrence::Repeated => Err(Refusal::TokenMismatch),
    }
}
