//! From a source's table to its settings, over the row of a vendor that signs with HMAC.

use std::any::Any;
use std::sync::Arc;

use super::{Settings, Vendor};
use crate::scheme::settings::{self, Identity, Row};
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
}
