//! What a request says at a place where a handshake looks: read strictly, for it is sent back.

use http::request::Parts;
use percent_encoding::percent_decode_str;

use crate::scheme::Place;

use super::json::{self, Pointer};
use super::reject::Reject;

/// The longest challenge that is sent back, bytes (contract, "Handshakes").
const LONGEST: usize = 1024;

/// What a request says at one place.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Said {
    Nothing,
    Once(String),
    /// Something that is no text.
    NoText,
    /// Something twice, equal or not.
    Twice,
}

impl Said {
    /// What `head` says at `place`; a place in a body is none of it.
    pub(super) fn in_head(place: &Place, head: &Parts) -> Self {
        match place {
            Place::Query(name) => Self::in_query(name, head.uri.query().unwrap_or_default()),
            Place::Header(name) => {
                let values = head.headers.get_all(*name).iter();
                Self::only(values.map(|value| value.to_str().ok().map(str::to_owned)))
            }
            Place::Field(_) => Self::Nothing,
        }
    }

    /// The parameter `name`, decoded as forms are (WHATWG URL, section 5.1), but for what is no percent-encoding of UTF-8:
    /// two programs could read two texts from that.
    fn in_query(name: &str, query: &str) -> Self {
        let items = query.split('&').map(|item| item.split_once('=').unwrap_or((item, "")));
        Self::only(
            items.filter(|(found, _)| decoded(found).is_some_and(|found| found == name)).map(|(_, it)| decoded(it)),
        )
    }

    fn only(mut values: impl Iterator<Item = Option<String>>) -> Self {
        match (values.next(), values.next()) {
            (None, _) => Self::Nothing,
            (Some(Some(value)), None) => Self::Once(value),
            (Some(None), None) => Self::NoText,
            (Some(_), Some(_)) => Self::Twice,
        }
    }

    /// What `body` says at each of `pointers`; `None` where it is no JSON object.
    pub(super) fn in_body(body: &[u8], pointers: &[Pointer]) -> Option<Vec<Self>> {
        let found = json::scan(body, pointers).ok()?;
        let said = found.into_iter().map(|found| match (found.value, found.twice) {
            (None, _) => Self::Nothing,
            (Some(_), true) => Self::Twice,
            (Some(value), false) => value.text().map_or(Self::NoText, Self::Once),
        });
        Some(said.collect())
    }

    /// The text, where it may be sent back.
    pub(super) fn challenge(self) -> Result<String, Reject> {
        match self {
            Self::Nothing => Err(Reject::BadRequest("the challenge of the handshake is missing")),
            Self::NoText => Err(Reject::BadRequest("the challenge of the handshake is no text")),
            Self::Twice => Err(Reject::BadRequest("the challenge of the handshake stands twice")),
            Self::Once(text) if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) => {
                Err(Reject::BadRequest("the challenge must have 1 to 1024 bytes and no control characters"))
            }
            Self::Once(text) => Ok(text),
        }
    }
}

fn decoded(text: &str) -> Option<String> {
    let escaped = |part: &str| part.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(escaped) {
        return None;
    }
    // Before decoding: a plus that was meant is %2B.
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Said {
        Said::in_query("hub.challenge", text)
    }

    fn once(text: &str) -> Said {
        Said::Once(text.to_owned())
    }

    #[test]
    fn a_parameter_is_decoded_once_and_strictly() {
        assert_eq!(query("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=x"), once("1158201444"));
        assert_eq!(query("hub%2Echallenge=a%20b+c%2B%C3%A4%2520&&x"), once("a b c+\u{e4}%20"));
        assert_eq!(query("hub.challenge"), once(""));
        assert_eq!(query("hub.challenge=a=b"), once("a=b"));
        for nothing in ["", "hub.challeng=1", "Hub.Challenge=1", "hub_challenge=1", "hub.challenge%2=1"] {
            assert_eq!(query(nothing), Said::Nothing, "{nothing}");
        }
        for none in ["hub.challenge=%", "hub.challenge=%4", "hub.challenge=%zz", "hub.challenge=%ff"] {
            assert_eq!(query(none), Said::NoText, "{none}");
        }
        assert_eq!(query("hub.challenge=1&hub%2echallenge=1"), Said::Twice);
    }

    #[test]
    fn a_header_stands_once_and_is_visible_ascii() {
        let said = |values: &[&[u8]]| {
            let (mut head, ()) = http::Request::new(()).into_parts();
            for value in values {
                head.headers.append("validation-token", http::HeaderValue::from_bytes(value).unwrap());
            }
            Said::in_head(&Place::Header("validation-token"), &head)
        };
        assert_eq!(said(&[b"abc"]), once("abc"));
        assert_eq!(said(&[]), Said::Nothing);
        assert_eq!(said(&[b"abc", b"abc"]), Said::Twice);
        assert_eq!(said(&[b"\xe4"]), Said::NoText);
    }

    #[test]
    fn a_field_is_one_string() {
        let said =
            |body: &[u8]| Said::in_body(body, &[Pointer::new("/payload/plainToken")]).map(|mut said| said.remove(0));
        assert_eq!(said(br#"{"payload":{"plainToken":"a\u0062"}}"#), Some(once("ab")));
        assert_eq!(said(br#"{"payload":{}}"#), Some(Said::Nothing));
        assert_eq!(said(br#"{"payload":{"plainToken":7}}"#), Some(Said::NoText));
        assert_eq!(said(br#"{"payload":{"plainToken":"a","plainToken":"a"}}"#), Some(Said::Twice));
        assert_eq!(said(b"<xml/>"), None);
    }

    #[test]
    fn what_is_sent_back_is_short_and_shows() {
        for fits in ["a", "<script>alert(1)</script>", "a b", "\u{e4}", &"x".repeat(1024)] {
            assert_eq!(once(fits).challenge().as_deref(), Ok(fits));
        }
        for wrong in
            ["", "a\nb", "a\r\nSet-Cookie: b", "\0", "\u{7f}", "\u{85}", &"x".repeat(1025), &"\u{e4}".repeat(513)]
        {
            assert!(once(wrong).challenge().is_err(), "{wrong:?}");
        }
        assert!([Said::Nothing, Said::NoText, Said::Twice].into_iter().all(|said| said.challenge().is_err()));
    }
}
