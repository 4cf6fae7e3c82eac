//! From a source's table to the settings of its preset's scheme, whichever that is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::preset::{Preset, preset, presets};
use super::settings::{Identity, Row, Settings};
use super::token;
use crate::settings::{Diagnostics, Table};

/// Reads the keys that the scheme of a source has; those of other schemes are errors.
pub(crate) fn read(
    of: &'static Preset,
    name: Option<&str>,
    table: &mut Table,
    diagnostics: &mut Diagnostics,
) -> Arc<dyn Settings> {
    refuse_others(of, table, diagnostics);
    let name = name.unwrap_or(of.name);
    let namesake = preset(name).map(|row| row.scheme).filter(|row| row.scheme() == of.scheme.scheme());
    let settings = of.scheme.read(&Identity { preset: of.name, name, namesake }, table, diagnostics);
    if of.scheme.takes_tokens_beside() { token::beside(settings, table, diagnostics) } else { settings }
}

/// Keys of another scheme can do nothing here, so they are errors rather than ignored.
fn refuse_others(of: &Preset, table: &mut Table, diagnostics: &mut Diagnostics) {
    let own = of.scheme.scheme();
    let mut own_keys = keys(of.scheme);
    own_keys.extend(token::KEYS);
    let mut refused = BTreeSet::from([own]);
    for other in presets().map(|preset| preset.scheme) {
        if refused.insert(other.scheme()) {
            let why = format!(
                "makes no sense with preset {}, which is verified by {own} and not by {}",
                of.name,
                other.scheme()
            );
            let others: Vec<_> = keys(other).into_iter().filter(|key| !own_keys.contains(key)).collect();
            table.misplaced(&others, &why, diagnostics);
        }
    }
}

/// The keys that sources of a scheme have: those that it asks an empty table for.
fn keys(row: &dyn Row) -> Vec<&'static str> {
    let mut table = Table::new("", "", toml::Table::new());
    let nobody = Identity { preset: "", name: "", namesake: None };
    row.read(&nobody, &mut table, &mut Diagnostics::new(&BTreeMap::new()));
    table.asked().to_vec()
}
