//! Sink `sqs`: one `SendMessage` per event to an Amazon SQS queue, `CloudEvents` structured mode.
//!
//! Speaks SQS's JSON protocol itself, signed by aws-sigv4. Credentials come from `token`, the standard variables or the
//! role of the container or instance.

mod credentials;
mod refusal;
mod source;
mod transport;
mod variables;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

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

use self::credentials::{Asked, Signer};
use self::variables::Variables;
use super::address::{Address, Endpoint};
use super::client_settings::ClientSettings;
use super::delivery::{Attempt, Delivered, Retry, Sink, SinkError};
use super::fingerprint::Parts;
use super::http_client::{self, HttpClient};
use super::settings::{self as sink, SinkType};
use super::structured;
use crate::clock::Clock;
use crate::event::{Event, Name};
use crate::secret::Secret;
use crate::settings::kind::text;
use crate::settings::{ConfigError, Diagnostics, Table, key, secret};

/// Names the call in SQS's JSON protocol.
const TARGET: &str = "AmazonSQS.SendMessage";
const JSON: &str = "application/x-amz-json-1.0";

/// What an sqs sink is told.
pub(super) struct Settings {
    queue: Queue,
    region: String,
    token: Option<Secret>,
    group: Option<String>,
    client: ClientSettings,
    variables: Variables,
}

impl SinkType for Settings {
    fn read(_: Option<&Name>, table: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self> {
        let variables = Variables::read(diagnostics);
        let kind = Address {
            read: Queue::read,
            text: |queue| queue.url.as_str(),
            several: false,
            expects: "the URL of a queue, https://sqs.REGION.amazonaws.com/ACCOUNT/NAME",
        };
        let queue = key("url", "The queue's URL.", kind).required("is missing", table, diagnostics);
        let doc = "\"ACCESS_KEY_ID:SECRET_ACCESS_KEY\", perhaps with \":SESSION_TOKEN\". Without it AWS_ACCESS_KEY_ID and \
            AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN), and without them the role, by AWS's variables, of the pod (IRSA, \
            Pod Identity), the task (ECS) or, last, the instance (IMDSv2; not with AWS_EC2_METADATA_DISABLED=true).";
        let token = secret("token", doc).token(table, diagnostics).value();
        let doc = "The message group of a FIFO queue. The source's name, where it is left out.";
        let group = key("subject", doc, text(group, "1 to 128 letters, digits and punctuation marks"));
        let group = group.maybe(table, diagnostics).value();
        let client = ClientSettings::read(queue.as_ref().map(|queue| &queue.url), true, table, diagnostics);
        let region = queue.as_ref().and_then(|queue| region(queue.host(), &variables));
        if queue.is_some() && region.is_none() {
            table.error("url", "does not name the AWS region; set AWS_REGION", diagnostics);
        }
        // Whatever the region is: errors of the credentials are told along with its absence.
        let asked = Asked { token: token.as_ref(), client: &client, variables: &variables, timeout: Duration::ZERO };
        if let Err(error) = Signer::new(&asked, region.clone().unwrap_or_default(), Clock::system()) {
            diagnostics.consequence(table.place(&error.at), error.problem);
        }
        let (queue, region) = (queue?, region?);
        queue.url.warn_if_open("events", &table.place("url"), diagnostics);
        Some(Self { queue, region, token, group, client, variables })
    }

    fn build(&self, sink: &sink::Settings) -> Result<Arc<dyn Sink>, Vec<ConfigError>> {
        Sqs::new(self, sink, Clock::system()).map(|sink| Arc::new(sink) as _).map_err(|error| vec![error])
    }

    fn consists_of(&self, parts: &mut Parts) {
        // The variables are those of this process as long as it runs.
        let Self { queue, region, token, group, client, variables: _ } = self;
        parts.add(queue.url.as_str());
        parts.add(region);
        parts.maybe(token.as_ref().map(Secret::expose));
        parts.maybe(group.as_ref());
        client.add_to(parts);
    }
}

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
    /// A sink that signs with the time of `clock`.
    ///
    /// # Errors
    /// At `token` and `ca_file`, see [`Signer::new`] and [`HttpClient::new`].
    fn new(settings: &Settings, sink: &sink::Settings, clock: Clock) -> Result<Self, ConfigError> {
        let Settings { queue, region, token, group, client, variables } = settings;
        let asked = Asked { token: token.as_ref(), client, variables, timeout: sink.timeout };
        Ok(Self {
            client: HttpClient::new(&queue.endpoint, client, sink.timeout, sink.concurrency)?,
            endpoint: queue.endpoint.clone(),
            queue_url: queue.url.as_str().to_owned(),
            region: region.clone(),
            signer: Signer::new(&asked, region.clone(), clock.clone())?,
            fifo: queue.url.as_str().rsplit('.').next() == Some("fifo"),
            group: group.clone(),
            clock,
        })
    }

