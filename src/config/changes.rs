//! What a reload changes, in words for the log: sections, sources and sinks by name, never a value.

use super::Config;
use crate::settings::record::{Change, Section};

impl Config {
    /// What `next` changes, one entry a section, source or sink; empty where nothing does.
    #[must_use]
    pub fn changes(&self, next: &Self) -> Vec<String> {
        let in_words = |new: &Section| {
            let name = new.called();
            match self.section(&name).map(|old| old.change(new)) {
                None => Some(format!("{name} added")),
                Some(Change::Values) => Some(format!("{name} changed")),
                Some(Change::Secrets) => Some(format!("secrets of {name} changed")),
                Some(Change::None) => None,
            }
        };
        let mut changes: Vec<String> = next.sections.iter().filter_map(in_words).collect();
        let gone = self.sections.iter().map(Section::called).filter(|name| next.section(name).is_none());
        changes.extend(gone.map(|name| format!("{name} removed")));
        changes
    }

    /// The section that a log record calls `called`.
    pub(super) fn section(&self, called: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.called() == called)
    }
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
