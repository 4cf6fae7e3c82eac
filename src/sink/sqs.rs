//! Sink `sqs`: one `SendMessage` per event to an Amazon SQS queue, `CloudEvents` structured mode.
//!
//! Speaks SQS's JSON protocol itself, signed by aws-sigv4. Credentials come from `token`, the standard variables or the
//! role of the container or instance.

mod credentials;
mod refusal;
mod source;
mod transport;

use std::net::IpAddr;
use std::time::SystemTime;

use async_trait::async_trait;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Request, Uri};
use http_body_util::Full;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use self::credentials::Signer;
use super::http_client::{self, HttpClient};
use super::{Attempt, Delivered, Retry, Settings, Sink, SinkError, address, cloudevent, structured};
use crate::clock::Clock;
use crate::event::Event;
use crate::settings::ConfigError;

/// Names the call in SQS's JSON protocol.
const TARGET: &str = "AmazonSQS.SendMessage";
const JSON: &str = "application/x-amz-json-1.0";
/// Delivers to a queue.
pub(super) struct Sqs {
    client: HttpClient,
    endpoint: Uri,
    queue_url: String,
    region: String,
    signer: Signer,
    fifo: bool,
    group: Option<String>,
    clock: Clock,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage<'a> {
    queue_url: &'a str,
    message_body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_deduplication_id: Option<String>,
}

impl Sqs {
    /// A sink from `settings`: `url` is the queue's URL, `subject` the message group of a FIFO queue (default: the
    /// source's name), `token` is `ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]`. What they lack is asked of
    /// `variable`: `AWS_ACCESS_KEY_ID` and the like, or who gives a role's credentials, and `AWS_REGION` where the host
    /// does not name it.
    ///
    /// # Errors
    /// [`ConfigError`]s at `url`, `subject`, `token` and `ca_file`.
    pub(super) fn new(
        settings: &Settings,
        variable: &dyn Fn(&str) -> Option<String>,
        clock: Clock,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut faults = Vec::new();
        let url = queue(&settings.url).map_err(|fault| faults.push(fault)).ok();
        let region = url.as_ref().and_then(|(endpoint, _)| {
            let region = region(endpoint.host().unwrap_or_default(), variable);
            if region.is_none() {
                faults.push(ConfigError::new("url", "does not name the AWS region; set AWS_REGION"));
            }
            region
        });
        let group = settings.subject.clone();
        if group.as_deref().is_some_and(|group| !is_group(group)) {
            faults.push(ConfigError::new(
                "subject",
                "a message group has 1 to 128 letters, digits and punctuation marks",
            ));
        }
        // Whatever the region is: faults of the credentials are told along with its absence.
        let signer = Signer::new(settings, region.clone().unwrap_or_default(), variable, clock.clone());
        let signer = signer.map_err(|fault| faults.push(fault)).ok();
        let client = url.as_ref().and_then(|(endpoint, _)| {
            let ca_file = settings.ca_file.as_deref();
            HttpClient::new(endpoint, ca_file, &settings.proxies, settings.timeout, settings.concurrency)
                // Asking for credentials may have met the same one.
                .map_err(|fault| {
                    if !faults.contains(&fault) {
                        faults.push(fault);
                    }
                })
                .ok()
        });
        match (url, region, signer, client) {
            (Some((endpoint, queue_url)), Some(region), Some(signer), Some(client)) if faults.is_empty() => {
                let fifo = queue_url.rsplit('.').next() == Some("fifo");
                Ok(Self { client, endpoint, queue_url, region, signer, fifo, group, clock })
            }
            _ => Err(faults),
        }
    }

    fn message(&self, event: &Event, replay: u32) -> Result<Vec<u8>, serde_json::Error> {
        let body = structured::structured(event)?;
        serde_json::to_vec(&SendMessage {
            queue_url: &self.queue_url,
            message_body: &body,
            message_group_id: self.fifo.then(|| self.group.as_deref().unwrap_or(event.source.as_str())),
            // Ids are longer and freer than what SQS takes here, so it gets their digest.
            message_deduplication_id: self
                .fifo
                .then(|| hex::encode(Sha256::digest(cloudevent::dedupe_id(event, replay)))),
        })
    }

