//! What tokens are configured with: `tokens`, `token_header`, `token_format`; the settings of a source that has nothing
//! else, and a vendor's row.

use zeroize::Zeroizing;

use super::vendor::Vendor;
use crate::scheme::settings::{self, TokenForm};
use crate::scheme::token_place::{Coding, Format, Header, NO_FORMAT, NO_HEADER, Place, TOKEN_FORMAT, TOKEN_HEADER};
use crate::secret::{Secret, WeakSecret};
use crate::settings::{ConfigError, Diagnostics, Table, Variables};

pub(super) const TOKENS: &str = "tokens";

/// The keys that every source may have.
pub(in crate::scheme) const KEYS: [&str; 3] = [TOKENS, TOKEN_HEADER, TOKEN_FORMAT];

/// What tokens are checked with. What is `None` or empty and may not be was missing or wrong, and is told.
#[derive(Clone)]
pub(in crate::scheme) struct Settings {
    pub(super) tokens: Vec<Secret>,
    pub(super) header: Option<Header>,
    pub(super) format: Option<Format>,
}

impl Settings {
    /// Reads a source's keys over `row`; `secrets` are its tokens.
    pub(super) fn read(row: &Vendor, tokens: Vec<Secret>, table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        let Place { header, format } = Place::read(row.header, row.format, table, diagnostics);
        Self { tokens, header, format }
    }

    /// Records every error that was not one of a single key, unless it may follow from one that is.
    pub(super) fn tell(&self, variable: Option<Variables>, table: &Table, diagnostics: &mut Diagnostics) {
        if KEYS.iter().any(|key| table.is_faulty(key, diagnostics)) {
            return;
        }
        // Where a variable holds one secret, there is no first and second.
        let single = variable.and_then(|variable| variable.single).is_some_and(|name| table.place(TOKENS) == name);
        for ConfigError { at, problem } in self.check() {
            table.error(if single && at.starts_with(TOKENS) { TOKENS } else { &at }, problem, diagnostics);
        }
    }

    /// What one key promises and another must keep.
    pub(super) fn check(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut error = |at: &str, problem: &str| errors.push(ConfigError::new(at, problem));
        if self.tokens.is_empty() {
            error(TOKENS, "is empty: without a token nobody can be told from anybody else");
        }
        if self.header.is_none() {
            error(TOKEN_HEADER, NO_HEADER);
        }
        if self.format.is_none() {
            error(TOKEN_FORMAT, NO_FORMAT);
        }
        let basic = self.format.as_ref().is_some_and(|format| format.coding() == Coding::Basic);
        for (position, token) in self.tokens.iter().enumerate() {
            if basic && !token.expose().contains(&b':') {
                error(
                    &format!("{TOKENS}[{position}]"),
                    "is not user:password, which {basic} in token_format stands for",
                );
            }
        }
        for problem in settings::repeated_labels(self.tokens.iter()) {
            error(TOKENS, &problem);
        }
        errors
    }

    /// The same with tokens that nobody knows.
    pub(super) fn strange(&self, random: &mut dyn FnMut() -> [u8; 32]) -> Result<Self, WeakSecret> {
        let strange = |_: &Secret| Secret::new(format!("stranger:{}", hex::encode(random())));
        Ok(Self { tokens: self.tokens.iter().map(strange).collect::<Result<_, _>>()?, ..self.clone() })
    }

    /// The keys in which `to` differs, with their new value as TOML.
    pub(super) fn changes(&self, to: &Self) -> Vec<(&'static str, Option<String>)> {
        let name = |it: &Self| it.header.as_ref().map(|header| header.name().clone());
        let quoted = |text: Option<String>| text.map(|text| format!("{text:?}"));
        let mut changes = Vec::new();
        if name(self) != name(to) {
            changes.push((TOKEN_HEADER, quoted(to.header.as_ref().map(ToString::to_string))));
        }
        if self.format != to.format {
            changes.push((TOKEN_FORMAT, quoted(to.format.as_ref().map(ToString::to_string))));
        }
        changes
    }

    /// Where the token stands, and how the one that we send is written there.
    pub(super) fn form(&self) -> Option<TokenForm> {
        let (header, format, first) = (self.header.as_ref()?, self.format.as_ref()?, self.tokens.first()?);
        Some(TokenForm {
            header: header.to_string(),
            word: format.word().map(str::to_owned),
            coded: Some(Zeroizing::new(String::from_utf8_lossy(&format.coded(first.expose())).into_owned())),
            basic: format.coding() == Coding::Basic,
            challenge: format.challenge(),
        })
    }
}
