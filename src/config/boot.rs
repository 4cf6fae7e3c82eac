//! What a reload cannot change: the keys that say so where they are declared.

use super::Config;
use crate::settings::ConfigError;
use crate::settings::record::{Change, Entry, Section};

impl Config {
    /// What `next` would change that only a restart can: an error for each key, with its variable. Values are not told:
    /// a store's URL may hold a password.
    #[must_use]
    pub fn takes_a_restart(&self, next: &Self) -> Vec<ConfigError> {
        let both = self.sections.iter().filter_map(|before| Some((before, next.section(&before.called())?)));
        both.flat_map(|(before, after)| changed(before, after)).collect()
    }
}

fn changed<'a>(before: &'a Section, after: &'a Section) -> impl Iterator<Item = ConfigError> + 'a {
    let section = before.title.trim_matches(['[', ']']);
    let pairs = before.entries.iter().zip(&after.entries);
    let changed = pairs.filter(|(old, new)| old.restart && old.change(new) != Change::None);
    changed.map(move |(_, new)| refused(section, new))
}

fn refused(section: &str, entry: &Entry) -> ConfigError {
    let variable = entry.variables.first().map(|name| format!(" (it may also be set by {name})")).unwrap_or_default();
    let advice = "restart to use the new value, or set the old one again";
    let at = format!("{section}.{}", entry.key.unwrap_or_default());
    ConfigError::new(at, format!("changed{variable}, and that takes a restart: {advice}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::load;
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        let base = [
            ("TLS_CERT_FILE", "c"),
            ("TLS_KEY_FILE", "k"),
            ("GATEPOST_ALLOWED_IPS", "any"),
            ("GATEPOST_TRUSTED_PROXIES", "192.0.2.1"),
            ("NICE_WEBHOOK_SECRET", "a-secret-of-sufficient-length"),
        ];
        let vars: BTreeMap<String, String> =
            base.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load(None, &vars).unwrap_or_else(|faults| panic!("{faults}"))
    }

    #[test]
    fn each_key_that_takes_a_restart_is_named_with_its_variable_and_without_its_value() {
        let now = config(&[]);
        assert_eq!(now.takes_a_restart(&config(&[])), []);
        for (key, variable, value) in [
            ("listener.address", "GATEPOST_LISTEN", "127.0.0.1:1"),
            ("listener.proxy_protocol", "GATEPOST_PROXY_PROTOCOL", "required"),
            ("admin.address", "GATEPOST_ADMIN_LISTEN", "127.0.0.1:2"),
            ("store.url", "GATEPOST_STORE", "postgres://u:hunter2@h/d"),
            ("store.retention", "GATEPOST_RETENTION", "48h"),
            ("log.format", "GATEPOST_LOG_FORMAT", "pretty"),
        ] {
            let faults = now.takes_a_restart(&config(&[(variable, value)]));
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert_eq!(faults[0].at, key);
            let problem = &faults[0].problem;
            assert!(problem.contains(variable) && problem.contains("restart"), "{problem}");
            assert!(!problem.contains(value), "{problem}");
        }
    }

    #[test]
    fn everything_else_is_live() {
        let live = [
            ("GATEPOST_LOG", "debug"),
            ("WEBHOOK_MAX_BYTES", "7"),
            ("GATEPOST_ADMIN_TOKEN", "t0ken-t0ken-t0ken"),
            ("GATEPOST_SIEM_URL", "http://127.0.0.1:1/"),
            ("GATEPOST_FORWARD_URL", "http://127.0.0.1:1/"),
            ("GATEPOST_TRUSTED_PROXIES", "192.0.2.2"),
            ("TLS_CERT_FILE", "d"),
        ];
        assert_eq!(config(&[]).takes_a_restart(&config(&live)), []);
    }
}
