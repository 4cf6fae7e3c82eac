//! Why a store did not do what was asked.

/// Why the store did not do what was asked. Texts never hold credentials.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no store that is known.
    #[error("store url: {0}")]
    Url(String),
    /// The store was written by a newer gatepost.
    #[error("the store has schema version {found}, this program knows up to {known}: use the newer program")]
    TooNew {
        /// The version found.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// The file holds something of another program's.
    #[error("{0}")]
    Foreign(String),
    /// This kind of store does not do that, or not so; the text says what does.
    #[error("{0}")]
    Unsupported(String),
    /// It cannot be reached, written or committed to now; nothing of the call took effect.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// What it holds does not make sense.
    #[error("store corrupt: {0}")]
    Corrupt(String),
}
