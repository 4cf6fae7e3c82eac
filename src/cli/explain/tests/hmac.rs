//! Requests signed with an HMAC in ways that go wrong, by other code than the program's.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::HeaderValue;

use super::{Fixture, OTHER_HMAC_SECRET, causes, now, told};
use crate::explain::Specimen;
use crate::scheme::Cause;

const SECRET: &[u8] = b"development-only-nice-secret";
/// What the source `encoded` is configured with.
pub(super) const HEX_SECRET: &str = "00112233445566778899aabbccddeeff";
/// What the source `ended` is configured with, a carriage return behind it.
pub(super) const ENDED_SECRET: &str = "a-secret-out-of-a-windows-file";
/// What the sources `headed` and `called` are configured with.
pub(super) const HEADED_SECRET: &str = "a-secret-that-signs-a-header";
const BODY: &str = "{\"eventId\":\"1\"}";

/// HMAC by the crates that the program uses below its own code, and by their names.
pub(super) fn mac(algorithm: &str, key: &[u8], text: &[u8]) -> Vec<u8> {
    fn made<M: ::hmac::Mac + ::hmac::KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
        let mut mac = <M as ::hmac::KeyInit>::new_from_slice(key).unwrap();
        mac.update(text);
        mac.finalize().into_bytes().to_vec()
    }
    match algorithm {
        "sha1" => made::<::hmac::Hmac<sha1::Sha1>>(key, text),
        "sha384" => made::<::hmac::Hmac<sha2::Sha384>>(key, text),
        "sha512" => made::<::hmac::Hmac<sha2::Sha512>>(key, text),
        _ => made::<::hmac::Hmac<sha2::Sha256>>(key, text),
    }
}

/// What a sender signs and sends; `{mac}`, `{time}` in a header's value, `{time}`, `{body}` in the content.
pub(super) struct Request {
    pub(super) secret: Vec<u8>,
    pub(super) algorithm: &'static str,
    pub(super) content: String,
    pub(super) body: String,
    pub(super) time: String,
    pub(super) encode: fn(&[u8]) -> String,
    pub(super) headers: Vec<(&'static str, &'static str)>,
}

/// A request of `nice` signed after `sign`, as it arrives after `arrive`.
pub(super) fn of(sign: impl FnOnce(&mut Request), arrive: impl FnOnce(&mut Specimen)) -> Specimen {
    let mut request = Request {
        secret: SECRET.to_vec(),
        algorithm: "sha256",
        content: "{body}".to_owned(),
        body: BODY.to_owned(),
        time: now().as_second().to_string(),
        encode: |mac| hex::encode(mac),
        headers: vec![("x-nice-signature", "v1={mac},t={time}")],
    };
    sign(&mut request);
    let content = request.content.replace("{time}", &request.time).replace("{body}", &request.body);
    let mac = (request.encode)(&mac(request.algorithm, &request.secret, content.as_bytes()));
    let mut head = http::Request::post("/webhooks/nice").header("host", "x").header("content-type", "application/json");
    for (name, value) in &request.headers {
        head = head.header(*name, value.replace("{mac}", &mac).replace("{time}", &request.time));
    }
    let (head, ()) = head.body(()).unwrap().into_parts();
    let mut specimen = Specimen {
        head,
        certificate: crate::explain::Shown::Unknown,
        body: Bytes::from(request.body),
        at: now(),
        reason: None,
        notes: Vec::new(),
    };
    arrive(&mut specimen);
    specimen
}

pub(super) fn good() -> Specimen {
    of(|_| {}, |_| {})
}

/// Signed over something else than `nice` says.
pub(super) fn changed_content() -> Specimen {
    of(|request| request.content = "{time}.{body}".to_owned(), |_| {})
}

fn fixture(
    source: &'static str,
    causes: &[Cause],
    sign: impl FnOnce(&mut Request),
    arrive: impl FnOnce(&mut Specimen),
) -> Fixture {
    Fixture { source, specimen: of(sign, arrive), causes: causes.to_vec() }
}

