//! A parsed value with the text that spelled it, which is what an operator is shown. Compared by what it means.

use std::fmt;
use std::ops::Deref;

use http::HeaderName;

/// A value and how it is written.
#[derive(Clone)]
pub(super) struct Spelled<T> {
    text: Box<str>,
    value: T,
}

impl<T> Spelled<T> {
    /// Reads `text` with `parse`.
    ///
    /// # Errors
    /// What `parse` says.
    pub(super) fn parse(text: &str, parse: fn(&str) -> Result<T, String>) -> Result<Self, String> {
        Ok(Self { text: text.into(), value: parse(text)? })
    }

    /// As it is written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What it means.
    pub(super) fn value(self) -> T {
        self.value
    }
}

impl<T> Deref for Spelled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spelled<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> fmt::Display for Spelled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The name of a header, as the vendor writes it.
pub(super) fn header(text: &str) -> Result<Spelled<HeaderName>, String> {
    Spelled::parse(text, |text| text.parse().map_err(|_| format!("{text:?} is not the name of a header")))
}

impl From<HeaderName> for Spelled<HeaderName> {
    fn from(name: HeaderName) -> Self {
        Self { text: name.as_str().into(), value: name }
    }
}
