//! What key `oauth2` holds.

use super::super::super::address::{Endpoint, endpoint};
use super::super::super::fingerprint::Parts;
use crate::secret::Secret;
use crate::settings::kind::text;
use crate::settings::{Diagnostics, Table, inline, key, secret};

const DOC: &str = "An access token by OAuth 2.0 client credentials (RFC 6749 4.4), sent in Authorization: Bearer; asked \
    for once for all deliveries and renewed ahead of its end, over the same proxy, authorities and client certificate.";
const EXAMPLE: &str = "{ token_url = \"https://id.internal/token\", client_id = \"gatepost\", \
    client_secret = { file = \"/run/secrets/orders-client\" }, scope = \"events\" }";

/// Where tokens are had, and who asks.
#[derive(Clone)]
pub(in crate::sink::http) struct Settings {
    pub(super) token_url: Endpoint,
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    pub(super) scope: Option<String>,
}

impl Settings {
    /// Reads them, where there are any.
    pub(in crate::sink::http) fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self> {
        inline("oauth2", DOC, EXAMPLE).read(table, diagnostics, Self::keys).value()
    }

    fn keys(table: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self> {
        let url = key("token_url", "Where tokens are had.", endpoint()).required("is missing", table, diagnostics);
        let kind = text(printable, "printable ASCII");
        let id = key("client_id", "Who asks.", kind).required("is missing", table, diagnostics);
        let given = table.holds("client_secret");
        let doc = "Its secret, sent by HTTP Basic (RFC 6749 2.3.1).";
        let client_secret = secret("client_secret", doc).needed().token(table, diagnostics).value();
        if !given {
            let problem = "is missing: refer to it with { file = \"/path\" } or { env = \"NAME\" }";
            table.error("client_secret", problem, diagnostics);
        }
        let kind = text(scope, "scopes separated by blanks");
        let scope = key("scope", "What for.", kind).maybe(table, diagnostics).value();
        let (token_url, client_id, client_secret) = (url?, id?, client_secret?);
        token_url.warn_if_open("the client's secret and tokens", &table.place("token_url"), diagnostics);
        Some(Self { token_url, client_id, client_secret, scope })
    }

    /// What of them counts for the sink's fingerprint.
    pub(in crate::sink::http) fn consists_of(&self, parts: &mut Parts) {
        let Self { token_url, client_id, client_secret, scope } = self;
        parts.add(token_url.as_str());
        parts.add(client_id);
        parts.add(client_secret.expose());
        parts.maybe(scope.as_ref());
    }
}

/// RFC 6749 A.1.
fn printable(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("expected printable ASCII, not empty".to_owned());
    }
    Ok(text.to_owned())
}

/// RFC 6749 3.3.
fn scope(text: &str) -> Result<String, String> {
    let token = |scope: &str| {
        !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    };
    if text.split(' ').all(token) {
        return Ok(text.to_owned());
    }
    Err("expected scopes separated by single blanks, without quotes and backslashes".to_owned())
}
