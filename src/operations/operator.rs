//! Who answers for an operation.

use std::net::IpAddr;

use super::error::OperationError;
use crate::event::MAX_ID_BYTES;

/// What stands before the operator's name in a released event; both together fit where a record is cut.
const PREFIX_BYTES: usize = "released:".len();

/// Whoever answers for an operation: a name without control characters of at most 247 bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operator {
    name: String,
    client_ip: Option<IpAddr>,
}

impl Operator {
    /// Takes `name`.
    ///
    /// # Errors
    /// [`OperationError::Refused`] where it is empty or no name.
    pub fn new(name: &str) -> Result<Self, OperationError> {
        if name.trim().is_empty() {
            return Err(OperationError::Refused("an operator has a name".to_owned()));
        }
        if name.chars().any(char::is_control) || name.len() > MAX_ID_BYTES - PREFIX_BYTES {
            let problem = "an operator's name has no control characters and at most 247 bytes";
            return Err(OperationError::Refused(problem.to_owned()));
        }
        Ok(Self { name: name.to_owned(), client_ip: None })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The same, who asks from `client_ip`.
    #[must_use]
    pub fn from(self, client_ip: Option<IpAddr>) -> Self {
        Self { client_ip, ..self }
    }

    /// From where they ask, where that is not this machine's own command line.
    #[must_use]
    pub const fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_shows() {
        assert_eq!(Operator::new("ann").unwrap().as_str(), "ann");
        for wrong in ["", " ", "a\nb", &"x".repeat(248)] {
            assert!(matches!(Operator::new(wrong), Err(OperationError::Refused(_))), "{wrong:?}");
        }
    }
}
