//! What tests of the documentation share: its pages taken apart, and a place where a configuration in them loads.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::certs::Ca;
use super::jwt::p256;

/// A path of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every page of the repository with its text.
pub(crate) fn pages() -> Vec<(PathBuf, String)> {
    let mut waiting = vec![repository("docs"), repository("deploy"), repository("certs-dev")];
    let mut files: Vec<PathBuf> = entries(&repository("")).into_iter().filter(|path| path.is_file()).collect();
    while let Some(folder) = waiting.pop() {
        let (folders, inside): (Vec<_>, Vec<_>) = entries(&folder).into_iter().partition(|path| path.is_dir());
        waiting.extend(folders);
        files.extend(inside);
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.sort();
    files.into_iter().map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// What stands in the fences of `language` in a page. A fence of `toml fragment` is none of `toml`.
pub(crate) fn fenced(page: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in page.lines() {
        let line = line.trim_start();
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
pub(crate) fn prose(page: &str) -> String {
    page.split("```").step_by(2).collect()
}

/// Where the links and pictures of a page lead.
pub(crate) fn links(page: &str) -> Vec<String> {
    let prose = prose(page);
    let marked = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let pictures = prose.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
    marked.chain(pictures).map(str::to_owned).collect()
}

/// The anchors that a page offers, as GitHub makes them of its headings.
pub(crate) fn anchors(page: &str) -> Vec<String> {
    let prose = prose(page);
    let headings = prose.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    headings.map(anchor).collect()
}

/// Runs the program with these variables alone.
pub(crate) fn gatepost(args: &[&str], env: &[(String, String)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gatepost")).args(args).env_clear().envs(env.iter().cloned()).output().unwrap()
}

/// A place where a block of a page can be loaded: certificates, and a file for each that it names.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    ca: Ca,
    env: Vec<(String, String)>,
}

impl Place {
    pub(crate) fn new() -> Self {
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

    /// Loads a block as `check` does. One without a source gets one by variables, and none of its own allowlist is needed.
    pub(crate) fn check(mut self, block: &str) -> Result<(), String> {
        let table: toml::Table = block.parse().map_err(|error| format!("{error}"))?;
        for value in table.values() {
            let sources = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            for value in sources {
                self.provide(value, &value.as_table().cloned().unwrap_or_default());
            }
        }
        let mut add = |name: &str, value: &str| self.env.push((name.to_owned(), value.to_owned()));
        if !table.contains_key("source") {
            add("NICE_WEBHOOK_SECRET", "a-secret-of-sufficient-length");
            add("GATEPOST_ALLOWED_IPS", "192.0.2.1");
        }
        let file = self.dir.path().join("gatepost.toml");
        std::fs::write(&file, block.replace("\"/run/", &format!("\"{}/run/", self.dir.path().display()))).unwrap();
        let output = gatepost(&["--config", &file.display().to_string(), "check"], &self.env);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }
}
