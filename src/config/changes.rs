//! What a reload changes, in words for the log: sections, sources and sinks by name, never a value.

use std::collections::BTreeMap;

use super::Config;
use crate::secret::Secret;
use crate::settings::record::{Change, Section};
use crate::sink::Proxies;

/// A section, source or sink: its effective keys as `check` shows them, and its secrets.
#[derive(Default)]
struct Part {
    text: String,
    secrets: Vec<Secret>,
}

impl Config {
    /// What `next` changes, one entry a section, source or sink; empty where nothing does.
    #[must_use]
    pub fn changes(&self, next: &Self) -> Vec<String> {
        let (before, after) = (self.parts(), next.parts());
        let mut changes = Vec::new();
        for (name, part) in &after {
            match before.get(name) {
                None => changes.push(format!("{name} added")),
                Some(old) if old.text != part.text => changes.push(format!("{name} changed")),
                Some(old) if !same(&old.secrets, &part.secrets) => changes.push(format!("secrets of {name} changed")),
                Some(_) => {}
            }
        }
        for next in next.sources() {
            match self.sources().find(|section| section.name == next.name).map(|section| section.change(next)) {
                Some(Change::None) => {}
                Some(Change::Secrets) => changes.push(format!("secrets of {} changed", next.called())),
                Some(Change::Values) => changes.push(format!("{} changed", next.called())),
                None => changes.push(format!("{} added", next.called())),
            }
        }
        let gone = |section: &&Section| next.sources().all(|next| next.name != section.name);
        changes.extend(self.sources().filter(gone).map(|section| format!("{} removed", section.called())));
        changes.extend(before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("{name} removed")));
        changes
    }

    fn parts(&self) -> BTreeMap<String, Part> {
        let mut parts = BTreeMap::<String, Part>::new();
        for block in self.describe_others().split("\n\n") {
            let mut lines = block.lines();
            let title = lines.next().unwrap_or_default().trim_matches(['[', ']']);
            let named = lines.find_map(|line| line.strip_prefix("name = ")).map(|name| name.trim_matches('"'));
            let name = match (title, named) {
                ("source" | "sink", Some(name)) => format!("{title} {name}"),
                // Further certificates belong to `[tls]`.
                _ => format!("[{}]", title.split('.').next().unwrap_or(title)),
            };
            parts.entry(name).or_default().text.push_str(block.trim_end());
        }
        let mut keyed = |name: String, secrets: Vec<Secret>| {
            if let Some(part) = parts.get_mut(&name) {
                // What a secret is called changes with it, and belongs to it.
                for secret in &secrets {
                    part.text = part.text.replace(&format!(", key {}", secret.name()), "");
                }
                part.secrets = secrets;
            }
        };
        for sink in &self.sinks {
            let given = sink.secret.iter().chain(&sink.token).cloned();
            keyed(format!("sink {}", sink.name), given.chain(hidden(&sink.url, &sink.proxies)).collect());
        }
        if let Some(siem) = &self.siem {
            keyed("[siem]".to_owned(), siem.token.iter().cloned().chain(hidden(&siem.url, &siem.proxies)).collect());
        }
        keyed("[admin]".to_owned(), self.admin.token.iter().cloned().collect());
        parts
    }
}

/// Passwords that stand in URLs, which are shown without them: the URL whole, and what tells one proxy from another.
fn hidden(url: &str, proxies: &Proxies) -> impl Iterator<Item = Secret> {
    let proxies = proxies.fingerprint().map(hex::encode).unwrap_or_default();
    [url.to_owned(), proxies].into_iter().filter_map(|text| Secret::token(text).ok())
}

fn same(before: &[Secret], after: &[Secret]) -> bool {
    before.len() == after.len()
        && before.iter().zip(after).all(|(before, after)| before.same_as(after) && before.label() == after.label())
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;

    const BASE: &str = "
[tls]\ncert_file = 'c'\nkey_file = 'k'\n[admin]\ntoken = { env = 'GATEPOST_ADMIN_TOKEN' }
[[source]]\nname = 'a'\npreset = 'nice'\nallowed_ips = 'any'\nsecrets = [{ env = 'A_SECRET' }]
[[source]]\nname = 'b'\npreset = 'cognigy'\nallowed_ips = 'any'\nsecrets = [{ env = 'B_SECRET' }]
[[sink]]\nname = 'orders'\ntype = 'http'\nurl = 'http://127.0.0.1:1/'\n";

    fn config(text: &str, vars: &[(&str, &str)]) -> Config {
        let secrets = ["A_SECRET", "B_SECRET", "GATEPOST_ADMIN_TOKEN"].map(|name| (name, "a-secret-long-enough"));
        let vars = secrets.iter().chain(vars).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gatepost.toml");
        std::fs::write(&file, text).unwrap();
        load(Some(&file), &vars).unwrap_or_else(|faults| panic!("{faults}"))
    }

    #[test]
    fn what_changed_is_told_by_name_and_never_by_value() {
        let now = config(BASE, &[]);
        assert_eq!(now.changes(&config(BASE, &[])), Vec::<String>::new());
        let told = |text: &str, vars: &[(&str, &str)]| now.changes(&config(text, vars));
        assert_eq!(told(BASE, &[("B_SECRET", "another-secret-long-enough")]), ["secrets of source b changed"]);
        assert_eq!(
            told(BASE, &[("GATEPOST_ADMIN_TOKEN", "another-token-long-enough")]),
            ["secrets of [admin] changed"]
        );
        assert_eq!(
            told(BASE, &[("WEBHOOK_MAX_BYTES", "77")]),
            ["[limits] changed", "source a changed", "source b changed"]
        );
        let through = |password| format!("{BASE}proxy = 'http://us:{password}@127.0.0.1:3128'\n");
        let now_through = config(&through("one"), &[]);
        assert_eq!(now_through.changes(&config(&through("one"), &[])), Vec::<String>::new());
        assert_eq!(now_through.changes(&config(&through("two"), &[])), ["secrets of sink orders changed"]);
        assert_eq!(told(&BASE.replace("'b'", "'c'"), &[]), ["source c added", "source b removed"]);
        assert_eq!(
            told(&BASE.replace("'orders'", "'siem'").replace("127.0.0.1:1", "127.0.0.1:2"), &[]),
            ["sink siem added", "source a changed", "source b changed", "sink orders removed"]
        );
        let with = |query: &str| BASE.replace(":1/'", &format!(":1/?key={query}'"));
        assert_eq!(config(&with("a"), &[]).changes(&config(&with("b"), &[])), ["secrets of sink orders changed"]);
        assert_eq!(told(BASE, &[("GATEPOST_SIEM_URL", "http://127.0.0.1:3/")]), ["[siem] added"]);
    }
}
