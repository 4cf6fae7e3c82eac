//! AWS Signature Version 4 against the AWS SDK's own signer (`aws-sigv4`): odd paths, queries and headers, committed
//! vectors of double encoding, and properties: what the SDK signs verifies, and no single change of it does.
//!
//! The published suite runs beside the code (`src/scheme/sigv4/tests/suite.rs`). Inputs on which the SDK's signer
//! departs from the rules are left out of the properties: it reads a raw `+` in a query as a blank and replaces
//! bytes that are no UTF-8 there (form decoding), takes ASCII header values only, and leaves tabs around a value.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use gatepost::clock::UnixSeconds;
use gatepost::scheme::{KeyIndex, Refusal, Scheme};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request};
use proptest::prelude::*;

use super::configured;

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const REGION: &str = "eu-west-1";
const SERVICE: &str = "execute-api";
const HOST: &str = "hooks.example.com:8443";
const AT: u64 = 1_440_938_160; // 20150830T123600Z
const BODY: &[u8] = br#"{"eventId":"evt-1"}"#;
const VECTORS: &str = include_str!("../../fixtures/sigv4-double-encoding.txt");

/// Two keys, of which the second signs; made once for each kind of it, for thousands of requests.
fn verifier(token: Option<&str>) -> Arc<dyn Scheme> {
    static MADE: Mutex<BTreeMap<Option<String>, Arc<dyn Scheme>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let token = token.map(|token| format!(", session_token = {{ value = {token:?} }}")).unwrap_or_default();
        let key = |id: &str, secret: &str, more: &str| {
            format!("{{ access_key_id = {id:?}, secret = {{ value = {secret:?} }}{more} }}")
        };
        let keys = [key("AKIDOTHER", "another secret access key", ""), key(ID, SECRET, &token)].join(", ");
        let lines = format!("region = {REGION:?}\nservice = {SERVICE:?}\nkeys = [{keys}]");
        configured("cxone", &lines).build().unwrap()
    };
    Arc::clone(made.entry(token.map(str::to_owned)).or_insert_with(make))
}

/// A request before it is signed.
#[derive(Clone, Debug)]
struct Draft {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    token: Option<&'static str>,
    hash_header: bool,
}

impl Draft {
    fn new(target: &str) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        let (target, body) = (target.to_owned(), BODY.to_vec());
        Self { method: "POST", target, headers, body, token: None, hash_header: false }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The request as the SDK signs it, with the target in origin form as it travels.
    fn signed(&self) -> Parts {
        let identity: Identity = Credentials::new(ID, SECRET, self.token.map(str::to_owned), None, "a test").into();
        let mut settings = SigningSettings::default(); // double encoding and normalised paths: every service but S3
        if self.hash_header {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let params = SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name(SERVICE)
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(AT))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let mut request = Request::builder().method(self.method).uri(&self.target).header("host", HOST);
        for (name, value) in &self.headers {
            request = request.header(*name, HeaderValue::from_str(value).unwrap());
        }
        let mut request = request.body(()).unwrap();
        let signable = {
            let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
            let target = format!("https://{HOST}{}", self.target);
            SignableRequest::new(self.method, target, headers, SignableBody::Bytes(&self.body)).unwrap()
        };
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();
        instructions.apply_to_request_http1x(&mut request);
        request.into_parts().0
    }

    fn judged(&self) -> Result<KeyIndex, Refusal> {
        judge(&*verifier(self.token), &self.signed(), &self.body)
    }
}

fn judge(scheme: &dyn Scheme, head: &Parts, body: &[u8]) -> Result<KeyIndex, Refusal> {
    assert!(scheme.timestamp(head)?.is_some());
    let claims = scheme.read(head)?;
    scheme.verify(head, &claims, &Bytes::copy_from_slice(body).into())
}

const SECOND: Result<KeyIndex, Refusal> = Ok(KeyIndex(1));

#[test]
fn what_the_sdk_signs_verifies() {
    let plain = Draft::new("/webhooks/cxone");
    assert_eq!(plain.judged(), SECOND);
    let at = verifier(None).timestamp(&plain.signed());
    assert_eq!(at, Ok(Some(UnixSeconds(i64::try_from(AT).unwrap()))));
    assert_eq!(Draft { hash_header: true, ..plain.clone() }.judged(), SECOND);
    assert_eq!(Draft { body: vec![], ..plain.clone() }.judged(), SECOND);
    assert_eq!(Draft { body: vec![0xff; 70_000], ..plain.clone() }.judged(), SECOND);
    let temporary = Draft { token: Some("AQoDYXdzEPT//////////wEXAMPLE=="), ..plain };
    assert_eq!(temporary.judged(), SECOND);
    assert_eq!(judge(&*verifier(None), &temporary.signed(), BODY), Err(Refusal::SignatureMismatch));
    assert_eq!(judge(&*verifier(Some("other")), &temporary.signed(), BODY), Err(Refusal::SignatureMismatch));
}

