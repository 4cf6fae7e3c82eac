//! How a command ends: the exit statuses, and the failures that lead to them. Nothing here prints.

use std::fmt;
use std::process::ExitCode;

use crate::operations::OperationError;
use crate::settings::{ConfigError, ConfigErrors};
use crate::store::StoreError;

/// The exit status of the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Status {
    /// Done, or drained in time.
    Done = 0,
    /// Runtime failure.
    Failed = 1,
    /// Drained late: something was cut off.
    Late = 2,
    /// Wrong configuration or usage (`EX_USAGE` of `sysexits.h`).
    Wrong = 64,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

/// Why a command could not do what was asked, in words for whoever asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The configuration is wrong; every error on a line of its own.
    #[error("{0}")]
    Configuration(#[from] ConfigErrors),
    /// The arguments do not fit the configuration, or each other.
    #[error("{0}")]
    Usage(String),
    /// Something outside failed: a file, a socket, the store.
    #[error("{0}")]
    Runtime(String),
}

impl Failure {
    /// A single error of the configuration.
    pub(super) fn configuration(at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Configuration(ConfigErrors(vec![ConfigError::new(at, problem)]))
    }

    /// `what` did not work, and why.
    pub(super) fn runtime(what: impl fmt::Display, why: &dyn std::error::Error) -> Self {
        Self::Runtime(format!("{what}: {}", Chain(why)))
    }

    /// The exit status it leads to.
    pub(super) const fn status(&self) -> Status {
        match self {
            Self::Configuration(_) | Self::Usage(_) => Status::Wrong,
            Self::Runtime(_) => Status::Failed,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Url(problem) => Self::configuration("store.url", problem),
            StoreError::TooNew { .. }
            | StoreError::Foreign(_)
            | StoreError::Unsupported(_)
            | StoreError::Unavailable(_)
            | StoreError::Corrupt(_) => Self::Runtime(error.to_string()),
        }
    }
}

impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Refused(problem) => Self::Usage(problem),
            OperationError::Missing(problem) | OperationError::Failed(problem) => Self::Runtime(problem),
            OperationError::Store(error) => error.into(),
        }
    }
}

/// An error with its causes: `outer: inner: innermost`, each said once.
struct Chain<'a>(&'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let words = error.to_string();
            if !said.contains(&words) {
                write!(f, ": {words}")?;
            }
            said = words;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_the_status_of_the_contract() {
        assert_eq!(Failure::configuration("store.url", "bad").status() as u8, 64);
        assert_eq!(Failure::Usage(String::new()).status() as u8, 64);
        assert_eq!(Failure::from(StoreError::Url(String::new())).status() as u8, 64);
        assert_eq!(Failure::from(StoreError::Unavailable(String::new())).status() as u8, 1);
        assert_eq!(Status::Late as u8, 2);
    }

    #[test]
    fn errors_of_the_configuration_are_told_one_a_line() {
        let errors = ConfigErrors(vec![ConfigError::new("a", "first"), ConfigError::new("b", "second")]);
        assert_eq!(Failure::from(errors).to_string(), "a: first\nb: second");
    }
}
