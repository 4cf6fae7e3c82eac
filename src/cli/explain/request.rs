//! The request to explain: out of the quarantine, or read from a file. Parses leniently; the checks come later.

use std::path::Path;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};
use jiff::Timestamp;

use crate::store::Quarantined;

use super::super::failure::Failure;
use super::super::quarantine::header_lines;

/// A request as it arrived, as far as that is known.
pub(super) struct Specimen {
    /// Method, target and headers.
    pub(super) head: Parts,
    /// The body.
    pub(super) body: Bytes,
    /// When it arrived; for a file, now.
    pub(super) at: Timestamp,
    /// Why it was refused, where that was kept.
    pub(super) reason: Option<String>,
    /// What was odd about reading it.
    pub(super) notes: Vec<String>,
}

impl Specimen {
    /// Header `name` (lower case) as text, its first line.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The names of its headers.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.head.headers.keys().map(HeaderName::as_str)
    }

    /// It on one line.
    pub(super) fn line(&self) -> String {
        format!("{} {}, {} bytes", self.head.method, self.head.uri.path(), self.body.len())
    }
}

/// An entry of the quarantine.
pub(super) fn from_quarantine(entry: &Quarantined) -> Result<Specimen, Failure> {
    let lines = header_lines(&entry.headers);
    let head = head(&entry.target, lines.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))?;
    let (at, reason) = (entry.received_at, Some(entry.reason.clone()));
    Ok(Specimen { head, body: entry.body.clone(), at, reason, notes: Vec::new() })
}

/// A raw request in `file`.
pub(super) fn from_file(file: &Path, now: Timestamp) -> Result<Specimen, Failure> {
    let bytes =
        std::fs::read(file).map_err(|error| Failure::Usage(format!("--request {}: {error}", file.display())))?;
    parse(&bytes, now)
}

fn parse(bytes: &[u8], now: Timestamp) -> Result<Specimen, Failure> {
    let (lines, mut body) = split(bytes);
    let mut lines = lines.into_iter();
    let first = lines.next().map(String::from_utf8_lossy).unwrap_or_default();
    let mut words = first.split_ascii_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(Failure::Usage("--request: the first line must be a request line: POST /path HTTP/1.1".to_owned()));
    };
    let pair = |line: &'_ [u8]| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = line.split_at(colon);
        Some((String::from_utf8_lossy(name).into_owned(), value.get(1..)?.trim_ascii().to_vec()))
    };
    let pairs: Vec<_> = lines.filter_map(pair).collect();
    let head =
        head(&format!("{method} {target}"), pairs.iter().map(|(name, value)| (name.as_str(), value.as_slice())))?;
    let mut notes = Vec::new();
    let declared = head.headers.get("content-length").and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    match declared {
        Some(declared) if declared < body.len() => {
            notes.push(format!(
                "the file holds {} bytes more than Content-Length says; they are left out",
                body.len() - declared
            ));
            body = body.get(..declared).unwrap_or_default();
        }
        Some(declared) if declared > body.len() => {
            notes.push(format!("the file ends {} bytes before Content-Length says", declared - body.len()));
        }
        _ => {}
    }
    Ok(Specimen { head, body: Bytes::copy_from_slice(body), at: now, reason: None, notes })
}

/// The lines of the head, which may end as editors end them, and the body behind the first empty one.
fn split(bytes: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let (line, behind) = rest.split_at(end);
        rest = behind.get(1..).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return (lines, rest);
        }
        lines.push(line);
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    (lines, &[])
}

fn head<'a>(target: &str, headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<Parts, Failure> {
    let wrong = |problem: &dyn std::error::Error| Failure::runtime("the request cannot be read", problem);
    let (method, uri) = target.split_once(' ').unwrap_or(("POST", target));
    let request = Request::builder().method(method).uri(uri).body(()).map_err(|error| wrong(&error))?;
    let (mut head, ()) = request.into_parts();
    for (name, value) in headers {
        let name = HeaderName::try_from(name).map_err(|error| wrong(&error))?;
        head.headers.append(name, HeaderValue::from_bytes(value).map_err(|error| wrong(&error))?);
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_request_is_read_with_either_line_end() {
        for text in [
            "POST /a?b HTTP/1.1\r\nHost: x\r\nX-A:  1 \r\n\r\n{\n}\r\n",
            "POST /a?b HTTP/1.1\nHost: x\nX-A:  1 \n\n{\n}\r\n",
        ] {
            let specimen = parse(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!((specimen.head.uri.path(), specimen.header("x-a")), ("/a", Some("1")));
            assert_eq!(&specimen.body[..], b"{\n}\r\n");
        }
    }

    #[test]
    fn an_editors_line_end_behind_the_body_is_left_out_and_said() {
        let specimen = parse(b"POST / HTTP/1.1\nContent-Length: 2\n\n{}\n", Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(&specimen.body[..], b"{}");
        assert_eq!(specimen.notes.len(), 1);
        assert!(parse(b"", Timestamp::UNIX_EPOCH).is_err());
        assert!(parse(b"nonsense\n\n", Timestamp::UNIX_EPOCH).is_err());
    }
}
