//! One thing wrong with the configuration, told so that an operator can mend it; collected, never thrown singly.

use std::fmt;

/// What is wrong with one key, variable or file of the configuration, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The key (`source[1].secrets[0]`), variable (`CXONE_AWS_REGION`) or file it is about.
    pub at: String,
    /// What is wrong there, without the value where that may be secret.
    pub problem: String,
}

impl ConfigError {
    /// An error at `at`.
    pub fn new(at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { at: at.into(), problem: problem.into() }
    }

    /// The same error seen from one level further out: `secrets[0]` under `source[1]` is `source[1].secrets[0]`.
    #[must_use]
    pub fn under(mut self, parent: &str) -> Self {
        self.at = format!("{parent}.{}", self.at);
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.problem)
    }
}

/// Everything that is wrong, at least one thing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors(pub Vec<ConfigError>);
