//! Why an operation was not done, in words for whoever asked.

use crate::store::StoreError;

/// Why an operation was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OperationError {
    /// There is nothing of that name.
    #[error("{0}")]
    Missing(String),
    /// It cannot be asked for like this: a name that means several things, one that nobody configured, a rule.
    #[error("{0}")]
    Refused(String),
    /// It was begun and something stood in its way.
    #[error("{0}")]
    Failed(String),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
