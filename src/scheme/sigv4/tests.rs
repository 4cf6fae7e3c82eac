//! The `SigV4` scheme's rules one by one, on requests it signed itself and then broke; independent signers are in
//! `suite.rs` beside this file (the published suite) and in `tests/it/contract/sigv4.rs` (the AWS SDK's signer).

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderName, Request, Version};

use super::settings::ScopePart;
use super::*;
use crate::scheme::{self, preset};
use crate::settings::{Diagnostics, Table};

mod suite;

const BODY: &[u8] = b"{\"eventId\":\"1\"}";
const NOW: i64 = 1_440_938_160; // 20150830T123600Z

fn key(id: &str, token: Option<&str>) -> AccessKey {
    AccessKey {
        access_key_id: id.into(),
        secret: Secret::new(format!("the secret access key of {id}")).unwrap(),
        session_token: token.map(|token| Secret::token(token).unwrap()),
    }
}

fn settings(keys: Vec<AccessKey>) -> Settings {
    let part = |text| ScopePart::parse(text).ok();
    Settings { region: part("eu-west-1"), service: part("execute-api"), unsigned_headers: Vec::new(), keys }
}

fn scheme() -> SigV4 {
    SigV4::new(&settings(vec![key("AKIDONE", None)])).unwrap()
}

fn blank() -> Parts {
    let request = Request::post("/webhooks/cxone?b=2&a=1").header("host", "hooks.example:8443");
    request.header("content-type", "application/json").body(()).unwrap().into_parts().0
}

/// A request signed by `scheme`, with `prepare` applied before.
fn signed_by(scheme: &SigV4, prepare: impl FnOnce(&mut Parts)) -> Parts {
    let mut head = blank();
    prepare(&mut head);
    scheme.sign(&mut head, BODY, Timestamp::from_second(NOW).unwrap());
    head
}

fn signed() -> Parts {
    signed_by(&scheme(), |_| {})
}

fn judge(scheme: &SigV4, head: &Parts) -> Result<KeyIndex, Refusal> {
    scheme.timestamp(head)?;
    let claims = scheme.read(head)?;
    scheme.verify(head, &claims, &Bytes::from_static(BODY).into())
}

fn set(head: &mut Parts, name: &'static str, value: &str) {
    head.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
}

fn add(head: &mut Parts, name: &'static str, value: &str) {
    head.headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
}

/// Rewrites the Authorization header of `head`.
fn rewrite(head: &mut Parts, from: &str, to: &str) {
    let value = head.headers[AUTHORIZATION].to_str().unwrap().replace(from, to);
    set(head, "authorization", &value);
}

/// Signs `head` over exactly `names`, with the key that `scheme` trusts: the signature is right, the rules may not be.
fn sign_over(scheme: &SigV4, head: &mut Parts, names: &str, payload_hash: &[u8; HASH_LEN]) {
    let canonical = canonical::request(head, names, payload_hash, Plus::Sign).text;
    let date = AmzDate::of(head).unwrap();
    let key = scheme.keys[0].signing.of(date.day(), &scheme.scope);
    let signature = scheme.signature(&key, date, &canonical).to_hex();
    let value = format!(
        "{ALGORITHM} Credential=AKIDONE/20150830/eu-west-1/execute-api/aws4_request, SignedHeaders={names}, Signature={signature}"
    );
    set(head, "authorization", &value);
}

fn over(names: &str, prepare: impl FnOnce(&mut Parts)) -> Result<KeyIndex, Refusal> {
    let mut head = blank();
    set(&mut head, "x-amz-date", "20150830T123600Z");
    prepare(&mut head);
    sign_over(&scheme(), &mut head, names, &body_hash());
    judge(&scheme(), &head)
}

fn body_hash() -> [u8; HASH_LEN] {
    hex_of(&Sha256::digest(BODY).into())
}

const MISMATCH: Result<KeyIndex, Refusal> = Err(Refusal::SignatureMismatch);
const FIRST: Result<KeyIndex, Refusal> = Ok(KeyIndex(0));

#[test]
fn what_is_signed_verifies() {
    assert_eq!(judge(&scheme(), &signed()), FIRST);
    assert_eq!(scheme().timestamp(&signed()), Ok(Some(UnixSeconds(NOW))));
    assert_eq!(over("host;x-amz-date", |_| {}), FIRST);
}

