//! Key `keep_headers`: which headers of the sender's stay with its events. Never one that lets its reader in somewhere.

use crate::ingress::redaction::names_credential;
use crate::scheme::{Preset, Settings};
use crate::settings::kind::text;
use crate::settings::lists::list;
use crate::settings::{Diagnostics, Table, grammar, key};

const KEEP_HEADERS: &str = "keep_headers";
/// The most headers of a source that are kept.
const MOST: usize = 16;

/// Reads the names, in lower case.
pub(super) fn read(preset: &Preset, table: &mut Table, diagnostics: &mut Diagnostics) -> Vec<String> {
    let doc = "Headers of the sender's that are stored with the event, shown by `events` and passed on to the sinks, by \
               name, at most 16. Values stay as they came, a repeated header keeps all of them. What goes beyond 4 KiB an \
               event (names and values) is left out, whole headers in this order, with a warning in the log. Credentials \
               and signatures are never kept.";
    let names = key(KEEP_HEADERS, doc, list(text(grammar::header_name, "the name of a header")));
    let own = preset.keep_headers.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.or(own, table, diagnostics)
}

/// Records what `names` must not be, of a source that `scheme` verifies.
pub(super) fn check(names: &[String], scheme: &dyn Settings, table: &Table, diagnostics: &mut Diagnostics) {
    if names.len() > MOST {
        let problem = format!("names {} headers: at most {MOST} are kept", names.len());
        table.error(KEEP_HEADERS, problem, diagnostics);
    }
    let token = scheme.token().map(|token| token.header);
    let signatures = scheme.signature_headers();
    for (position, name) in names.iter().enumerate() {
        let same = |other: &String| other.eq_ignore_ascii_case(name);
        let problem = if names.iter().take(position).any(|earlier| earlier == name) {
            format!("{name} stands there twice: keep one")
        } else if token.as_ref().is_some_and(same) {
            format!("{name} holds the token: what lets its reader in is never stored or passed on; remove it")
        } else if signatures.iter().any(same) {
            format!("{name} holds the signature, which is never stored or passed on: remove it")
        } else if names_credential(name) {
            format!("{name} is the name of a credential, which is never stored or passed on: remove it")
        } else {
            continue;
        };
        table.error(&format!("{KEEP_HEADERS}[{position}]"), problem, diagnostics);
    }
}
