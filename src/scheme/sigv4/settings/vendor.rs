//! What a preset's row says of a vendor that signs with AWS keys.

use std::any::Any;
use std::sync::Arc;

use super::Settings;
use crate::scheme::settings::{self, Identity, Row};
use crate::settings::{Diagnostics, Table};

/// How a vendor signs.
pub(in crate::scheme) struct Vendor {
    /// AWS service of the scope.
    pub(in crate::scheme) service: &'static str,
    /// The variables that hold its key and its scope.
    pub(in crate::scheme) variables: Option<Variables>,
}

/// The variables of a vendor. Key and region make a source together.
#[derive(Clone, Copy)]
pub(in crate::scheme) struct Variables {
    /// The access key's id.
    pub(in crate::scheme) access_key: &'static str,
    /// The secret access key.
    pub(in crate::scheme) secret_key: &'static str,
    /// AWS region of the scope.
    pub(in crate::scheme) region: &'static str,
    /// AWS service of the scope; makes no source.
    pub(in crate::scheme) service: &'static str,
}

impl Variables {
    /// Those that are needed together: the ones that are set, and the ones that are not.
    fn needed(self, diagnostics: &mut Diagnostics) -> (Vec<&'static str>, Vec<&'static str>) {
        [self.access_key, self.secret_key, self.region].into_iter().partition(|name| {
            if *name == self.secret_key { diagnostics.is_set(name) } else { diagnostics.variable(name).is_some() }
        })
    }

    /// Whether any of those that make a source is set; an error for each that then is not.
    fn are_enabled(self, name: &str, diagnostics: &mut Diagnostics) -> bool {
        let (set, missing) = self.needed(diagnostics);
        for variable in missing.iter().filter(|_| !set.is_empty()) {
            let problem = format!("is not set, but {} is: source {name} needs all three", set.join(" and "));
            diagnostics.error(*variable, problem);
        }
        !set.is_empty()
    }
}

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

    fn companion(&self) -> Option<&'static str> {
        self.variables.map(|variables| variables.service)
    }
}
