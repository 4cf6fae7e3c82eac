//! What a MAC covers: a template of `{body}`, `{timestamp}` and `{id}`, for the HMAC scheme.

use super::template::{self, Piece};

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
}

impl Content {
    /// Reads the value of `signed_content`.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    pub(super) fn parse(template: &str) -> Result<Self, String> {
        let parts = template::pieces(template)?.into_iter().map(Part::of).collect::<Result<Vec<_>, _>>()?;
        if neighbours(&parts).any(|(one, text, other)| {
            (*one == Part::Id || *other == Part::Id) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }) {
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
        !self.has_timestamp() && !self.has_id()
    }

    /// Whether bytes may pass between two placeholders without changing what is hashed.
    pub(super) fn has_open_border(&self) -> bool {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let behind_body = self.0.iter().skip_while(|part| **part != Part::Body).any(|part| *part == Part::Id);
        behind_body || neighbours(&self.0).any(|(_, text, _)| digits(text))
    }

    /// Whether the MAC covers the id header.
    pub(super) fn has_id(&self) -> bool {
        self.0.contains(&Part::Id)
    }

    /// The bytes to be hashed, piece by piece.
    pub(super) fn bytes<'a>(&'a self, texts: Texts<'a>) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().map(move |part| match part {
            Part::Text(text) => text.as_bytes(),
            Part::Body => texts.body,
            Part::Timestamp => texts.timestamp,
            Part::Id => texts.id,
        })
    }
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
    fn of(piece: Piece<'_>) -> Result<Self, String> {
        match piece {
            Piece::Text(text) => Ok(Self::Text(text.into())),
            Piece::Placeholder("body") => Ok(Self::Body),
            Piece::Placeholder("timestamp") => Ok(Self::Timestamp),
            Piece::Placeholder("id") => Ok(Self::Id),
            Piece::Placeholder(other) => {
                Err(format!("`{{{other}}}` is not a placeholder; it may hold {{body}}, {{timestamp}} and {{id}}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_follow_the_template() {
        let content = Content::parse("{id}.{timestamp}:{body}").unwrap();
        let texts = Texts { body: b"{}", timestamp: b"007", id: b"a" };
        assert_eq!(content.bytes(texts).collect::<Vec<_>>().concat(), b"a.007:{}");
        assert!(content.has_id() && content.has_timestamp());
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
    fn open_borders_are_known() {
        for open in
            ["{timestamp}{body}", "{body}{timestamp}", "{timestamp}0{body}", "{body}.{id}", "{body}.{timestamp}.{id}"]
        {
            assert!(Content::parse(open).is_ok_and(|content| content.has_open_border()), "{open}");
        }
        for closed in
            ["{body}", "{timestamp}.{body}", "{timestamp}:{body}", "v0:{timestamp}:{body}", "{body}|{timestamp}"]
        {
            assert!(Content::parse(closed).is_ok_and(|content| !content.has_open_border()), "{closed}");
        }
    }

    #[test]
    fn the_body_is_covered_once() {
        for wrong in ["", "{timestamp}", "{body}{body}", "{body}.{nonce}", "{Body}", "{}{body}", "{body"] {
            assert!(Content::parse(wrong).is_err(), "{wrong}");
        }
    }
}
