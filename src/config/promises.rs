//! What ARCHITECTURE.md promises of a change, traced in the sources: a key or a variable is said in one call of its
//! owner, a scheme is known to its folder, its `mod` line and its rows, a store to its folder and where it is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::document;

/// Keys that are also words of another vocabulary: fields of records and listings, reasons, names of metrics.
const SHARED_WORDS: [&str; 4] = ["event_id", "event_type", "body_timeout", "body_memory_bytes"];
/// The curl command of `send` says where the one secret came from that it does not show, for which it asks by key.
const ASKED_BY_KEY: (&str, &str) = ("session_token", "config/describe.rs");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The code of every file, without comments and unit tests, by its path in `src`.
fn sources() -> BTreeMap<String, String> {
    let code = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        let tests = ["\n#[cfg(test)]\nmod tests {", "\n#[cfg(test)]\npub(super) mod tests {"];
        let end = tests.iter().filter_map(|start| text.find(start)).min().unwrap_or(text.len());
        text[..end].lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    };
    let inside = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    let is_test = |path: &str| path.ends_with("tests.rs") || path.contains("tests/") || path.ends_with("promises.rs");
    let all = files(&root()).into_iter().map(|path| (inside(&path), code(&path)));
    all.filter(|(path, _)| !is_test(path)).collect()
}

/// The files in which `text` stands, each as often as it does.
fn places<'s>(sources: &'s BTreeMap<String, String>, text: &str) -> Vec<&'s str> {
    sources.iter().flat_map(|(path, code)| vec![path.as_str(); code.matches(text).count()]).collect()
}

/// `scheme/hmac` of `scheme/hmac/settings/mod.rs`, `server` of `server/settings.rs`: who owns what stands there.
fn owner(path: &str) -> String {
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    let depth = if folders.first() == Some(&"scheme") { 2 } else { 1 };
    folders.into_iter().take(depth).collect::<Vec<_>>().join("/")
}

/// Whether `code` names the module `name` in a path.
fn names_module(code: &str, name: &str) -> bool {
    let starts = |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    code.match_indices(&format!("{name}::")).any(|(at, _)| starts(&code[..at]))
}

#[test]
fn a_variable_is_said_in_one_place() {
    let sources = sources();
    let variables = document().variables();
    // Every secret's variable has a form that names a file.
    let is_form = |name: &&String| name.strip_suffix("_FILE").is_some_and(|bare| variables.contains(bare));
    let own: Vec<&String> = variables.iter().filter(|name| !is_form(name)).collect();
    assert!(own.len() > 30, "{own:?}");
    let wrong: Vec<_> = own
        .into_iter()
        .map(|name| (name, places(&sources, &format!("{name:?}"))))
        .filter(|(_, places)| places.len() != 1)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_key_is_known_to_its_owner_alone() {
    let sources = sources();
    let document = document();
    let mut keys = BTreeMap::<&str, BTreeSet<&str>>::new();
    for chapter in &document.0 {
        let sections = chapter.variants.iter().map(|variant| &variant.section);
        for section in sections.flat_map(|section| std::iter::once(section).chain(&section.inner)) {
            for key in section.entries.iter().filter_map(|entry| entry.key) {
                keys.entry(key).or_default().insert(&section.title);
            }
        }
    }
    // Words such as `url` or `name` mean something everywhere.
    keys.retain(|key, _| key.contains('_') && !SHARED_WORDS.contains(key));
    assert!(keys.len() > 40, "{:?}", keys.keys());
    let mut wrong = Vec::new();
    for (key, titles) in &keys {
        let counts = |path: &&str| !path.starts_with("scheme/preset/") && (*key, *path) != ASKED_BY_KEY;
        let owners: BTreeSet<_> = places(&sources, &format!("{key:?}")).into_iter().filter(counts).map(owner).collect();
        if owners.is_empty() || owners.len() > titles.len() {
            wrong.push(format!("{key} of {titles:?} in {owners:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_scheme_is_known_to_its_folder_its_mod_line_and_its_rows() {
    let sources = sources();
    let rows = sources.iter().filter(|(path, code)| path.starts_with("scheme/") && code.contains("Row for "));
    let schemes: BTreeSet<&str> =
        rows.map(|(path, _)| path.split('/').nth(1).unwrap().trim_end_matches(".rs")).collect();
    assert!(schemes.len() >= 4 && schemes.contains("sigv4"), "{schemes:?}");
    let mut wrong = Vec::new();
    for scheme in schemes {
        let own = |path: &str| {
            path.strip_prefix("scheme/")
                .and_then(|rest| rest.strip_prefix(scheme))
                .is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
        };
        // Tokens may stand beside any signature: the registry asks them of every scheme.
        let beside = |path: &str| scheme == "token" && path == "scheme/registry.rs";
        // The crate of that name.
        let crate_of_that_name = |path: &str| scheme == "hmac" && path == "scheme/mac.rs";
        for (path, code) in &sources {
            if own(path)
                || beside(path)
                || crate_of_that_name(path)
                || path.starts_with("scheme/preset/")
                || !names_module(code, scheme)
            {
                continue;
            }
            if path.starts_with("scheme/") || code.contains(&format!("scheme::{scheme}")) {
                wrong.push(format!("{path} names {scheme}"));
            }
        }
        assert_eq!(sources["scheme/mod.rs"].matches(&format!("mod {scheme};")).count(), 1, "{scheme}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_store_is_known_to_its_folder_and_to_who_opens_it() {
    let sources = sources();
    for store in ["sqlite", "postgres"] {
        let folder = format!("store/{store}/");
        let elsewhere: Vec<&str> = sources
            .iter()
            .filter(|(path, code)| !path.starts_with(&folder) && names_module(code, store))
            .map(|(path, _)| path.as_str())
            .collect();
        // `migration` moves from one to the other: a direction is of two stores.
        let allowed = ["store/migration.rs", "store/registry.rs"];
        assert!(elsewhere.iter().all(|path| allowed.contains(path)), "{store} in {elsewhere:?}");
        let opening = [&*sources["store/mod.rs"], &sources["store/registry.rs"]].join("\n");
        let lines = opening.lines().filter(|line| line.contains(&format!("mod {store};")) || names_module(line, store));
        assert_eq!(lines.count(), 2, "{store} where stores are opened");
    }
}

#[test]
fn these_tests_would_catch_a_name() {
    assert!(names_module("use super::sqlite::Store;", "sqlite") && names_module("sqlite::open()", "sqlite"));
    assert!(!names_module("use sqlx_sqlite::Pool;", "sqlite") && !names_module("mod sqlite;", "sqlite"));
    assert_eq!(owner("scheme/hmac/settings/mod.rs"), "scheme/hmac");
    assert_eq!(owner("scheme/registry.rs"), "scheme");
    assert_eq!(owner("server/settings.rs"), "server");
    let sources =
        BTreeMap::from([("a.rs".to_owned(), "\"x\" \"x\"".to_owned()), ("b.rs".to_owned(), "\"x\"".to_owned())]);
    assert_eq!(places(&sources, "\"x\""), ["a.rs", "a.rs", "b.rs"]);
}
