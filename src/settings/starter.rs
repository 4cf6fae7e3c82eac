//! A new configuration: what it sets and nothing else, each key with what it does where it first stands.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::document::{Chapter, Document, Variant};
use super::example::{comment, explain, write_in_line};

/// A section of a new configuration.
pub(crate) struct NewSection {
    /// As it stands in the file: `[listener]`, `[[source]]`.
    pub(crate) title: &'static str,
    /// What the key says that decides which keys it has; empty where there is no such key.
    pub(crate) variant: String,
    /// What it sets, each key with its value as TOML, in their order.
    pub(crate) keys: Vec<(String, String)>,
    /// What stands above it, for whoever reads the file.
    pub(crate) words: String,
}

impl Document {
    /// The file that says `sections`, under `head`. A key that nobody declares is written all the same: whoever reads the
    /// file will say so.
    pub(crate) fn starter(&self, head: &str, sections: &[NewSection]) -> String {
        let mut text = String::new();
        head.lines().for_each(|line| comment(line, &mut text));
        let mut explained = BTreeSet::new();
        for section in sections {
            text.push('\n');
            if !section.words.is_empty() {
                comment(&section.words, &mut text);
            }
            _ = writeln!(text, "{}", section.title);
            let chapter = self.0.iter().find(|chapter| chapter.title == section.title);
            let variant = chapter.and_then(|chapter| of(chapter, &section.variant));
            for (key, value) in &section.keys {
                let new = explained.insert((section.title, key.as_str()));
                write(key, value, variant.filter(|_| new), &mut text);
            }
        }
        text
    }
}

fn of<'c>(chapter: &'c Chapter, variant: &str) -> Option<&'c Variant> {
    chapter.variants.iter().find(|known| known.value == variant)
}

/// The key; what it does above it where `variant` is to explain it.
fn write(key: &str, value: &str, variant: Option<&Variant>, text: &mut String) {
    let section = variant.map(|variant| &variant.section);
    let inner = section.and_then(|section| {
        section.inner.iter().find(|inner| inner.title.trim_matches(['[', ']']).rsplit('.').next() == Some(key))
    });
    if let Some(inner) = inner {
        return write_in_line(key, value, inner, text);
    }
    if let Some(entry) = section.and_then(|section| section.entries.iter().find(|entry| entry.key == Some(key))) {
        explain("", entry, text);
    }
    _ = writeln!(text, "{key} = {value}");
}
