//! The effective configuration for `gatepost check`: what was read, in the file's own form, without any secret.

use super::Config;
use crate::event::Name;

impl Config {
    /// The effective configuration in the form of the file, with the variable that a value came from. Secrets are shown
    /// as `[redacted]`, with where they came from; passwords in URLs are left out.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for section in self.sections.iter() {
            section.write(&mut text);
        }
        text
    }

    /// Where the token that `send` puts into requests to source `name` came from, in words.
    pub(crate) fn token_origin(&self, name: &Name) -> Option<&str> {
        self.section(&format!("source {name}"))?.origin_of("tokens")
    }

    /// Where the session token of the key that source `name` signs with came from, in words.
    pub(crate) fn session_token_origin(&self, name: &Name) -> Option<&str> {
        self.section(&format!("source {name}"))?.inner.first()?.origin_of("session_token")
    }
}
