//! Where a source's events get their id and type from, and which paths a source may have.

use std::fmt;

use crate::settings::grammar::{header_name, pointer};

/// The longest path of a source; longer targets are refused by most proxies.
const MAX_PATH: usize = 1024;
/// The longest event type.
const MAX_TYPE: usize = 256;
/// The longest name of a claim.
const MAX_CLAIM: usize = 256;

/// Where an event id comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IdRule {
    /// RFC 6901 pointer into the body, falling back to the digest where absent.
    Pointer(String),
    /// A header that the signature covers, lower case.
    Header(String),
    /// SHA-256 over all that the signature covers.
    Signed,
    /// What the verified token says at this name, falling back to the digest where absent.
    Claim(String),
    /// SHA-256 of the body.
    Digest,
}

/// Where an event type comes from; the preset's name where it finds nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TypeRule {
    /// RFC 6901 pointer into the body.
    Pointer(String),
    /// A header, lower case.
    Header(String),
    /// Always this.
    Literal(String),
}

impl IdRule {
    /// Reads `header:NAME`, `claim:NAME`, a pointer, `signed` or `digest`.
    ///
    /// # Errors
    /// What was expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "digest" => Ok(Self::Digest),
            "signed" => Ok(Self::Signed),
            _ if text.starts_with('/') => pointer(text).map(Self::Pointer),
            _ => match (text.strip_prefix("header:"), text.strip_prefix("claim:")) {
                (Some(header), _) => header_name(header).map(Self::Header),
                (None, Some(claim)) => claim_name(claim).map(Self::Claim),
                (None, None) => Err(format!(
                    "expected a JSON pointer such as \"/eventId\", \"header:NAME\", \"claim:NAME\", \"signed\" or \"digest\", found {text:?}"
                )),
            },
        }
    }
}

impl TypeRule {
    /// Reads `header:NAME`, a pointer, or the type itself.
    ///
    /// # Errors
    /// What was expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return pointer(text).map(Self::Pointer);
        }
        if let Some(header) = text.strip_prefix("header:") {
            return header_name(header).map(Self::Header);
        }
        if text.is_empty() || text.len() > MAX_TYPE || text.chars().any(char::is_control) {
            return Err(format!(
                "expected a JSON pointer, \"header:NAME\" or an event type of 1 to {MAX_TYPE} bytes without control characters"
            ));
        }
        Ok(Self::Literal(text.to_owned()))
    }
}

impl fmt::Display for IdRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pointer(pointer) => f.write_str(pointer),
            Self::Header(header) => write!(f, "header:{header}"),
            Self::Signed => f.write_str("signed"),
            Self::Claim(claim) => write!(f, "claim:{claim}"),
            Self::Digest => f.write_str("digest"),
        }
    }
}

impl fmt::Display for TypeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pointer(text) | Self::Literal(text) => f.write_str(text),
            Self::Header(header) => write!(f, "header:{header}"),
        }
    }
}

/// The name of a claim, as it stands in tokens.
fn claim_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > MAX_CLAIM || text.chars().any(char::is_control) {
        return Err(format!("expected the name of a claim, 1 to {MAX_CLAIM} bytes without control characters"));
    }
    Ok(text.to_owned())
}

/// The path of a source: absolute, in the characters RFC 3986 allows in a path, without wildcards and query.
///
/// # Errors
/// What was expected.
pub(super) fn path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err(format!("expected a path that starts with /, found {text:?}"));
    }
    if text.len() > MAX_PATH {
        return Err(format!("expected at most {MAX_PATH} bytes"));
    }
    if text.contains('?') || text.contains('#') {
        return Err("expected a path without query and fragment".to_owned());
    }
    if let Some(wrong) = wrong_in_path(text) {
        return Err(format!("expected a path as RFC 3986 writes it, without wildcards; {wrong} cannot stand in it"));
    }
    // Clients resolve dot segments before they send, so that such a path would never match.
    if text.split('/').any(|segment| segment == "." || segment == "..") {
        return Err("expected a path without . and .. segments".to_owned());
    }
    if text == "/healthz" {
        return Err("/healthz is taken: load balancers probe it".to_owned());
    }
    Ok(text.to_owned())
}

/// The first thing in `text` that is no `pchar` (RFC 3986 section 3.3); `*` is left out because it reads as a wildcard.
fn wrong_in_path(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    for (at, byte) in text.bytes().enumerate() {
        let fits = match byte {
            b'%' => bytes.get(at + 1..at + 3).is_some_and(|escape| escape.iter().all(u8::is_ascii_hexdigit)),
            b'*' => false,
            _ => byte.is_ascii_alphanumeric() || b"/-._~!$&'()+,;=:@".contains(&byte),
        };
        if !fits {
            let unfit = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('\u{fffd}');
            return Some(if unfit == '%' { "% without two hex digits".to_owned() } else { format!("{unfit:?}") });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_rfc_3986() {
        for good in ["/", "/webhooks/cxone", "/a%20b", "/a:b@c;d=e,f!$&'()+~._-", "/a//b", "/%C3%A4"] {
            assert_eq!(path(good).as_deref(), Ok(good));
        }
        let bad = [
            "", "webhooks", "/a?b", "/a#b", "/{id}", "/a*", "/a b", "/ä", "/%", "/%2", "/%zz", "/a\"", "/a/../b", "/.",
            "/healthz",
        ];
        for bad in bad {
            assert!(path(bad).is_err(), "{bad}");
        }
        assert!(path(&format!("/{}", "a".repeat(1024))).is_err());
    }

    #[test]
    fn id_rules() {
        let id_rule = IdRule::parse;
        assert_eq!(id_rule("/id"), Ok(IdRule::Pointer("/id".into())));
        assert_eq!(id_rule("/a~1b~0c"), Ok(IdRule::Pointer("/a~1b~0c".into())));
        assert_eq!(id_rule("header:Webhook-Id"), Ok(IdRule::Header("webhook-id".into())));
        assert_eq!(id_rule("claim:jti"), Ok(IdRule::Claim("jti".into())));
        assert_eq!(id_rule("claim:https://a.example/id"), Ok(IdRule::Claim("https://a.example/id".into())));
        assert_eq!(id_rule("digest"), Ok(IdRule::Digest));
        assert_eq!(id_rule("signed"), Ok(IdRule::Signed));
        let long = format!("claim:{}", "x".repeat(257));
        for bad in ["", "id", "/", "/a~2", "/a~", "header:", "header:a b", "Digest", "claim:", "claim:a\n", &long] {
            assert!(id_rule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn type_rules() {
        let type_rule = TypeRule::parse;
        assert_eq!(type_rule("/type"), Ok(TypeRule::Pointer("/type".into())));
        assert_eq!(type_rule("header:X-Type"), Ok(TypeRule::Header("x-type".into())));
        assert_eq!(type_rule("order.created"), Ok(TypeRule::Literal("order.created".into())));
        for bad in ["", "/", "header:", "a\nb", &"x".repeat(257)] {
            assert!(type_rule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for text in ["/id", "header:webhook-id", "claim:jti", "signed", "digest"] {
            assert_eq!(IdRule::parse(text).unwrap().to_string(), text);
        }
        for text in ["/type", "header:x-type", "order.created"] {
            assert_eq!(TypeRule::parse(text).unwrap().to_string(), text);
        }
    }
}
