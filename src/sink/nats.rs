//! Sink `nats`: a `JetStream` publish per event, acknowledged by the stream; `CloudEvents` attributes as headers.
//!
//! The stream is the operator's: none is made here, and without one for the subject deliveries are repeated.

mod login;
mod servers;

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{Context, ContextBuilder, PublishErrorKind};
use async_nats::{Client, ConnectOptions, HeaderMap, HeaderName, HeaderValue, ServerAddr};
use async_trait::async_trait;
use tokio::sync::OnceCell;

use self::login::Login;
use self::servers::Servers;
use super::address::Address;
use super::client_settings::ca_file;
use super::delivery::{Attempt, Delivered, Retry, Sink, SinkError};
use super::fingerprint::Parts;
use super::proxy::Proxies;
use super::settings::{self as sink, SinkType};
use super::{cloudevent, http_client};
use crate::event::{Event, Name, header_text};
use crate::secret::Secret;
use crate::settings::kind::text;
use crate::settings::{ConfigError, Diagnostics, Example, Table, key, secret};

/// What a nats sink is told.
pub(super) struct Settings {
    servers: Servers,
    token: Option<(Secret, Login)>,
    subject: Option<String>,
    ca_file: Option<std::path::PathBuf>,
}

impl SinkType for Settings {
    fn read(_: Option<&Name>, table: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self> {
        let doc = "Where to: nats://host:4222 or tls://…, several separated by commas, perhaps with user:password@ or token@ \
            (percent-encoded).";
        let kind = Address {
            read: Servers::read,
            text: Servers::as_str,
            several: true,
            expects: "URLs that begin with nats:// or tls://, separated by commas",
        };
        let servers = key("url", doc, kind).example(Example::Off("\"nats://nats.internal:4222\"")).required(
            "is missing",
            table,
            diagnostics,
        );
        let token = token(servers.as_ref(), table, diagnostics);
        let doc = "Where in NATS to. \"gatepost.\" and the source's name, where it is left out.";
        let subject = key("subject", doc, text(subject, "a subject without wildcards"))
            .example(Example::Off("\"webhooks\""))
            .maybe(table, diagnostics)
            .value();
        let ca_file = ca_file(table, diagnostics);
        table.misplaced(&["proxy"], "NATS does not go through an HTTP proxy: remove it", diagnostics);
        let servers = servers?;
        warn_of_proxy(&servers, table, diagnostics);
        Some(Self { servers, token, subject, ca_file })
    }

    fn build(&self, sink: &sink::Settings) -> Result<Arc<dyn Sink>, Vec<ConfigError>> {
        Nats::new(self, sink).map(|sink| Arc::new(sink) as _).map_err(|error| vec![error])
    }

    fn consists_of(&self, parts: &mut Parts) {
        let Self { servers, token, subject, ca_file } = self;
        parts.add(servers.as_str());
        parts.maybe(token.as_ref().map(|(token, _)| token.expose()));
        parts.maybe(subject.as_ref());
        parts.file(ca_file.as_deref());
    }
}

/// Key `token`, which nothing beside it may contradict.
fn token(servers: Option<&Servers>, table: &mut Table, diagnostics: &mut Diagnostics) -> Option<(Secret, Login)> {
    let doc = "A token, a seed (SU…) or the text of a credentials file.";
    let token = secret("token", doc).token(table, diagnostics).value()?;
    if servers.is_some_and(|servers| servers.login.is_some()) {
        table.error("token", "is set, and `url` holds a user or token too: keep one of the two", diagnostics);
    }
    match Login::read(&token) {
        Ok(login) => Some((token, login)),
        Err(problem) => {
            table.error("token", problem, diagnostics);
            None
        }
    }
}

/// Operators who set the usual variables may believe that everything goes through their proxy.
fn warn_of_proxy(servers: &Servers, table: &Table, diagnostics: &mut Diagnostics) {
    let proxies = Proxies::of_variables(|name| diagnostics.foreign_variable(name)).unwrap_or_default();
    let first = servers
        .addresses
        .first()
        .and_then(|server| format!("https://{}:{}", server.host(), server.port()).parse().ok());
    if let Some(proxy) = first.and_then(|server| proxies.to(&server)) {
        let (at, variable) = (table.place("url"), proxy.origin);
        diagnostics.warn(format!("{at}: NATS does not go through an HTTP proxy: {variable} is not used for it"));
    }
}

/// Delivers through `JetStream`.
struct Nats {
    servers: Vec<ServerAddr>,
    subject: Option<String>,
    options: ConnectOptions,
    timeout: Duration,
    concurrency: usize,
    // Connected by the first delivery: a broker that is down must not keep the daemon down. From then on the client
    // reconnects by itself.
    connection: OnceCell<(Client, Context)>,
}

impl Nats {
    /// # Errors
    /// At `ca_file`, see [`http_client::tls_config`].
    fn new(settings: &Settings, sink: &sink::Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            servers: settings.servers.addresses.clone(),
            subject: settings.subject.clone(),
            options: options(settings, sink)?,
            timeout: sink.timeout,
            concurrency: sink.concurrency,
            connection: OnceCell::new(),
        })
    }

    async fn connection(&self) -> Result<&(Client, Context), SinkError> {
        self.connection
            .get_or_try_init(|| async {
                let client = self.options.clone().connect(&self.servers).await?;
                let context = ContextBuilder::new()
                    .timeout(self.timeout)
                    .max_ack_inflight(self.concurrency)
                    .build(client.clone());
                Ok((client, context))
            })
            .await
            .map_err(|error: async_nats::ConnectError| failed(format!("cannot connect: {error}"), Retry::Backoff))
    }
}