    fn message(&self, event: &Event, attempt: Attempt) -> Result<Vec<u8>, serde_json::Error> {
        let body = structured::structured(event)?;
        serde_json::to_vec(&SendMessage {
            queue_url: &self.queue_url,
            message_body: &body,
            message_group_id: self.fifo.then(|| self.group.as_deref().unwrap_or(event.source.as_str())),
            // Ids are longer and freer than what SQS takes here, so it gets their digest.
            message_deduplication_id: self.fifo.then(|| hex::encode(Sha256::digest(attempt.dedupe_id(event)))),
        })
    }

    fn request(
        &self,
        event: &Event,
        attempt: Attempt,
        identity: &Identity,
    ) -> Result<Request<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        let message = self.message(event, attempt)?;
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
        let request = self.request(event, attempt, &identity).map_err(|error| SinkError {
            message: format!("the event does not fit into a request: {error}"),
            status: None,
            retry: Retry::Never,
        })?;
        let answer = self.client.send(request).await?;
        refusal::accepted(&answer, &self.clock)?;
        // What a FIFO queue drops is answered like what it takes.
        Ok(Delivered::Answered(answer.status))
    }
}

/// A queue's URL, and where it is sent to.
struct Queue {
    url: Endpoint,
    endpoint: Uri,
}

impl Queue {
    fn read(url: &str) -> Result<Self, String> {
        let url = Endpoint::parse(url)?;
        if url.uri().path().len() < 2 || url.uri().query().is_some() {
            return Err("expected a queue's URL: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME".to_owned());
        }
        let mut parts = url.uri().clone().into_parts();
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
        let endpoint = Uri::from_parts(parts).map_err(|error| error.to_string())?;
        Ok(Self { url, endpoint })
    }

    fn host(&self) -> &str {
        self.endpoint.host().unwrap_or_default()
    }
}

/// The region in `sqs.REGION.amazonaws.com` and its variants, else what the variables say. Emulators on this machine
/// take any, so they get the first one there was.
fn region(host: &str, variables: &Variables) -> Option<String> {
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
    let set = |name| variables.get(name).map(str::to_owned);
    named.or_else(|| set("AWS_REGION")).or_else(|| set("AWS_DEFAULT_REGION")).or_else(local)
}

