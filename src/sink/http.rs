//! Sink `http`: one POST per event, `CloudEvents` binary mode, signed per Standard Webhooks where there is a secret.
//!
//! The body is the sender's, byte for byte; of the sender's headers only `traceparent` is forwarded.

mod signer;

use std::sync::Arc;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::Full;

use self::signer::Signer;
use super::address::{Endpoint, endpoint};
use super::client_settings::ClientSettings;
use super::delivery::{Attempt, Delivered, Retry, Sink, SinkError};
use super::fingerprint::Parts;
use super::http_client::{self, HttpClient};
use super::settings::{self as sink, SinkType};
use super::{answer, cloudevent, forward};
use crate::clock::Clock;
use crate::event::{Event, Name};
use crate::secret::Secret;
use crate::settings::{ConfigError, Diagnostics, Example, Table, key, secret};

/// What an http sink is told.
pub(super) struct Settings {
    url: Endpoint,
    secret: Option<(Secret, Signer)>,
    authorization: Option<HeaderValue>,
    client: ClientSettings,
}

impl SinkType for Settings {
    fn read(name: Option<&Name>, table: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self> {
        let (url_variable, secret_variable) = forward::variables(name);
        let doc = "Where to. http:// to another machine warns at start.";
        let url = key("url", doc, endpoint())
            .variable(url_variable)
            .example(Example::Set("\"https://orders.internal/events\""))
            .required("is missing", table, diagnostics);
        let doc = "Signs what we send, per Standard Webhooks (whsec_ and base64).";
        let secret = secret("secret", doc)
            .variable(secret_variable)
            .example(Example::Set("{ file = \"/run/secrets/orders\" }"))
            .mac_key(table, diagnostics)
            .value();
        let secret = secret.and_then(|secret| match Signer::new(&secret) {
            Ok(signer) => Some((secret, signer)),
            Err(problem) => {
                table.error("secret", problem, diagnostics);
                None
            }
        });
        let authorization = authorization(table, diagnostics);
        let client = ClientSettings::read(url.as_ref(), true, table, diagnostics);
        let url = url?;
        client.warn_if_unused(&url, table, diagnostics);
        url.warn_if_open("events", &table.place("url"), diagnostics);
        Some(Self { url, secret, authorization, client })
    }

    fn build(&self, sink: &sink::Settings) -> Result<Arc<dyn Sink>, Vec<ConfigError>> {
        Http::new(self, sink, Clock::system()).map(|sink| Arc::new(sink) as _).map_err(|error| vec![error])
    }

    fn consists_of(&self, parts: &mut Parts) {
        let Self { url, secret, authorization, client } = self;
        parts.add(url.as_str());
        parts.maybe(secret.as_ref().map(|(secret, _)| secret.expose()));
        parts.maybe(authorization.as_ref());
        client.add_to(parts);
    }
}

/// `Authorization`, by key `token`.
fn authorization(table: &mut Table, diagnostics: &mut Diagnostics) -> Option<HeaderValue> {
    let token = secret("token", "Sent in Authorization: Bearer.")
        .example(Example::Off("{ file = \"/run/secrets/orders-token\" }"))
        .token(table, diagnostics)
        .value()?;
    match http_client::authorization("Bearer", &token) {
        Ok(authorization) => Some(authorization),
        Err(error) => {
            table.error(&error.at, error.problem, diagnostics);
            None
        }
    }
}

/// Delivers by POST.
struct Http {
    client: HttpClient,
    url: Uri,
    signer: Option<Signer>,
    authorization: Option<HeaderValue>,
    clock: Clock,
}

impl Http {
    /// A sink that signs with the time of `clock`.
    ///
    /// # Errors
    /// At `ca_file`, see [`HttpClient::new`].
    fn new(settings: &Settings, sink: &sink::Settings, clock: Clock) -> Result<Self, ConfigError> {
        Ok(Self {
            client: HttpClient::new(settings.url.uri(), &settings.client, sink.timeout, sink.concurrency)?,
            url: settings.url.uri().clone(),
            signer: settings.secret.as_ref().map(|(_, signer)| signer.clone()),
            authorization: settings.authorization.clone(),
            clock,
        })
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
        answer::accepted(answer.status, &answer.headers, self.clock.now())?;
        Ok(Delivered::New)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cloudevent::tests::event;
    use super::super::tests::{read, wrong};
    use super::*;

    #[test]
    fn all_errors_come_at_once() {
        for secret in ["whsec_!!!!!!!!!!!!!!!!!!!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAAAAAAAAAAAA=="] {
            let keys = format!("url = 'ftp://a'\nsecret = {{ value = '{secret}' }}\ntoken = {{ value = \"a\\nb\" }}\n");
            assert_eq!(wrong::<Settings>(&keys, &[]), ["url", "secret", "token"]);
        }
    }

    #[test]
    fn the_request_carries_the_attributes_and_nothing_of_the_sender_but_its_trace() {
        let secret = "secret = { value = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }";
        let (settings, sink) = read::<Settings>(&format!("url = 'http://127.0.0.1:1/events'\n{secret}\n"), &[]);
        let sink = Http::new(&settings, &sink, Clock::manual("2026-01-02T03:05:00Z".parse().unwrap())).ok().unwrap();
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
