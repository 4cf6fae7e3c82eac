//! What a MAC covers: a template of the body, the timestamp, headers and the URL, for the HMAC scheme.

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::template::{self, Piece};

/// What a template may hold, in words.
pub(super) const PLACEHOLDERS: &str = "{body}, {timestamp}, {id}, {header:NAME} and {url}";

/// What a MAC covers, in order.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Content(Vec<Part>);

/// One part of what a MAC covers.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(Box<str>),
    Body,
    Timestamp,
    Id,
    Header(HeaderName),
    Url,
}

/// The texts of one request that placeholders stand for, as they were sent.
#[derive(Clone, Copy)]
pub(super) struct Texts<'a> {
    /// The body as received.
    pub body: &'a [u8],
    /// The timestamp, digit for digit.
    pub timestamp: &'a [u8],
    /// The value of the id header.
    pub id: &'a [u8],
    /// What it was sent to, and with which headers.
    pub sent: Sent<'a>,
}

/// What a request was sent to, and with which headers.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    /// What its URL begins with: the sender knows another host, and perhaps another scheme, than arrived here.
    pub base: &'a str,
    /// Path and query.
    pub target: &'a str,
    pub headers: &'a HeaderMap,
}

impl<'a> Sent<'a> {
    /// Of a request with this head.
    pub(super) fn of(head: &'a Parts, base: Option<&'a str>) -> Self {
        let target = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
        Self { base: base.unwrap_or_default(), target, headers: &head.headers }
    }
}

impl Content {
    /// Reads the value of `signed_content`.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    pub(super) fn parse(template: &str) -> Result<Self, String> {
        let parts = template::pieces(template)?.into_iter().map(Part::of).collect::<Result<Vec<_>, _>>()?;
        if neighbours(&parts).any(|(one, text, other)| (*one == Part::Id || *other == Part::Id) && adjoins(text)) {
            return Err("nothing parts {id} from what stands beside it, so that a captured request could be sent again under another id: put a separator such as `.` between them, as the sender must".into());
        }
        match parts.iter().filter(|part| **part == Part::Body).count() {
            1 => Ok(Self(parts)),
            0 => Err("must hold {body}, or the signature vouches for nothing that was sent".into()),
            _ => Err("holds {body} more than once".into()),
        }
    }

    /// Whether the MAC covers the timestamp's text.
    pub(super) fn has_timestamp(&self) -> bool {
        self.0.contains(&Part::Timestamp)
    }

    /// Whether the MAC covers nothing but the body (and text that is always the same).
    pub(super) fn is_body_only(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Body | Part::Text(_)))
    }

    /// Whether bytes may pass between two placeholders without changing what is hashed.
    pub(super) fn has_open_border(&self) -> bool {
        let behind_body = self.0.iter().skip_while(|part| **part != Part::Body).any(Part::is_free);
        behind_body
            || self.0.iter().filter(|part| part.is_free()).count() > 1
            || neighbours(&self.0).any(|(one, text, other)| match (one, other) {
                // A URL is of this source or is not taken, and a body begins as its format does.
                (Part::Url, Part::Body) | (_, Part::Url) => false,
                _ if one.is_free() || other.is_free() => adjoins(text),
                _ => text.bytes().all(|byte| byte.is_ascii_digit()),
            })
    }

    /// Whether the MAC covers the id header.
    pub(super) fn has_id(&self) -> bool {
        self.0.contains(&Part::Id)
    }

    /// Whether the MAC covers the URL that the request was sent to.
    pub(super) fn has_url(&self) -> bool {
        self.0.contains(&Part::Url)
    }

    /// The headers that it names.
    pub(super) fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().filter_map(|part| if let Part::Header(name) = part { Some(name) } else { None })
    }

    /// Whether the MAC binds the id, so that no captured request verifies with another.
    pub(super) fn binds_id(&self) -> bool {
        self.binds(&Part::Id)
    }

    /// The same of the header `name`.
    pub(super) fn binds_header(&self, name: &HeaderName) -> bool {
        self.binds(&Part::Header(name.clone()))
    }

    /// Whether `wanted` is the one text of the sender's choice beside the body, and something parts it from the rest.
    fn binds(&self, wanted: &Part) -> bool {
        let alone = self.0.iter().filter(|part| part.is_free()).eq([wanted]);
        alone && neighbours(&self.0).all(|(one, text, other)| !(one == wanted || other == wanted) || !adjoins(text))
    }

    /// The bytes to be hashed, piece by piece.
    pub(super) fn bytes<'a>(&'a self, texts: Texts<'a>) -> impl Iterator<Item = &'a [u8]> {
        let Texts { body, timestamp, id, sent } = texts;
        self.0.iter().flat_map(move |part| match part {
            Part::Text(text) => [text.as_bytes(), b""],
            Part::Body => [body, b""],
            Part::Timestamp => [timestamp, b""],
            Part::Id => [id, b""],
            Part::Header(name) => [sent.headers.get(name).map_or(&b""[..], HeaderValue::as_bytes), b""],
            Part::Url => [sent.base.as_bytes(), sent.target.as_bytes()],
        })
    }
}

