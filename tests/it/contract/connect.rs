//! The pages under docs/connect are true: every preset has one, what they say to paste loads, the commands in them exist,
//! their links lead somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::certs::Ca;
use crate::support::jwt::p256;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every page with its text, the index among them.
fn pages() -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(repository("docs/connect")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.into_iter().map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect()
}

/// What stands in the fences of `language` in a page.
fn fenced(page: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take().filter(|(wanted, _)| *wanted).map(|(_, text)| text)),
            (Some(of), None) => open = Some((of == language, String::new())),
            (None, Some((_, text))) => text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence does not end");
    blocks
}

/// A page without what stands in fences.
fn prose(page: &str) -> String {
    page.split("```").step_by(2).collect()
}

fn gatepost(args: &[&str], env: &[(String, String)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gatepost")).args(args).env_clear().envs(env.iter().cloned()).output().unwrap()
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

/// A place where a block of a page can be loaded: certificates, and a file for each that it names.
struct Place {
    dir: tempfile::TempDir,
    ca: Ca,
    env: Vec<(String, String)>,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::new();
        let (cert, key) = ca.leaf(1).write(dir.path());
        let store = dir.path().join("gatepost.db");
        let env = [
            ("TLS_CERT_FILE", cert.display().to_string()),
            ("TLS_KEY_FILE", key.display().to_string()),
            ("GATEPOST_STORE", format!("sqlite:{}", store.display())),
        ];
        Self { dir, ca, env: env.map(|(name, value)| (name.to_owned(), value)).to_vec() }
    }

    /// What a file of a source holds, in the form that its vendor's secrets have.
    fn secret(source: &toml::Table, path: &str) -> String {
        let says = |key: &str, value: &str| source.get(key).and_then(toml::Value::as_str) == Some(value);
        let random = hex::encode(path);
        if says("preset", "standard-webhooks") {
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()
        } else if says("preset", "cognigy-webhook") || says("token_format", "Basic {basic}") {
            format!("user:{random}")
        } else {
            random
        }
    }

    /// Makes what `value` names exist: files below /run in this place, variables of the environment.
    fn provide(&mut self, value: &toml::Value, source: &toml::Table) {
        if let Some(text) = value.as_str().filter(|text| text.starts_with("/run/")) {
            let file = self.dir.path().join(text.trim_start_matches('/'));
            let content = match text {
                _ if text.starts_with("/run/tls/") => self.ca.pem().to_owned(),
                _ if text.ends_with("jwks.json") => serde_json::json!({ "keys": [p256().jwk("1")] }).to_string(),
                _ => Self::secret(source, text),
            };
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        if let Some(name) = value.get("env").and_then(toml::Value::as_str) {
            self.env.push((name.to_owned(), Self::secret(source, name)));
        }
        let members = value.as_table().into_iter().flat_map(|table| table.values());
        members.chain(value.as_array().into_iter().flatten()).for_each(|value| self.provide(value, source));
    }

    /// Loads a block as `check` does.
    fn check(mut self, block: &str) -> Result<(), String> {
        let table: toml::Table = block.parse().map_err(|error| format!("{error}"))?;
        for value in table.values() {
            let sources = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            for value in sources {
                self.provide(value, &value.as_table().cloned().unwrap_or_default());
            }
        }
        let file = self.dir.path().join("gatepost.toml");
        std::fs::write(&file, block.replace("\"/run/", &format!("\"{}/run/", self.dir.path().display()))).unwrap();
        let output = gatepost(&["--config", &file.display().to_string(), "check"], &self.env);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }
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

/// The anchors that a page offers, as GitHub makes them of its headings.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    let mut all = pages();
    let readme = repository("README.md");
    all.push((readme.clone(), std::fs::read_to_string(readme).unwrap()));
    let mut wrong = Vec::new();
    let mut followed = 0;
    for (file, page) in all {
        let prose = prose(&page);
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            followed += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            let text = std::fs::read_to_string(&to).unwrap_or_default();
            let there = to.exists() && (anchor.is_empty() || anchors(&text).iter().any(|known| known == anchor));
            wrong.extend((!there).then(|| format!("{}: {target}", file.display())));
        }
    }
    assert!(wrong.is_empty() && followed > 30, "{followed} followed: {wrong:#?}");
}
