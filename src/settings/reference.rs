//! The reference of sections, keys and variables, as Markdown.

use std::fmt::Write as _;

use super::document::{Across, Chapter, Document};
use super::record::{Default, Entry, Section};

const HEAD: &str = "\
# Configuration reference

Written by `gatepost config reference` from the declarations that the program reads by. Default < file < environment,
but where a key says otherwise. `gatepost check` prints what holds and where it came from; `gatepost config schema` is
the JSON Schema of the file for editors.

Durations are a number and a unit in quotes: `\"250ms\"`, `\"10s\"`, `\"5m\"`, `\"96h\"`, `\"30d\"`. A secret is referred to:
`{ file = \"/run/secrets/name\" }`, `{ env = \"NAME\" }`, or for development `{ value = \"…\" }`. A variable marked
*secret* also exists with `_FILE` appended and then names a file that holds the secret.
";

impl Document {
    /// The reference as Markdown.
    pub(crate) fn reference(&self) -> String {
        let mut text = HEAD.to_owned();
        for chapter in &self.0 {
            write_chapter(chapter, &mut text);
        }
        text
    }
}

fn write_chapter(chapter: &Chapter, text: &mut String) {
    if chapter.is_in_file() {
        _ = writeln!(text, "\n## `{}`\n", chapter.title);
    } else {
        _ = writeln!(text, "\n## What only variables say\n");
    }
    let keys = chapter.keys();
    let everywhere = chapter.variants.len();
    let (shared, special): (Vec<_>, Vec<_>) = keys.into_iter().partition(|across| across.variants.len() == everywhere);
    write_table(&shared, chapter, text);
    // What only some variants have, by which those are.
    let mut written: Vec<Vec<&str>> = Vec::new();
    for across in &special {
        let names = names(across);
        if written.contains(&names) {
            continue;
        }
        let these: Vec<&Across<'_>> = special.iter().filter(|other| self::names(other) == names).collect();
        let by = chapter.by.unwrap_or_default();
        let of: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        _ = writeln!(text, "\nWith `{by}` {}:\n", of.join(", "));
        write_table(&these, chapter, text);
        written.push(names);
    }
    for inner in chapter.inner() {
        write_inner(inner, text);
    }
}

fn names<'d>(across: &Across<'d>) -> Vec<&'d str> {
    across.variants.iter().map(|(name, _)| *name).collect()
}

fn write_table<'d, A: std::borrow::Borrow<Across<'d>>>(keys: &[A], chapter: &Chapter, text: &mut String) {
    if keys.is_empty() {
        return;
    }
    _ = writeln!(text, "| key | what it does | value | default | variable |\n|---|---|---|---|---|");
    for across in keys {
        let across = across.borrow();
        write_row(across.entry, &default_across(across, chapter), &variables_across(across), text);
    }
}

fn write_inner(section: &Section, text: &mut String) {
    _ = writeln!(text, "\n### `{}`\n", section.title);
    _ = writeln!(text, "| key | what it does | value | default | variable |\n|---|---|---|---|---|");
    for entry in &section.entries {
        write_row(entry, &default(&entry.default), &variables(entry).join(", "), text);
    }
}

fn write_row(entry: &Entry, default: &str, variables: &str, text: &mut String) {
    let key = entry.key.map(|key| format!("`{key}`")).unwrap_or_default();
    let restart = if entry.restart { " Takes a restart." } else { "" };
    let cells =
        [key, format!("{}{restart}", entry.doc), entry.expects.clone(), default.to_owned(), variables.to_owned()];
    let cells = cells.map(|cell| cell.replace('|', "\\|"));
    _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn variables(entry: &Entry) -> Vec<String> {
    let secret = if entry.secret { " *secret*" } else { "" };
    entry.variables.iter().map(|name| format!("`{name}`{secret}")).collect()
}

/// Those of all variants, each with the variants that it is for where not all have the same.
fn variables_across(across: &Across<'_>) -> String {
    let mut by_variable: Vec<(String, Vec<&str>)> = Vec::new();
    for (variant, entry) in &across.variants {
        for variable in variables(entry) {
            match by_variable.iter_mut().find(|(known, _)| *known == variable) {
                Some((_, variants)) => variants.push(variant),
                None => by_variable.push((variable, vec![variant])),
            }
        }
    }
    let everywhere = across.variants.len();
    let each = by_variable.into_iter().map(|(variable, variants)| {
        if variants.len() == everywhere { variable } else { format!("{variable} for {}", variants.join(", ")) }
    });
    each.collect::<Vec<_>>().join("; ")
}

/// One default for all variants; or what most have, and each other with those that have it.
fn default_across(across: &Across<'_>, chapter: &Chapter) -> String {
    let mut by_default: Vec<(&Default, Vec<&str>)> = Vec::new();
    for (name, entry) in &across.variants {
        match by_default.iter_mut().find(|(known, _)| **known == entry.default) {
            Some((_, names)) => names.push(name),
            None => by_default.push((&entry.default, vec![name])),
        }
    }
    let of = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let by = chapter.by.unwrap_or_default();
    let common = by_default.iter().position(|(_, names)| names.len() * 2 > across.variants.len());
    let first = common.map(|common| by_default.remove(common)).map(|(common, _)| default(common));
    let others = by_default.iter().map(|(default, names)| format!("{by} {}: {}", of(names), self::default(default)));
    first.into_iter().chain(others).collect::<Vec<_>>().join("; ")
}

fn default(default: &Default) -> String {
    match default {
        Default::None => "none".to_owned(),
        Default::Required => "required".to_owned(),
        Default::Value(text) => format!("`{text}`"),
        Default::Words(words) => (*words).to_owned(),
    }
}
