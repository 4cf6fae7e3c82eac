//! From a source's table to its settings, over the row of a vendor that signs with AWS keys.

use std::any::Any;
use std::sync::Arc;

use super::access_key::{self, KEYS};
use super::{Settings, Vendor};
use crate::scheme::settings::{self, Identity, Row};
use crate::scheme::starter::{Random, Starter, hex_secret};
use crate::settings::{Diagnostics, Table};

impl Row for Vendor {
    fn scheme(&self) -> &'static str {
        "AWS SigV4"
    }

    fn read(
        &self,
        source: &Identity<'_>,
        table: &mut Table,
        diagnostics: &mut Diagnostics,
    ) -> Arc<dyn settings::Settings> {
        let namesake = source.namesake.and_then(|row| (row as &dyn Any).downcast_ref::<Self>());
        let variables = namesake.and_then(|row| row.variables);
        let enabled = variables.is_some_and(|variables| variables.are_enabled(source.name, diagnostics));
        let settings = Settings::read(self, variables, enabled, table, diagnostics);
        settings.tell(enabled, table, diagnostics);
        Arc::new(settings)
    }

    fn enabled_by(&self, diagnostics: &mut Diagnostics) -> Option<&'static str> {
        let variables = self.variables?;
        let (set, _) = variables.needed(diagnostics);
        (!set.is_empty()).then_some(variables.access_key)
    }

    fn how_to_enable(&self) -> Option<String> {
        self.variables.map(|variables| format!("{} with its companions", variables.access_key))
    }

    fn starter(&self, file: &str, random: Random<'_>) -> Starter {
        let id = access_key::made_up(random);
        let entry = format!("[{{ access_key_id = \"{id}\", secret = {{ file = {file} }} }}]");
        let starter = Starter { keys: vec![(KEYS, entry)], secret: Some(hex_secret(random)), told: Vec::new() };
        starter.telling("access key", id).telling("service", self.service)
    }

    fn companion(&self) -> Option<&'static str> {
        self.variables.map(|variables| variables.service)
    }
}