#[test]
fn the_date_stands_once_and_is_one() {
    for (dates, expected) in [
        (vec![], Refusal::MissingTimestamp),
        (vec!["20150830T123600Z", "20150830T123600Z"], Refusal::InvalidTimestamp),
        (vec!["20150231T123600Z"], Refusal::InvalidTimestamp),
        (vec!["1440938160"], Refusal::InvalidTimestamp),
    ] {
        let mut head = signed();
        head.headers.remove(date::HEADER);
        set(&mut head, "date", "Sun, 30 Aug 2015 12:36:00 GMT");
        for date in dates {
            add(&mut head, "x-amz-date", date);
        }
        assert_eq!(scheme().timestamp(&head), Err(expected));
    }
}

#[test]
fn authorization_is_told_apart_by_what_is_wrong() {
    let mut head = signed();
    head.headers.remove(AUTHORIZATION);
    assert_eq!(judge(&scheme(), &head), Err(Refusal::MissingSignature));
    set(&mut head, "authorization", "Basic dXNlcjpwYXNz");
    assert!(matches!(judge(&scheme(), &head), Err(Refusal::MalformedAuthorization(_))));

    let mut twice = signed();
    let value = twice.headers[AUTHORIZATION].clone();
    twice.headers.append(AUTHORIZATION, value);
    assert_eq!(judge(&scheme(), &twice), MISMATCH, "well-formed each; contract, section 7: 401");
}

#[test]
fn authentication_in_the_query_is_refused_with_and_without_the_header() {
    for query in ["X-Amz-Signature=5f", "a=1&X-Amz-Credential=x", "X-Amz-Algorithm=AWS4-HMAC-SHA256"] {
        let mut head = signed_by(&scheme(), |head| head.uri = format!("/webhooks/cxone?{query}").parse().unwrap());
        assert!(matches!(judge(&scheme(), &head), Err(Refusal::MalformedAuthorization(_))), "{query}");
        head.headers.remove(AUTHORIZATION);
        assert!(matches!(judge(&scheme(), &head), Err(Refusal::MalformedAuthorization(_))), "{query}");
    }
}

#[test]
fn the_scope_is_the_configured_one_on_the_requests_own_day() {
    for (from, to) in [
        ("/eu-west-1/", "/us-east-1/"),
        ("/execute-api/", "/s3/"),
        ("/aws4_request", "/aws4_request2"),
        ("/aws4_request", "/AWS4_REQUEST"),
        ("/20150830/", "/20150831/"),
        ("/20150830/", "/2015083/"),
        ("/20150830/", "//"),
        ("=AKIDONE/", "=AKIDTWO/"),
        ("=AKIDONE/", "=akidone/"),
        ("=AKIDONE/", "=/"),
    ] {
        let mut head = signed();
        rewrite(&mut head, from, to);
        assert_eq!(judge(&scheme(), &head), MISMATCH, "{from} {to}");
    }
}

#[test]
fn a_request_may_cross_midnight() {
    let mut head = blank();
    scheme().sign(&mut head, BODY, "2015-08-30T23:59:59Z".parse().unwrap());
    assert_eq!(judge(&scheme(), &head), FIRST);
    set(&mut head, "x-amz-date", "20150831T000000Z");
    assert_eq!(judge(&scheme(), &head), MISMATCH);
}

#[test]
fn the_signature_is_lower_case_hex_of_full_length() {
    let head = signed();
    let value = head.headers[AUTHORIZATION].to_str().unwrap().to_owned();
    let signature = value.rsplit('=').next().unwrap();
    for wrong in [
        signature.to_uppercase(),
        signature[..63].into(),
        signature[..62].into(),
        format!("{signature}{signature}"),
        format!("{signature}0"),
        format!("0x{signature}"),
        "z".repeat(64),
        "0".repeat(64),
    ] {
        let mut head = signed();
        rewrite(&mut head, signature, &wrong);
        assert_eq!(judge(&scheme(), &head), MISMATCH, "{wrong}");
    }
}

#[test]
fn host_date_and_every_amazon_header_are_signed() {
    assert_eq!(over("x-amz-date", |_| {}), MISMATCH);
    assert_eq!(over("host", |_| {}), MISMATCH);
    assert_eq!(over("content-type;host;x-amz-date", |_| {}), FIRST);
    assert_eq!(over("host;x-amz-date", |head| set(head, "x-amz-meta", "1")), MISMATCH);
    assert_eq!(over("host;x-amz-date;x-amz-meta", |head| set(head, "x-amz-meta", "1")), FIRST);
    assert_eq!(over("host;x-amz-date", |head| set(head, "x-amz-", "1")), MISMATCH);
    assert_eq!(over("host;x-amz-date", |head| set(head, "x-amzn-trace-id", "Root=1")), FIRST);
    assert_eq!(over("host;x-absent;x-amz-date", |_| {}), MISMATCH);
    assert_eq!(over("host;x-amz-date;x-empty", |head| set(head, "x-empty", "")), FIRST);
}

