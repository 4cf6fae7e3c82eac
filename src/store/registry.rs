//! Every kind of store, and which of them a URL is of.

use std::sync::Arc;

use super::backend::{Backend, Clocks, Settings};
use super::error::StoreError;
use super::handle::Store;
use super::{postgres, sqlite};
use crate::metrics::Metrics;

static BACKENDS: [Backend; 2] = [sqlite::BACKEND, postgres::BACKEND];

/// Opens the store that `settings.url` names, creating and migrating it as needed. Files are made with mode 0600.
///
/// # Errors
/// [`StoreError`] where the scheme is unknown, or the store cannot be opened, written or migrated.
pub async fn open(settings: &Settings, metrics: Arc<Metrics>) -> Result<Store, StoreError> {
    open_by(settings, metrics, Clocks::default()).await
}

/// [`open`], with other clocks than the system's.
///
/// # Errors
/// As [`open`].
pub async fn open_by(settings: &Settings, metrics: Arc<Metrics>, clocks: Clocks) -> Result<Store, StoreError> {
    let backend = of(&settings.url).ok_or_else(|| StoreError::Url(expected()))?;
    (backend.open)(settings.clone(), metrics, clocks).await
}

/// What to warn about in `url`, or what is wrong with it. Neither repeats any of it: it may hold a password.
///
/// # Errors
/// What was expected.
pub(super) fn check(url: &str) -> Result<Option<&'static str>, String> {
    of(url).map_or_else(|| Err(expected()), |backend| (backend.check)(url))
}

fn of(url: &str) -> Option<&'static Backend> {
    let (scheme, _) = url.split_once(':')?;
    BACKENDS.iter().find(|backend| backend.schemes.contains(&scheme))
}

fn expected() -> String {
    let forms: Vec<&str> = BACKENDS.iter().map(|backend| backend.form).collect();
    format!("expected {}", forms.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn store_urls() {
        for good in ["sqlite:data/gatepost.db", "sqlite:/a", "postgres://u@h/d", "postgresql://u@h/d"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "sqlite:", "sqlite::memory:", "postgres://", "mysql://u@h/d", "data/gatepost.db"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!(check("x").unwrap_err(), "expected sqlite:PATH or postgres://USER@HOST/DATABASE");
    }
}