#[async_trait]
impl Sink for Nats {
    async fn deliver(&self, event: &Event, attempt: Attempt) -> Result<Delivered, SinkError> {
        let (client, context) = self.connection().await?;
        if client.connection_state() != State::Connected {
            // A publish now would wait in the client and go out later, after we had given it up.
            return Err(failed("not connected".into(), Retry::Backoff));
        }
        let subject = self.subject.clone().unwrap_or_else(|| format!("gatepost.{}", event.source));
        let headers = headers(event, attempt);
        let acknowledged = match context.publish_with_headers(subject, headers, event.payload.bytes().clone()).await {
            Ok(acknowledged) => acknowledged.await,
            Err(error) => Err(error),
        };
        match acknowledged {
            Ok(acknowledged) if acknowledged.duplicate => Ok(Delivered::Duplicate),
            Ok(_) => Ok(Delivered::New),
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                Err(failed(format!("{error}: raise max_payload of the server"), Retry::Never))
            }
            Err(error) => Err(failed(error.to_string(), Retry::Backoff)),
        }
    }
}

fn failed(message: String, retry: Retry) -> SinkError {
    SinkError { message, status: None, retry }
}

/// `Nats-Msg-Id` is the id in header form: the server trims blanks, and two ids must never become one.
fn headers(event: &Event, attempt: Attempt) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in cloudevent::attributes(event) {
        headers.insert(name, &*value);
    }
    headers.insert("Nats-Msg-Id", &*cloudevent::header_value(attempt.dedupe_id(event)));
    if !event.content_type.is_empty() {
        headers.insert("content-type", event.content_type.as_str());
    }
    if let Some(traceparent) = &event.traceparent {
        headers.insert("traceparent", traceparent.as_str());
    }
    keep(event, &mut headers);
    headers
}

/// Adds the sender's headers that its source keeps, each under its own name, but for those whose name is the server's or
/// ours: a sender must not speak for either.
fn keep(event: &Event, headers: &mut HeaderMap) {
    for (name, value) in event.headers.iter() {
        let reserved = ["nats-", "ce-"].iter().any(|prefix| name.starts_with(prefix))
            || ["content-type", "traceparent"].contains(&name);
        if let (false, Ok(name), Ok(value)) =
            (reserved, name.parse::<HeaderName>(), header_text(value).parse::<HeaderValue>())
        {
            headers.append(name, value);
        }
    }
}

/// A subject to publish to.
fn subject(subject: &str) -> Result<String, String> {
    let fits = subject.split('.').all(|part| !part.is_empty() && part != "*" && part != ">")
        && !subject.contains(|c: char| c.is_whitespace() || c.is_control());
    if fits {
        return Ok(subject.to_owned());
    }
    Err(format!("{subject:?} is no subject to publish to: no blanks, wildcards or empty parts"))
}

fn options(settings: &Settings, sink: &sink::Settings) -> Result<ConnectOptions, ConfigError> {
    let Settings { servers, token, ca_file, .. } = settings;
    let name = format!("gatepost {}", sink.name);
    let mut options = ConnectOptions::new().name(name).connection_timeout(sink.timeout);
    if ca_file.is_some() || servers.addresses.iter().any(ServerAddr::tls_required) {
        options = options.require_tls(true).tls_client_config(http_client::tls_config(ca_file.as_deref())?);
    }
    match token.as_ref().map(|(_, login)| login).or(servers.login.as_ref()) {
        Some(login) => login.with(options).map_err(|problem| ConfigError::new("token", problem)),
        None => Ok(options),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read, wrong};
    use super::*;

    #[test]
    fn all_errors_come_at_once() {
        let keys = "url = 'http://a'\nsubject = 'a.*'\ntoken = { value = '-----BEGIN NATS USER JWT----- junk' }\n\
            proxy = 'http://p:1'\n";
        assert_eq!(wrong::<Settings>(keys, &[]), ["url", "token", "subject", "proxy"]);
    }

    #[test]
    fn subjects_to_publish_to_have_no_wildcards_or_gaps() {
        assert!(subject("orders").is_ok() && subject("a.b-c.d_e").is_ok());
        for wrong in ["", "a..b", ".a", "a.", "a.*", ">", "a b", "a\nb"] {
            assert!(subject(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn one_sink_is_one_user() {
        let (settings, sink) = read::<Settings>("url = 'nats://u:hunter2@a'", &[]);
        assert!(Nats::new(&settings, &sink).is_ok());
        for url in ["nats://u:hunter2@a", "nats://hunter2@a", "nats://a,nats://hunter2@b"] {
            assert_eq!(wrong::<Settings>(&format!("url = '{url}'\ntoken = {{ value = 't0ken' }}"), &[]), ["token"]);
        }
    }

    #[test]
    fn every_key_counts() {
        let print = |keys: &str| {
            let mut parts = Parts::default();
            read::<Settings>(keys, &[]).0.consists_of(&mut parts);
            parts.fingerprint()
        };
        let url = "url = 'nats://a'\n";
        let all = [
            url.to_owned(),
            "url = 'nats://b'\n".to_owned(),
            "url = 'nats://u:p@a'\n".to_owned(),
            "url = 'nats://u:o@a'\n".to_owned(),
            format!("{url}token = {{ value = 'a' }}"),
            format!("{url}subject = 'a'"),
            format!("{url}ca_file = 'a'"),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().enumerate().all(|(j, other)| (print(one) == print(other)) == (i == j)), "{one}");
        }
    }
}
