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
    let coded = token.coded.as_deref().map_or_else(|| signed(&text), String::as_str);
    let (before, after) = text.split_once(coded).unwrap_or((&text, ""));
    let word = token.word.as_deref().unwrap_or_default();
    let (claimed, signature) = coded.rsplit_once('.').unwrap_or((coded, ""));
    let value = match kind {
        Kind::WrongToken => format!("{before}{:032x}{after}", fastrand::u128(..)),
        Kind::WordTwice => format!("{word} {text}"),
        Kind::QuotedToken => format!("{before}\"{coded}\"{after}"),
        Kind::OtherWord if word.eq_ignore_ascii_case("basic") => format!("Bearer {coded}"),
        Kind::OtherWord => format!("Basic {coded}"),
        Kind::BadSignature => format!("{before}{claimed}.{}{after}", changed(signature)),
        Kind::MissingSignature => format!("{before}{claimed}{after}"),
        Kind::Stale
        | Kind::Future
        | Kind::WrongKey
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
    value.set_sensitive(sent.is_sensitive() && kind != Kind::WrongToken);
    head.headers.insert(name, value);
    Ok(())
}

/// The signed token in a header's value: the longest text of the letters that such are made of.
fn signed(value: &str) -> &str {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    value.split(|c| !letter(c)).max_by_key(|text| text.len()).unwrap_or_default()
}

/// `signature` with another first letter: the last may stand for bits that do not count.
fn changed(signature: &str) -> String {
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    std::iter::once(first).chain(signature.chars().skip(1)).collect()
}
