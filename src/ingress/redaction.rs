//! How much of a request the quarantine keeps: all that `explain` needs to judge it again, nothing that grants anything.
//!
//! Signatures stay, for they vouch for this one body and open no door; passwords, bearer and session tokens go.

use std::sync::Arc;

use http::Version;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::scheme::{REDACTED, Settings};
use crate::server::client_certificate::ClientCertificate;

/// What stands for the client's certificate among the headers: no header is called so, so nobody can send it.
pub(crate) const CLIENT_CERTIFICATE: &str = ":client-cert";

/// The query parameter and header in which AWS carries a session token.
const TOKEN_PARAMETER: &str = "x-amz-security-token";

/// Headers with one of these in their name grant something to whoever reads them, unless the source says that one
/// holds its signature.
const CREDENTIALS: [&str; 9] =
    ["authorization", "cookie", "token", "api-key", "apikey", "secret", "password", "jwt", "oidc"];

/// Authentication schemes whose parameters are credentials (the IANA registry, and what vendors write besides).
const CREDENTIAL_SCHEMES: [&str; 10] =
    ["bearer", "basic", "token", "apikey", "api-key", "digest", "negotiate", "ntlm", "jwt", "dpop"];

/// Lengths of a MAC, in bytes: SHA-1, SHA-256, SHA-384, SHA-512.
const MAC_BYTES: [usize; 4] = [20, 32, 48, 64];

/// What the entries of one source keep; cheap to clone.
#[derive(Clone)]
pub(super) struct Redaction {
    signs_query: bool,
    /// The headers that hold the signature, lower case, with what their format spells out before it.
    signatures: Arc<[(String, String)]>,
    settings: Arc<dyn Settings>,
}

impl From<&Arc<dyn Settings>> for Redaction {
    fn from(settings: &Arc<dyn Settings>) -> Self {
        let settings = Arc::clone(settings);
        Self { signs_query: settings.signs_query(), signatures: settings.signature_prefixes().into(), settings }
    }
}

impl Redaction {
    /// Method and target as received, but for what a query may grant: `SigV4` signs the query, so there only a session
    /// token goes; nobody needs the values of any other, and senders do put tokens there.
    ///
    /// Over HTTP/2 the target is `:path`; what `:authority` says is kept as the host.
    pub(super) fn target(&self, head: &Parts) -> String {
        let target = match head.uri.path_and_query() {
            Some(target) if head.version >= Version::HTTP_2 => target.to_string(),
            _ => head.uri.to_string(),
        };
        format!("{} {}", head.method, self.redact_query(&target))
    }

    fn redact_query(&self, target: &str) -> String {
        let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
        let redacted = |pair: &str| match pair.split_once('=') {
            Some((name, _)) if !self.signs_query || is_token_parameter(name) => format!("{name}={REDACTED}"),
            None if !self.signs_query && !pair.is_empty() => REDACTED.to_owned(),
            _ => pair.to_owned(),
        };
        format!("{path}?{}", query.split('&').map(redacted).collect::<Vec<_>>().join("&"))
    }

    /// The header lines as a JSON array of pairs, every line of a repeated header; bytes that are not UTF-8 become
    /// replacement characters. An HTTP/2 request without `host` gets the line that HTTP/1.1 would have had. The client's
    /// certificate, where it showed one, stands at the end as [`CLIENT_CERTIFICATE`], DER in base64.
    pub(super) fn headers(&self, head: &Parts) -> String {
        let authority = head.uri.authority().map(http::uri::Authority::as_str);
        let host = authority.filter(|_| head.version >= Version::HTTP_2 && !head.headers.contains_key(HOST));
        let mut pairs: Vec<(&str, String)> = host.map(|host| ("host", host.to_owned())).into_iter().collect();
        pairs.extend(head.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            let grants = self.grants(name.as_str(), &value);
            let kept = self.settings.kept(name.as_str(), &value, grants);
            let kept = kept.unwrap_or_else(|| if grants { REDACTED.to_owned() } else { value.into_owned() });
            (name.as_str(), kept)
        }));
        let certificate = head.extensions.get::<Arc<ClientCertificate>>();
        pairs.extend(certificate.map(|shown| (CLIENT_CERTIFICATE, BASE64.encode(&shown.der))));
        // Pairs of texts always serialise.
        serde_json::to_string(&pairs).unwrap_or_default()
    }

    /// Whether a header's value would let its reader in somewhere.
    fn grants(&self, name: &str, value: &str) -> bool {
        let lower = value.trim().to_ascii_lowercase();
        if !names_credential(name) && !is_credential(&lower) {
            return false;
        }
        match self.signatures.iter().find(|(header, _)| header == name) {
            // The format may spell a word that is a credential's elsewhere: `Token {hex}`.
            Some((_, prefix)) => {
                !holds_mac(value) || (is_credential(&lower) && (prefix.is_empty() || !lower.starts_with(prefix)))
            }
            // A signature of AWS or of an HMAC scheme that is looked for elsewhere is what went wrong.
            None if name == AUTHORIZATION => {
                let signed = lower.starts_with("aws4-") || lower.starts_with("aws ");
                !(signed || is_hmac(&lower) && holds_mac(value))
            }
            None => true,
        }
    }
}