#[test]
fn authorization_never_signs_itself() {
    let mut head = blank();
    set(&mut head, "x-amz-date", "20150830T123600Z");
    sign_over(&scheme(), &mut head, "authorization;host;x-amz-date", &body_hash());
    assert_eq!(judge(&scheme(), &head), MISMATCH);
}

#[test]
fn the_payload_hash_is_that_of_what_came() {
    let hash = String::from_utf8(body_hash().to_vec()).unwrap();
    let names = "host;x-amz-content-sha256;x-amz-date";
    assert_eq!(over(names, |head| set(head, "x-amz-content-sha256", &hash)), FIRST);
    for wrong in [
        hash.to_uppercase(),
        "UNSIGNED-PAYLOAD".into(),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".into(),
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER".into(),
        String::new(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".into(),
    ] {
        assert_eq!(over(names, |head| set(head, "x-amz-content-sha256", &wrong)), MISMATCH, "{wrong}");
    }
    let twice = |head: &mut Parts| {
        set(head, "x-amz-content-sha256", &hash);
        add(head, "x-amz-content-sha256", &hash);
    };
    assert_eq!(over(names, twice), MISMATCH);

    // Signed over the words `UNSIGNED-PAYLOAD` where the hash belongs, with the right key: still refused.
    let mut head = blank();
    set(&mut head, "x-amz-date", "20150830T123600Z");
    set(&mut head, "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    let text = canonical::request(&head, names, &body_hash(), Plus::Sign).text;
    let text = String::from_utf8(text).unwrap().replace(&hash, "UNSIGNED-PAYLOAD");
    let scheme = scheme();
    let date = AmzDate::of(&head).unwrap();
    let signature = scheme.signature(&scheme.keys[0].signing.of(date.day(), &scheme.scope), date, text.as_bytes());
    let value = format!(
        "{ALGORITHM} Credential=AKIDONE/20150830/eu-west-1/execute-api/aws4_request, SignedHeaders={names}, Signature={}",
        signature.to_hex()
    );
    set(&mut head, "authorization", &value);
    assert_eq!(judge(&scheme, &head), MISMATCH);
}

#[test]
fn chunks_with_signatures_of_their_own_are_refused() {
    for coding in ["aws-chunked", "AWS-Chunked", "gzip, aws-chunked", "aws-chunked,gzip"] {
        assert_eq!(over("host;x-amz-date", |head| set(head, "content-encoding", coding)), MISMATCH, "{coding}");
    }
    assert_eq!(over("host;x-amz-date", |head| set(head, "content-encoding", "identity")), FIRST);
}

#[test]
fn a_session_token_comes_with_its_key_and_with_no_other() {
    let keys = vec![key("AKIDONE", None), key("ASIATEMP", Some("token=="))];
    let lasting = SigV4::new(&settings(keys.clone())).unwrap();
    let temporary = SigV4::new(&settings(keys.into_iter().rev().collect())).unwrap();
    let head = signed_by(&temporary, |_| {});
    assert!(head.headers.contains_key(SECURITY_TOKEN));
    assert_eq!(judge(&lasting, &head), Ok(KeyIndex(1)), "found by its id, whatever its position");
    assert_eq!(judge(&temporary, &head), FIRST);

    let names = "host;x-amz-date;x-amz-security-token";
    assert_eq!(over(names, |head| set(head, "x-amz-security-token", "token==")), MISMATCH, "a lasting key has none");
    for wrong in [None, Some("token="), Some("token==="), Some("other")] {
        let mut other = key("ASIATEMP", wrong);
        other.secret = key("ASIATEMP", None).secret;
        let head = signed_by(&SigV4::new(&settings(vec![other])).unwrap(), |_| {});
        assert_eq!(judge(&temporary, &head), MISMATCH, "{wrong:?}");
    }
    let mut twice = head;
    add(&mut twice, "x-amz-security-token", "token==");
    assert_eq!(judge(&temporary, &twice), MISMATCH);
}

#[test]
fn the_host_is_hashed_as_sent() {
    for change in ["hooks.example", "HOOKS.example:8443", "hooks.example:443"] {
        let mut head = signed();
        set(&mut head, "host", change);
        assert_eq!(judge(&scheme(), &head), MISMATCH, "{change}");
    }
    let mut twice = signed();
    add(&mut twice, "host", "hooks.example:8443");
    assert_eq!(judge(&scheme(), &twice), MISMATCH);
    let mut none = signed();
    none.headers.remove(HOST);
    assert_eq!(judge(&scheme(), &none), MISMATCH);
}

#[test]
fn an_http_2_authority_stands_for_the_host() {
    let mut head = signed();
    head.headers.remove(HOST);
    head.version = Version::HTTP_2;
    head.uri = "https://hooks.example:8443/webhooks/cxone?b=2&a=1".parse().unwrap();
    assert_eq!(judge(&scheme(), &head), FIRST);
    set(&mut head, "host", "elsewhere.example");
    assert_eq!(judge(&scheme(), &head), MISMATCH);
}

#[test]
fn signing_takes_the_host_from_the_target_when_there_is_none() {
    let head = signed_by(&scheme(), |head| {
        head.headers.remove(HOST);
        head.uri = "https://localhost:8443/webhooks/cxone".parse().unwrap();
    });
    assert_eq!(head.headers[HOST], "localhost:8443");
    assert_eq!(judge(&scheme(), &head), FIRST);
}

#[test]
fn another_body_does_not_verify() {
    let (scheme, head) = (scheme(), signed());
    let claims = scheme.read(&head).unwrap();
    for body in [b"".as_slice(), b"{}", b"{\"eventId\":\"1\"} ", b"{\"eventId\":\"2\"}"] {
        assert_eq!(scheme.verify(&head, &claims, &Bytes::copy_from_slice(body).into()), MISMATCH);
    }
}

#[test]
fn claims_of_another_scheme_prove_nothing() {
    let claims = scheme::Claims::of("as another scheme would claim");
    assert_eq!(scheme().verify(&signed(), &claims, &Bytes::from_static(BODY).into()), MISMATCH);
}

#[test]
fn only_what_must_be_signed_is_vouched_for() {
    let scheme = scheme();
    assert!(scheme.covers_header("host") && scheme.covers_header("x-amz-meta-id"));
    assert!(!scheme.covers_header("x-amzn-trace-id") && !scheme.covers_header("content-type"));
}

#[test]
fn the_canonical_request_is_there_for_the_doctor() {
    let text = canonical_request(&signed(), &Bytes::from_static(BODY).into()).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.starts_with("POST\n/webhooks/cxone\na=1&b=2\ncontent-type:application/json\nhost:hooks.example:8443\n")
    );
    assert_eq!(canonical_request(&blank(), &Bytes::new().into()), None);
}

/// The keys at fault in a source with `lines` in its table, in the order they are told.
fn faults(lines: &str) -> Vec<String> {
    let vars = BTreeMap::new();
    let mut diagnostics = Diagnostics::new(&vars);
    let mut table = Table::new("", "", lines.parse().unwrap());
    scheme::read(preset("cxone").unwrap(), None, &mut table, &mut diagnostics);
    diagnostics.errors.into_iter().map(|error| error.at).collect()
}

#[test]
fn every_fault_of_the_settings_is_said_at_once() {
    assert_eq!(faults("service = 'exec ute'"), ["region", "service", "keys"]);
    let key = |id: &str, more: &str| {
        format!("{{ access_key_id = '{id}', secret = {{ value = 'the secret access key of it' }}{more} }}")
    };
    let with = |keys: &[String]| format!("region = 'eu-west-1'\nkeys = [{}]\n", keys.join(", "));
    let broken = with(&[key("A/B", ""), key("A", ""), key("C", ", session_token = { value = 'a b' }"), key("", "")]);
    let expected =
        ["secrets", "signature_header", "keys[0].access_key_id", "keys[2].session_token", "keys[3].access_key_id"];
    assert_eq!(faults(&format!("{broken}secrets = []\nsignature_header = 'X-Signature'")), expected);
    assert_eq!(faults(&with(&[key("A", ""), key("A", "")])), ["keys[1].access_key_id"]);
    assert_eq!(faults(&with(&[])), ["keys"]);
    assert_eq!(faults(&with(&[key("A", "")])), [""; 0]);
    let unsigned = "unsigned_headers = ['x-amz-edge', 'host', 'x-amz-security-token', 'x-other', 'a b']";
    let expected = [1, 2, 3, 4].map(|index| format!("unsigned_headers[{index}]"));
    assert_eq!(faults(&(with(&[key("A", "")]) + unsigned)), expected);
}
