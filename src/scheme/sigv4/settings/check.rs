//! What must hold between the keys of an AWS source.

use super::{KEYS, REGION, SERVICE, Settings};
use crate::scheme::settings::{repeated_labels, repeated_secrets};
use crate::settings::{ConfigError, Diagnostics, Table};

impl Settings {
    /// Records every error that was not one of a single key, unless it may follow from one that is.
    pub(super) fn tell(&self, enabled: bool, table: &Table, diagnostics: &mut Diagnostics) {
        // A faulty entry is missing from its list, so that positions in it say nothing any more.
        if enabled || table.is_faulty(KEYS, diagnostics) {
            return;
        }
        for error in self.check_keys() {
            table.error(&error.at, error.problem, diagnostics);
        }
    }

    /// Everything that keeps it from being a scheme.
    pub(in crate::scheme::sigv4) fn check(&self) -> Vec<ConfigError> {
        let scope = [(REGION, self.region.is_none()), (SERVICE, self.service.is_none())];
        let missing = scope.into_iter().filter(|(_, missing)| *missing);
        let problem = "is missing: it is part of every signature's scope";
        let mut errors: Vec<_> = missing.map(|(key, _)| ConfigError::new(key, problem)).collect();
        errors.extend(self.check_keys());
        errors
    }

    fn check_keys(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        if self.keys.is_empty() {
            errors.push(ConfigError::new(KEYS, "is empty: without an access key nothing can be verified"));
        }
        for (position, key) in self.keys.iter().enumerate() {
            if self.keys.iter().take(position).any(|earlier| earlier.access_key_id == key.access_key_id) {
                let at = format!("{KEYS}[{position}].access_key_id");
                errors.push(ConfigError::new(at, "stands twice: an access key id has one secret"));
            }
        }
        let labels = repeated_labels(self.keys.iter().map(|key| &key.secret));
        errors.extend(labels.into_iter().map(|problem| ConfigError::new(KEYS, problem)));
        errors
    }

    /// What is allowed and worth a word at start, in words that follow the source's name.
    pub(super) fn warnings(&self) -> Vec<String> {
        repeated_secrets(KEYS, self.keys.iter().map(|key| &key.secret))
    }
}
