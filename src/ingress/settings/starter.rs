//! What a new configuration says of a source before its scheme has its say; values are TOML.

use super::source::{ALLOWED_IPS_KEY, CLIENT_CERTIFICATES};

/// A source: its name, its preset, its path, from where it is sent to, and a name that its sender's certificate must have.
pub(crate) fn source(
    [name, preset, path]: [String; 3],
    allowed: String,
    certificate: Option<String>,
) -> Vec<(&'static str, String)> {
    let mut keys = vec![("name", name), ("preset", preset), ("path", path), (ALLOWED_IPS_KEY, allowed)];
    keys.extend(certificate.map(|san| (CLIENT_CERTIFICATES, format!("[{{ san = {san} }}]"))));
    keys
}
