//! From a source's table to its settings. No vendor is known: what is preset is where a token stands.

use std::sync::Arc;

use super::{SECRETS, Settings};
use crate::scheme::secret_encoding::SECRET_ENCODING;
use crate::scheme::settings::{self, Identity, Row};
use crate::scheme::starter::{Random, Starter, hex_secret};
use crate::settings::{Diagnostics, Table};

/// A sender of JSON Web Tokens.
pub(in crate::scheme) struct Vendor;

impl Row for Vendor {
    fn scheme(&self) -> &'static str {
        "a JSON Web Token"
    }

    fn read(&self, _: &Identity<'_>, table: &mut Table, diagnostics: &mut Diagnostics) -> Arc<dyn settings::Settings> {
        let encoded = table.holds(SECRET_ENCODING);
        let settings = Settings::read(table, diagnostics);
        settings.tell(encoded, table, diagnostics);
        if settings.jwks.is_some() {
            table.hide(SECRET_ENCODING);
        }
        Arc::new(settings)
    }

    fn enabled_by(&self, _: &mut Diagnostics) -> Option<&'static str> {
        None
    }

    fn how_to_enable(&self) -> Option<String> {
        None
    }

    fn starter(&self, file: &str, random: Random<'_>) -> Starter {
        Starter::of_list(SECRETS, file, hex_secret(random)).telling("header", "Authorization: Bearer, and the token")
    }

    /// One header, one token.
    fn takes_tokens_beside(&self) -> bool {
        false
    }
}
