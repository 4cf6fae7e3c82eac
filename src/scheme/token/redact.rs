//! What the quarantine keeps of a token: the words and quotes around it, and a fingerprint in its place, by which
//! `explain` knows a configured one again and nobody else gets to it.

use http::HeaderValue;
use http::request::Parts;

use super::format::Format;
use super::settings::Settings;
use crate::secret::Secret;

/// What stands before the fingerprint, and behind it.
const MARK: (&str, &str) = ("[redacted ", "]");
/// Authentication schemes that people write before tokens, configured or not.
const WORDS: [&str; 6] = ["bearer", "basic", "token", "apikey", "api-key", "jwt"];
/// Shorter texts stand in headers by chance.
const SHORTEST: usize = 8;

/// A header's value taken apart.
pub(in crate::scheme) struct Shape<'a> {
    /// The words before the token.
    pub(in crate::scheme) words: Vec<&'a str>,
    /// The text that is configured to stand before it.
    before: &'a str,
    /// The quotes around it.
    pub(in crate::scheme) quotes: (&'a str, &'a str),
    /// It, or its mark.
    pub(in crate::scheme) core: &'a str,
}

impl<'a> Shape<'a> {
    /// Takes `value` apart, where the token is configured to stand as `own` says.
    pub(in crate::scheme) fn of(own: Option<&Format>, value: &'a str) -> Self {
        let is_word = |text: &str| {
            WORDS.contains(&&*text.to_ascii_lowercase())
                || own.and_then(|format| format.word()).is_some_and(|word| word.eq_ignore_ascii_case(text))
        };
        let (mut words, mut rest) = (Vec::new(), value.trim_matches([' ', '\t']));
        while let Some((word, behind)) = rest.split_once([' ', '\t']).filter(|(word, _)| is_word(word)) {
            words.push(word);
            rest = behind.trim_start_matches([' ', '\t']);
        }
        let before = own.map_or(0, |format| if rest.starts_with(format.before()) { format.before().len() } else { 0 });
        let (before, rest) = rest.split_at_checked(before).unwrap_or(("", rest));
        for quote in ['"', '\'', '`'] {
            let inner = rest.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
            if let Some(core) = inner {
                let ends = (rest.get(..1).unwrap_or_default(), rest.get(..1).unwrap_or_default());
                return Self { words, before, quotes: ends, core };
            }
        }
        Self { words, before, quotes: ("", ""), core: rest }
    }

    /// By what the token is known: its fingerprint.
    pub(super) fn mark(&self) -> Option<String> {
        let (from, to) = MARK;
        let kept = self.core.strip_prefix(from).and_then(|rest| rest.strip_suffix(to)).map(str::to_owned);
        kept.or_else(|| fingerprint(self.core.as_bytes()))
    }

    /// The value with `core` in place of the token.
    pub(in crate::scheme) fn around(&self, core: &str) -> String {
        let words: String = self.words.iter().flat_map(|word| [*word, " "]).collect();
        [&words, self.before, self.quotes.0, core, self.quotes.1].concat()
    }

    fn redacted(&self) -> String {
        let (from, to) = MARK;
        self.around(&fingerprint(self.core.as_bytes()).map(|mark| format!("{from}{mark}{to}")).unwrap_or_default())
    }
}

/// The fingerprint of `text`, as `check` shows it of a token.
pub(super) fn fingerprint(text: &[u8]) -> Option<String> {
    Secret::token(text).ok().map(|secret| secret.fingerprint())
}

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
