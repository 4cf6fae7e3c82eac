//! From a source's table to its settings, over the row of a vendor that signs with HMAC.

use std::any::Any;
use std::sync::Arc;

use super::{SECRETS, Settings, Vendor};
use crate::scheme::settings::{self, Identity, Row};
use crate::scheme::starter::{Random, Starter, hex_secret, whsec};
use crate::settings::{Diagnostics, Table};

impl Row for Vendor {
    fn scheme(&self) -> &'static str {
        "HMAC"
    }

    fn read(
        &self,
        source: &Identity<'_>,
        table: &mut Table,
        diagnostics: &mut Diagnostics,
    ) -> Arc<dyn settings::Settings> {
        let namesake = source.namesake.and_then(|row| (row as &dyn Any).downcast_ref::<Self>());
        let variables = namesake.and_then(|row| row.variables);
        let settings = Settings::read(self, source, variables, table, diagnostics);
        settings.tell(variables, table, diagnostics);
        Arc::new(settings)
    }

    fn enabled_by(&self, diagnostics: &mut Diagnostics) -> Option<&'static str> {
        let set = self.variables.filter(|variables| variables.are_set(diagnostics))?;
        Some(set.named(diagnostics))
    }

    fn how_to_enable(&self) -> Option<String> {
        self.variables.map(|variables| variables.list.to_owned())
    }

    fn starter(&self, file: &str, random: Random<'_>) -> Starter {
        let secret = if self.wants_whsec() { whsec(random) } else { hex_secret(random) };
        let signature = [self.signature_header, self.signature_format].map(Option::unwrap_or_default);
        let told = [
            ("signature", signature.join(": ")),
            ("timestamp", self.timestamp_header.unwrap_or_default().to_owned()),
            ("signed", self.signed_content.map_or_else(String::new, |content| format!("{content}, by HMAC"))),
        ];
        let starter = Starter::of_list(SECRETS, file, secret);
        // What the row does not know stands among the keys that the source begins with.
        let known = told.into_iter().filter(|(_, text)| !text.trim_matches([':', ' ']).is_empty());
        known.fold(starter, |starter, (name, text)| starter.telling(name, text))
    }
}
