//! Sink `http`: one POST per event, `CloudEvents` binary mode, signed per Standard Webhooks where there is a secret.
//!
//! The body is the sender's, byte for byte; of the sender's headers only `traceparent` is forwarded.

use async_trait::async_trait;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::{Engine as _, alphabet};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::Full;
use sha2::Sha256;

use super::http_client::{self, HttpClient};
use super::{Attempt, Delivered, Retry, Settings, Sink, SinkError, address, answer, cloudevent};
use crate::clock::Clock;
use crate::event::Event;
use crate::secret::{MIN_BYTES, Secret};
use crate::settings::ConfigError;

/// Secrets are written with and without padding; both are the same bytes.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Delivers by POST.
pub(super) struct Http {
    client: HttpClient,
    url: Uri,
    signer: Option<Signer>,
    authorization: Option<HeaderValue>,
    clock: Clock,
}

impl Http {
    /// A sink from `settings` that signs with the time of `clock`.
    ///
    /// # Errors
    /// [`ConfigError`]s at `url`, `secret`, `token` and `ca_file`.
    pub(super) fn new(settings: &Settings, clock: Clock) -> Result<Self, Vec<ConfigError>> {
        let url = address::endpoint(&settings.url);
        let signer = settings.secret.as_ref().map(Signer::new).transpose();
        let authorization =
            settings.token.as_ref().map(|token| http_client::authorization("Bearer", token)).transpose();
        let client = match &url {
            Ok(url) => HttpClient::new(
                url,
                settings.ca_file.as_deref(),
                &settings.proxies,
                settings.timeout,
                settings.concurrency,
            )
            .map(Some),
            Err(_) => Ok(None),
        };
        match (url, signer, authorization, client) {
            (Ok(url), Ok(signer), Ok(authorization), Ok(Some(client))) => {
                Ok(Self { client, url, signer, authorization, clock })
            }
            (url, signer, authorization, client) => {
                Err([url.err(), signer.err(), authorization.err(), client.err()].into_iter().flatten().collect())
            }
        }
    }

    fn request(&self, event: &Event) -> Result<Request<Full<bytes::Bytes>>, http::Error> {
        let body = event.payload.bytes();
        let mut request =
            Request::builder().method(Method::POST).uri(self.url.clone()).header(USER_AGENT, http_client::USER_AGENT);
        for (name, value) in cloudevent::attributes(event) {
            request = request.header(format!("ce-{name}"), value);
        }
        if !event.content_type.is_empty() {
            request = request.header(CONTENT_TYPE, &event.content_type);
        }
        if let Some(traceparent) = &event.traceparent {
            request = request.header(HeaderName::from_static("traceparent"), traceparent);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(signer) = &self.signer {
            // The header form: what the receiver reads is what was signed.
            let id = cloudevent::header_value(&cloudevent::id(event));
            let timestamp = self.clock.now().as_second().to_string();
            let signature = signer.sign(&id, &timestamp, body);
            request = request
                .header("webhook-id", id)
                .header("webhook-timestamp", timestamp)
                .header("webhook-signature", signature);
        }
        request.body(Full::new(body.clone()))
    }
}

#[async_trait]
impl Sink for Http {
    async fn deliver(&self, event: &Event, _: Attempt) -> Result<Delivered, SinkError> {
        let request = self.request(event).map_err(|error| SinkError {
            message: format!("the event does not fit into a request: {error}"),
            retry: Retry::Never,
        })?;
        let answer = self.client.send(request).await?;
        answer::judge(answer.status, &answer.headers, self.clock.now())?;
        Ok(Delivered::New)
    }
}

/// Signs per Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over `{id}.{timestamp}.{body}`.
struct Signer(Hmac<Sha256>);

impl Signer {
    fn new(secret: &Secret) -> Result<Self, ConfigError> {
        let fault = |problem: String| ConfigError::new("secret", problem);
        let form = || fault("expected a Standard Webhooks secret: whsec_ and base64".into());
        let text = std::str::from_utf8(secret.expose()).map_err(|_| form())?;
        let bytes = BASE64.decode(text.strip_prefix("whsec_").ok_or_else(form)?).map_err(|_| form())?;
        // The rules for secrets are about the bytes that key the MAC; NUL is fine in those.
        if bytes.len() < MIN_BYTES {
            return Err(fault(format!("shorter than {MIN_BYTES} bytes after whsec_")));
        }
        Hmac::new_from_slice(&bytes).map(Self).map_err(|_| form())
    }

    fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::cloudevent::tests::event;
    use super::super::tests::settings;
    use super::*;

    #[test]
    fn the_signature_is_the_published_one() {
        // The example of the Standard Webhooks libraries.
        let signer = Signer::new(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()).ok().unwrap();
        let signature = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn all_faults_come_at_once() {
        let mut settings = settings("http", "ftp://a");
        for secret in ["whsec_!!!!!!!!!!!!!!!!!!!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAAAAAAAAAAAA=="] {
            settings.secret = Secret::new(secret).ok();
            settings.token = Secret::token("a\nb").ok();
            let faults = Http::new(&settings, Clock::system()).err().unwrap();
            assert_eq!(faults.iter().map(|fault| fault.at.as_str()).collect::<Vec<_>>(), ["url", "secret", "token"]);
        }
    }

    #[test]
    fn the_request_carries_the_attributes_and_nothing_of_the_sender_but_its_trace() {
        let mut settings = settings("http", "http://127.0.0.1:1/events");
        settings.secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").ok();
        let sink = Http::new(&settings, Clock::manual("2026-01-02T03:05:00Z".parse().unwrap())).ok().unwrap();
        let request = sink.request(&event("e 1", b"{}")).unwrap();
        let mut headers: Vec<_> =
            request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        headers.retain(|header| !header.starts_with("user-agent") && !header.starts_with("webhook-signature"));
        assert_eq!(
            headers,
            [
                "ce-specversion: 1.0",
                "ce-id: bot-a:e%201",
                "ce-source: /gatepost/bot-a",
                "ce-type: order.created",
                "ce-time: 2026-01-02T03:04:05.678Z",
                "content-type: application/json; charset=utf-8",
                "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                "webhook-id: bot-a:e%201",
                "webhook-timestamp: 1767323100",
            ]
        );
    }
}
