//! The shape of the sources: imports point down only, every file says what it is for, none grows too long.
//!
//! Reads text, not syntax: `crate::name` anywhere in code counts as an import, comments do not.

mod circles;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const STRATA: [(&str, u8); 36] = [
    ("event", 1),
    ("secret", 1),
    ("file", 1),
    ("clock", 1),
    ("backoff", 1),
    ("escape", 1),
    ("audit_record", 1),
    ("request_id", 1),
    ("request_outcome", 1),
    ("shell", 1),
    ("flat_json", 1),
    ("json_text", 1),
    ("time_arg", 1),
    ("settings", 2),
    ("telemetry", 3),
    ("metrics", 3),
    ("lifecycle", 3),
    ("feed", 3),
    ("near_misses", 3),
    ("trace", 3),
    ("server", 4),
    ("scheme", 5),
    ("store", 5),
    ("sink", 5),
    ("ingress", 6),
    ("dispatch", 6),
    ("audit", 6),
    ("otlp", 6),
    ("operations", 7),
    ("explain", 7),
    ("admin", 8),
    ("config", 9),
    ("app", 10),
    ("cli", 11),
    ("main", 11),
    ("lib", 12),
];
const MAX_LINES: usize = 400;

fn stratum(module: &str) -> Option<u8> {
    STRATA.iter().find(|(name, _)| *name == module).map(|(_, stratum)| *stratum)
}

/// What is wrong with `from` naming `to`; vocabulary may name vocabulary as long as there is no way back.
fn fault(from: &str, to: &str) -> Option<String> {
    if from == to {
        return None;
    }
    let (Some(above), Some(below)) = (stratum(from), stratum(to)) else {
        return Some(format!("{from} → {to}: a module that has no stratum"));
    };
    if to == "app" && !["main", "cli"].contains(&from) {
        return Some(format!("{from} → app: only main and cli may"));
    }
    if from == "admin" && ["dispatch", "audit"].contains(&to) {
        return Some(format!("admin → {to}: it asks the store and the metrics, not the pipelines that run"));
    }
    let vocabulary = above == 1 && below == 1;
    let process = from == "main" && to == "cli";
    (above <= below && !vocabulary && !process).then(|| format!("{from} ({above}) → {to} ({below}): up or sideways"))
}

/// The modules of this crate that `source` names, in `use` lines, in braces after `crate::` and in paths.
fn named(source: &str) -> BTreeSet<String> {
    let code: Vec<&str> = source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n");
    let mut found = BTreeSet::new();
    for root in ["crate::", "gatepost::"] {
        for (at, _) in code.match_indices(root) {
            let whole =
                !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$');
            let quoted = code[..at].ends_with('"');
            if whole && !quoted {
                found.extend(heads(&code[at + root.len()..]));
            }
        }
    }
    found
}

