//! Reads TOML and environment for whoever asks. It knows how to read, not what: every room owns its settings.
//!
//! A room declares each of its keys in one call ([`key()`], [`secret()`]): name, variable, kind, default, range and the
//! sentence that explains it. From that one call come the value, the error, the effective configuration with its
//! origins, the JSON Schema, the reference and the example.

mod config_error;
mod diagnostics;
pub(crate) mod document;
pub(crate) mod duration;
pub(crate) mod effective;
mod environment;
mod example;
pub(crate) mod grammar;
mod inline;
mod key;
pub(crate) mod kind;
pub(crate) mod lists;
mod nearest;
pub(crate) mod record;
pub(crate) mod redact;
mod reference;
mod schema;
mod secret_key;
mod secret_ref;
mod secret_source;
mod secret_variables;
pub(crate) mod starter;
mod table;
#[cfg(test)]
mod tests;
mod text_table;
mod unknown;
mod watched;

pub use config_error::{ConfigError, ConfigErrors};
pub(crate) use diagnostics::Diagnostics;
pub(crate) use inline::inline;
pub(crate) use key::{Found, key, variable};
pub(crate) use kind::Kind;
pub(crate) use nearest::{nearest, suggestion};
pub(crate) use record::Example;
pub(crate) use secret_key::{Located, secret, secret_variable, secrets};
pub(crate) use secret_source::THE_FILE;
pub(crate) use secret_variables::{SecretVariables, Variables};
pub(crate) use table::Table;
pub(crate) use text_table::{NamedText, text_table};
pub(crate) use unknown::{OURS, report_unknown};
pub use watched::Watched;
