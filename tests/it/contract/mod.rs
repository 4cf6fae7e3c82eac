//! What a sender is promised, asked of the running program and of the schemes: answers, ids, limits, signatures.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;

use gatepost::scheme::Settings;

mod answers;
mod client_certificates;
mod client_certificates_told;
mod config;
mod connect;
mod env_config;
mod fuzz;
mod generated;
mod handshakes;
mod hmac;
mod hmac_lists;
mod http1;
mod http2;
mod ids;
mod json;
mod jwt;
mod jwt_keys;
mod jwt_told;
mod keep_headers;
mod limits;
mod order;
mod quarantine;
mod reject;
mod reject_sigv4;
mod schemes_hmac;
mod schemes_ids;
mod schemes_secrets;
mod schemes_signed;
mod schemes_sigv4;
mod sigv4;
mod smuggling;
mod tls;
mod token;
mod vendors;
mod waiting;

/// What verifies a source of `preset` with `lines` in its table, as the program reads it.
fn configured(preset: &str, lines: &str) -> Arc<dyn Settings> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("gatepost.toml");
    let head = format!("name = \"a\"\npreset = {preset:?}\npath = \"/hook\"\nallowed_ips = \"any\"");
    std::fs::write(&file, format!("[[source]]\n{head}\n{lines}\n")).expect("a file");
    let vars =
        [("TLS_CERT_FILE", "/c"), ("TLS_KEY_FILE", "/k")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = gatepost::config::load(Some(&file), &BTreeMap::from(vars));
    let mut config = config.unwrap_or_else(|errors| panic!("{errors}"));
    config.live.sources.remove(0).scheme
}
