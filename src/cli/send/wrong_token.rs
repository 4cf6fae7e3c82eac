//! Tokens sent wrong on purpose, as senders get them wrong.

use http::request::Parts;
use http::{HeaderName, HeaderValue};

use crate::ingress::SourceSettings as Source;

use super::super::failure::Failure;
use super::fault::Kind;

/// Refuses kinds of fault that `source` cannot show.
pub(super) fn check(source: &Source, kind: Kind) -> Result<(), Failure> {
    let name = &source.name;
    let Some(token) = source.scheme.token() else {
        return Err(Failure::Usage(format!("{name} has no tokens")));
    };
    if kind == Kind::WordTwice && token.word.is_none() {
        return Err(Failure::Usage(format!("{name} has no word before its token")));
    }
    Ok(())
}

/// Makes the token in `head` wrong.
pub(super) fn spoil(source: &Source, kind: Kind, head: &mut Parts) -> Result<(), Failure> {
    let Some(token) = source.scheme.token() else { return Ok(()) };
    let name: HeaderName = token.header.parse().map_err(|error| Failure::runtime("no header", &error))?;
    let Some(sent) = head.headers.remove(&name) else { return Ok(()) };
    if kind == Kind::MissingToken {
        return Ok(());
    }
    let text = String::from_utf8_lossy(sent.as_bytes()).into_owned();
    let (before, after) = text.split_once(token.coded.as_str()).unwrap_or((&text, ""));
    let word = token.word.as_deref().unwrap_or_default();
    let coded = token.coded.as_str();
    let value = match kind {
        Kind::WrongToken => format!("{before}{:032x}{after}", fastrand::u128(..)),
        Kind::WordTwice => format!("{word} {text}"),
        Kind::QuotedToken => format!("{before}\"{coded}\"{after}"),
        Kind::OtherWord if word.eq_ignore_ascii_case("basic") => format!("Bearer {coded}"),
        Kind::OtherWord => format!("Basic {coded}"),
        Kind::Stale
        | Kind::Future
        | Kind::WrongKey
        | Kind::BadSignature
        | Kind::MissingSignature
        | Kind::MissingToken
        | Kind::NoCertificate
        | Kind::TamperedBody
        | Kind::Oversize
        | Kind::WrongContentType
        | Kind::Duplicate
        | Kind::Conflict => text,
    };
    let mut value = HeaderValue::from_str(&value).map_err(|error| Failure::runtime("cannot write a header", &error))?;
    // A token that was made up here is nobody's secret.
    value.set_sensitive(kind != Kind::WrongToken);
    head.headers.insert(name, value);
    Ok(())
}