pub(super) fn fixtures() -> Vec<Fixture> {
    let mut all = written();
    all.extend(timed());
    all.extend(signed());
    all.extend(keyed());
    all.extend(bodies());
    all
}

/// Where signature and timestamp stand, and how.
fn written() -> Vec<Fixture> {
    use Cause::*;
    let headers = |headers: &'static [(&'static str, &'static str)]| {
        move |request: &mut Request| request.headers = headers.to_vec()
    };
    vec![
        fixture("nice", &[SignatureAbsent], headers(&[]), |_| {}),
        fixture("nice", &[SignatureCut], headers(&[("x-nice-signature", "v1=00ff,t={time}")]), |_| {}),
        fixture("authorized", &[AuthorizationRedacted], headers(&[("authorization", "[redacted]")]), |_| {}),
        fixture("nice", &[SignatureElsewhere], headers(&[("x-hub-signature", "v1={mac},t={time}")]), |_| {}),
        fixture(
            "cognigy-callback",
            &[SignatureElsewhere, SignatureFormat],
            |request| {
                request.secret = b"development-only-cognigy-callback-secret".to_vec();
                request.headers = vec![("authorization", "HMAC-SHA256 {mac}")];
            },
            |_| {},
        ),
        fixture("nice", &[SignatureFormat], headers(&[("x-nice-signature", "t={time},s={mac}")]), |_| {}),
        fixture(
            "nice",
            &[SignatureFormat],
            |request| {
                request.encode = |mac| STANDARD.encode(mac);
            },
            |_| {},
        ),
        fixture("nice", &[SignatureFormat], |request| request.encode = |mac| URL_SAFE_NO_PAD.encode(mac), |_| {}),
        fixture(
            "nice",
            &[SignatureTwice],
            |_| {},
            |s| {
                s.head.headers.append("x-nice-signature", HeaderValue::from_static("v1=00,t=1"));
            },
        ),
        fixture(
            "example",
            &[SignatureFormat],
            |request| {
                request.secret = b"development-only-example-secret".to_vec();
                request.content = "{time}.{body}".to_owned();
                request.headers = vec![("x-signature", "{mac}"), ("x-timestamp", "{time}")];
            },
            |_| {},
        ),
    ]
}

/// Where the timestamp stands, and how.
fn timed() -> Vec<Fixture> {
    use Cause::*;
    let headers = |headers: &'static [(&'static str, &'static str)]| {
        move |request: &mut Request| request.headers = headers.to_vec()
    };
    let millis = |request: &mut Request| request.time = now().as_millisecond().to_string();
    vec![
        fixture(
            "example",
            &[TimestampElsewhere],
            |request| {
                request.secret = b"development-only-example-secret".to_vec();
                request.content = "{time}.{body}".to_owned();
                request.headers = vec![("x-signature", "sha256={mac}"), ("x-request-timestamp", "{time}")];
            },
            |_| {},
        ),
        fixture(
            "example",
            &[TimestampTwice],
            |request| {
                request.secret = b"development-only-example-secret".to_vec();
                request.content = "{time}.{body}".to_owned();
                request.headers = vec![("x-signature", "sha256={mac}"), ("x-timestamp", "{time}")];
            },
            |s| {
                s.head.headers.append("x-timestamp", HeaderValue::from_static("1"));
            },
        ),
        fixture(
            "cognigy",
            &[TimestampMissing],
            |request| {
                request.secret = OTHER_HMAC_SECRET.into();
                request.headers = vec![("x-cognigy-signature", "{mac}")];
            },
            |_| {},
        ),
        fixture(
            "cognigy",
            &[TimestampElsewhere],
            |request| {
                request.secret = OTHER_HMAC_SECRET.into();
                request.headers = vec![("x-cognigy-signature", "{mac}"), ("x-sent-timestamp", "{time}")];
            },
            |_| {},
        ),
        fixture("nice", &[TimestampUnit], millis, |_| {}),
        fixture("nice", &[TimestampUnit], |request| request.time = now().to_string(), |_| {}),
        fixture("nice", &[SignatureFormat, TimestampMissing], headers(&[("x-nice-signature", "sha256={mac}")]), |_| {}),
    ]
}

