//! The pages under docs/connect are true: every preset has one, what they say to paste loads, the commands in them exist.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::support::docs::{Place, fenced, gatepost, prose, repository};

/// Every page with its text, the index among them.
fn pages() -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(repository("docs/connect")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.into_iter().map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect()
}

/// What the schema says of the key `preset`, wherever it stands below `value`.
fn said_of_presets(value: &serde_json::Value) -> Vec<&serde_json::Value> {
    let members = value.as_object().into_iter().flat_map(|table| table.values());
    let items = value.as_array().into_iter().flatten();
    let below = members.chain(items).flat_map(said_of_presets);
    value.get("preset").into_iter().chain(below).collect()
}

fn presets() -> BTreeSet<String> {
    let written = gatepost(&["config", "schema"], &[]);
    let schema: serde_json::Value = serde_json::from_slice(&written.stdout).unwrap();
    let said = said_of_presets(&schema).into_iter().flat_map(|preset| {
        let several = preset["enum"].as_array().cloned().unwrap_or_default();
        several.into_iter().chain(preset.get("const").cloned())
    });
    let names: BTreeSet<String> = said.filter_map(|name| name.as_str().map(str::to_owned)).collect();
    assert!(names.len() > 20, "the schema names hardly any preset: {names:?}");
    names
}

#[test]
fn every_preset_has_a_page_and_stands_in_the_index() {
    let index = std::fs::read_to_string(repository("docs/connect/README.md")).unwrap();
    let mut missing = Vec::new();
    for preset in presets() {
        let page = repository(&format!("docs/connect/{preset}.md"));
        let shown = std::fs::read_to_string(page).unwrap_or_default();
        let used = fenced(&shown, "toml").iter().any(|block| block.contains(&format!("preset = {preset:?}")));
        let row = format!("| `{preset}` |");
        let listed = index.lines().any(|line| line.starts_with(&row) && line.contains(&format!("({preset}.md)")));
        missing.extend((!used).then(|| format!("docs/connect/{preset}.md: no block with preset = {preset:?}")));
        missing.extend((!listed).then(|| format!("docs/connect/README.md: no row {row}")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_source_that_a_page_says_to_paste_loads() {
    let mut wrong = Vec::new();
    let mut loaded = 0;
    for (file, page) in pages() {
        for block in fenced(&page, "toml").into_iter().filter(|block| block.contains("[[source]]")) {
            loaded += 1;
            if let Err(said) = Place::new().check(&block) {
                wrong.push(format!("{}:\n{block}\n{said}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty() && loaded >= presets().len(), "{loaded} loaded\n{}", wrong.join("\n"));
    let mistaken = "[[source]]\nname = \"a\"\npreset = \"nice\"\nallowed_ips = \"any\"\nsecret = \"x\"\n";
    assert!(Place::new().check(mistaken).is_err(), "a fault would be seen");
}

/// The command lines of a page: in fences of the shell, and between backticks.
fn commands(page: &str) -> Vec<String> {
    let shell = fenced(page, "sh").join("\n");
    let lines = shell.lines().map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned());
    let prose = prose(page);
    let spans = prose.split('`').skip(1).step_by(2).map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.chain(spans).filter(|line| line.starts_with("gatepost ")).collect()
}

#[test]
fn every_command_in_a_page_exists() {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (file, page) in pages() {
        for line in commands(&page) {
            // What is left out, and what stands for something.
            let words: Vec<&str> = line.split(' ').skip(1).filter(|word| *word != "…").collect();
            // With --help all that comes before it must exist, and nothing is done.
            let output = gatepost(&[&words[..], &["--help"]].concat(), &[]);
            tried += 1;
            if !output.status.success() {
                wrong.push(format!("{}: {line}: {}", file.display(), String::from_utf8_lossy(&output.stderr)));
            }
        }
    }
    assert!(wrong.is_empty() && tried > 50, "{tried} tried\n{}", wrong.join("\n"));
    for mistaken in [&["quarantine", "liberate", "--help"][..], &["send", "nice", "--once", "--help"]] {
        assert!(!gatepost(mistaken, &[]).status.success(), "{mistaken:?} would be seen");
    }
}
