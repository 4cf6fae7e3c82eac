//! Signs as each vendor does, with other code than the program's: the AWS signer, and plain HMAC for the rest.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};

use super::wire::Request;

/// Every preset with a default path.
pub(crate) const PRESETS: [&str; 6] =
    ["cxone", "cognigy", "cognigy-callback", "nice", "cxone-expert", "standard-webhooks"];
/// The access key id of the test source `cxone`.
pub(crate) const ACCESS_KEY: &str = "AKIDEXAMPLE";
/// Its region.
pub(crate) const REGION: &str = "eu-west-1";
/// The host every request names unless a test says otherwise.
pub(crate) const HOST: &str = "hooks.example.test";

static SIGNATURES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Some of the signatures made so far, none of which may ever be logged.
pub(crate) fn used() -> Vec<String> {
    SIGNATURES.lock().unwrap().clone()
}

fn remember(signature: &str) {
    let mut used = SIGNATURES.lock().unwrap();
    if used.len() < 200 {
        used.push(signature.to_owned());
    }
}

/// Seconds since 1970, now.
#[expect(clippy::disallowed_methods, reason = "the tests stand outside the program: its clock is the real one")]
pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A text no other call in any test returns.
pub(crate) fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}-{}", now(), std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The secret the test source of `preset` has.
pub(crate) fn secret_of(preset: &str) -> String {
    let plain = format!("{preset}-test-secret-0123456789");
    if preset == "standard-webhooks" { format!("whsec_{}", STANDARD.encode(plain)) } else { plain }
}

/// HMAC-SHA256.
pub(crate) fn mac(secret: &[u8], content: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
    mac.update(content);
    mac.finalize().into_bytes().to_vec()
}

/// What logs and metrics call `secret`: eight hex digits of HMAC-SHA256 over a fixed text, 1024 times.
pub(crate) fn fingerprint(secret: &str) -> String {
    let first = mac(secret.as_bytes(), b"gatepost key fingerprint");
    hex::encode(&(1..1024).fold(first, |text, _| mac(secret.as_bytes(), &text))[..4])
}

/// One sender: what it signs with, where to and when.
#[derive(Clone)]
pub(crate) struct Signer {
    preset: String,
    /// Where it posts, with the query.
    pub target: String,
    /// What it shares with the source.
    pub secret: String,
    /// The time it claims, seconds since 1970.
    pub time: i64,
    /// `webhook-id` of the standard scheme.
    pub id: String,
    /// The access key it claims.
    pub access_key: String,
    /// The region it signs for.
    pub region: String,
    /// The service it signs for.
    pub service: String,
    /// The host it signs and names.
    pub host: String,
}

impl Signer {
    /// A sender whose requests the test source of `preset` takes.
    pub(crate) fn of(preset: &str) -> Self {
        let target = match preset {
            "cxone" => "/webhooks/cxone",
            "cognigy" => "/webhook/cognigy",
            "cognigy-callback" => "/webhook/cognigy/callback",
            "nice" => "/webhooks/nice",
            "cxone-expert" => "/webhooks/cxone-expert",
            "standard-webhooks" => "/webhooks/standard",
            other => panic!("no such preset: {other}"),
        };
        Self {
            preset: preset.to_owned(),
            target: target.to_owned(),
            secret: secret_of(preset),
            time: now(),
            id: format!("msg_{}", unique()),
            access_key: ACCESS_KEY.to_owned(),
            region: REGION.to_owned(),
            service: "execute-api".to_owned(),
            host: HOST.to_owned(),
        }
    }

    /// The same, `seconds` later (or earlier) by its clock.
    pub(crate) fn shifted(mut self, seconds: i64) -> Self {
        self.time += seconds;
        self
    }

    /// The same with another secret.
    pub(crate) fn secret(mut self, secret: &str) -> Self {
        secret.clone_into(&mut self.secret);
        self
    }

    /// The same, posting elsewhere.
    pub(crate) fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// The same with another `webhook-id`.
    pub(crate) fn id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        self
    }

    /// A signed request with `body`.
    pub(crate) fn sign(&self, body: impl AsRef<[u8]>) -> Request {
        let body = body.as_ref();
        let request = Request::post(&self.target).header("Host", &self.host).header("Content-Type", "application/json");
        let request = request.body(body);
        let (time, secret) = (self.time.to_string(), self.secret.as_bytes());
        let hex_of = |content: &[u8]| {
            let signature = hex::encode(mac(secret, content));
            remember(&signature);
            signature
        };
        match self.preset.as_str() {
            "cxone" => self.sign_v4(request),
            "cognigy" => request.header("X-Cognigy-Timestamp", &time).header("X-Cognigy-Signature", &hex_of(body)),
            "cognigy-callback" => request.header("X-Cognigy-Signature", &hex_of(body)),
            "nice" => request.header("X-NICE-Signature", &format!("v1={},t={time}", hex_of(body))),
            "cxone-expert" => {
                let signature = hex_of(&[time.as_bytes(), b".", body].concat());
                request
                    .header("X-Nexus-Timestamp", &time)
                    .header("X-Nexus-Signature-256", &format!("sha256={signature}"))
            }
            _ => self.sign_standard(request, &time),
        }
    }

    fn sign_standard(&self, request: Request, time: &str) -> Request {
        let key = STANDARD.decode(self.secret.strip_prefix("whsec_").unwrap_or(&self.secret)).unwrap();
        let content = [self.id.as_bytes(), b".", time.as_bytes(), b".", &request.body].concat();
        let signature = STANDARD.encode(mac(&key, &content));
        remember(&signature);
        request
            .header("webhook-id", &self.id)
            .header("webhook-timestamp", time)
            .header("webhook-signature", &format!("v1,{signature}"))
    }

    /// `request`, which goes to this signer's target and names its host, with all of its headers signed as AWS does.
    pub(crate) fn sign_v4(&self, request: Request) -> Request {
        let identity = Credentials::new(&self.access_key, &self.secret, None, None, "tests").into();
        let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(self.time).unwrap());
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let url = format!("https://{}{}", self.host, self.target);
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body = SignableBody::Bytes(&request.body);
        let signable = SignableRequest::new("POST", url, headers, body).unwrap();
        let (instructions, signature) = aws_sigv4::http_request::sign(signable, &params).unwrap().into_parts();
        remember(&signature);
        let added: Vec<_> = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        added.into_iter().fold(request, |request, (name, value)| request.header(&name, &value))
    }
}
