//! Sink `http`: one POST per event, signed per Standard Webhooks where there is a secret.
//!
//! The sender's body goes byte for byte where the content mode is not the structured one; of the sender's headers only
//! those are forwarded that its source keeps, and `traceparent`.

mod authorization;
mod content;
mod headers;
mod kept;
mod oauth2;
mod signer;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::Full;

use self::authorization::Authorization;
use self::content::ContentMode;
use self::headers::Headers;
use self::oauth2::Tokens;
use self::signer::Signer;
use super::address::{Endpoint, endpoint};
use super::client_settings::ClientSettings;
use super::delivery::{Attempt, Delivered, Retry, Sink, SinkError};
use super::fingerprint::Parts;
use super::http_client::{self, Answer, HttpClient};
use super::settings::{self as sink, SinkType};
use super::{answer, cloudevent, forward};
use crate::clock::Clock;
use crate::event::{Event, Name};
use crate::secret::Secret;
use crate::settings::{ConfigError, Diagnostics, Example, Table, key, secret};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Headers that most requests have room for, those that the client adds included.
const HEADERS: usize = 16;

/// What an http sink is told.
pub(super) struct Settings {
    url: Endpoint,
    secret: Option<(Secret, Signer)>,
    authorization: Authorization,
    headers: Headers,
    content_mode: ContentMode,
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
        let authorization = Authorization::read(table, diagnostics);
        let headers = Headers::read(authorization.is_some(), table, diagnostics);
        let content_mode = ContentMode::read(table, diagnostics);
        let client = ClientSettings::read(url.as_ref(), true, table, diagnostics);
        let client = client.with_certificate(table, diagnostics);
        let url = url?;
        client.warn_if_unused(&url, table, diagnostics);
        url.warn_if_open("events", &table.place("url"), diagnostics);
        Some(Self { url, secret, authorization, headers, content_mode, client })
    }

    fn build(&self, sink: &sink::Settings) -> Result<Arc<dyn Sink>, Vec<ConfigError>> {
        Http::new(self, sink, Clock::system()).map(|sink| Arc::new(sink) as _).map_err(|error| vec![error])
    }

    fn consists_of(&self, parts: &mut Parts) {
        let Self { url, secret, authorization, headers, content_mode, client } = self;
        parts.add(url.as_str());
        parts.maybe(secret.as_ref().map(|(secret, _)| secret.expose()));
        authorization.consists_of(parts);
        headers.consists_of(parts);
        parts.add(content_mode.as_str());
        client.add_to(parts);
    }
}

/// What says who sends.
enum Credentials {
    None,
    Fixed(HeaderValue),
    Tokens(Tokens),
}

/// Delivers by POST.
struct Http {
    client: HttpClient,
    url: Uri,
    signer: Option<Signer>,
    credentials: Credentials,
    headers: Headers,
    content_mode: ContentMode,
    clock: Clock,
}

impl Http {
    /// A sink that signs with the time of `clock`.
    ///
    /// # Errors
    /// At `ca_file` and the keys of the client certificate, see [`HttpClient::new`].
    fn new(settings: &Settings, sink: &sink::Settings, clock: Clock) -> Result<Self, ConfigError> {
        let credentials = match &settings.authorization {
            Authorization::None => Credentials::None,
            Authorization::Fixed(value) => Credentials::Fixed(value.clone()),
            Authorization::Granted(granted) => {
                Credentials::Tokens(Tokens::new(granted, &settings.client, sink.timeout, clock.clone())?)
            }
        };
        Ok(Self {
            client: HttpClient::new(settings.url.uri(), &settings.client, sink.timeout, sink.concurrency)?,
            url: settings.url.uri().clone(),
            signer: settings.secret.as_ref().map(|(_, signer)| signer.clone()),
            credentials,
            headers: settings.headers.clone(),
            content_mode: settings.content_mode,
            clock,
        })
    }

    fn request(&self, event: &Event) -> Result<Request<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.append(USER_AGENT, HeaderValue::from_static(http_client::USER_AGENT));
        let body = self.content_mode.write(event, &mut headers)?;
        if let Some(traceparent) = &event.traceparent {
            headers.append(TRACEPARENT, HeaderValue::from_str(traceparent)?);
        }
        self.headers.add_to(&mut headers);
        if self.content_mode != ContentMode::Structured {
            kept::add_to(&event.headers, &self.headers, &mut headers);
        }
        if let Some(signer) = &self.signer {
            // The header form: what the receiver reads is what was signed.
            let id = cloudevent::header_value(cloudevent::id(event));
            let timestamp = self.clock.now().as_second().to_string();
            let signature = signer.sign(&id, &timestamp, &body);
            headers.append("webhook-id", HeaderValue::from_str(&id)?);
            headers.append("webhook-timestamp", HeaderValue::try_from(timestamp)?);
            headers.append("webhook-signature", HeaderValue::try_from(signature)?);
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = headers;
        Ok(request)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, SinkError> {
        match &self.credentials {
            Credentials::None => self.client.send(request).await,
            Credentials::Fixed(value) => self.client.send(authorized(request, value)).await,
            Credentials::Tokens(tokens) => self.send_with(tokens, request).await,
        }
    }

    /// With an access token, and where the sink does not take it, once more with another.
    async fn send_with(&self, tokens: &Tokens, request: Request<Full<Bytes>>) -> Result<Answer, SinkError> {
        let mut token = tokens.get().await?;
        let mut answer = self.client.send(authorized(request.clone(), &token.authorization)).await?;
        if answer.status == StatusCode::UNAUTHORIZED
            && let Some(another) = tokens.instead_of(&token).await?
        {
            token = another;
            answer = self.client.send(authorized(request, &token.authorization)).await?;
        }
        if answer.status.is_success() {
            token.was_taken();
        }
        Ok(answer)
    }
}

fn authorized(mut request: Request<Full<Bytes>>, value: &HeaderValue) -> Request<Full<Bytes>> {
    request.headers_mut().insert(AUTHORIZATION, value.clone());
    request
}

#[async_trait]
impl Sink for Http {
    async fn deliver(&self, event: &Event, _: Attempt) -> Result<Delivered, SinkError> {
        let request = self.request(event).map_err(|error| SinkError {
            message: format!("the event does not fit into a request: {error}"),
            status: None,
            retry: Retry::Never,
        })?;
        let answer = self.send(request).await?;
        answer::accepted(answer.status, &answer.headers, self.clock.now())?;
        Ok(Delivered::Answered(answer.status))
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
                "ce-gatepostkey: 0",
                "content-type: application/json; charset=utf-8",
                "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                "webhook-id: bot-a:e%201",
                "webhook-timestamp: 1767323100",
            ]
        );
    }
}
