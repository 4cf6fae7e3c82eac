//! SQLite.
use super::{Arc, Metrics, Settings, Store, StoreError};
pub async fn open(_: &Settings, _: Arc<Metrics>) -> Result<Store, StoreError> {
    Err(StoreError::Url(String::new()))
}