/// A message group.
fn group(group: &str) -> Result<String, String> {
    if (1..=128).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(group.to_owned());
    }
    Err("a message group has 1 to 128 letters, digits and punctuation marks".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::cloudevent::tests::event;
    use super::super::tests::{read, wrong};
    use super::*;

    const TOKEN: &str = "token = { value = 'AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }";

    fn sqs(url: &str) -> Sqs {
        let (settings, sink) = read::<Settings>(&format!("url = '{url}'\n{TOKEN}\n"), &[]);
        Sqs::new(&settings, &sink, Clock::manual("2026-01-02T03:05:00Z".parse().unwrap())).ok().unwrap()
    }

    /// An attempt at the replay of that number.
    const fn nth(replay: u32) -> Attempt {
        Attempt { number: 1, replay }
    }

    #[test]
    fn the_region_is_read_from_the_host_or_asked_for() {
        let none = Variables::of(&[]);
        for (host, region) in [
            ("sqs.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("sqs.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("vpce-1-2.sqs.us-east-1.vpce.amazonaws.com", Some("us-east-1")),
            ("127.0.0.1", Some("us-east-1")),
            ("queue.internal", None),
        ] {
            assert_eq!(super::region(host, &none).as_deref(), region);
        }
        let set = Variables::of(&[("AWS_DEFAULT_REGION", "eu-north-1")]);
        assert_eq!(super::region("queue.internal", &set).as_deref(), Some("eu-north-1"));
        assert_eq!(wrong::<Settings>(&format!("url = 'http://queue.internal/1/q'\n{TOKEN}\n"), &[]), ["url"]);
    }

    #[test]
    fn credentials_come_from_the_token_or_both_variables() {
        let keys = "url = 'https://sqs.eu-west-1.amazonaws.com/1/q'";
        read::<Settings>(keys, &[("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")]);
        assert_eq!(wrong::<Settings>(keys, &[("AWS_ACCESS_KEY_ID", "x")]), ["token"]);
    }

    #[test]
    fn all_errors_come_at_once() {
        let keys = "url = 'ftp://a'\nsubject = 'a b'\ntoken = { value = 'a' }\nproxy = 'socks5://a'\n";
        assert_eq!(wrong::<Settings>(keys, &[]), ["url", "subject", "proxy", "token"]);
    }

    #[test]
    fn every_key_counts() {
        let print = |keys: &str| {
            let mut parts = Parts::default();
            read::<Settings>(keys, &[]).0.consists_of(&mut parts);
            parts.fingerprint()
        };
        let url = "url = 'https://sqs.eu-west-1.amazonaws.com/1/q'\n";
        let all = [
            url.to_owned(),
            url.replace("/q", "/r"),
            format!("{url}token = {{ value = 'a:b' }}"),
            format!("{url}token = {{ value = 'a:c' }}"),
            format!("{url}subject = 'a'"),
            format!("{url}proxy = 'http://p:1'"),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().enumerate().all(|(j, other)| (print(one) == print(other)) == (i == j)), "{one}");
        }
    }

    #[test]
    fn fifo_queues_get_a_group_and_a_deduplication_id() {
        let sink = sqs("https://sqs.eu-west-1.amazonaws.com/1/orders.fifo");
        let message: serde_json::Value =
            serde_json::from_slice(&sink.message(&event("e", b"{}"), nth(0)).unwrap()).unwrap();
        assert_eq!(message["MessageGroupId"], "bot-a");
        assert_eq!(message["MessageDeduplicationId"], hex::encode(Sha256::digest("bot-a:e")));
        let again: serde_json::Value =
            serde_json::from_slice(&sink.message(&event("e", b"{}"), nth(2)).unwrap()).unwrap();
        assert_eq!(again["MessageDeduplicationId"], hex::encode(Sha256::digest("bot-a:e#2")));
        let sink = sqs("https://sqs.eu-west-1.amazonaws.com/1/orders");
        let message: serde_json::Value =
            serde_json::from_slice(&sink.message(&event("e", b"{}"), nth(0)).unwrap()).unwrap();
        assert!(message.get("MessageGroupId").is_none());
        let Signer::Fixed(identity) = &sink.signer else { panic!("a token is fixed") };
        let request = sink.request(&event("e", b"{}"), nth(0), identity).unwrap();
        assert_eq!(request.uri(), "https://sqs.eu-west-1.amazonaws.com/");
        assert!(request.headers()["authorization"].to_str().unwrap().contains("/20260102/eu-west-1/sqs/aws4_request"));
    }
}
