//! What the quarantine keeps of a token: header and claims, which say what is wrong, and in place of the signature, which
//! alone lets somebody in, which key had made it. Nobody can send that note: what stands there is always written again.

use http::request::Parts;

use super::compact::{Compact, Header};
use super::fault::Malformed;
use super::object::Object;
use super::settings::Settings;
use crate::event::Payload;
use crate::scheme::diagnose::REDACTED;
use crate::scheme::token_place::{Shape, given};
use crate::scheme::{Moment, Remembered};

/// What stands in place of a signature.
const MADE_BY: &str = "[signature redacted, made by key ";
const MADE_BY_NOBODY: &str = "[signature redacted, made by no key of this source]";
const NOT_BASE64: &str = "[signature redacted, not base64url]";
/// What stands in place of something else than a token.
const PARTS: &str = "[redacted, no JSON Web Token, parts: ";
const END: &str = "]";

/// What is known of a signature that was not kept.
pub(super) enum Noted<'a> {
    /// This key had made it.
    By(&'a str),
    /// None of the source's keys had.
    ByNobody,
    /// It was none.
    NotBase64,
}

/// What the text in place of a signature says.
pub(super) fn noted(signature: &str) -> Option<Noted<'_>> {
    match signature {
        MADE_BY_NOBODY => Some(Noted::ByNobody),
        NOT_BASE64 => Some(Noted::NotBase64),
        _ => signature.strip_prefix(MADE_BY)?.strip_suffix(END).map(Noted::By),
    }
}

/// How many parts it had of which only their number was kept.
pub(super) fn noted_parts(core: &str) -> Option<usize> {
    core.strip_prefix(PARTS)?.strip_suffix(END)?.parse().ok()
}

/// Whether `text` begins as a signed token does, whatever stands in place of its signature.
pub(super) fn is_token(text: &str) -> bool {
    let header = Compact::unsigned(text).ok().map(|token| token.header);
    header.is_some_and(|header| Object::read(&header).is_some_and(|header| header.get("alg").is_some()))
}

/// What is kept of header `name` instead of `value`; `None`: what is kept of other sources' headers. `grants` says whether
/// it holds a credential by its name or form.
pub(super) fn kept(settings: &Settings, name: &str, value: &str, grants: bool) -> Option<String> {
    let own = settings.place.header.as_ref().is_some_and(|header| header.name() == name);
    let shape = Shape::of(settings.place.format.as_ref(), value);
    if is_token(shape.core) {
        return Some(shape.around(&without_signature(settings, shape.core)));
    }
    if own {
        return Some(shape.around(&format!("{PARTS}{}{END}", shape.core.split('.').count())));
    }
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let strayed = !grants && value.split(|c| !letter(c)).any(is_token);
    strayed.then(|| REDACTED.to_owned())
}

/// `token` with what is known of its signature in place of it.
fn without_signature(settings: &Settings, token: &str) -> String {
    let Ok(unsigned) = Compact::unsigned(token) else { return REDACTED.to_owned() };
    if unsigned.signature.is_empty() {
        return token.to_owned();
    }
    let note = match (Compact::split(token.as_bytes()), settings.verifier()) {
        (Ok(token), Ok(verifier)) => {
            let made_by = verifier.signer(&token).ok().and_then(|key| verifier.names.get(key).cloned());
            made_by.map_or_else(|| MADE_BY_NOBODY.to_owned(), |name| format!("{MADE_BY}{name}{END}"))
        }
        (Err(Malformed::NotBase64(_)), _) => NOT_BASE64.to_owned(),
        _ => MADE_BY_NOBODY.to_owned(),
    };
    format!("{}.{note}", unsigned.signed)
}

/// What was noted of the token in `head`, where one of the keys had made it and all else of it holds at `moment`.
pub(super) fn remembered(settings: &Settings, head: &Parts, body: &Payload, moment: Moment) -> Option<Remembered> {
    let verifier = settings.verifier().ok()?;
    let text = given(head, &verifier.header, &verifier.format).ok()?;
    let token = Compact::unsigned(std::str::from_utf8(&text).ok()?).ok()?;
    let Some(Noted::By(key)) = noted(token.signature) else { return None };
    let header = Header::read(&token).ok()?;
    let candidates = verifier.keys.candidates(verifier.pinned(&header).ok()?, &header).ok()?;
    if !candidates.iter().any(|candidate| verifier.names.get(*candidate).is_some_and(|name| name == key)) {
        return None;
    }
    let claims = token.claims().ok()?;
    let holds = verifier.wanted.faults(&claims, moment).is_empty();
    holds.then(|| Remembered { key: key.to_owned(), body: verifier.body_of(&claims).map(|hash| hash.is_of(body)) })
}
