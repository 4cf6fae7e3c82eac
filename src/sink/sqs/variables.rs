//! AWS's own variables, of which credentials and region come that the file does not name.

use std::collections::BTreeMap;

use crate::settings::Diagnostics;

const NAMES: [&str; 12] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_DISABLED",
];

/// Those that are set.
pub(super) struct Variables(BTreeMap<&'static str, String>);

impl Variables {
    /// Reads them from the environment.
    pub(super) fn read(diagnostics: &Diagnostics) -> Self {
        let value = |name| Some((name, diagnostics.foreign_variable(name)?.to_owned()));
        Self(NAMES.into_iter().filter_map(value).collect())
    }

    /// What `name` holds.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What `name` holds, unless that is nothing.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// As if these were set, each of which is known.
    #[cfg(test)]
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        let vars = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let variables = Self::read(&Diagnostics::new(&vars));
        assert_eq!(variables.0.len(), pairs.len());
        variables
    }
}
