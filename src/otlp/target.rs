//! One request to a collector, and what its answer means.
//!
//! Source: OTLP 1.x, OTLP/HTTP: 429, 502, 503 and 504 are tried again, every other refusal is final; a 200 may name spans
//! that were refused all the same.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

use super::message;
use super::settings::Settings;
use crate::clock::Clock;
use crate::escape::visible;
use crate::settings::ConfigError;
use crate::sink::http_client::{self, HttpClient};
use crate::sink::{Retry, SinkError, answer};
use crate::trace::{Sampler, Span};

/// The most that is repeated of a collector's words.
const MESSAGE_CHARS: usize = 200;

/// Where spans go: what a `[telemetry]` comes to. Exchanged on reload.
pub struct Target {
    client: HttpClient,
    url: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    resource: Vec<(String, String)>,
    sampler: Sampler,
    delay: Duration,
}

/// What a collector did not take of a batch that it took.
pub(super) struct Rejected {
    pub spans: u64,
    pub message: String,
}

impl Target {
    /// What `settings` describe. Does not connect.
    ///
    /// # Errors
    /// [`ConfigError`] at `ca_file`, relative to `[telemetry]`.
    pub fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let Settings { url, headers, client, standard } = settings;
        Ok(Self {
            client: HttpClient::new(url, client, standard.timeout, 1)?,
            url: url.clone(),
            headers: headers.clone(),
            resource: standard.resource.clone(),
            sampler: standard.sampler,
            delay: standard.delay,
        })
    }

    pub(super) const fn sampler(&self) -> Sampler {
        self.sampler
    }

    /// How long spans gather.
    pub(super) const fn delay(&self) -> Duration {
        self.delay
    }

    /// Sends `spans`, all in one request.
    ///
    /// # Errors
    /// [`SinkError`], with whether and when to try again.
    pub(super) async fn send(&self, spans: &[Span], clock: &Clock) -> Result<Option<Rejected>, SinkError> {
        let mut request = Request::post(self.url.clone())
            .header(USER_AGENT, http_client::USER_AGENT)
            .header(CONTENT_TYPE, "application/x-protobuf");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::from(message::encode(spans, &self.resource))).map_err(|error| SinkError {
            message: error.to_string(),
            status: None,
            retry: Retry::Never,
        })?;
        let answer = self.client.send(request).await?;
        if let Err(error) = answer::accepted(answer.status, &answer.headers, clock.now()) {
            let retry = if is_transient(answer.status) { error.retry } else { Retry::Never };
            return Err(SinkError { retry, ..error });
        }
        Ok(rejected(&answer.body))
    }
}

const fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// What the body of a 200 names; nothing where it cannot be read, for the status has decided.
fn rejected(body: &[u8]) -> Option<Rejected> {
    let partial = ExportTraceServiceResponse::decode(body).ok()?.partial_success?;
    let spans = u64::try_from(partial.rejected_spans).ok().filter(|spans| *spans > 0)?;
    let shown: String = partial.error_message.chars().take(MESSAGE_CHARS).collect();
    Some(Rejected { spans, message: visible(&shown, false) })
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    #[test]
    fn what_a_collector_refuses_of_a_batch_is_read() {
        let answer = |rejected_spans| {
            let partial = ExportTracePartialSuccess { rejected_spans, error_message: "too\nold".into() };
            rejected(&ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec())
        };
        let found = answer(3).unwrap();
        assert_eq!((found.spans, found.message.contains('\n')), (3, false));
        assert!(answer(0).is_none() && answer(-1).is_none());
        assert!(rejected(b"").is_none() && rejected(b"<html>").is_none());
    }

    #[test]
    fn what_passes_by_itself_is_tried_again() {
        let transient = |status: &u16| is_transient(StatusCode::from_u16(*status).unwrap());
        assert!([429, 502, 503, 504].iter().all(transient));
        assert!(![400, 401, 404, 408, 413, 500, 501].iter().any(transient));
    }
}
