//! Sink `nats`: a `JetStream` publish per event, acknowledged by the stream; `CloudEvents` attributes as headers.
//!
//! The stream is the operator's: none is made here, and without one for the subject deliveries are repeated.

mod servers;

use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{Context, ContextBuilder, PublishErrorKind};
use async_nats::{Client, ConnectOptions, HeaderMap, ServerAddr};
use async_trait::async_trait;
use tokio::sync::OnceCell;

use self::servers::{Servers, User};
use super::{Attempt, Delivered, Retry, Settings, Sink, SinkError, cloudevent, http_client};
use crate::event::Event;
use crate::secret::Secret;
use crate::settings::ConfigError;

/// Delivers through `JetStream`.
pub(super) struct Nats {
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
    /// A sink from `settings`: `url` is one or more `nats://` or `tls://` addresses separated by commas, perhaps with
    /// `user:password@` or `token@`, `subject` the subject (default `gatepost.<source>`), `token` a token, a seed
    /// (`SU…`) or the text of a credentials file.
    ///
    /// # Errors
    /// [`ConfigError`]s at `url`, `subject`, `token`, `ca_file` and `proxy`.
    pub(super) fn new(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let mut faults = Vec::new();
        let servers = Servers::read(&settings.url).map_err(|fault| faults.push(fault));
        if let Some(subject) = settings.subject.as_deref().filter(|subject| !is_subject(subject)) {
            let problem = format!("{subject:?} is no subject to publish to: no blanks, wildcards or empty parts");
            faults.push(ConfigError::new("subject", problem));
        }
        if settings.proxies.is_fixed() {
            faults.push(ConfigError::new("proxy", "NATS does not go through an HTTP proxy: remove it"));
        }
        let options = options(settings, servers.as_ref().ok()).map_err(|fault| faults.push(fault)).unwrap_or_default();
        let Some(servers) = servers.ok().filter(|_| faults.is_empty()) else { return Err(faults) };
        Ok(Self {
            servers: servers.addresses,
            subject: settings.subject.clone(),
            options,
            timeout: settings.timeout,
            concurrency: settings.concurrency,
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
        let headers = headers(event, attempt.replay);
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
    SinkError { message, retry }
}

/// `Nats-Msg-Id` is the id in header form: the server trims blanks, and two ids must never become one.
fn headers(event: &Event, replay: u32) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in cloudevent::attributes(event) {
        headers.insert(format!("ce-{name}"), value);
    }
    headers.insert("Nats-Msg-Id", cloudevent::header_value(&cloudevent::dedupe_id(event, replay)));
    if !event.content_type.is_empty() {
        headers.insert("content-type", event.content_type.as_str());
    }
    if let Some(traceparent) = &event.traceparent {
        headers.insert("traceparent", traceparent.as_str());
    }
    headers
}

/// Whether `subject` can be published to.
fn is_subject(subject: &str) -> bool {
    subject.split('.').all(|part| !part.is_empty() && part != "*" && part != ">")
        && !subject.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn options(settings: &Settings, servers: Option<&Servers>) -> Result<ConnectOptions, ConfigError> {
    let name = format!("gatepost {}", settings.name);
    let mut options = ConnectOptions::new().name(name).connection_timeout(settings.timeout);
    if servers.is_some_and(|servers| servers.addresses.iter().any(ServerAddr::tls_required))
        || settings.ca_file.is_some()
    {
        options = options.require_tls(true).tls_client_config(http_client::tls_config(settings.ca_file.as_deref())?);
    }
    match (&settings.token, servers.and_then(|servers| servers.user.as_ref())) {
        (Some(_), Some(_)) => {
            Err(ConfigError::new("token", "is set, and `url` holds a user or token too: keep one of the two"))
        }
        (Some(token), None) => authenticated(options, token),
        (None, Some(user)) => identified(options, user),
        (None, None) => Ok(options),
    }
}

fn identified(options: ConnectOptions, user: &User) -> Result<ConnectOptions, ConfigError> {
    let text = |secret: &Secret| {
        let text = String::from_utf8(secret.expose().to_vec());
        text.map_err(|_| ConfigError::new("url", "a user or password is not UTF-8"))
    };
    match user {
        User::Token(token) => Ok(options.token(text(token)?)),
        User::Named(name, password) => Ok(options.user_and_password(name.clone(), text(password)?)),
    }
}

fn authenticated(options: ConnectOptions, token: &Secret) -> Result<ConnectOptions, ConfigError> {
    let fault = |problem: &str| ConfigError::new("token", problem);
    let text = std::str::from_utf8(token.expose()).map_err(|_| fault("is not text"))?.trim();
    if text.contains("-----BEGIN NATS USER JWT-----") {
        return options.credentials(text).map_err(|_| fault("is not a usable NATS credentials file"));
    }
    if text.starts_with("SU") && text.len() == 58 {
        return Ok(options.nkey(text.to_owned()));
    }
    Ok(options.token(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    #[test]
    fn all_faults_come_at_once() {
        let mut settings = settings("nats", "http://a");
        settings.subject = Some("a.*".into());
        settings.token = Secret::token("-----BEGIN NATS USER JWT----- junk").ok();
        let faults = Nats::new(&settings).err().unwrap();
        assert_eq!(faults.iter().map(|fault| fault.at.as_str()).collect::<Vec<_>>(), ["url", "subject", "token"]);
    }

    #[test]
    fn subjects_to_publish_to_have_no_wildcards_or_gaps() {
        assert!(is_subject("orders") && is_subject("a.b-c.d_e"));
        for subject in ["", "a..b", ".a", "a.", "a.*", ">", "a b", "a\nb"] {
            assert!(!is_subject(subject), "{subject:?}");
        }
    }

    #[test]
    fn one_sink_is_one_user() {
        let mut settings = settings("nats", "nats://u:hunter2@a");
        assert!(Nats::new(&settings).is_ok());
        settings.token = Secret::token("t0ken").ok();
        for url in ["nats://u:hunter2@a", "nats://hunter2@a", "nats://a,nats://hunter2@b"] {
            settings.url = url.into();
            let faults = Nats::new(&settings).err().unwrap();
            assert_eq!(faults.iter().map(|fault| fault.at.as_str()).collect::<Vec<_>>(), ["token"]);
            assert!(!faults[0].problem.contains("hunter2"));
        }
    }
}
