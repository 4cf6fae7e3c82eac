//! What comes to light while the configuration is read: errors, warnings, files to watch, the record of every key.

use std::collections::{BTreeMap, BTreeSet};

use super::config_error::ConfigError;
use super::environment::Environment;
use super::kind::Problems;
use super::record::Section;
use super::watched::Watched;

/// Collects, while everything is read, what is to be told at the end; and has what is read from: the environment.
pub(crate) struct Diagnostics<'a> {
    pub(super) vars: &'a BTreeMap<String, String>,
    environment: Environment,
    /// Everything that is wrong.
    pub(crate) errors: Vec<ConfigError>,
    /// Everything that is allowed but worth a word.
    pub(crate) warnings: Vec<String>,
    /// Every file that was read or will be, noted before it is.
    pub(crate) files: Watched,
    /// Variables that the file refers to.
    pub(crate) referenced: BTreeSet<String>,
    /// Keys whose secret stands in the file itself.
    pub(super) inline: Vec<String>,
    /// Every section that was read.
    pub(crate) sections: Vec<Section>,
}

impl<'a> Diagnostics<'a> {
    /// Nothing found yet; variables are read from `vars`.
    pub(crate) fn new(vars: &'a BTreeMap<String, String>) -> Self {
        let environment = Environment::read(vars);
        let errors = environment.as_ref().err().map(|error| ConfigError::new("environment", error.clone()));
        Self {
            vars,
            environment: environment.unwrap_or_else(|_| Environment::none()),
            errors: errors.into_iter().collect(),
            warnings: Vec::new(),
            files: Watched::default(),
            referenced: BTreeSet::new(),
            inline: Vec::new(),
            sections: Vec::new(),
        }
    }

    /// Records an error.
    pub(crate) fn error(&mut self, at: impl Into<String>, problem: impl Into<String>) {
        self.errors.push(ConfigError::new(at, problem));
    }

    /// Records the problems of what stands at `at`.
    pub(super) fn problems(&mut self, at: &str, problems: Problems) {
        for (within, problem) in problems {
            self.error(format!("{at}{within}"), problem);
        }
    }

    /// Records an error that follows from others, unless one about the same key is recorded already.
    pub(crate) fn consequence(&mut self, at: String, problem: impl Into<String>) {
        if !self.errors.iter().any(|error| error.at.starts_with(&at) || at.starts_with(&error.at)) {
            self.errors.push(ConfigError::new(at, problem));
        }
    }

    /// Whether an error is about `at` or something within it.
    pub(crate) fn is_faulty(&self, at: &str) -> bool {
        self.errors.iter().any(|error| error.at.starts_with(at))
    }

    /// Records a warning, once: what several sources refer to is read for each of them.
    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Keeps the record of a section.
    pub(super) fn record(&mut self, section: Section) {
        // The whole file is no section.
        if !section.title.is_empty() {
            self.sections.push(section);
        }
    }

    /// What variable `name` holds, blanks around it dropped. One that is set to nothing is an error and counts as unset.
    pub(crate) fn variable(&mut self, name: &str) -> Option<String> {
        match self.environment.get(name).map(str::trim) {
            Some("") => {
                self.error(name, "is set but empty: give a value, or unset it");
                None
            }
            value => value.map(str::to_owned),
        }
    }

    /// The value of variable `name`, which is not ours: `HTTPS_PROXY`, `https_proxy`.
    pub(crate) fn foreign_variable(&self, name: &str) -> Option<&'a str> {
        self.vars.get(name).map(String::as_str)
    }

    /// Turns what was gathered on the way into warnings.
    pub(crate) fn close(&mut self) {
        if !self.inline.is_empty() {
            let keys = self.inline.join(", ");
            self.warn(format!(
                "secrets stand in the configuration file itself ({keys}): for development only; everybody who can read the file knows them"
            ));
        }
    }
}
