//! The effective configuration for whoever shows it: each key with its value and who said so, never a secret.

use serde::Serialize;

use super::record::{Entry, Origin, Section};

/// A section as it may be shown.
#[derive(Serialize)]
pub(crate) struct ShownSection {
    /// As it stands in the file: `[limits]`, `[[source]]`.
    pub(crate) title: String,
    /// What tells it from others of that title.
    pub(crate) name: Option<String>,
    pub(crate) keys: Vec<ShownKey>,
}

/// A key as it may be shown.
#[derive(Serialize)]
pub(crate) struct ShownKey {
    pub(crate) key: &'static str,
    /// As it stands in the file, secrets by their origin alone.
    pub(crate) value: String,
    /// `default`, `file`, or the variable that says it.
    pub(crate) origin: &'static str,
    /// Whether only a restart changes it.
    pub(crate) restart: bool,
}

impl Section {
    /// It and the tables within it, one after the other.
    pub(crate) fn shown(&self) -> Vec<ShownSection> {
        let keys = self.entries.iter().filter_map(Entry::shown).collect();
        let own = ShownSection { title: self.title.clone(), name: self.name.clone(), keys };
        std::iter::once(own).chain(self.inner.iter().flat_map(Self::shown)).collect()
    }
}

impl Entry {
    fn shown(&self) -> Option<ShownKey> {
        let (key, value) = (self.key?, self.value.as_ref()?.written());
        let origin = match self.origin {
            Origin::Default => "default",
            Origin::File => "file",
            Origin::Variable(variable) => variable,
        };
        Some(ShownKey { key, value, origin, restart: self.restart })
    }
}
