//! What can be configured: every section with its keys, from which schema, reference and example are written.

use std::collections::BTreeSet;

use super::record::{Default, Entry, Section};

/// Everything that can be configured.
pub(crate) struct Document(pub(crate) Vec<Chapter>);

/// One section, or one kind of `[[…]]` in all its variants.
pub(crate) struct Chapter {
    /// `[limits]`, `[[source]]`.
    pub(crate) title: String,
    /// The key whose value decides which other keys there are: `type`, `preset`.
    pub(crate) by: Option<&'static str>,
    /// By what that key says; one where there is no such key.
    pub(crate) variants: Vec<Variant>,
}

/// A section as it is for one value of the key that decides.
pub(crate) struct Variant {
    /// That value; empty where there is no such key.
    pub(crate) value: String,
    /// Its keys.
    pub(crate) section: Section,
    /// What the commented example says of it besides, each key as TOML; it stands there only with some.
    pub(crate) example: &'static [(&'static str, &'static str)],
}

/// A key in all variants that have it.
pub(crate) struct Across<'d> {
    /// As the first of them declares it.
    pub(crate) entry: &'d Entry,
    /// Which they are, each with its default.
    pub(crate) variants: Vec<(&'d str, &'d Default)>,
}

impl Document {
    /// Every variable with a meaning, `_FILE` forms included.
    pub(crate) fn variables(&self) -> BTreeSet<String> {
        let entries = self.0.iter().flat_map(|chapter| &chapter.variants).flat_map(|variant| all(&variant.section));
        let mut names = BTreeSet::new();
        for entry in entries {
            for name in &entry.variables {
                names.insert((*name).to_owned());
                if entry.secret {
                    names.insert(format!("{name}_FILE"));
                }
            }
        }
        names
    }
}

impl Chapter {
    /// Its keys in the order of their first mention, each with the variants that have it; variables that stand for no key
    /// last.
    pub(crate) fn keys(&self) -> Vec<Across<'_>> {
        let mut keys = Vec::<Across<'_>>::new();
        for variant in &self.variants {
            for entry in &variant.section.entries {
                let known = keys.iter_mut().find(|known| {
                    known.entry.key == entry.key && (entry.key.is_some() || known.entry.variables == entry.variables)
                });
                match known {
                    Some(known) => known.variants.push((&variant.value, &entry.default)),
                    None => keys.push(Across { entry, variants: vec![(&variant.value, &entry.default)] }),
                }
            }
        }
        keys.sort_by_key(|across| across.entry.key.is_none());
        keys
    }

    /// The tables within it, by title, each once.
    pub(crate) fn inner(&self) -> Vec<&Section> {
        let mut found = Vec::<&Section>::new();
        for section in self.variants.iter().flat_map(|variant| &variant.section.inner) {
            if !found.iter().any(|known| known.title == section.title) {
                found.push(section);
            }
        }
        found
    }

    /// `limits`, `source`.
    pub(crate) fn name(&self) -> &str {
        self.title.trim_matches(['[', ']'])
    }

    /// Whether there may be any number of it.
    pub(crate) fn is_list(&self) -> bool {
        self.title.starts_with("[[")
    }
}

/// Every entry of a section and of the tables within it.
fn all(section: &Section) -> Box<dyn Iterator<Item = &Entry> + '_> {
    Box::new(section.entries.iter().chain(section.inner.iter().flat_map(all)))
}
