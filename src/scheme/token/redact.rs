//! What the quarantine keeps of a token: the words and quotes around it, and a fingerprint in its place, by which
//! `explain` knows a configured one again and nobody else gets to it.

use http::HeaderValue;
use http::request::Parts;

use super::settings::Settings;
use crate::scheme::token_place::{MARK, Shape, fingerprint};

/// Shorter texts stand in headers by chance.
const SHORTEST: usize = 8;

/// What is kept of header `name` instead of `value`; `None`: what is kept of other sources' headers. `grants` says whether
/// it holds a credential by its name or form.
pub(super) fn kept(settings: &Settings, name: &str, value: &str, grants: bool) -> Option<String> {
    let own = settings.header.as_ref().is_some_and(|header| header.name() == name);
    let strayed = || {
        settings.tokens.iter().any(|token| {
            let coded = settings.format.as_ref().map(|format| format.coded(token.expose()));
            let texts = [Some(token.expose()), coded.as_deref().map(Vec::as_slice)];
            texts
                .into_iter()
                .flatten()
                .filter_map(|text| std::str::from_utf8(text).ok())
                .any(|text| text.len() >= SHORTEST && value.contains(text))
        })
    };
    (own || grants || strayed()).then(|| Shape::of(settings.format.as_ref(), value).redacted())
}

/// Puts the configured tokens back where only their fingerprints stand.
pub(super) fn restore(settings: &Settings, head: &mut Parts) {
    let Some(format) = &settings.format else { return };
    let (from, to) = MARK;
    for value in head.headers.values_mut() {
        if !value.as_bytes().windows(from.len()).any(|part| part == from.as_bytes()) {
            continue;
        }
        let mut text = value.as_bytes().to_vec();
        for token in &settings.tokens {
            for written in [format.coded(token.expose()).to_vec(), token.expose().to_vec()] {
                let Some(mark) = fingerprint(&written) else { continue };
                text = replaced(&text, format!("{from}{mark}{to}").as_bytes(), &written);
            }
        }
        if let Ok(mut restored) = HeaderValue::from_bytes(&text) {
            restored.set_sensitive(true);
            *value = restored;
        }
    }
}

fn replaced(text: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    match text.windows(old.len()).position(|part| part == old) {
        Some(at) => [text.get(..at).unwrap_or_default(), new, text.get(at + old.len()..).unwrap_or_default()].concat(),
        None => text.to_vec(),
    }
}
