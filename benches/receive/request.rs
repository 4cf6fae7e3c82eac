//! Requests, complete as bytes and signed ahead of time, each different. Signs with other code than the program's own
//! where there is any (aws-sigv4); the HMAC is the vendors' one-liner.

use std::fmt::Write as _;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use gatepost::clock::Clock;

use crate::jwt::{self, Algorithm};
pub(crate) use crate::message::Expected;
use crate::message::{Bodies, HOST, hmac_hex, post};
use crate::result::BenchResult;

/// Secret of the Cognigy source.
pub(crate) const SECRET: &str = "bench-secret-of-enough-length";
/// Secret of the NICE source: sources that share one have each event looked up under each other's names.
pub(crate) const NICE_SECRET: &str = "another-bench-secret-of-enough-length";
/// Token of the token source.
pub(crate) const TOKEN: &str = "bench-token-of-enough-length";
/// Key pair of the `SigV4` source.
pub(crate) const ACCESS_KEY: &str = "AKIABENCHBENCHBENCH1";
/// See [`ACCESS_KEY`].
pub(crate) const SECRET_KEY: &str = "bench/secret/key/of/forty/characters+++++";
/// Its region.
pub(crate) const REGION: &str = "eu-west-1";
/// Further in the past than any window.
const STALE_SECONDS: i64 = 3600;

/// A kind of request, and what it must be answered with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Valid; HMAC of the body.
    Cognigy,
    /// Valid; AWS Signature Version 4.
    SigV4,
    /// Valid; parameter-list header.
    Nice,
    /// Valid; a static header.
    Token,
    /// With another token.
    WrongToken,
    /// Valid; a JSON Web Token.
    Jwt(Algorithm),
    /// Signed with another secret.
    BadSignature,
    /// An hour old.
    Stale,
    /// To a source that does not allow us.
    DeniedIp,
    /// Valid, and stored already.
    Duplicate,
}

impl Kind {
    /// What the program must answer.
    pub(crate) const fn expected(self) -> Expected {
        let (status, contains) = match self {
            Self::Cognigy | Self::SigV4 | Self::Nice | Self::Token | Self::Jwt(_) => (200, r#""duplicate":false"#),
            Self::Duplicate => (200, r#""duplicate":true"#),
            Self::WrongToken => (401, "token_mismatch"),
            Self::BadSignature => (401, "signature_mismatch"),
            Self::Stale => (410, "timestamp_expired"),
            Self::DeniedIp => (403, "ip_not_whitelisted"),
        };
        Expected { status, contains }
    }
}

/// Makes requests, no two alike as long as the process lives.
pub(crate) struct Maker {
    bodies: Bodies,
    /// Made once: making one costs more than anything that is measured.
    jwts: Vec<(Algorithm, String)>,
}

impl Maker {
    /// For bodies of `bytes` bytes (a little more where the fixed part alone is longer).
    pub(crate) fn new(bytes: usize) -> Self {
        Self { bodies: Bodies::new(bytes), jwts: Vec::new() }
    }

    /// `count` new requests of one kind.
    pub(crate) fn make(&mut self, kind: Kind, count: usize) -> BenchResult<Vec<Vec<u8>>> {
        (0..count).map(|_| self.one(kind)).collect()
    }

    fn one(&mut self, kind: Kind) -> BenchResult<Vec<u8>> {
        let body = self.bodies.make();
        let now = Clock::system().now().as_second();
        Ok(match kind {
            Kind::Cognigy | Kind::Duplicate => cognigy("/webhook/cognigy", SECRET, now, &body)?,
            Kind::BadSignature => cognigy("/webhook/cognigy", "quite-another-secret", now, &body)?,
            Kind::Stale => cognigy("/webhook/cognigy", SECRET, now - STALE_SECONDS, &body)?,
            Kind::DeniedIp => cognigy("/webhook/denied", SECRET, now, &body)?,
            Kind::Nice => {
                let header = format!("X-NICE-Signature: v1={},t={now}\r\n", hmac_hex(NICE_SECRET, &body)?);
                post("/webhooks/nice", &header, &body)
            }
            Kind::Token => post("/webhooks/token", &bearer(TOKEN), &body),
            Kind::WrongToken => post("/webhooks/token", &bearer("quite-another-token-of-some-length"), &body),
            Kind::Jwt(algorithm) => {
                let path = if algorithm == Algorithm::Hs256 { "/webhooks/jwt-secret" } else { "/webhooks/jwt" };
                post(path, &bearer(&self.jwt(algorithm)?), &body)
            }
            Kind::SigV4 => post("/webhooks/cxone", &sigv4_headers(&body)?, &body),
        })
    }

    fn jwt(&mut self, algorithm: Algorithm) -> BenchResult<String> {
        if let Some((_, token)) = self.jwts.iter().find(|(known, _)| *known == algorithm) {
            return Ok(token.clone());
        }
        let token = jwt::token(algorithm)?;
        self.jwts.push((algorithm, token.clone()));
        Ok(token)
    }
}

fn cognigy(path: &str, secret: &str, at: i64, body: &[u8]) -> BenchResult<Vec<u8>> {
    let mac = hmac_hex(secret, body)?;
    Ok(post(path, &format!("X-Cognigy-Signature: {mac}\r\nX-Cognigy-Timestamp: {at}\r\n"), body))
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn sigv4_headers(body: &[u8]) -> BenchResult<String> {
    let identity = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "bench").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("execute-api")
        .time(Clock::system().now().into())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let headers = [("host", HOST), ("content-type", "application/json")].into_iter();
    let url = format!("https://{HOST}/webhooks/cxone");
    let request = SignableRequest::new("POST", url, headers, SignableBody::Bytes(body))?;
    let (instructions, _) = sign(request, &params)?.into_parts();
    let mut lines = String::new();
    for (name, value) in instructions.headers() {
        write!(lines, "{name}: {value}\r\n")?;
    }
    Ok(lines)
}
