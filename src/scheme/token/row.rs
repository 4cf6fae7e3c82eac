//! What a source with a token alone is to the rest of the program, and what a vendor's row says of it.

use std::any::Any;
use std::sync::Arc;

use http::request::Parts;
use zeroize::Zeroizing;

use super::alone::Alone;
use super::settings::{Settings, TOKENS};
use super::tokens::Tokens;
use super::vendor::Vendor;
use super::{diagnose, redact};
use crate::scheme::Scheme;
use crate::scheme::diagnose::{Case, Diagnosis};
use crate::scheme::settings::{self, Identity, Row, TokenForm};
use crate::scheme::starter::{Random, Starter, hex_secret};
use crate::secret::{Secret, WeakSecret};
use crate::settings::{ConfigError, Diagnostics, Table, secrets};

/// Who a new sender is that sends user and password.
const USER: &str = "gatepost";

impl settings::Settings for Settings {
    fn build(&self) -> Result<Arc<dyn Scheme>, Vec<ConfigError>> {
        Ok(Arc::new(Alone(Tokens::new(self)?)))
    }

    fn has_timestamp(&self) -> bool {
        false
    }

    fn signature_headers(&self) -> Vec<String> {
        Vec::new()
    }

    fn timestamp_header(&self) -> Option<String> {
        None
    }

    fn token(&self) -> Option<TokenForm> {
        self.form()
    }

    fn proves_only_the_sender(&self) -> bool {
        true
    }

    fn signs_query(&self) -> bool {
        false
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.tokens.iter().collect()
    }

    fn estranged(&self, random: &mut dyn FnMut() -> [u8; 32]) -> Result<Arc<dyn settings::Settings>, WeakSecret> {
        Ok(Arc::new(self.strange(random)?))
    }

    fn warnings(&self) -> Vec<String> {
        settings::repeated_secrets(TOKENS, self.tokens.iter())
    }

    fn diagnose(&self, case: &Case<'_>) -> Diagnosis {
        let (findings, settings) = diagnose::diagnose(self, &diagnose::others(case), case.head);
        Diagnosis { findings, settings: settings.map(|settings| Arc::new(settings) as Arc<dyn settings::Settings>) }
    }

    fn changes(&self, to: &dyn settings::Settings) -> Vec<(&'static str, Option<String>)> {
        (to as &dyn Any).downcast_ref().map(|to| self.changes(to)).unwrap_or_default()
    }

    fn kept(&self, name: &str, value: &str, grants: bool) -> Option<String> {
        redact::kept(self, name, value, grants)
    }

    fn restore(&self, head: &mut Parts) {
        redact::restore(self, head);
    }
}

impl Row for Vendor {
    fn scheme(&self) -> &'static str {
        "a token alone"
    }

    fn read(
        &self,
        source: &Identity<'_>,
        table: &mut Table,
        diagnostics: &mut Diagnostics,
    ) -> Arc<dyn settings::Settings> {
        let namesake = source.namesake.and_then(|row| (row as &dyn Any).downcast_ref::<Self>());
        let variables = namesake.and_then(|row| row.variables);
        let tokens = secrets(
            TOKENS,
            "The tokens that let a request in; all are tried, the first is primary. To rotate, put the new one first \
             and remove the old one when its series of gatepost_verification_key_last_used_timestamp_seconds (label \
             key: its label or fingerprint) shows that it is no longer used.",
        )
        .variables(variables)
        .read(table, diagnostics);
        let settings = Settings::read(self, tokens, table, diagnostics);
        settings.tell(variables, table, diagnostics);
        Arc::new(settings)
    }

    fn enabled_by(&self, diagnostics: &mut Diagnostics) -> Option<&'static str> {
        let set = self.variables.filter(|variables| variables.are_set(diagnostics))?;
        set.named(diagnostics)
    }

    fn how_to_enable(&self) -> Option<String> {
        self.variables.and_then(|variables| variables.list.or(variables.single)).map(str::to_owned)
    }

    fn starter(&self, file: &str, random: Random<'_>) -> Starter {
        let token = hex_secret(random);
        if self.format.contains("{basic}") {
            let secret = Zeroizing::new(format!("{USER}:{}", token.as_str()));
            let starter = Starter::of_list(TOKENS, file, secret).telling("user", USER);
            return starter.telling("password", format!("what stands behind {USER}: in the file of the secret"));
        }
        let header = format!("{}: {}", self.header, self.format.replace("{token}", "and the secret"));
        Starter::of_list(TOKENS, file, token).telling("header", header)
    }

    fn takes_tokens_beside(&self) -> bool {
        false
    }
}
