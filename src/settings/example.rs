//! The commented example: every section and key with what it does.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::document::{Chapter, Document, Variant};
use super::record::{Default, Entry, Example, Section};

/// How wide its comments are.
const WIDTH: usize = 118;

const HEAD: &str = "\
# gatepost: every section and key, with what it means. Written by `gatepost config example` from the declarations that
# the program reads by. An unknown key is an error, and so is every value that cannot act; all of them are reported
# together: gatepost --config gatepost.toml check
#
# A running daemon reads this file and the files it names again when one of them changes, and on SIGHUP. Everything takes
# effect but what says that it takes a restart: a change of that is refused as a whole.
#
# Durations are a number and a unit in quotes: \"250ms\", \"10s\", \"5m\", \"96h\", \"30d\". Paths of files are relative to the
# directory the program is started in. Environment variables win over this file.
#
# A secret never stands here itself. It is referred to:
#     { file = \"/run/secrets/name\" }   read from the file (one trailing newline removed), again on every reload; a
#                                      carriage return, blanks or further line ends count, and are warned about
#     { env = \"NAME\" }                 the variable NAME, or the file that the variable NAME_FILE names
#     { value = \"…\" }                  for development only: everybody who can read this file knows it; warns at start
# Secrets that key a signature are at least 16 bytes long. Those of sources may have a name for logs and metrics beside
# the reference: { file = \"/run/secrets/name\", label = \"2026-05\" }. Without one they are called by a fingerprint (eight
# hex digits) that `check` shows for each, or by their access key id; neither changes when their order does.
";

impl Document {
    /// The example. Of a section in variants those that have something to show, or the first; then the keys that only
    /// others have.
    pub(crate) fn example(&self) -> String {
        let mut text = HEAD.to_owned();
        for chapter in self.0.iter().filter(|chapter| chapter.is_in_file()) {
            write_chapter(chapter, &mut text);
        }
        text
    }
}

fn write_chapter(chapter: &Chapter, text: &mut String) {
    let mut explained = BTreeSet::new();
    let shown: Vec<&Variant> = chapter.variants.iter().filter(|variant| !variant.example.is_empty()).collect();
    let shown = if shown.is_empty() { chapter.variants.iter().take(1).collect() } else { shown };
    for variant in shown {
        _ = writeln!(text, "\n{}", chapter.title);
        for entry in &variant.section.entries {
            let Some(key) = entry.key else { continue };
            let new = explained.insert(key);
            if new {
                explain("", entry, text);
            }
            let own = variant.example.iter().find(|(name, _)| *name == key).map(|(_, toml)| (*toml).to_owned());
            let decides = chapter.by.filter(|by| *by == key).map(|_| format!("{:?}", variant.value));
            match own.or(decides) {
                Some(value) => _ = writeln!(text, "{key} = {value}"),
                None => write_key(key, entry, new, text),
            }
        }
        for inner in &variant.section.inner {
            let name = inner.title.trim_matches(['[', ']']).rsplit('.').next().unwrap_or_default();
            match variant.example.iter().find(|(key, _)| *key == name) {
                Some((key, value)) => write_in_line(key, value, inner, text),
                None => write_inner(inner, text),
            }
        }
    }
    for across in chapter.keys().iter().filter(|across| across.entry.key.is_some_and(|key| !explained.contains(key))) {
        let of: Vec<String> = across.variants.iter().map(|(name, _)| format!("{name:?}")).collect();
        let only = format!("Only with {} {}: ", chapter.by.unwrap_or_default(), of.join(", "));
        explain(&only, across.entry, text);
        write_key(across.entry.key.unwrap_or_default(), across.entry, true, text);
    }
}

/// A list of tables in one line, each of their keys explained above it.
pub(super) fn write_in_line(key: &str, value: &str, section: &Section, text: &mut String) {
    for (name, entry) in section.entries.iter().filter_map(|entry| entry.key.map(|name| (name, entry))) {
        explain(&format!("{name}: "), entry, text);
    }
    _ = writeln!(text, "{key} = {value}");
}

/// A table of its own; commented out as a whole where none of its keys is set.
fn write_inner(section: &Section, text: &mut String) {
    let set = section.entries.iter().any(|entry| matches!(entry.example, Some(Example::Set(_))));
    _ = writeln!(text, "\n{}{}", if set { "" } else { "# " }, section.title);
    for entry in &section.entries {
        let Some(key) = entry.key else { continue };
        explain("", entry, text);
        write_key(key, entry, true, text);
    }
}

/// The key with its example, else its default commented out, where it was just explained.
fn write_key(key: &str, entry: &Entry, new: bool, text: &mut String) {
    match (entry.example, &entry.default) {
        (Some(Example::Set(value)), _) => _ = writeln!(text, "{key} = {value}"),
        (Some(Example::Off(value)), _) if new => _ = writeln!(text, "# {key} = {value}"),
        (None, Default::Value(value)) if new => _ = writeln!(text, "# {key} = {value}"),
        (None, Default::None | Default::Required | Default::Words(_)) if new => _ = writeln!(text, "# {key} = …"),
        _ => {}
    }
}

/// What it does; then what it may hold, what holds without it, and who else may say it.
pub(super) fn explain(before: &str, entry: &Entry, text: &mut String) {
    comment(&format!("{before}{}", entry.doc), text);
    let mut expects = entry.expects.clone();
    if let Some(first) = expects.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let default = match &entry.default {
        Default::None => " Optional.".to_owned(),
        Default::Required => " Required.".to_owned(),
        Default::Value(text) => format!(" Default {text}."),
        Default::Words(words) => format!(" Default: {words}."),
    };
    let variables = match entry.variables.as_slice() {
        [] => String::new(),
        [one] => format!(" Variable {one}."),
        several => format!(" Variables {}.", several.join(", ")),
    };
    let restart = if entry.restart { " Takes a restart." } else { "" };
    comment(&format!("{expects}.{default}{variables}{restart}"), text);
}

/// Wraps `words` into comment lines.
pub(super) fn comment(words: &str, text: &mut String) {
    let mut line = "#".to_owned();
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            _ = writeln!(text, "{line}");
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    _ = writeln!(text, "{line}");
}