/// The first segments of what follows `crate::`: one name, or one for each item in braces.
fn heads(rest: &str) -> Vec<String> {
    let word =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(inside) = rest.strip_prefix('{') else { return vec![word(rest)] };
    let (mut depth, mut start, mut items) = (0_usize, 0, Vec::new());
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(word(&inside[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(word(&inside[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    items.retain(|item| !item.is_empty());
    items
}

/// `src/store/sqlite.rs` belongs to `store`, `src/clock.rs` to `clock`.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix(root()).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// `super::` as often as a file lies deep is the root of the crate.
fn from_the_root(file: &Path, source: &str) -> String {
    let inside = file.strip_prefix(root()).unwrap();
    let depth = inside.components().count() - usize::from(inside.ends_with("mod.rs"));
    source.replace(&"super::".repeat(depth), "crate::")
}

/// Modules named by a file, its own unit tests aside: tests may build what they need from above.
fn code_of(source: &str) -> &str {
    source.find("\n#[cfg(test)]\nmod tests {").map_or(source, |at| &source[..at])
}

#[test]
fn imports_point_down() {
    let mut faults = Vec::new();
    let mut vocabulary = BTreeSet::new();
    for file in files(&root()) {
        let from = module_of(&file);
        if file.ends_with("tests.rs") || from == "lib" {
            continue;
        }
        let source = from_the_root(&file, &std::fs::read_to_string(&file).unwrap());
        for to in named(code_of(&source)) {
            faults.extend(fault(&from, &to).map(|fault| format!("{}: {fault}", file.display())));
            if stratum(&from) == Some(1) && from != to {
                vocabulary.insert((from.clone(), to));
            }
        }
    }
    for (from, to) in &vocabulary {
        if vocabulary.contains(&(to.clone(), from.clone())) {
            faults.push(format!("{from} ↔ {to}: a circle"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_has_a_stratum() {
    for file in files(&root()) {
        let module = module_of(&file);
        assert!(stratum(&module).is_some(), "{} belongs to no stratum", file.display());
    }
}

#[test]
fn every_file_says_what_it_is_for_and_none_grows_too_long() {
    let mut faults = Vec::new();
    for file in files(&root()) {
        let source = std::fs::read_to_string(&file).unwrap();
        if !source.starts_with("//!") {
            faults.push(format!("{} does not begin with `//! `", file.display()));
        }
        let lines = code_of(&source).lines().count();
        if lines > MAX_LINES && !file.ends_with("tests.rs") {
            faults.push(format!("{} has {lines} lines", file.display()));
        }
        for name in ["utils", "util", "common", "helpers", "manager"] {
            if file.file_stem().is_some_and(|stem| stem == name) || file.parent().is_some_and(|dir| dir.ends_with(name))
            {
                faults.push(format!("{} has a name that says nothing", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn this_test_would_catch_a_bad_edge() {
    let edges = |source: &str| named(source).into_iter().collect::<Vec<_>>();
    assert_eq!(edges("use crate::store::Inbox;"), ["store"]);
    assert_eq!(edges("use crate::{sink, store};\nfn f() -> crate::event::Event {}"), ["event", "sink", "store"]);
    assert_eq!(
        edges("use crate::{\n    config::{Config, Source},\n    scheme::{self, Mac},\n};"),
        ["config", "scheme"]
    );
    assert_eq!(edges("pub(crate) fn f() { crate::app::run() }"), ["app"]);
    assert_eq!(edges("use gatepost::cli;"), ["cli"]);
    assert_eq!(edges("// use crate::app;\n/// [`crate::app`]\ntarget: \"gatepost::access\""), Vec::<String>::new());
    let at = |path: &str, source: &str| edges(&from_the_root(&root().join(path), source));
    assert_eq!(at("clock.rs", "use super::app;"), ["app"]);
    assert_eq!(at("store/mod.rs", "use super::config;"), ["config"]);
    assert_eq!(at("store/sqlite.rs", "use super::Inbox;\nuse super::super::config;"), ["config"]);
    for (from, to) in [
        ("ingress", "dispatch"),
        ("scheme", "config"),
        ("store", "sink"),
        ("server", "ingress"),
        ("event", "metrics"),
        ("metrics", "lifecycle"),
        ("config", "app"),
        ("ingress", "app"),
        ("app", "cli"),
        ("cli", "main"),
        ("store", "utils"),
        ("audit", "admin"),
        ("operations", "admin"),
        ("dispatch", "operations"),
        ("ingress", "otlp"),
        ("trace", "sink"),
    ] {
        assert!(fault(from, to).is_some(), "{from} → {to} must be caught");
    }
    for (from, to) in [
        ("ingress", "store"),
        ("config", "scheme"),
        ("app", "ingress"),
        ("cli", "app"),
        ("main", "cli"),
        ("audit_record", "event"),
        ("store", "store"),
    ] {
        assert_eq!(fault(from, to), None, "{from} → {to} is fine");
    }
}