#[test]
fn odd_paths_verify() {
    for path in [
        "/",
        "/a%20b",
        "/a%2Fb/%2e%2e/c",
        "/test/@connections/JBDvjfGEIAMCERw%3D",
        "/2015-03-31/functions/arn%3Aaws%3Alambda/invocations",
        "/a//b///c/",
        "/a/./b/../c/.",
        "/../../a/..",
        "/a;b=c,d:e@f!$&'()*+",
        "/~user/-._",
        "/%E1%88%B4",
        "/%zz%",
        "/...//...",
    ] {
        assert_eq!(Draft::new(path).judged(), SECOND, "{path}");
    }
}

#[test]
fn odd_queries_verify() {
    for query in [
        "",
        "a",
        "a=",
        "=a",
        "&&a=1&&",
        "b=2&a=1&a=0&A=3",
        "a=2&a-b=1&a.b=0&a_b=4",
        "Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
        "a=%20%2B%2f%7e~",
        "a=b=c==&d=/?:@",
        "a=%zz&b=%&c=%2",
        "a=1;b=2",
        "x-amz-date=1&X-Amz-SignedHeaders=host",
    ] {
        assert_eq!(Draft::new(&format!("/webhooks/cxone?{query}")).judged(), SECOND, "{query}");
    }
}

#[test]
fn odd_headers_verify() {
    let draft = Draft::new("/webhooks/cxone");
    for draft in [
        draft.clone().with("my-header1", "value2").with("my-header1", "value2").with("my-header1", "value1"),
        draft.clone().with("my-header1", "  a   b   c  "),
        draft.clone().with("my-header1", "\"a   b   c\""),
        draft.clone().with("my-header1", ""),
        draft.clone().with("my-header1", "").with("my-header1", "a").with("my-header1", ""),
        draft.clone().with("my-header1", "a, b,c ,  d"),
        draft.clone().with("x-amz-meta-id", "1").with("x-amz-target", "t"),
        draft.clone().with("x-amzn-trace-id", "Root=1").with("user-agent", "not signed by the SDK"),
    ] {
        assert_eq!(draft.judged(), SECOND, "{draft:?}");
    }
}

#[test]
fn presigned_requests_are_refused() {
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Feu-west-1%2Fexecute-api\
                 %2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=00";
    let mut head = Draft::new(&format!("/webhooks/cxone?{query}")).signed();
    assert!(matches!(verifier(None).read(&head), Err(Refusal::MalformedAuthorization(_))), "beside a good header");
    head.headers.remove("authorization");
    assert!(matches!(verifier(None).read(&head), Err(Refusal::MalformedAuthorization(_))), "and without one");
    head.headers.remove("x-amz-date");
    assert_eq!(verifier(None).timestamp(&head), Err(Refusal::MissingTimestamp), "its date does not count");
}

/// `target` and the `Authorization` value that belongs to it, one pair for each line of the fixture.
fn vectors() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = VECTORS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once('\t').unwrap())
}

#[test]
fn the_committed_vectors_verify_and_only_where_they_belong() {
    assert_eq!(vectors().count(), 12);
    for (target, authorization) in vectors() {
        let mut head = Draft::new(target).signed();
        assert_eq!(head.headers["authorization"], authorization, "the SDK signs {target} as it did");
        head.headers.insert("authorization", HeaderValue::from_static(authorization));
        assert_eq!(judge(&*verifier(None), &head, BODY), SECOND, "{target}");
        for (other, _) in vectors().filter(|(other, _)| *other != target) {
            let mut head = Draft::new(other).signed();
            head.headers.insert("authorization", HeaderValue::from_static(authorization));
            assert_eq!(judge(&*verifier(None), &head, BODY), Err(Refusal::SignatureMismatch), "{target} at {other}");
        }
    }
}

/// A path of odd segments.
fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => "[a-zA-Z0-9._~!$&'()*;:@=+,-]{0,6}",
        2 => "(%[0-9A-Fa-f]{2}|[a-z]){1,4}",
        1 => Just(".".to_owned()),
        1 => Just("..".to_owned()),
        1 => Just(String::new()),
        1 => Just("%".to_owned()),
    ];
    proptest::collection::vec(segment, 0..6).prop_map(|segments| format!("/{}", segments.join("/")))
}

