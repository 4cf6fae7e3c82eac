//! The canonical request of AWS Signature Version 4, for the verifier and for signing; bytes in, bytes out.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::borrow::Cow;

use http::header::HOST;
use http::request::Parts;

use super::query::{self, Plus};
use crate::scheme::header::Occurrence;

/// Length of a SHA-256 digest in hex.
pub(super) const HASH_LEN: usize = 64;

/// Room for a usual canonical request, so that the buffer seldom grows.
const USUAL_LEN: usize = 512;

/// A canonical request, and whether all it promises is there.
pub(super) struct Canonical {
    /// The text to be hashed. Header values need not be UTF-8.
    pub text: Vec<u8>,
    /// Whether every signed header stands in the request, and its host is beyond doubt.
    pub complete: bool,
}

/// The canonical request of `head`: the headers in `signed_headers` (sorted, joined with `;`), the query with a raw `+`
/// read as `plus` says, and `payload_hash`.
pub(super) fn request(head: &Parts, signed_headers: &str, payload_hash: &[u8; HASH_LEN], plus: Plus) -> Canonical {
    let mut text = Vec::with_capacity(USUAL_LEN);
    text.extend_from_slice(head.method.as_str().as_bytes());
    text.push(b'\n');
    put_uri(&mut text, head.uri.path().as_bytes());
    text.push(b'\n');
    query::put_canonical(&mut text, head.uri.query().unwrap_or_default().as_bytes(), plus);
    text.push(b'\n');
    let complete = put_headers(&mut text, head, signed_headers);
    text.push(b'\n');
    text.extend_from_slice(signed_headers.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(payload_hash);
    Canonical { text, complete }
}

/// The path as on the wire, normalised, then encoded once more: the rule of every service but S3.
pub(super) fn put_uri(out: &mut Vec<u8>, path: &[u8]) {
    query::put_encoded(out, normalised(path).iter().copied(), true);
}

/// `path` without empty, `.` and `..` segments (RFC 3986, section 5.2.4, and slashes merged).
pub(super) fn normalised(path: &[u8]) -> Cow<'_, [u8]> {
    let plain = !path.windows(2).any(|pair| matches!(pair, b"//" | b"/."));
    if plain && path.starts_with(b"/") {
        return Cow::Borrowed(path);
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut last: &[u8] = b"";
    for segment in path.split(|byte| *byte == b'/') {
        last = segment;
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let mut result = Vec::with_capacity(path.len() + 1);
    for segment in &segments {
        result.push(b'/');
        result.extend_from_slice(segment);
    }
    // A path that ends in a slash or a dot segment names a directory, and keeps its slash.
    if segments.is_empty() || matches!(last, b"" | b"." | b"..") {
        result.push(b'/');
    }
    Cow::Owned(result)
}

/// Appends one line for each name; whether all of them stand in the request.
pub(super) fn put_headers(out: &mut Vec<u8>, head: &Parts, names: &str) -> bool {
    let mut complete = true;
    for name in names.split(';') {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        if name == "host" {
            match host(head) {
                Some(host) => put_value(out, host),
                None => complete = false,
            }
        } else {
            let mut values = head.headers.get_all(name).iter();
            match values.next() {
                Some(first) => put_value(out, first.as_bytes()),
                None => complete = false,
            }
            for value in values {
                out.push(b',');
                put_value(out, value.as_bytes());
            }
        }
        out.push(b'\n');
    }
    complete
}

/// Appends `value` without the blanks around it and with every inner run of spaces as one, also inside quotes.
fn put_value(out: &mut Vec<u8>, value: &[u8]) {
    let mut previous = b' ';
    for byte in value.trim_ascii().iter().copied() {
        if byte != b' ' || previous != b' ' {
            out.push(byte);
        }
        previous = byte;
    }
}

/// The host the request was sent to, exactly as written; `None` where it is missing, given twice or in two ways.
///
/// An HTTP/2 `:authority` and an absolute-form target both arrive as the URI's authority and win over a Host header
/// (RFC 9113, section 8.3.1; RFC 9112, section 3.2.2). HTTP/1.1 needs its one Host header all the same, and HTTP/2
/// may repeat what `:authority` says; hyper holds nobody to either.
pub(super) fn host(head: &Parts) -> Option<&[u8]> {
    let header = Occurrence::of(&head.headers, HOST);
    let Some(authority) = head.uri.authority() else { return header.once().filter(|host| !host.is_empty()) };
    let authority = authority.as_str().as_bytes();
    let http_2 = head.version >= http::Version::HTTP_2;
    let agreed = match header {
        Occurrence::Absent => http_2,
        Occurrence::Once(host) => !http_2 || host.eq_ignore_ascii_case(authority),
        Occurrence::Repeated => false,
    };
    // User information is no part of a host, and nobody signs it.
    (agreed && !authority.contains(&b'@')).then_some(authority)
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request, Version};

    use super::*;

    fn uri(path: &str) -> String {
        let mut out = Vec::new();
        put_uri(&mut out, path.as_bytes());
        String::from_utf8(out).unwrap()
    }

    fn value(value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_value(&mut out, value);
        out
    }

    fn head(uri: &str, hosts: &[&'static str], version: Version) -> Parts {
        let mut request = Request::builder().uri(uri).version(version);
        for host in hosts {
            request = request.header("host", *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn paths_are_encoded_twice() {
        assert_eq!(uri("/a%20b"), "/a%2520b");
        assert_eq!(uri("/a%2fb"), "/a%252fb");
        assert_eq!(uri("/%E1%88%B4"), "/%25E1%2588%25B4");
        assert_eq!(uri("/\u{1234}"), "/%E1%88%B4", "bytes that came bare are encoded once");
        assert_eq!(uri("/a b+c@d:e"), "/a%20b%2Bc%40d%3Ae");
        assert_eq!(uri("/-._~/AZaz09"), "/-._~/AZaz09");
    }

    #[test]
    fn paths_are_normalised_first() {
        for (path, expected) in [
            ("/", "/"),
            ("", "/"),
            ("//", "/"),
            ("//a//b//", "/a/b/"),
            ("/./", "/"),
            ("/.", "/"),
            ("/..", "/"),
            ("/../a", "/a"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/a/b/../../c/./d", "/c/d"),
            ("/a/...", "/a/..."),
            ("/.a/b..", "/.a/b.."),
            ("/a/%2e%2e/b", "/a/%252e%252e/b"),
        ] {
            assert_eq!(uri(path), expected, "{path}");
        }
    }

    #[test]
    fn values_lose_blanks_outside_and_runs_of_spaces_inside() {
        assert_eq!(value(b"  a   b  "), b"a b");
        assert_eq!(value(b"\ta\t "), b"a");
        assert_eq!(value(b"\"a   b\""), b"\"a b\"");
        assert_eq!(value(b"a \t  b"), b"a \t b", "only spaces run together");
        assert_eq!(value(b""), b"");
        assert_eq!(value(b"   "), b"");
        assert_eq!(value(b"\xff  \xfe"), b"\xff \xfe");
    }

    #[test]
    fn repeated_headers_are_joined_in_wire_order_and_missing_ones_noticed() {
        let mut head = head("/", &["h"], Version::HTTP_11);
        for text in ["b", "a  c", "", "b"] {
            head.headers.append("x-list", HeaderValue::from_static(text));
        }
        head.headers.append("empty", HeaderValue::from_static(""));
        let mut out = Vec::new();
        assert!(put_headers(&mut out, &head, "empty;host;x-list"));
        assert_eq!(out, b"empty:\nhost:h\nx-list:b,a c,,b\n");
        assert!(!put_headers(&mut Vec::new(), &head, "host;x-none"));
        assert!(!put_headers(&mut Vec::new(), &head, ""));
    }

    #[test]
    fn http_1_needs_exactly_one_host() {
        assert_eq!(host(&head("/", &["Example.com:8443"], Version::HTTP_11)), Some(b"Example.com:8443".as_slice()));
        assert_eq!(host(&head("/", &[], Version::HTTP_11)), None);
        assert_eq!(host(&head("/", &[""], Version::HTTP_11)), None);
        assert_eq!(host(&head("/", &["a", "a"], Version::HTTP_11)), None);
    }

    #[test]
    fn an_absolute_target_names_the_host_itself() {
        assert_eq!(host(&head("https://a:1/", &["b"], Version::HTTP_11)), Some(b"a:1".as_slice()));
        assert_eq!(host(&head("https://a/", &["a", "b"], Version::HTTP_11)), None);
        assert_eq!(host(&head("https://a/", &[], Version::HTTP_11)), None);
        assert_eq!(host(&head("https://u@a/", &["a"], Version::HTTP_11)), None);
    }

    #[test]
    fn http_2_authority_and_host_agree() {
        assert_eq!(host(&head("https://a:1/", &[], Version::HTTP_2)), Some(b"a:1".as_slice()));
        assert_eq!(host(&head("https://a:1/", &["a:1"], Version::HTTP_2)), Some(b"a:1".as_slice()));
        assert_eq!(host(&head("https://a:1/", &["b"], Version::HTTP_2)), None);
        assert_eq!(host(&head("/", &["b"], Version::HTTP_2)), Some(b"b".as_slice()));
    }
}
