//! Requests signed with AWS Signature Version 4 in ways that go wrong, by a signer that knows nothing of the program's:
//! what is signed is spelled out, what arrives is changed afterwards.

use bytes::Bytes;
use http::HeaderValue;
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::hmac::mac;
use super::{Fixture, OTHER_AWS_SECRET, SECOND_AWS_SECRET, TOKEN, now};
use crate::explain::Specimen;
use crate::scheme::Cause;

const SECRET: &str = "development-only-cxone-secret-key";
const ID: &str = "AKIADEVELOPMENT00001";
const BODY: &[u8] = b"{\"eventId\":\"1\"}";

/// What a sender signs; what it sends is the same where nothing else is said.
pub(super) struct Signed {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) scope: [String; 4],
    pub(super) date: String,
    /// The path of the canonical request, as it stands there.
    pub(super) uri: String,
    /// The query of the canonical request, as it stands there.
    pub(super) query: String,
    /// The target that is asked for.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    /// Names that are signed with an empty value, and others that are left out of the signature.
    pub(super) unsigned: Vec<&'static str>,
    pub(super) body: Vec<u8>,
    /// What stands for the body's hash.
    pub(super) payload: Option<String>,
}

impl Signed {
    fn new() -> Self {
        let pairs =
            [("content-type", "application/json"), ("host", "hooks.example.com"), ("x-amz-date", "20260501T120000Z")];
        let owned = |text: &str| text.to_owned();
        Self {
            id: owned(ID),
            secret: owned(SECRET),
            scope: ["20260501", "eu-west-1", "execute-api", "aws4_request"].map(owned),
            date: owned("20260501T120000Z"),
            uri: owned("/webhooks/cxone"),
            query: String::new(),
            target: owned("/webhooks/cxone"),
            headers: pairs.map(|(name, value)| (owned(name), owned(value))).to_vec(),
            unsigned: Vec::new(),
            body: BODY.to_vec(),
            payload: None,
        }
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(own, _)| own != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn at(&mut self, target: &str, uri: &str, query: &str) {
        (self.target, self.uri, self.query) = (target.to_owned(), uri.to_owned(), query.to_owned());
    }

    fn authorization(&self) -> String {
        let mut signed: Vec<_> =
            self.headers.iter().filter(|(name, _)| !self.unsigned.contains(&name.as_str())).collect();
        signed.sort();
        let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let lines: Vec<String> = signed.iter().map(|(name, value)| format!("{name}:{}", value.trim())).collect();
        let payload = self.payload.clone().unwrap_or_else(|| hex::encode(Sha256::digest(&self.body)));
        let canonical = format!("POST\n{}\n{}\n{}\n\n{names}\n{payload}", self.uri, self.query, lines.join("\n"));
        let scope = self.scope.join("/");
        let hash = hex::encode(Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hash}", self.date);
        let first = format!("AWS4{}", self.secret).into_bytes();
        let key = self.scope.iter().fold(first, |key, part| mac("sha256", &key, part.as_bytes()));
        let signature = hex::encode(mac("sha256", &key, text.as_bytes()));
        format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", self.id)
    }
}

/// A request signed after `sign`, as it arrives after `arrive`.
pub(super) fn of(sign: impl FnOnce(&mut Signed), arrive: impl FnOnce(&mut Specimen)) -> Specimen {
    let mut signed = Signed::new();
    sign(&mut signed);
    let mut request = http::Request::post(&signed.target).header("authorization", signed.authorization());
    for (name, value) in &signed.headers {
        request = request.header(name, value);
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    let body = Bytes::from(signed.body);
    let mut specimen = Specimen {
        head,
        certificate: crate::explain::Shown::Unknown,
        body,
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

/// Signed with a temporary key and its token.
pub(super) fn temporary() -> Specimen {
    of(
        |signed| {
            (signed.id, signed.secret) = ("ASIADEVELOPMENT00003".to_owned(), SECOND_AWS_SECRET.to_owned());
            signed.set("x-amz-security-token", TOKEN);
        },
        |_| {},
    )
}

pub(super) fn set(head: &mut Parts, name: &'static str, value: &str) {
    head.headers.insert(name, HeaderValue::from_str(value).unwrap());
}

fn hash(text: &[u8]) -> String {
    hex::encode(Sha256::digest(text))
}

pub(super) fn fixture(causes: &[Cause], sign: impl FnOnce(&mut Signed), arrive: impl FnOnce(&mut Specimen)) -> Fixture {
    Fixture { source: "cxone", specimen: of(sign, arrive), causes: causes.to_vec() }
}

pub(super) fn fixtures() -> Vec<Fixture> {
    let mut all = who();
    all.extend(keys());
    all.extend(scope());
    all.extend(super::aws_parts::fixtures());
    all.extend(bodies());
    all.extend(two_at_once());
    all
}

fn who() -> Vec<Fixture> {
    use Cause::*;
    let authorization =
        |value: &'static str| move |specimen: &mut Specimen| set(&mut specimen.head, "authorization", value);
    let replaced = |from: &'static str, to: &'static str| {
        move |specimen: &mut Specimen| {
            let value = specimen.header("authorization").unwrap().replace(from, to);
            set(&mut specimen.head, "authorization", &value);
        }
    };
    vec![
        fixture(&[AuthorizationAbsent], |_| {}, |s| drop(s.head.headers.remove("authorization"))),
        fixture(
            &[AuthorizationMoved],
            |_| {},
            |s| {
                let value = s.head.headers.remove("authorization").unwrap();
                s.head.headers.insert("x-amzn-remapped-authorization", value);
            },
        ),
        fixture(
            &[AuthorizationTwice],
            |_| {},
            |s| {
                s.head.headers.append("authorization", HeaderValue::from_static("Bearer x"));
            },
        ),
        fixture(&[AuthorizationRedacted], |_| {}, authorization("[redacted]")),
        fixture(&[AuthorizationMalformed], |_| {}, authorization("AWS4-HMAC-SHA256 Credential=a")),
        fixture(&[AuthorizationMalformed], |_| {}, replaced("host;", "Host;")),
        fixture(&[OtherAlgorithm], |_| {}, authorization("AWS AKID:frJIUN8DYpKDtOLCwo//yllqDzg=")),
        fixture(&[OtherAlgorithm], |_| {}, replaced("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")),
        fixture(&[OtherAlgorithm], |_| {}, replaced("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512")),
        fixture(
            &[QueryAuthentication],
            |_| {},
            |s| {
                s.head.uri = "/webhooks/cxone?X-Amz-Signature=00".parse().unwrap();
            },
        ),
    ]
}

/// Whose key it is.
fn keys() -> Vec<Fixture> {
    use Cause::*;
    vec![
        fixture(
            &[AccessKeyUnknown],
            |signed| {
                (signed.id, signed.secret) = ("AKIASTRANGER".to_owned(), "nobody-knows-this-secret".to_owned());
            },
            |_| {},
        ),
        fixture(&[AccessKeyMixedUp], |signed| signed.secret = SECOND_AWS_SECRET.to_owned(), |_| {}),
        fixture(&[AccessKeyMixedUp, AccessKeyUnknown], |signed| signed.id = "AKIATYPO".to_owned(), |_| {}),
        fixture(
            &[OtherSourcesKey, AccessKeyUnknown],
            |signed| {
                (signed.id, signed.secret) = ("AKIAOTHERSOURCE00001".to_owned(), OTHER_AWS_SECRET.to_owned());
            },
            |_| {},
        ),
        fixture(&[SecretEnds], |signed| signed.secret = format!("{SECRET}\n"), |_| {}),
        fixture(&[NothingFits], |signed| signed.secret = "nobody-knows-this-secret".to_owned(), |_| {}),
        fixture(
            &[SignatureUpperCase],
            |_| {},
            |s| {
                let value = s.header("authorization").unwrap().to_owned();
                let (start, signature) = value.rsplit_once('=').unwrap();
                set(&mut s.head, "authorization", &format!("{start}={}", signature.to_uppercase()));
            },
        ),
        fixture(
            &[SignatureMalformed],
            |_| {},
            |s| {
                let value = s.header("authorization").unwrap().to_owned();
                set(&mut s.head, "authorization", &value[..value.len() - 3]);
            },
        ),
        Fixture {
            source: "cxone",
            specimen: {
                let mut s = temporary();
                s.head.headers.remove("x-amz-security-token");
                s
            },
            causes: vec![TokenMissing, HeaderGone],
        },
        fixture(&[TokenUnexpected], |signed| signed.set("x-amz-security-token", TOKEN), |_| {}),
        fixture(
            &[TokenDiffers],
            |signed| {
                (signed.id, signed.secret) = ("ASIADEVELOPMENT00003".to_owned(), SECOND_AWS_SECRET.to_owned());
                signed.set("x-amz-security-token", "another-token-altogether");
            },
            |_| {},
        ),
    ]
}

fn scope() -> Vec<Fixture> {
    use Cause::*;
    vec![
        fixture(&[OtherRegion], |signed| signed.scope[1] = "us-east-1".to_owned(), |_| {}),
        fixture(&[OtherService], |signed| signed.scope[2] = "lambda".to_owned(), |_| {}),
        fixture(
            &[OtherRegion, NothingFits],
            |signed| {
                signed.scope[1] = "us-east-1".to_owned();
                signed.secret = "nobody-knows-this-secret".to_owned();
            },
            |_| {},
        ),
        fixture(&[OtherTerminator], |signed| signed.scope[3] = "aws4".to_owned(), |_| {}),
        fixture(&[DateDiffers], |signed| signed.scope[0] = "20260430".to_owned(), |_| {}),
        fixture(&[DateMissing, HeaderGone], |_| {}, |s| drop(s.head.headers.remove("x-amz-date"))),
        fixture(
            &[DateMalformed, DateDiffers],
            |signed| {
                signed.set("x-amz-date", "Fri, 01 May 2026 12:00:00 GMT");
            },
            |_| {},
        ),
    ]
}

fn bodies() -> Vec<Fixture> {
    use Cause::*;
    let arrives = |body: &'static str| move |s: &mut Specimen| s.body = Bytes::from_static(body.as_bytes());
    let payload = |text: &'static str| {
        move |signed: &mut Signed| {
            signed.payload = Some(text.to_owned());
            signed.set("x-amz-content-sha256", text);
        }
    };
    vec![
        fixture(
            &[BodyChanged],
            |signed| {
                let hash = hash(&signed.body);
                signed.set("x-amz-content-sha256", &hash);
            },
            arrives("{\"eventId\":\"2\"}"),
        ),
        // Both as signers write it: in the header alone, and in what is signed too.
        fixture(
            &[BodyHashUpperCase],
            |signed| {
                let hash = hash(&signed.body).to_uppercase();
                signed.set("x-amz-content-sha256", &hash);
            },
            |_| {},
        ),
        fixture(
            &[BodyHashUpperCase],
            |signed| {
                let hash = hash(&signed.body).to_uppercase();
                signed.set("x-amz-content-sha256", &hash);
                signed.payload = Some(hash);
            },
            |_| {},
        ),
        fixture(
            &[BodyChanged, NothingFits],
            |signed| {
                signed.secret = "nobody-knows-this-secret".to_owned();
                signed.set("x-amz-content-sha256", &hash(b"x"));
            },
            |_| {},
        ),
        fixture(&[BodyEmpty], |signed| signed.payload = Some(hash(b"")), |_| {}),
        fixture(&[BodyLineEnd], |signed| signed.payload = Some(hash(b"{\"eventId\":\"1\"}\n")), |_| {}),
        fixture(&[BodyTrimmed], |_| {}, arrives("{\"eventId\":\"1\"}\r\n")),
        fixture(&[BodyMark], |_| {}, arrives("\u{feff}{\"eventId\":\"1\"}")),
        fixture(&[BodyRewritten], |_| {}, arrives("{ \"eventId\" : \"1\" }")),
        fixture(&[BodyUnsigned], payload("UNSIGNED-PAYLOAD"), |_| {}),
        fixture(&[BodyUnsigned], |signed| signed.payload = Some("UNSIGNED-PAYLOAD".to_owned()), |_| {}),
        fixture(&[BodyStreamed], payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), |_| {}),
        fixture(
            &[BodyCompressed, NothingFits],
            |_| {},
            |s| {
                s.body = Bytes::from_static(b"\x1f\x8b\x08\x00\x00");
            },
        ),
    ]
}

/// A gateway that renames host and path at once, and the like.
fn two_at_once() -> Vec<Fixture> {
    use Cause::*;
    vec![
        fixture(
            &[HostChanged, PathPrefixDropped],
            |signed| signed.at("/webhooks/cxone", "/prod/webhooks/cxone", ""),
            |s| {
                set(&mut s.head, "host", "hooks.example.com:8443");
            },
        ),
        fixture(
            &[HeaderChanged, HostChanged],
            |_| {},
            |s| {
                set(&mut s.head, "host", "hooks.example.com:8443");
                set(&mut s.head, "content-type", "application/json; charset=utf-8");
            },
        ),
        fixture(
            &[PathPrefixDropped, QueryUnsorted],
            |signed| {
                signed.at("/webhooks/cxone?b=1&a=2", "/prod/webhooks/cxone", "b=1&a=2");
            },
            |_| {},
        ),
        fixture(
            &[HostChanged, OtherRegion],
            |signed| signed.scope[1] = "us-east-1".to_owned(),
            |s| {
                set(&mut s.head, "host", "hooks.example.com:8443");
            },
        ),
        fixture(
            &[HostChanged, QueryAdded],
            |signed| signed.at("/webhooks/cxone?a=1+2", "/webhooks/cxone", "a=1%2B2"),
            |s| {
                set(&mut s.head, "host", "hooks.example.com:8443");
                s.head.uri = "/webhooks/cxone?a=1+2&utm=x".parse().unwrap();
            },
        ),
    ]
}