/// A query without raw `+` and without bytes that are no UTF-8, on which the SDK's signer goes its own way.
fn query() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-zA-Z0-9._~!$'()*,;:@/?-]",
        2 => "%[0-7][0-9a-fA-F]",
        1 => Just("%E1%88%B4".to_owned()),
        1 => Just("%zz".to_owned()),
        2 => Just("=".to_owned()),
        2 => Just("&".to_owned()),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn draft() -> impl Strategy<Value = Draft> {
    let header = (
        prop_oneof![Just("my-header1"), Just("x-amz-meta"), Just("accept"), Just("x-zz")],
        "[ -~]{0,16}|( {0,3}[a-z\",]{0,3}){0,4}",
    );
    let parts = (
        prop_oneof![4 => Just("POST"), 1 => Just("PUT"), 1 => Just("GET")],
        path(),
        proptest::option::of(query()),
        proptest::collection::vec(header, 0..6),
        proptest::collection::vec(any::<u8>(), 0..64),
        proptest::option::of(Just("a+token/with==")),
        any::<bool>(),
    );
    parts.prop_map(|(method, path, query, headers, body, token, hash_header)| Draft {
        method,
        target: query.map_or(path.clone(), |query| format!("{path}?{query}")),
        headers,
        body,
        token,
        hash_header,
    })
}

/// Changes exactly one thing that the signature covers.
fn mutate(which: usize, head: &mut Parts, body: &mut Vec<u8>) {
    let append = |head: &mut Parts, name: &HeaderName, text: &str| {
        let mut value = head.headers[name].as_bytes().to_vec();
        value.extend_from_slice(text.as_bytes());
        head.headers.insert(name, HeaderValue::from_bytes(&value).unwrap());
    };
    let (path, query) = (head.uri.path().to_owned(), head.uri.query().map(str::to_owned));
    let rest = query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    match which {
        0 => head.method = Method::PATCH,
        1 => head.uri = format!("{path}x{rest}").parse().unwrap(),
        2 => head.uri = format!("{path}/x{rest}").parse().unwrap(),
        3 => head.uri = format!("{path}?{}&new=1", query.unwrap_or_default()).parse().unwrap(),
        4 => append(head, &http::header::HOST, "0"),
        5 => {
            let signed = head.headers["authorization"].to_str().unwrap().to_owned();
            let names = signed.split_once("SignedHeaders=").unwrap().1.split_once(',').unwrap().0;
            let name = names.rsplit(';').next().unwrap().parse().unwrap();
            append(head, &name, "x");
        }
        6 => body.push(b' '),
        7 => match body.first_mut() {
            Some(byte) => *byte ^= 1,
            None => body.push(0),
        },
        8 => {
            let mut value = head.headers["authorization"].as_bytes().to_vec();
            let last = value.last_mut().unwrap();
            *last = if *last == b'0' { b'1' } else { b'0' };
            head.headers.insert("authorization", HeaderValue::from_bytes(&value).unwrap());
        }
        9 => {
            head.headers.insert("x-amz-date", HeaderValue::from_static("20150830T123601Z"));
        }
        10 => {
            head.headers.insert("x-amz-new", HeaderValue::from_static("1"));
        }
        _ => {
            let value = head.headers["authorization"].to_str().unwrap().replace(ID, "AKIDOTHER");
            head.headers.insert("authorization", HeaderValue::from_str(&value).unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_sdk_signs_verifies(draft in draft()) {
        prop_assert_eq!(draft.judged(), SECOND);
    }

    #[test]
    fn no_single_change_of_it_does(draft in draft(), which in 0..12_usize) {
        let (mut head, mut body) = (draft.signed(), draft.body.clone());
        mutate(which, &mut head, &mut body);
        prop_assert!(judge(&*verifier(draft.token), &head, &body).is_err());
    }

    #[test]
    fn arbitrary_authorization_never_panics_and_never_verifies(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "AWS4-HMAC-SHA256 [A-Za-z=,/; 0-9-]{0,120}".prop_map(String::into_bytes),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/execute-api/aws4_request, \
             SignedHeaders=[a-z;-]{0,30}, Signature=[0-9a-f]{60,66}".prop_map(String::into_bytes),
        ],
        target in "/[ -~]{0,40}",
    ) {
        let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
        let mut head = Draft::new("/").signed();
        if let Ok(uri) = target.parse() {
            head.uri = uri;
        }
        head.headers.insert("authorization", value);
        prop_assert!(judge(&*verifier(None), &head, BODY).is_err());
    }
}
