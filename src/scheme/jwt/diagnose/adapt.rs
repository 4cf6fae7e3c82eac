//! Settings that accept a token as it stands: tried with the whole request, by building and verifying.

use super::super::algorithm::Algorithm;
use super::super::claims::Wanted;
use super::super::compact::{Compact, Header};
use super::super::redact::is_token;
use super::super::settings::Settings;
use super::case::{Case, moment};
use crate::scheme::Scheme as _;
use crate::scheme::secret_encoding::ENCODINGS;
use crate::scheme::token_place::{Format, Header as HeaderName, Place, Shape};

/// How tokens stand in headers.
const FORMATS: [&str; 3] = ["Bearer {token}", "{token}", "JWT {token}"];

/// Settings with the same keys that take the request of `case`, where its signature is there.
pub(super) fn adapted(case: &Case<'_>) -> Option<Settings> {
    if takes(case.settings, case) {
        return None;
    }
    places(case).into_iter().find_map(|(place, text)| {
        let placed = Settings { place, ..case.settings.clone() };
        let algorithms = algorithms(&placed, &text);
        let wanted = wanted(&placed.wanted, &text);
        ENCODINGS.iter().find_map(|(_, secret_encoding)| {
            let adapted = Settings {
                secret_encoding: if placed.secrets.is_empty() { placed.secret_encoding } else { *secret_encoding },
                algorithms: algorithms.clone(),
                wanted: wanted.clone(),
                ..placed.clone()
            };
            [placed.clone(), adapted].into_iter().find(|settings| takes(settings, case))
        })
    })
}

/// Whether `settings` take the request of `case`.
fn takes(settings: &Settings, case: &Case<'_>) -> bool {
    let Ok(verifier) = settings.verifier() else { return false };
    let admitted = verifier.admit(case.head, moment(case));
    let claims = admitted.ok().flatten().and_then(|admission| admission.claims);
    claims.is_some_and(|claims| verifier.verify(case.head, &claims, &case.body.clone().into()).is_ok())
}

/// Where tokens stand in the request of `case`, the configured place first, and the tokens.
fn places(case: &Case<'_>) -> Vec<(Place, String)> {
    let own = &case.settings.place;
    let mut found = Vec::new();
    let headers = case.head.headers.iter().filter_map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        let core = Shape::of(own.format.as_ref(), &value).core.to_owned();
        is_token(&core).then(|| (name.clone(), core))
    });
    for (name, core) in headers {
        let same = own.header.as_ref().is_some_and(|header| *header.name() == name);
        let header = if same { own.header.clone() } else { HeaderName::parse(name.as_str()).ok() };
        let formats = own.format.iter().cloned().chain(FORMATS.iter().filter_map(|text| Format::parse(text).ok()));
        found.extend(formats.map(|format| (Place { header: header.clone(), format: Some(format) }, core.clone())));
    }
    found
}

/// The pinned algorithms, and one more of the family HS where the token names it: the secret stays the same.
fn algorithms(settings: &Settings, token: &str) -> Vec<Algorithm> {
    let header = Compact::unsigned(token).ok().and_then(|token| Header::read(&token).ok());
    let named = header.and_then(|header| Algorithm::named(&header.algorithm)).filter(|named| named.is_symmetric());
    let more = named.filter(|named| !settings.secrets.is_empty() && !settings.algorithms.contains(named));
    settings.algorithms.iter().copied().chain(more).collect()
}

/// Whose tokens are taken and for whom, with the audience of the token where none is configured. One that is configured
/// is meant.
fn wanted(own: &Wanted, token: &str) -> Wanted {
    let token = Compact::unsigned(token).ok();
    let named = token.as_ref().and_then(|token| token.claims().ok()?.get("aud")?.texts());
    let first = named.and_then(|named| named.into_iter().next()).filter(|_| own.audiences.is_empty());
    Wanted { audiences: own.audiences.iter().cloned().chain(first).collect(), ..own.clone() }
}
