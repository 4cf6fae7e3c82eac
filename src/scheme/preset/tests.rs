//! One row says all about a vendor: no other file of the program knows one.

use std::path::{Path, PathBuf};

use super::*;

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The code of a file: without its comments and its unit tests.
fn code(file: &Path) -> String {
    let source = std::fs::read_to_string(file).unwrap();
    let starts = ["\n#[cfg(test)]\nmod tests {", "\n#[cfg(test)]\npub(super) mod tests {"];
    let end = starts.iter().find_map(|start| source.find(start)).unwrap_or(source.len());
    source[..end].lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn no_other_file_names_a_vendor_or_its_variables() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_test = |file: &Path| file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests");
    let mut wrong = Vec::new();
    // These are also the names of what they are made with, which other rooms have too.
    let shared = ["\"hmac\"", "\"token\"", "\"jwt\""];
    let names = presets().map(|row| row.name).chain(handshakes().map(|row| row.name));
    let names = names.map(|name| format!("{name:?}"));
    let names: Vec<String> = names.filter(|name| !shared.contains(&name.as_str())).collect();
    let own = |name: &String| !["GATEPOST_", "TLS_", "WEBHOOK_", "OTEL_"].iter().any(|prefix| name.starts_with(prefix));
    let variables: Vec<String> = crate::config::document().variables().into_iter().filter(own).collect();
    assert!(names.len() >= 6 && variables.iter().any(|name| name == "CXONE_AWS_REGION"), "{variables:?}");
    for file in files(&root) {
        if is_test(&file) || file.starts_with(root.join("scheme/preset")) {
            continue;
        }
        let code = code(&file);
        let told = names
            .iter()
            .map(String::as_str)
            .chain(variables.iter().map(String::as_str))
            .filter(|name| code.contains(name));
        wrong.extend(told.map(|name| format!("{}: {name}", file.display())));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let rows: String = files(&root.join("scheme/preset")).iter().map(|file| code(file)).collect();
    assert!(names.iter().all(|name| rows.contains(name)), "the search finds them");
}

#[test]
fn every_sample_is_what_it_says_it_is() {
    for row in presets() {
        let json: serde_json::Value =
            serde_json::from_str(row.sample.json).unwrap_or_else(|error| panic!("{row}: {error}"));
        assert!(json.is_object() && row.sample.json.contains("{id}"), "{row}");
        assert!(row.sample.xml.starts_with("<?xml ") && row.sample.xml.contains("{id}"), "{row}");
    }
}

#[test]
fn every_handshake_finds_what_it_looks_for() {
    let of_head = |place: &Place| match place {
        Place::Query(name) => !name.is_empty(),
        Place::Header(name) => name.parse::<http::HeaderName>().is_ok() && *name == name.to_lowercase(),
        Place::Field(_) => false,
    };
    let of_body = |place: &Place| matches!(place, Place::Field(pointer) if pointer.starts_with('/'));
    for row in handshakes() {
        let name = row.name;
        let event = row.asked == Asked::Event;
        assert_eq!(event, row.proof == Proof::Event, "{name}");
        assert!(!event || row.mark.is_some(), "{name}: every event would be one");
        assert!(event || !row.wants_mac(), "{name}: made with the secret that verified it");
        let own = match &row.proof {
            Proof::Own(place) => Some(place),
            Proof::Event | Proof::Token | Proof::Nothing => None,
        };
        let mark = row.mark.as_ref().map(|(place, _)| place);
        for place in [Some(&row.challenge), mark, own].into_iter().flatten() {
            assert!(if event { of_body(place) } else { of_head(place) }, "{name}: {place:?}");
        }
        assert!(row.asked != Asked::EmptyPost || matches!(row.challenge, Place::Header(_)), "{name}");
        if let Echo::Header { name, beside } = row.echo {
            let names = beside.iter().map(|(name, _)| *name).chain([name]);
            assert!(names.into_iter().all(|name| of_head(&Place::Header(name))), "{name}");
        }
        assert!(handshake(name).is_some_and(|found| std::ptr::eq(found, row)), "{name} stands twice");
    }
    for preset in presets() {
        assert!(preset.handshake.is_none_or(|name| handshake(name).is_some()), "{preset}");
    }
}
