//! One thing wrong with the configuration, told so that an operator can mend it; collected, never thrown singly.

use std::fmt;

/// A fault in the configuration: where it stands and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The key (`source[1].secrets[0]`), variable (`CXONE_AWS_REGION`) or file it is about.
    pub at: String,
    /// What is wrong there, without the value where that may be secret.
    pub problem: String,
}

impl Fault {
    /// A fault at `at`.
    pub fn new(at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { at: at.into(), problem: problem.into() }
    }

    /// The same fault seen from one level further out: `secrets[0]` under `source[1]` is `source[1].secrets[0]`.
    #[must_use]
    pub fn under(mut self, parent: &str) -> Self {
        self.at = format!("{parent}.{}", self.at);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.problem)
    }
}

/// Every fault found, at least one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Faults(pub Vec<Fault>);
