//! What the server's errors mean to whoever uses the store.

use std::error::Error as _;

use crate::store::error::StoreError;

impl From<tokio_postgres::Error> for StoreError {
    /// What the server refuses for its content (SQLSTATE classes 22, 23 and 54) is [`StoreError::Corrupt`].
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refusal) => {
                let (code, message) = (refusal.code().code(), refusal.message());
                match code.get(..2) {
                    Some("22" | "23" | "54") => Self::Corrupt(format!("{message} ({code})")),
                    _ => Self::Unavailable(format!("{message} ({code})")),
                }
            }
            None => {
                Self::Unavailable(error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")))
            }
        }
    }
}