/// What is signed besides the body.
fn signed() -> Vec<Fixture> {
    use Cause::*;
    let content = |content: &'static str| move |request: &mut Request| request.content = content.to_owned();
    let standard = |content: &'static str, headers: &'static [(&'static str, &'static str)]| {
        move |request: &mut Request| {
            request.secret = b"development-only-standard-000001".to_vec();
            request.encode = |mac| STANDARD.encode(mac);
            (request.content, request.headers) = (content.to_owned(), headers.to_vec());
        }
    };
    let mut all = vec![
        fixture(
            "standard-webhooks",
            &[ContentDiffers],
            standard(
                "{time}.{body}",
                &[("webhook-signature", "v1,{mac}"), ("webhook-timestamp", "{time}"), ("webhook-id", "m1")],
            ),
            |_| {},
        ),
        fixture(
            "standard-webhooks",
            &[IdElsewhere],
            standard(
                "m1.{time}.{body}",
                &[("webhook-signature", "v1,{mac}"), ("webhook-timestamp", "{time}"), ("svix-id", "m1")],
            ),
            |_| {},
        ),
        fixture(
            "standard-webhooks",
            &[IdMissing, NothingFits],
            standard("m1.{time}.{body}", &[("webhook-signature", "v1,{mac}"), ("webhook-timestamp", "{time}")]),
            |_| {},
        ),
        fixture(
            "standard-webhooks",
            &[SignatureElsewhere, TimestampElsewhere, IdElsewhere],
            standard(
                "m1.{time}.{body}",
                &[("svix-signature", "v1,{mac}"), ("svix-timestamp", "{time}"), ("svix-id", "m1")],
            ),
            |_| {},
        ),
    ];
    all.extend(
        ["{time}.{body}", "{time}{body}", "{time}:{body}", "{body}{time}", "{body}.{time}", "v0:{time}:{body}"]
            .map(|signed| fixture("nice", &[ContentDiffers], content(signed), |_| {})),
    );
    all
}

/// Signed as `headed` and `called` do, over something else.
fn headed(content: &'static str, headers: &'static [(&'static str, &'static str)]) -> impl FnOnce(&mut Request) {
    move |request| {
        request.secret = HEADED_SECRET.into();
        request.content = content.to_owned();
        request.headers = headers.to_vec();
    }
}

/// Other keys, and other functions.
fn keyed() -> Vec<Fixture> {
    use Cause::*;
    let secret = |secret: &'static [u8]| move |request: &mut Request| request.secret = secret.to_vec();
    let algorithm = |algorithm: &'static str| move |request: &mut Request| request.algorithm = algorithm;
    vec![
        fixture("nice", &[NothingFits], secret(b"nobody-knows-this-secret"), |_| {}),
        fixture(
            "nice",
            &[NothingFits],
            |request| request.headers = vec![("x-nice-signature", "v1={mac},t={time}")],
            |s| {
                s.body = Bytes::from_static(b"{\"eventId\":\"forged\"}");
            },
        ),
        fixture("nice", &[OtherSourcesSecret], secret(OTHER_HMAC_SECRET.as_bytes()), |_| {}),
        fixture("nice", &[SecretEnds], secret(b"development-only-nice-secret\n"), |_| {}),
        fixture("ended", &[SecretEnds], secret(ENDED_SECRET.as_bytes()), |_| {}),
        fixture("encoded", &[SecretEncoded], |request| request.secret = hex::decode(HEX_SECRET).unwrap(), |_| {}),
        fixture("encoded", &[SecretEncoded], |request| request.secret = STANDARD.decode(HEX_SECRET).unwrap(), |_| {}),
        fixture("headed", &[SignedHeaderMissing, NothingFits], headed("acme.{body}", &[("x-sig", "{mac}")]), |_| {}),
        fixture("headed", &[ContentDiffers], headed("{body}", &[("x-sig", "{mac}"), ("x-tenant", "acme")]), |_| {}),
        fixture(
            "called",
            &[ContentDiffers],
            headed("https://hooks.example/webhooks/nice{body}", &[("x-sig", "{mac}")]),
            |_| {},
        ),
        fixture("nice", &[OtherAlgorithm], algorithm("sha1"), |_| {}),
        fixture("nice", &[OtherAlgorithm], algorithm("sha384"), |_| {}),
        fixture("nice", &[OtherAlgorithm], algorithm("sha512"), |_| {}),
    ]
}

