//! The documentation is true: links and paths lead somewhere, the index is whole, configurations load, and the first
//! tutorial is followed word by word.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::dev::Dev;
use crate::cli::offline::gatepost;
use crate::support::docs::{Place, anchors, fenced, links, pages, repository};

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut followed = 0;
    for (file, page) in pages() {
        for target in links(&page).iter().filter(|target| !target.contains("://")) {
            followed += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            let text = std::fs::read_to_string(&to).unwrap_or_default();
            let there = to.exists() && (anchor.is_empty() || anchors(&text).iter().any(|known| known == anchor));
            wrong.extend((!there).then(|| format!("{}: {target}", file.display())));
        }
    }
    assert!(wrong.is_empty() && followed > 150, "{followed} followed: {wrong:#?}");
}

/// The files below `directory` whose text can name a page.
fn texts(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(texts(&entry));
        } else {
            found.push(entry);
        }
    }
    found
}

/// The paths of pages that `text` names, from the root of the repository.
fn named(text: &str) -> Vec<&str> {
    let starts = text.match_indices("docs/").filter(|(at, _)| {
        let before = text[..*at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"/.-_".contains(c))
    });
    let path = |(at, _): (usize, &str)| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && !"/.-_".contains(c)).unwrap_or(rest.len());
        rest[..end].trim_end_matches('.')
    };
    starts.map(path).filter(|path| Path::new(path).extension().is_some_and(|kind| kind == "md")).collect()
}

#[test]
fn every_page_that_the_program_or_a_file_names_is_there() {
    let mut files: Vec<PathBuf> = ["src", "config", "deploy", "benches", "docs"]
        .into_iter()
        .flat_map(|folder| texts(&repository(folder)))
        .collect();
    let pages = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
    files.extend(pages.map(repository));
    let mut seen = 0;
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for path in named(&text) {
            seen += 1;
            assert!(repository(path).is_file(), "{}: {path}", file.display());
        }
    }
    assert!(seen > 30, "{seen} seen");
    assert_eq!(named("see docs/gone.md. Or https://x.example/docs/a.md"), ["docs/gone.md"], "what is named is seen");
}

#[test]
fn the_index_names_every_page() {
    let docs = repository("docs");
    let index = std::fs::read_to_string(docs.join("README.md")).unwrap();
    let listed: BTreeSet<PathBuf> =
        links(&index).iter().map(|target| docs.join(target.split('#').next().unwrap())).collect();
    let missing: Vec<PathBuf> = pages()
        .into_iter()
        .map(|(file, _)| file)
        // Those of vendors stand in an index of their own.
        .filter(|file| file.starts_with(&docs) && !file.starts_with(docs.join("connect")))
        .filter(|file| *file != docs.join("README.md") && !listed.contains(file))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_configuration_in_a_page_loads() {
    let mut wrong = Vec::new();
    let mut loaded = 0;
    for (file, page) in pages() {
        for block in fenced(&page, "toml") {
            loaded += 1;
            if let Err(said) = Place::new().check(&block) {
                wrong.push(format!("{}:\n{block}\n{said}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty() && loaded > 35, "{loaded} loaded\n{}", wrong.join("\n"));
    assert!(Place::new().check("[listener]\nadress = \"127.0.0.1:8443\"\n").is_err(), "a fault would be seen");
}

/// Whether `line` is `pattern`, in which `…` stands for anything and blanks count once.
fn fits(line: &str, pattern: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, pattern) = (plain(line), plain(pattern));
    let mut parts = pattern.split('…').map(str::trim);
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    last.is_some_and(str::is_empty) || rest.is_empty()
}

/// Fails unless the lines of `expected` stand in `told`, in their order.
#[track_caller]
fn assert_told(expected: &str, told: &str) {
    let mut lines = told.lines();
    for pattern in expected.lines() {
        assert!(lines.any(|line| fits(line, pattern)), "no line {pattern:?} in\n{told}");
    }
}

#[test]
fn the_tutorial_of_the_first_event_is_true_line_by_line() {
    let dev = Dev::start();
    let program = dev.path().join("target/debug/gatepost");
    std::fs::create_dir_all(program.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_gatepost"), program).unwrap();
    let page = std::fs::read_to_string(repository("docs/tutorials/first-event.md")).unwrap();
    let page = page.replace("127.0.0.1:8443", &dev.webhooks()).replace("127.0.0.1:9090", &dev.admin());
    let mut told = String::new();
    let (mut typed, mut compared) = (0, 0);
    for (language, block) in blocks(&page) {
        match language {
            "sh" if block.starts_with("cargo run --no-default-features -- dev\n") => told = dev.told(),
            "sh" => {
                let line = format!("PATH={}\n{block}", std::env::var("PATH").unwrap());
                let mut shell = in_shell(&gatepost(dev.path()), &line);
                let output = shell.env("GATEPOST_LISTEN", dev.webhooks()).output().unwrap();
                told =
                    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
                assert!(output.status.success(), "{block}{told}");
                typed += 1;
            }
            "text" => {
                assert_told(block, &told);
                compared += 1;
            }
            other => panic!("a fence of {other}"),
        }
    }
    assert!(typed >= 5 && compared >= 6, "{typed} typed, {compared} compared");
    assert!(!fits("200 accepted", "401 …") && !fits("a b", "a") && fits("a  b c", "a … c") && fits("ab", "a…"));
}

/// The same place and variables as `program`, and `line` for a shell in its place.
fn in_shell(program: &Command, line: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(line).env_clear();
    shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(program.get_current_dir().unwrap());
    shell
}

/// The fences of a page with their languages, in their order.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fences = page.split("```").skip(1).step_by(2);
    fences.map(|fence| fence.split_once('\n').unwrap()).collect()
}
