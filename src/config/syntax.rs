//! The small grammars of the configuration: names, addresses, URLs.
//!
//! Each function reads one text and says, where it cannot, what was expected.

pub(super) use crate::settings::grammar::{address, file, is_loopback, is_open_wire, name};
use crate::sink::address as sink_address;

/// An `http` or `https` URL that can be sent to. The text is never repeated: it may hold a password.
pub(super) fn web_url(text: &str) -> Result<String, String> {
    sink_address::web(text).map(|_| text.to_owned())
}

/// A store's URL.
pub(super) fn store_url(text: &str) -> Result<String, String> {
    let postgres =
        ["postgres://", "postgresql://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    match text.strip_prefix("sqlite:") {
        Some(":memory:") => Err("a store in memory forgets what was acknowledged: give a path, sqlite:PATH".to_owned()),
        Some(path) if !path.is_empty() => Ok(text.to_owned()),
        None if postgres => Ok(text.to_owned()),
        _ => Err("expected sqlite:PATH or postgres://USER@HOST/DATABASE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_urls() {
        for good in ["sqlite:data/gatepost.db", "sqlite:/a", "postgres://u@h/d", "postgresql://u@h/d"] {
            assert!(store_url(good).is_ok(), "{good}");
        }
        for bad in ["", "sqlite:", "sqlite::memory:", "postgres://", "mysql://u@h/d", "data/gatepost.db"] {
            assert!(store_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn web_urls_are_not_repeated_when_wrong() {
        assert!(web_url("https://siem.internal/api?x=1").is_ok());
        for bad in ["", "siem.internal", "ftp://h/", "https://", "/path", "https://h/ hunter2"] {
            let problem = web_url(bad).unwrap_err();
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
