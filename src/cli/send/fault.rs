//! What can be sent wrong on purpose, and what answer each kind should get.

use serde_json::Value;

/// One way to be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(in crate::cli) enum Kind {
    /// Signed longer ago than the source's window
    Stale,
    /// Signed further ahead than the source's window
    Future,
    /// Signed with a key that the source does not know
    WrongKey,
    /// One digit of the signature changed
    BadSignature,
    /// No signature at all
    MissingSignature,
    /// No token at all
    MissingToken,
    /// A token that the source does not know
    WrongToken,
    /// The word before the token twice, as in `Bearer Bearer …`
    WordTwice,
    /// The token in quotes
    QuotedToken,
    /// Another word before the token
    OtherWord,
    /// The client certificate left out, where the listener lets that in
    NoCertificate,
    /// The body changed after it was signed
    TamperedBody,
    /// One byte more than the source takes
    Oversize,
    /// A content type that the source does not take
    WrongContentType,
    /// The same event twice: the second answer must say so
    Duplicate,
    /// The same id twice with different bodies: the second must be put aside
    Conflict,
}

/// The answer that a message should get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::cli) enum Expected {
    /// 2xx, stored or known.
    Accepted,
    /// 2xx, and known already.
    Duplicate,
    /// 2xx, but put aside.
    Quarantined,
    /// This status with this reason.
    Refused(u16, &'static str),
}

impl Kind {
    /// Whether it spoils the token, not the signature.
    pub(super) const fn is_about_tokens(self) -> bool {
        matches!(self, Self::MissingToken | Self::WrongToken | Self::WordTwice | Self::QuotedToken | Self::OtherWord)
    }

    /// How a source whose stale status is `stale` refuses it; `None` for what is accepted or put aside.
    pub(super) const fn refusal(self, stale: u16) -> Option<Expected> {
        Some(match self {
            Self::Stale | Self::Future => Expected::Refused(stale, "timestamp_expired"),
            Self::WrongKey | Self::BadSignature | Self::TamperedBody => Expected::Refused(401, "signature_mismatch"),
            Self::NoCertificate => Expected::Refused(401, "client_certificate_mismatch"),
            Self::MissingSignature => Expected::Refused(401, "missing_signature"),
            Self::MissingToken => Expected::Refused(401, "missing_token"),
            Self::WrongToken | Self::WordTwice | Self::QuotedToken | Self::OtherWord => {
                Expected::Refused(401, "token_mismatch")
            }
            Self::Oversize => Expected::Refused(413, "payload_too_large"),
            Self::WrongContentType => Expected::Refused(415, "unsupported_media_type"),
            Self::Duplicate | Self::Conflict => return None,
        })
    }
}

impl Expected {
    /// Whether an answer is the expected one.
    pub(super) fn is(self, status: u16, body: &[u8]) -> bool {
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let success = (200..300).contains(&status);
        let holds = |name: &str, value: Value| body.get(name) == Some(&value);
        let put_aside = holds("status", "quarantined".into());
        match self {
            Self::Accepted => success && !put_aside,
            Self::Duplicate => success && !put_aside && holds("duplicate", true.into()),
            Self::Quarantined => success && put_aside,
            Self::Refused(expected, reason) => status == expected && holds("message", reason.into()),
        }
    }

    /// In words.
    pub(super) fn words(self) -> String {
        match self {
            Self::Accepted => "2xx".to_owned(),
            Self::Duplicate => "2xx with \"duplicate\":true".to_owned(),
            Self::Quarantined => "200 with \"status\":\"quarantined\"".to_owned(),
            Self::Refused(status, reason) => format!("{status} {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn the_kinds_are_those_of_the_contract() {
        let names: Vec<String> =
            Kind::value_variants().iter().map(|kind| kind.to_possible_value().unwrap().get_name().to_owned()).collect();
        assert_eq!(
            names.join(" "),
            "stale future wrong-key bad-signature missing-signature missing-token wrong-token word-twice quoted-token other-word no-certificate tampered-body oversize wrong-content-type duplicate conflict"
        );
    }

    #[test]
    fn a_stale_request_is_refused_with_the_sources_own_status() {
        assert_eq!(Kind::Stale.refusal(410), Some(Expected::Refused(410, "timestamp_expired")));
        assert_eq!(Kind::Future.refusal(401), Some(Expected::Refused(401, "timestamp_expired")));
        assert_eq!(Kind::Duplicate.refusal(401), None);
    }

    #[test]
    fn only_the_expected_answer_will_do() {
        let accepted = br#"{"status":"validated","id":"1","duplicate":false}"#;
        let duplicate = br#"{"status":"validated","id":"1","duplicate":true}"#;
        let aside = br#"{"status":"quarantined","id":"1","duplicate":false}"#;
        let refused = br#"{"error":"Unauthorized","code":401,"message":"signature_mismatch"}"#;
        assert!(Expected::Accepted.is(200, accepted) && Expected::Accepted.is(204, b""));
        assert!(!Expected::Accepted.is(200, aside) && !Expected::Accepted.is(401, refused));
        assert!(Expected::Duplicate.is(200, duplicate) && !Expected::Duplicate.is(200, accepted));
        assert!(Expected::Quarantined.is(200, aside) && !Expected::Quarantined.is(200, accepted));
        let mismatch = Expected::Refused(401, "signature_mismatch");
        assert!(mismatch.is(401, refused) && !mismatch.is(403, refused) && !mismatch.is(401, b"Unauthorized"));
        assert!(!Expected::Refused(401, "missing_signature").is(401, refused));
    }
}
