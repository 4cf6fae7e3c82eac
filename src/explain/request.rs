//! The request to explain: out of the quarantine, or read from a file. Parses leniently; the checks come later.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Version};
use jiff::Timestamp;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::ingress::CLIENT_CERTIFICATE;
use crate::server::client_certificate::ClientCertificate;
use crate::store::Quarantined;

/// Why something is no request.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It does not begin as a request does.
    #[error("the first line must be a request line: POST /path HTTP/1.1")]
    NoRequestLine,
    /// What its head holds is none.
    #[error("the request cannot be read: {0}")]
    Head(String),
}

/// The header lines of an entry of the quarantine, in the order they came.
pub(crate) fn header_lines(headers: &str) -> Vec<(String, String)> {
    serde_json::from_str(headers).unwrap_or_default()
}

/// The client certificate of the connection that a request came over.
#[derive(Clone)]
pub(crate) enum Shown {
    /// Nobody knows: a file holds the request alone.
    Unknown,
    /// None.
    Nothing,
    /// This one.
    Certificate(Box<ClientCertificate>),
}

/// A request as it arrived, as far as that is known.
#[derive(Clone)]
pub(crate) struct Specimen {
    /// Method, target and headers.
    pub(crate) head: Parts,
    /// What its client showed.
    pub(crate) certificate: Shown,
    /// The body.
    pub(crate) body: Bytes,
    /// When it arrived; for a file, now.
    pub(crate) at: Timestamp,
    /// Why it was refused, where that was kept.
    pub(crate) reason: Option<String>,
    /// What was odd about reading it.
    pub(crate) notes: Vec<String>,
}

impl Specimen {
    /// Header `name` (lower case) as text, its first line.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Every line of header `name`, quoted; `None` without one.
    pub(crate) fn lines(&self, name: &str) -> Option<String> {
        let lines: Vec<String> = self
            .head
            .headers
            .get_all(name)
            .iter()
            .map(|value| format!("{:?}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        (!lines.is_empty()).then(|| lines.join(" and "))
    }

    /// It on one line.
    pub(crate) fn line(&self) -> String {
        format!("{} {}, {} bytes", self.head.method, self.head.uri.path(), self.body.len())
    }
}

impl Shown {
    fn of_base64(text: &str) -> Self {
        let read = BASE64.decode(text).ok().and_then(|der| ClientCertificate::read(&CertificateDer::from(der)));
        read.map_or(Self::Unknown, |certificate| Self::Certificate(Box::new(certificate)))
    }

    /// The first certificate of a PEM file.
    pub(crate) fn of_pem(pem: &[u8]) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem).ok()?;
        ClientCertificate::read(&der).map(|certificate| Self::Certificate(Box::new(certificate)))
    }
}

/// An entry of the quarantine.
pub(crate) fn from_quarantine(entry: &Quarantined) -> Result<Specimen, Unreadable> {
    let (own, lines): (Vec<_>, Vec<_>) =
        header_lines(&entry.headers).into_iter().partition(|(name, _)| name == CLIENT_CERTIFICATE);
    let certificate = own.first().map_or(Shown::Nothing, |(_, value)| Shown::of_base64(value));
    let head = head(&entry.target, lines.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))?;
    let lost = lines.iter().filter(|(_, value)| value.contains('\u{fffd}'));
    let notes = lost.map(|(name, _)| format!("header {name} held bytes that are not UTF-8; they were not kept"));
    let (at, reason, notes) = (entry.received_at, Some(entry.reason.clone()), notes.collect());
    Ok(Specimen { head, certificate, body: entry.body.clone(), at, reason, notes })
}

/// The request that `bytes` are.
pub(crate) fn read(bytes: &[u8], now: Timestamp) -> Result<Specimen, Unreadable> {
    let (lines, body) = split(bytes);
    let mut notes = Vec::new();
    let mut pairs = Vec::new();
    // An HTTP/2 dump has these in place of a request line.
    let (mut method, mut target) = (None, None);
    for (number, line) in lines.into_iter().enumerate() {
        let text = String::from_utf8_lossy(line);
        if let Some((name, value)) = text.strip_prefix(':').and_then(|pseudo| pseudo.split_once(':')) {
            match name {
                "method" => method = Some(value.trim().to_owned()),
                "path" => target = Some(value.trim().to_owned()),
                "authority" => pairs.push(("host".to_owned(), value.trim().as_bytes().to_vec())),
                _ => {}
            }
        } else if number == 0 {
            let mut words = text.split_ascii_whitespace().map(str::to_owned);
            (method, target) = (words.next(), words.next());
        } else if let Some(colon) = line.iter().position(|&byte| byte == b':') {
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            pairs.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
        } else {
            notes.push(format!("line {} is no header and was left out", number + 1));
        }
    }
    let (Some(method), Some(target)) = (method, target) else {
        return Err(Unreadable::NoRequestLine);
    };
    let lines = pairs.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
    let head = head(&format!("{method} {target}"), lines)?;
    let body = framed(&head, body, &mut notes);
    Ok(Specimen { head, certificate: Shown::Unknown, body, at: now, reason: None, notes })
}

