//! The commented example: every section and key with what it does.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::document::{Chapter, Document, Variant};
use super::record::{Default, Entry, Section};

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
    /// The example, of the variants named in `of` where a section has several.
    pub(crate) fn example(&self, of: &[&str]) -> String {
        let mut text = HEAD.to_owned();
        for chapter in &self.0 {
            write_chapter(chapter, of, &mut text);
        }
        text
    }
}

fn write_chapter(chapter: &Chapter, of: &[&str], text: &mut String) {
    let mut explained = BTreeSet::new();
    let chosen: Vec<&Variant> = match chapter.by {
        None => chapter.variants.iter().collect(),
        Some(_) => {
            of.iter().filter_map(|name| chapter.variants.iter().find(|variant| variant.value == *name)).collect()
        }
    };
    for variant in chosen {
        _ = writeln!(text, "\n{}", chapter.title);
        for entry in &variant.section.entries {
            let Some(key) = entry.key else { continue };
            let new = explained.insert(key);
            let decides = chapter.by == Some(key);
            if new {
                comment(&explain(entry), text);
            }
            let value = if decides { Some(format!("{:?}", variant.value)) } else { value(entry) };
            write_key(key, value.as_deref(), new, is_needed(entry) || decides, text);
        }
        for inner in &variant.section.inner {
            write_inner(inner, text);
        }
    }
}

fn write_inner(section: &Section, text: &mut String) {
    _ = writeln!(text, "\n{}", section.title);
    for entry in &section.entries {
        let Some(key) = entry.key else { continue };
        comment(&explain(entry), text);
        write_key(key, value(entry).as_deref(), true, is_needed(entry), text);
    }
}

/// A key that is needed, or that was just explained and has something to show.
fn write_key(key: &str, value: Option<&str>, new: bool, needed: bool, text: &mut String) {
    match value {
        Some(value) if needed => _ = writeln!(text, "{key} = {value}"),
        Some(value) if new => _ = writeln!(text, "# {key} = {value}"),
        _ => {}
    }
}

fn is_needed(entry: &Entry) -> bool {
    entry.default == Default::Required
}

fn value(entry: &Entry) -> Option<String> {
    match (&entry.example, &entry.default) {
        (Some(example), _) => Some((*example).to_owned()),
        (None, Default::Value(default)) => Some(default.clone()),
        (None, Default::None | Default::Required | Default::Words(_)) => None,
    }
}

/// What it does, what holds without it, and who else may say it.
fn explain(entry: &Entry) -> String {
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
    format!("{} ({}){default}{variables}{restart}", entry.doc, entry.expects)
}

/// Wraps `words` into comment lines.
fn comment(words: &str, text: &mut String) {
    let mut line = "#".to_owned();
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            _ = writeln!(text, "{line}");
            line = "#".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    _ = writeln!(text, "{line}");
}