    fn request(
        &self,
        event: &Event,
        replay: u32,
        identity: &Identity,
    ) -> Result<Request<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        let message = self.message(event, replay)?;
        let params = v4::SigningParams::builder()
            .identity(identity)
            .region(&self.region)
            .name("sqs")
            .time(SystemTime::from(self.clock.now()))
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = [("content-type", JSON), ("x-amz-target", TARGET)];
        let uri = self.endpoint.to_string();
        let signable = SignableRequest::new("POST", uri, headers.into_iter(), SignableBody::Bytes(&message))?;
        let (signature, _) = sign(signable, &params)?.into_parts();
        let mut request = Request::post(self.endpoint.clone())
            .header(CONTENT_TYPE, JSON)
            .header("x-amz-target", TARGET)
            .header(USER_AGENT, http_client::USER_AGENT)
            .body(Full::new(Bytes::from(message)))?;
        signature.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

#[async_trait]
impl Sink for Sqs {
    async fn deliver(&self, event: &Event, attempt: Attempt) -> Result<Delivered, SinkError> {
        let identity = self.signer.identity().await?;
        let request = self.request(event, attempt.replay, &identity).map_err(|error| SinkError {
            message: format!("the event does not fit into a request: {error}"),
            retry: Retry::Never,
        })?;
        let answer = self.client.send(request).await?;
        refusal::judge(&answer, &self.clock)?;
        // What a FIFO queue drops is answered like what it takes.
        Ok(Delivered::New)
    }
}

/// The endpoint and the queue's URL as SQS wants to hear it.
fn queue(url: &str) -> Result<(Uri, String), ConfigError> {
    let uri = address::endpoint(url)?;
    if uri.path().len() < 2 || uri.query().is_some() {
        return Err(ConfigError::new("url", "expected a queue's URL: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"));
    }
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    let endpoint = Uri::from_parts(parts).map_err(|error| ConfigError::new("url", error.to_string()))?;
    Ok((endpoint, url.to_owned()))
}

/// The region in `sqs.REGION.amazonaws.com` and its variants, else what the variables say. Emulators on this machine
/// take any, so they get the first one there was.
fn region(host: &str, variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let labels: Vec<_> = host.split('.').collect();
    let named = match labels.as_slice() {
        // The second form is that of interface endpoints: vpce-….sqs.REGION.vpce.amazonaws.com
        ["sqs" | "sqs-fips", region, _, ..] | [_, "sqs", region, "vpce", ..] => Some((*region).to_owned()),
        _ => None,
    };
    let local = || {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        is_local.then(|| "us-east-1".to_owned())
    };
    named.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION")).or_else(local)
}

fn is_group(group: &str) -> bool {
    (1..=128).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::super::cloudevent::tests::event;
    use super::super::tests::settings;
    use super::*;
    use crate::secret::Secret;

    fn sqs(url: &str) -> Result<Sqs, Vec<ConfigError>> {
        let mut settings = settings("sqs", url);
        settings.token = Secret::token("AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY").ok();
        Sqs::new(&settings, &|_| None, Clock::manual("2026-01-02T03:05:00Z".parse().unwrap()))
    }

    #[test]
    fn the_region_is_read_from_the_host_or_asked_for() {
        for (host, region) in [
            ("sqs.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("sqs.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("vpce-1-2.sqs.us-east-1.vpce.amazonaws.com", Some("us-east-1")),
            ("127.0.0.1", Some("us-east-1")),
            ("queue.internal", None),
        ] {
            assert_eq!(super::region(host, &|_| None).as_deref(), region);
        }
        let set = |name: &str| (name == "AWS_DEFAULT_REGION").then(|| "eu-north-1".to_owned());
        assert_eq!(super::region("queue.internal", &set).as_deref(), Some("eu-north-1"));
        assert_eq!(sqs("http://queue.internal/1/q").err().unwrap()[0].at, "url");
    }

    #[test]
    fn credentials_come_from_the_token_or_both_variables() {
        let settings = settings("sqs", "https://sqs.eu-west-1.amazonaws.com/1/q");
        let some = |names: &'static [&'static str]| move |name: &str| names.contains(&name).then(|| "x".to_owned());
        assert!(Sqs::new(&settings, &some(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]), Clock::system()).is_ok());
        let faults = Sqs::new(&settings, &some(&["AWS_ACCESS_KEY_ID"]), Clock::system()).err().unwrap();
        assert_eq!(faults[0].at, "token");
    }

    #[test]
    fn fifo_queues_get_a_group_and_a_deduplication_id() {
        let sink = sqs("https://sqs.eu-west-1.amazonaws.com/1/orders.fifo").ok().unwrap();
        let message: serde_json::Value = serde_json::from_slice(&sink.message(&event("e", b"{}"), 0).unwrap()).unwrap();
        assert_eq!(message["MessageGroupId"], "bot-a");
        assert_eq!(message["MessageDeduplicationId"], hex::encode(Sha256::digest("bot-a:e")));
        let again: serde_json::Value = serde_json::from_slice(&sink.message(&event("e", b"{}"), 2).unwrap()).unwrap();
        assert_eq!(again["MessageDeduplicationId"], hex::encode(Sha256::digest("bot-a:e#2")));
        let sink = sqs("https://sqs.eu-west-1.amazonaws.com/1/orders").ok().unwrap();
        let message: serde_json::Value = serde_json::from_slice(&sink.message(&event("e", b"{}"), 0).unwrap()).unwrap();
        assert!(message.get("MessageGroupId").is_none());
        let Signer::Fixed(identity) = &sink.signer else { panic!("a token is fixed") };
        let request = sink.request(&event("e", b"{}"), 0, identity).unwrap();
        assert_eq!(request.uri(), "https://sqs.eu-west-1.amazonaws.com/");
        assert!(request.headers()["authorization"].to_str().unwrap().contains("/20260102/eu-west-1/sqs/aws4_request"));
    }
}