/// The body by the framing that the head declares, as far as the file holds it.
fn framed(head: &Parts, body: &[u8], notes: &mut Vec<String>) -> Bytes {
    let coding = head.headers.get(TRANSFER_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
    if coding.eq_ignore_ascii_case(b"chunked")
        && let Some(joined) = dechunked(body)
    {
        notes.push("the body was in chunks, and is taken without them".to_owned());
        return joined.into();
    }
    let declared = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    match declared {
        Some(declared) if declared < body.len() => {
            let more = body.len() - declared;
            notes.push(format!("the file holds {more} bytes more than Content-Length says; they are left out"));
            Bytes::copy_from_slice(body.get(..declared).unwrap_or_default())
        }
        Some(declared) if declared > body.len() => {
            notes.push(format!("the file ends {} bytes before Content-Length says", declared - body.len()));
            Bytes::copy_from_slice(body)
        }
        _ => Bytes::copy_from_slice(body),
    }
}

/// The content of a chunked body; `None` where it is none.
fn dechunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut joined = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..end)?).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = rest.get(end + 2..)?;
        if size == 0 {
            return Some(joined);
        }
        joined.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
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

fn head<'a>(target: &str, headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<Parts, Unreadable> {
    let wrong = |problem: &dyn std::error::Error| Unreadable::Head(problem.to_string());
    let (method, uri) = target.split_once(' ').unwrap_or(("POST", target));
    let request = Request::builder().method(method).uri(uri).body(()).map_err(|error| wrong(&error))?;
    let (mut head, ()) = request.into_parts();
    let mut hosted = false;
    for (name, value) in headers {
        let name = HeaderName::try_from(name).map_err(|error| wrong(&error))?;
        hosted |= name == HOST;
        head.headers.append(name, HeaderValue::from_bytes(value).map_err(|error| wrong(&error))?);
    }
    // What has its host in the target alone came over HTTP/2, where `:authority` is it.
    if head.uri.authority().is_some() && !hosted {
        head.version = Version::HTTP_2;
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
            let specimen = read(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!((specimen.head.uri.path(), specimen.header("x-a")), ("/a", Some("1")));
            assert_eq!(&specimen.body[..], b"{\n}\r\n");
        }
    }

    #[test]
    fn an_editors_line_end_behind_the_body_is_left_out_and_said() {
        let specimen = read(b"POST / HTTP/1.1\nContent-Length: 2\n\n{}\n", Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(&specimen.body[..], b"{}");
        assert_eq!(specimen.notes.len(), 1);
        assert!(read(b"", Timestamp::UNIX_EPOCH).is_err());
        assert!(read(b"nonsense", Timestamp::UNIX_EPOCH).is_err());
        assert!(read(b"nonsense\n\n", Timestamp::UNIX_EPOCH).is_err());
    }

    #[test]
    fn repeated_headers_chunks_and_http_2_dumps_are_read() {
        let read = |text: &str| read(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        let twice = read("POST / HTTP/1.1\nHost: x\nX-A: 1\nX-A: 2\nnonsense\n\n");
        assert_eq!(twice.lines("x-a").as_deref(), Some("\"1\" and \"2\""));
        assert!(twice.notes[0].contains("line 5"));
        let chunked = "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n2;x=1\r\n{}\r\n1\r\n\n\r\n0\r\n\r\n";
        assert_eq!(&read(chunked).body[..], b"{}\n");
        let cut = "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\nff\r\n{}";
        assert_eq!(&read(cut).body[..], b"ff\r\n{}");
        let dump = read(":method: POST\n:scheme: https\n:authority: hooks.example:8443\n:path: /a?b=1\nx-a: 1\n\n{}");
        assert_eq!((dump.head.uri.to_string().as_str(), dump.header("host")), ("/a?b=1", Some("hooks.example:8443")));
        let kept = read("POST https://hooks.example/a HTTP/2\nx-a: 1\n\n");
        assert_eq!((kept.head.version, kept.head.uri.host()), (Version::HTTP_2, Some("hooks.example")));
    }
}
