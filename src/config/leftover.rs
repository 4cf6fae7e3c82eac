//! What the sections not yet read by their owners share.

use std::ops::RangeInclusive;

use super::section::Section;
use crate::secret::Secret;
use crate::settings::{Diagnostics, Lookup, SecretRef};

pub(super) use crate::ingress::BODY_BYTES;
pub(super) use crate::server::settings::DEADLINES;

/// Reads `value`, which stands in variable `name`, with `read`.
pub(super) fn from_env<T>(
    diagnostics: &mut Diagnostics,
    name: &str,
    value: Option<&String>,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    read(value?).map_err(|problem| diagnostics.error(name, problem)).ok()
}

/// Takes the section away from the file; `use_it` reads it.
pub(super) fn within<T>(
    root: &mut Section,
    key: &'static str,
    diagnostics: &mut Diagnostics,
    use_it: impl FnOnce(&mut Section, &mut Diagnostics) -> T,
) -> T {
    let mut section = root.table(key);
    let value = use_it(&mut section, diagnostics);
    section.finish(&mut diagnostics.errors);
    value
}

/// Reads a plain number, as variables hold it: ASCII digits.
pub(super) fn plain(text: &str, range: &RangeInclusive<u64>) -> Result<u64, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && range.contains(number));
    number.ok_or_else(|| format!("expected a plain number from {} to {}, found {text:?}", range.start(), range.end()))
}

/// Whether a bearer token was given, in either way.
pub(super) enum Given {
    /// No.
    No,
    /// Wrongly; the fault is recorded.
    Faulty,
    /// Here it is.
    Token(Secret),
}

impl Given {
    /// The token, if there is a good one.
    pub(super) fn token(self) -> Option<Secret> {
        match self {
            Self::Token(token) => Some(token),
            Self::No | Self::Faulty => None,
        }
    }
}

/// The bearer token in `variable`, else what stands at `place` in the file.
pub(super) fn token(place: &str, variable: &str, reference: Option<SecretRef>, diagnostics: &mut Diagnostics) -> Given {
    let (at, raw) = match (diagnostics.secret_variable(variable), reference) {
        (Lookup::Found(raw), _) => (variable, Some(raw)),
        (Lookup::Faulty, _) => return Given::Faulty,
        (Lookup::Unset, None) => return Given::No,
        (Lookup::Unset, Some(reference)) => (place, diagnostics.resolve(place, reference)),
    };
    let Some(mut raw) = raw else { return Given::Faulty };
    let Some(token) = diagnostics.bearer(at, &mut raw) else { return Given::Faulty };
    diagnostics.origins.insert(place.to_owned(), raw.origin);
    Given::Token(token)
}