/// Whether what stands between two placeholders does not part them: a value may end or begin with any of it.
fn adjoins(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Placeholders that follow each other, with the text between them.
fn neighbours(parts: &[Part]) -> impl Iterator<Item = (&Part, &str, &Part)> {
    parts.iter().enumerate().filter_map(|(index, one)| match (one, parts.get(index + 1..)?) {
        (Part::Text(_), _) | (_, [] | [Part::Text(_)]) => None,
        (_, [Part::Text(text), other, ..]) => Some((one, &**text, other)),
        (_, [other, ..]) => Some((one, "", other)),
    })
}

impl Part {
    /// Whether the sender may write anything there.
    const fn is_free(&self) -> bool {
        matches!(self, Self::Id | Self::Header(_))
    }

    fn of(piece: Piece<'_>) -> Result<Self, String> {
        match piece {
            Piece::Text(text) => Ok(Self::Text(text.into())),
            Piece::Placeholder("body") => Ok(Self::Body),
            Piece::Placeholder("timestamp") => Ok(Self::Timestamp),
            Piece::Placeholder("id") => Ok(Self::Id),
            Piece::Placeholder("url") => Ok(Self::Url),
            Piece::Placeholder(other) => match other.strip_prefix("header:").map(str::parse) {
                Some(Ok(name)) => Ok(Self::Header(name)),
                Some(Err(_)) => Err(format!("`{{{other}}}` names no header")),
                None => Err(format!("`{{{other}}}` is not a placeholder; it may hold {PLACEHOLDERS}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_follow_the_template() {
        let content = Content::parse("{id}.{timestamp}:{body}").unwrap();
        let (head, ()) = http::Request::builder().uri("/p?q=1").header("x-a", "A").body(()).unwrap().into_parts();
        let sent = Sent::of(&head, Some("https://hooks.example"));
        let texts = Texts { body: b"{}", timestamp: b"007", id: b"a", sent };
        assert_eq!(content.bytes(texts).collect::<Vec<_>>().concat(), b"a.007:{}");
        assert!(content.has_id() && content.has_timestamp());
        let content = Content::parse("POST{url}{body}|{header:X-A}").unwrap();
        assert_eq!(content.bytes(texts).collect::<Vec<_>>().concat(), b"POSThttps://hooks.example/p?q=1{}|A");
        assert!(content.has_url() && content.headers().eq([&HeaderName::from_static("x-a")]));
        let plain = Content::parse("{body}").unwrap();
        assert!(!plain.has_id() && !plain.has_timestamp());
    }

    #[test]
    fn an_id_has_borders() {
        for wrong in [
            "{id}{timestamp}.{body}",
            "{timestamp}{id}.{body}",
            "{timestamp}.{id}{body}",
            "{body}{id}",
            "{id}{id}.{body}",
            "{id}0{timestamp}.{body}",
            "{timestamp}.{id}x{body}",
        ] {
            assert!(Content::parse(wrong).is_err(), "{wrong}");
        }
        for right in ["{id}.{timestamp}.{body}", "v0:{id}:{body}", "{id}\n{body}", "x{id}.{body}"] {
            assert!(Content::parse(right).is_ok_and(|content| !content.has_open_border()), "{right}");
        }
    }

    #[test]
    fn a_header_is_bound_where_nothing_can_pass_between_it_and_another_text() {
        let binds = |template: &str| Content::parse(template).unwrap().binds_header(&HeaderName::from_static("x-a"));
        for bound in ["{header:X-A}.{body}", "{timestamp}|{header:x-a}|{body}", "v0:{header:x-a}:{timestamp}{body}"] {
            assert!(binds(bound), "{bound}");
        }
        for loose in [
            "{body}",
            "{header:x-b}.{body}",
            "{header:x-a}{body}",
            "{header:x-a}0{timestamp}.{body}",
            "{header:x-a}.{header:x-b}.{body}",
            "{header:x-a}.{header:x-a}.{body}",
            "{id}.{header:x-a}.{body}",
        ] {
            assert!(!binds(loose), "{loose}");
        }
        assert!(Content::parse("{id}.{timestamp}.{body}").unwrap().binds_id());
        assert!(!Content::parse("{id}.{header:x-a}.{body}").unwrap().binds_id());
    }

    #[test]
    fn open_borders_are_known() {
        for open in [
            "{timestamp}{body}",
            "{body}{timestamp}",
            "{timestamp}0{body}",
            "{body}.{id}",
            "{body}.{timestamp}.{id}",
            "{header:x-a}{body}",
            "{header:x-a}.{header:x-b}.{body}",
            "{url}{timestamp}.{body}",
        ] {
            assert!(Content::parse(open).is_ok_and(|content| content.has_open_border()), "{open}");
        }
        for closed in [
            "{body}",
            "{timestamp}.{body}",
            "{timestamp}:{body}",
            "v0:{timestamp}:{body}",
            "{body}|{timestamp}",
            "{url}{body}",
            "{timestamp}{url}.{body}",
            "{header:x-a}.{body}",
        ] {
            assert!(Content::parse(closed).is_ok_and(|content| !content.has_open_border()), "{closed}");
        }
    }

    #[test]
    fn the_body_is_covered_once() {
        for wrong in [
            "",
            "{timestamp}",
            "{body}{body}",
            "{body}.{nonce}",
            "{body}{header:}",
            "{body}{header:a b}",
            "{Body}",
            "{}{body}",
            "{body",
        ] {
            assert!(Content::parse(wrong).is_err(), "{wrong}");
        }
    }
}
