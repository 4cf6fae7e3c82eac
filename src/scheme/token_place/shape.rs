//! What stands around a token in a header that a person filled in: words, quotes, and perhaps the mark that the quarantine
//! keeps instead of the token.

use super::format::Format;
use crate::secret::Secret;

/// What stands before the fingerprint, and behind it.
pub(in crate::scheme) const MARK: (&str, &str) = ("[redacted ", "]");
/// Authentication schemes that people write before tokens, configured or not.
const WORDS: [&str; 6] = ["bearer", "basic", "token", "apikey", "api-key", "jwt"];

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
    pub(in crate::scheme) fn mark(&self) -> Option<String> {
        let (from, to) = MARK;
        let kept = self.core.strip_prefix(from).and_then(|rest| rest.strip_suffix(to)).map(str::to_owned);
        kept.or_else(|| fingerprint(self.core.as_bytes()))
    }

    /// The value with `core` in place of the token.
    pub(in crate::scheme) fn around(&self, core: &str) -> String {
        let words: String = self.words.iter().flat_map(|word| [*word, " "]).collect();
        [&words, self.before, self.quotes.0, core, self.quotes.1].concat()
    }

    /// The value with a fingerprint in place of the token.
    pub(in crate::scheme) fn redacted(&self) -> String {
        let (from, to) = MARK;
        self.around(&fingerprint(self.core.as_bytes()).map(|mark| format!("{from}{mark}{to}")).unwrap_or_default())
    }
}

/// The fingerprint of `text`, as `check` shows it of a token.
pub(in crate::scheme) fn fingerprint(text: &[u8]) -> Option<String> {
    Secret::token(text).ok().map(|secret| secret.fingerprint())
}
