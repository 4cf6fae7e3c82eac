//! An AWS access key, in a source's `keys` or in a vendor's variables.

use std::collections::BTreeMap;

use super::text::access_key_id;
use super::vendor::Variables;
use crate::scheme::starter::Random;
use crate::secret::Secret;
use crate::settings::kind::text;
use crate::settings::{Diagnostics, Found, Table, key, secret};

/// One AWS access key.
#[derive(Clone)]
#[expect(clippy::struct_field_names, reason = "AWS calls it the access key id")]
pub(in crate::scheme::sigv4) struct AccessKey {
    /// `AKIA…`; not secret, it is the key's name in logs and metrics unless its secret has a label.
    pub(in crate::scheme::sigv4) access_key_id: String,
    /// The secret access key.
    pub(in crate::scheme::sigv4) secret: Secret,
    /// The token that must come with temporary keys; requests with any other token, or none, are refused.
    pub(in crate::scheme::sigv4) session_token: Option<Secret>,
}

/// The key of a source that holds them.
pub(super) const KEYS: &str = "keys";

/// Tables of `keys` stand so in what is shown.
const TITLE: &str = "[[source.keys]]";

impl AccessKey {
    /// What logs, metrics and `check` call it: the label of its secret, else its id.
    pub(in crate::scheme::sigv4) fn name(&self) -> String {
        self.secret.label().unwrap_or(&self.access_key_id).to_owned()
    }

    /// Every key of a source: that of the `variables` where they are `enabled`, else those of the file.
    pub(super) fn read_all(
        variables: Option<Variables>,
        enabled: bool,
        table: &mut Table,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Self> {
        let given = table.holds(KEYS);
        let entries = table.tables(KEYS, diagnostics);
        if let Some(variables) = variables.filter(|_| enabled) {
            // The file's own are not even read: the environment replaces them.
            table.comes_from(KEYS, variables.access_key);
            let mut entry = Table::made_by(TITLE, variables.access_key);
            let key = Self::read(Some(variables), false, &mut entry, diagnostics);
            entry.finish_in(table, diagnostics);
            return key.into_iter().collect();
        }
        if !given {
            let example = "is missing: [{ access_key_id = \"AKIA…\", secret = { file = \"/run/secrets/name\" } }]";
            table.error(KEYS, example, diagnostics);
        } else if entries.is_empty() && !table.is_faulty(KEYS, diagnostics) {
            table.error(KEYS, "is empty: name at least one access key", diagnostics);
        }
        if entries.is_empty() {
            declare(variables, table);
        }
        let mut keys = Vec::new();
        for mut entry in entries {
            keys.extend(Self::read(None, true, &mut entry, diagnostics));
            entry.finish_in(table, diagnostics);
        }
        keys
    }

    fn read(
        variables: Option<Variables>,
        in_file: bool,
        table: &mut Table,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let id = key(
            "access_key_id",
            "The access key's id, which logs and metrics call it by.",
            text(access_key_id, "an access key id"),
        )
        .variable(variables.map(|all| all.access_key));
        let id =
            if in_file { id.required("is missing", table, diagnostics) } else { id.maybe(table, diagnostics).value() };
        let called = |secret: &Secret| secret.label().or(id.as_deref()).unwrap_or_default().to_owned();
        let secret_key = secret("secret", "The secret access key.")
            .needed()
            .variable(variables.map(|all| all.secret_key))
            .labelled_mac_key(called, table, diagnostics);
        if in_file && matches!(secret_key, Found::Unset) {
            table.error("secret", "is missing: { env = \"NAME\" } or { file = \"/path\" }", diagnostics);
        }
        let session_token =
            secret("session_token", "For temporary keys: requests must then carry it.").bearer(table, diagnostics);
        // A key whose token is faulty must not become a key that needs none.
        if matches!(session_token, Found::Faulty) {
            return None;
        }
        Some(Self { access_key_id: id?, secret: secret_key.value()?, session_token: session_token.value() })
    }
}

/// An id of our own making, as long as AWS's and not to be taken for one of theirs.
pub(super) fn made_up(random: Random<'_>) -> String {
    let digits = hex::encode_upper(random());
    format!("GATEPOST{}", digits.get(..12).unwrap_or_default())
}

/// What a key holds is known also where there is none.
fn declare(variables: Option<Variables>, table: &mut Table) {
    let nothing = BTreeMap::new();
    let mut unheard = Diagnostics::new(&nothing);
    let mut blank = Table::new(TITLE, "", toml::Table::new());
    AccessKey::read(variables, true, &mut blank, &mut unheard);
    blank.finish_in(table, &mut unheard);
}
