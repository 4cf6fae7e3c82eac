//! Key `headers`: what else stands in each request, secret or not.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::super::fingerprint::Parts;
use crate::settings::{Diagnostics, NamedText, Table, text_table};

const DOC: &str = "Headers that stand in each request besides ours, each a string or a secret's reference.";
const EXAMPLE: &str = "{ \"X-Env\" = \"prod\", \"X-Api-Key\" = { file = \"/run/secrets/orders-key\" } }";

/// What says where a message ends and how long a connection lasts (RFC 9110 7.6, RFC 9112 6).
const FRAMING: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What is ours to say about the body, the event and ourselves, and what begins our own names.
const OURS: [&str; 5] = ["content-encoding", "content-type", "traceparent", "tracestate", "user-agent"];
const OUR_PREFIXES: [&str; 2] = ["ce-", "webhook-"];

/// Headers in the order in which they are sent.
#[derive(Clone)]
pub(super) struct Headers(Vec<(HeaderName, HeaderValue)>);

impl Headers {
    /// Reads them. `Authorization` may be among them unless it comes from another key, as `authorized` says.
    pub(super) fn read(authorized: bool, table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        let mut headers = Vec::<(HeaderName, HeaderValue)>::new();
        for text in text_table("headers", DOC, EXAMPLE).read(table, diagnostics) {
            match header(&text, authorized) {
                Ok((name, _)) if headers.iter().any(|(other, _)| *other == name) => {
                    diagnostics.error(&text.at, "stands there twice, in upper and lower case: keep one");
                }
                Ok(header) => headers.push(header),
                Err(problem) => diagnostics.error(&text.at, problem),
            }
        }
        Self(headers)
    }

    /// Adds them to those of a request.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            headers.append(name, value.clone());
        }
    }

    /// Whether one of them is called `name`.
    pub(super) fn contain(&self, name: &HeaderName) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    /// What of them counts for the sink's fingerprint.
    pub(super) fn consists_of(&self, parts: &mut Parts) {
        parts.add(self.0.len().to_string());
        for (name, value) in &self.0 {
            parts.add(name.as_str());
            parts.add(value.as_bytes());
        }
    }
}

/// Whether a header called `name` says where a message ends or how long a connection lasts.
fn frames(name: &HeaderName) -> bool {
    FRAMING.contains(&name.as_str())
}

/// Whether nobody but gatepost may say what stands in a header called `name`.
pub(super) fn is_reserved(name: &HeaderName) -> bool {
    let text = name.as_str();
    frames(name) || OURS.contains(&text) || OUR_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

fn header(text: &NamedText, authorized: bool) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::from_bytes(text.name.as_bytes())
        .map_err(|_| "is not the name of a header: letters, digits and - as in X-Api-Key".to_owned())?;
    if frames(&name) {
        return Err("belongs to the connection, which gatepost manages: remove it".to_owned());
    }
    if is_reserved(&name) {
        return Err("is set by gatepost itself: remove it, or choose another name".to_owned());
    }
    if name == AUTHORIZATION && authorized {
        return Err("is set by `token`, `basic` or `oauth2`: keep one of them".to_owned());
    }
    let bytes = text.value.as_slice();
    let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if !printable || bytes.is_empty() || bytes.trim_ascii() != bytes {
        return Err("cannot be sent: expected printable ASCII, not empty, without blanks at its ends".to_owned());
    }
    let mut value = HeaderValue::from_bytes(bytes).map_err(|_| "cannot be sent in a header".to_owned())?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{read, wrong};
    use super::super::Settings;

    const URL: &str = "url = 'http://127.0.0.1:1/'\n";

    fn refused(headers: &str) -> Vec<String> {
        wrong::<Settings>(&format!("{URL}headers = {headers}\n"), &[])
    }

    #[test]
    fn what_is_ours_frames_the_message_or_cannot_be_sent_is_refused_at_its_name() {
        for name in [
            "Host",
            "content-LENGTH",
            "Transfer-Encoding",
            "Connection",
            "TE",
            "Trailer",
            "Upgrade",
            "Expect",
            "Proxy-Authorization",
            "Content-Type",
            "Content-Encoding",
            "User-Agent",
            "traceparent",
            "ce-id",
            "CE-anything",
            "webhook-signature",
        ] {
            assert_eq!(refused(&format!("{{ '{name}' = 'x' }}")), [format!("headers.{name}")]);
        }
        for name in ["", "a b", "a:b", "ä", "a\\n"] {
            assert_eq!(refused(&format!("{{ \"{name}\" = 'x' }}")).len(), 1, "{name}");
        }
        for value in
            ["''", "' a'", "'a '", "\"a\\nb\"", "\"a\\r\\nX: y\"", "\"a\\tb\"", "'ä'", "\"a\\u0000\"", "1", "[]"]
        {
            assert_eq!(refused(&format!("{{ X-A = {value} }}")), ["headers.X-A"], "{value}");
        }
        assert_eq!(refused("{ X-A = 'a', x-a = 'b', 'Host' = 'c' }"), ["headers.Host", "headers.x-a"]);
        assert_eq!(refused("'X-A: b'"), ["headers"]);
        assert_eq!(refused("[]"), ["headers"]);
        assert!(refused("{}").is_empty());
    }

    #[test]
    fn a_credential_of_another_kind_is_sent_unless_there_is_one_already() {
        let headers = "headers = { Authorization = 'ApiKey abc' }\n";
        read::<Settings>(&format!("{URL}{headers}"), &[]);
        for other in ["token = { value = 'a' }", "basic = { user = 'u', password = { value = 'p' } }"] {
            assert_eq!(wrong::<Settings>(&format!("{URL}{headers}{other}\n"), &[]), ["headers.Authorization"]);
        }
    }
}