fn bodies() -> Vec<Fixture> {
    use Cause::*;
    let content = |content: &'static str| move |request: &mut Request| request.content = content.to_owned();
    let arrives = |body: &'static [u8]| move |s: &mut Specimen| s.body = Bytes::from_static(body);
    vec![
        fixture("nice", &[BodyLineEnd], content("{body}\n"), |_| {}),
        fixture("nice", &[BodyLineEnd], content("{body}\r\n"), |_| {}),
        fixture("nice", &[BodyTrimmed], |_| {}, arrives(b" {\"eventId\":\"1\"}\n")),
        fixture("nice", &[BodyMark], content("\u{feff}{body}"), |_| {}),
        fixture("nice", &[BodyMark], |_| {}, arrives(b"\xef\xbb\xbf{\"eventId\":\"1\"}")),
        fixture("nice", &[BodyEmpty], content(""), |_| {}),
        fixture("nice", &[BodyRewritten], |_| {}, arrives(b"{ \"eventId\": \"1\" }")),
        fixture("nice", &[BodyRewritten], content("{\"eventId\": \"1\"}"), |_| {}),
        fixture("nice", &[BodyRewritten], content("{\n  \"eventId\": \"1\"\n}"), |_| {}),
        fixture(
            "nice",
            &[BodyRewritten],
            |request| {
                request.body = "{\"b\":1,\"a\":2,\"eventId\":\"1\"}".to_owned();
                request.content = "{\"a\":2,\"b\":1,\"eventId\":\"1\"}".to_owned();
            },
            |_| {},
        ),
        fixture("nice", &[BodyCompressed], |_| {}, arrives(b"\x1f\x8b\x08\x00\x00")),
        fixture(
            "nice",
            &[BodyCompressed],
            |_| {},
            |s| {
                s.body = Bytes::from_static(b"squeezed");
                s.head.headers.insert("content-encoding", HeaderValue::from_static("br"));
            },
        ),
        // Two at once: what the sender must mend comes first, and no configuration is advised.
        fixture("nice", &[BodyLineEnd, ContentDiffers], content("{time}.{body}\n"), |_| {}),
    ]
}

#[test]
fn lines_are_advised_only_where_they_accept_the_request() {
    let said = told("nice", &changed_content());
    assert!(said.contains("    signed_content = \"{timestamp}.{body}\"\n"), "{said}");
    assert!(
        !said.contains("    signature_format") && !said.contains("    signature_header"),
        "only what differs: {said}"
    );
    for specimen in [
        of(|request| request.content = "{time}.{body}\n".to_owned(), |_| {}),
        of(|request| request.secret = OTHER_HMAC_SECRET.into(), |_| {}),
        of(|request| request.secret = b"nobody-knows-this-secret".to_vec(), |_| {}),
    ] {
        let said = told("nice", &specimen);
        assert!(!said.contains("\nchange   ") && !causes(&said).is_empty(), "{said}");
    }
}

#[test]
fn an_id_that_is_no_longer_covered_is_not_advised() {
    let fixture = signed().swap_remove(0);
    let said = told("standard-webhooks", &fixture.specimen);
    assert!(said.contains("    event_id = \"digest\""), "{said}");
}