/// Whether a header called `name` (lower case) holds what grants something, by its name.
#[must_use]
pub fn names_credential(name: &str) -> bool {
    CREDENTIALS.iter().any(|part| name.contains(part))
}

/// Whether a query's name, percent-encoded or not, is that of a session token.
fn is_token_parameter(name: &str) -> bool {
    percent_encoding::percent_decode_str(name).decode_utf8_lossy().eq_ignore_ascii_case(TOKEN_PARAMETER)
}

fn is_credential(lower: &str) -> bool {
    let word = lower.split([' ', '\t']).next().unwrap_or_default();
    CREDENTIAL_SCHEMES.contains(&word) && word.len() < lower.len()
}

/// Whether a value says that it is a MAC: `HMAC-SHA256 …`, `sha256=…`, `Signature …`.
fn is_hmac(lower: &str) -> bool {
    ["hmac", "sha1", "sha256", "sha384", "sha512", "signature"].iter().any(|word| lower.starts_with(word))
}

/// Whether some part of a value decodes to as many bytes as a MAC has.
fn holds_mac(value: &str) -> bool {
    let edges = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '"');
    let parts = value.split(edges).flat_map(|part| [Some(part), part.split_once('=').map(|(_, behind)| behind)]);
    parts.flatten().any(|part| {
        let hex = part.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(part.len() / 2);
        let digits = part.trim_end_matches('=');
        let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
        let base64 = digits.bytes().all(base64).then_some(digits.len() * 3 / 4);
        [hex, base64].into_iter().flatten().any(|bytes| MAC_BYTES.contains(&bytes))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::scheme::{self, preset};
    use crate::settings::{Diagnostics, Table};

    /// Whether the query is signed.
    const HMAC: bool = false;
    const AWS: bool = true;

    const HEX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    /// Those of a source of preset `nice` with `lines` in its table.
    fn settings(lines: &str) -> Arc<dyn Settings> {
        let mut table = Table::new("", "", lines.parse().unwrap());
        scheme::read(preset("nice").unwrap(), None, &mut table, &mut Diagnostics::new(&BTreeMap::new()))
    }

    fn kept(header: &str, format: &str) -> Redaction {
        Redaction {
            signs_query: false,
            signatures: [(header.to_owned(), format.split('{').next().unwrap_or_default().to_owned())].into(),
            settings: settings(""),
        }
    }

    fn of(signs_query: bool) -> Redaction {
        Redaction { signs_query, signatures: [].into(), settings: settings("") }
    }

    /// The value kept of a header.
    fn value(kept: &Redaction, name: &str, value: &str) -> String {
        let (head, ()) = http::Request::post("/x").header(name, value).body(()).unwrap().into_parts();
        let pairs: Vec<(String, String)> = serde_json::from_str(&kept.headers(&head)).unwrap();
        pairs[0].1.clone()
    }

    #[test]
    fn a_query_keeps_what_a_signature_covers_and_no_token() {
        let shown = |text, signs_query| of(signs_query).redact_query(text);
        let text = "/x?a=1&X-Amz-Security-Token=abc&b";
        assert_eq!(shown(text, AWS), "/x?a=1&X-Amz-Security-Token=[redacted]&b");
        assert_eq!(shown("/x?X-Amz-Security%2dToken=abc", AWS), "/x?X-Amz-Security%2dToken=[redacted]");
        assert_eq!(shown(text, HMAC), "/x?a=[redacted]&X-Amz-Security-Token=[redacted]&[redacted]");
        assert_eq!(shown("/x", HMAC), "/x");
    }

    #[test]
    fn credentials_do_not_reach_the_store() {
        for (name, given) in [
            ("authorization", "Bearer abc"),
            ("authorization", HEX),
            ("authorization", &format!("Bearer {HEX}")),
            ("authorization", "AWS5 abc"),
            ("cookie", HEX),
            ("proxy-authorization", HEX),
            ("x-amz-security-token", HEX),
            ("x-api-key", HEX),
            ("x-auth-token", HEX),
            ("x-access-token", "abc"),
            ("x-gitlab-token", "abc"),
            ("x-goog-iap-jwt-assertion", "abc"),
            ("x-amzn-oidc-data", "abc"),
            ("x-forwarded-authorization", "Bearer abc"),
            ("x-vendor", "Bearer abc"),
        ] {
            for signs_query in [HMAC, AWS] {
                assert_eq!(value(&of(signs_query), name, given), REDACTED, "{name}: {given}");
            }
        }
        assert_eq!(value(&of(HMAC), "x-nice-signature", "v1=00"), "v1=00");
        assert_eq!(value(&of(HMAC), "x-vendor", "bearer"), "bearer", "a word alone is none");
    }

    #[test]
    fn a_signature_in_authorization_is_kept_and_a_token_there_is_not() {
        let base64 = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=";
        let plain = kept("authorization", "{hex}");
        for signature in [HEX, base64, &format!("sha256={HEX}"), &format!("HMAC ts=5, sig={HEX}"), &HEX[..40]] {
            assert_eq!(value(&plain, "authorization", signature), signature);
        }
        for token in [
            format!("Bearer {HEX}"),
            format!("bearer\t{HEX}"),
            format!("Basic {base64}"),
            format!("Token {HEX}"),
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln".to_owned(),
            "swordfish".to_owned(),
        ] {
            assert_eq!(value(&plain, "authorization", &token), REDACTED, "{token}");
        }
        assert_eq!(value(&kept("authorization", "token {hex}"), "authorization", &format!("Token {HEX}")).len(), 70);
        assert_eq!(value(&kept("x-api-key", "{hex}"), "x-api-key", HEX), HEX);
        assert_eq!(value(&kept("x-other", "{hex}"), "x-api-key", HEX), REDACTED);
    }

    #[test]
    fn a_signature_that_the_source_looks_for_elsewhere_is_kept() {
        for signs_query in [HMAC, AWS] {
            for signature in [
                "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=00",
                "AWS4-ECDSA-P256-SHA256 Credential=a",
                "AWS AKID:frJIUN8DYpKDtOLCwo//yllqDzg=",
                &format!("HMAC-SHA256 {HEX}"),
                &format!("sha256={HEX}"),
            ] {
                assert_eq!(value(&of(signs_query), "authorization", signature), signature);
            }
        }
    }

    #[test]
    fn the_settings_name_the_header_and_spell_the_format() {
        let settings = settings("signature_header = 'Authorization'\nsignature_format = 'Token {hex}'");
        assert_ne!(value(&Redaction::from(&settings), "authorization", &format!("Token {HEX}")), REDACTED);
    }

    #[test]
    fn over_http_2_the_authority_is_kept_as_the_host() {
        let request = |version| http::Request::post("https://hooks.example:8443/x?y").version(version);
        let (head, ()) = request(Version::HTTP_2).header("a", "1").body(()).unwrap().into_parts();
        let kept = of(AWS);
        assert_eq!(kept.target(&head), "POST /x?y");
        assert_eq!(kept.headers(&head), r#"[["host","hooks.example:8443"],["a","1"]]"#);
        let both = request(Version::HTTP_2).header("host", "hooks.example:8443");
        assert_eq!(kept.headers(&both.body(()).unwrap().into_parts().0), r#"[["host","hooks.example:8443"]]"#);
        // An absolute target of HTTP/1.1 stays what it was: it outranks its Host.
        let (old, ()) = request(Version::HTTP_11).header("host", "other").body(()).unwrap().into_parts();
        assert_eq!(kept.target(&old), "POST https://hooks.example:8443/x?y");
        assert_eq!(kept.headers(&old), r#"[["host","other"]]"#);
    }
}
