//! The HTTP client of whoever sends outward (http and sqs sinks, SIEM): pooled connections, TLS, deadlines, bounded reads.
//!
//! HTTP/1.1; follows no redirect; goes through a proxy where it is told to. Private and loopback addresses are allowed:
//! the URL is the operator's own configuration, never a sender's, so there is nobody to protect the inner network from.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::PROXY_AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::client_settings::ClientSettings;
use super::deadline::within;
use super::delivery::{Retry, SinkError};
use super::proxy::{Proxies, Proxy};
use super::route::{AUTHORIZATION, Route};
use crate::secret::Secret;
use crate::settings::ConfigError;

/// What we call ourselves.
pub const USER_AGENT: &str = concat!("gatepost/", env!("CARGO_PKG_VERSION"));
/// The most that is read of an answer's body; a connection with more to say is closed instead of reused.
const ANSWER_BYTES: usize = 64 * 1024;
/// How long an answer's body may take once its head is here. The head decides; the body only frees the connection.
pub const ANSWER_TIME: Duration = Duration::from_secs(1);
/// Connections idle for longer are not used again: common servers close theirs after 5 s, and a request that meets
/// such a close fails although nobody did anything wrong.
const IDLE: Duration = Duration::from_secs(4);

/// A client for one destination.
pub struct HttpClient {
    client: Client<HttpsConnector<Route>, Full<Bytes>>,
    timeout: Duration,
    proxies: Proxies,
}

/// An answer.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// As much of its body as arrived within the bounds, perhaps nothing.
    pub body: Bytes,
}

impl HttpClient {
    /// A client for `url` whose requests take at most `timeout` until the answer's head, keeping `idle` connections.
    /// A proxy on the way is trusted as `url`'s own server is.
    ///
    /// # Errors
    /// [`ConfigError`] at `ca_file`, see [`tls_config`], and at the keys of the client certificate.
    pub fn new(url: &Uri, settings: &ClientSettings, timeout: Duration, idle: usize) -> Result<Self, ConfigError> {
        let ClientSettings { ca_file, proxies, certificate } = settings;
        let needed = proxies.tls_on_the_way(url);
        let tls = if needed { tls_config(ca_file.as_deref())? } else { trusting(RootCertStore::empty())? };
        let mut with_server = tls.clone();
        if let Some(certificate) = certificate.as_ref().filter(|_| url.scheme_str() == Some("https")) {
            certificate.presented_by(&mut with_server)?;
        }
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        direct.set_nodelay(true);
        direct.set_connect_timeout(Some(timeout));
        let proxies = proxies.clone();
        let route = Route { to_proxy: HttpsConnector::from((direct.clone(), tls)), direct, proxies: proxies.clone() };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(idle)
            .build(HttpsConnector::from((route, with_server)));
        Ok(Self { client, timeout, proxies })
    }

    /// Sends `request` and waits for the answer's head, and a little for its body.
    ///
    /// # Errors
    /// [`SinkError`] with [`Retry::Backoff`] when no head came (network, TLS, a proxy, or out of time), or one that a
    /// proxy wrote about itself.
    pub async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, SinkError> {
        let failed = |message| SinkError { message, status: None, retry: Retry::Backoff };
        let forwarder = self.forwarder(request.uri());
        if let Some(authorization) = forwarder.as_ref().and_then(|proxy| proxy.authorization.clone()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        let answer = within(self.timeout, self.client.request(request))
            .await
            .map_err(|_| failed(format!("no answer within {:?}", self.timeout)))?
            .map_err(|error| failed(with_causes(&error)))?;
        let (head, body) = answer.into_parts();
        if let Some(proxy) = forwarder.filter(|_| head.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED) {
            return Err(failed(format!("the proxy {proxy}{AUTHORIZATION}")));
        }
        Ok(Answer { status: head.status, headers: head.headers, body: read_some(body).await })
    }

    /// The proxy that reads the request itself; in a tunnel it reads nothing.
    fn forwarder(&self, to: &Uri) -> Option<Proxy> {
        self.proxies.to(to).filter(|_| to.scheme_str() == Some("http"))
    }
}

/// Reads a body to its end, so that the connection can be reused, or up to the bounds; an error on the way ends it.
async fn read_some(mut body: Incoming) -> Bytes {
    let mut read = BytesMut::new();
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data() {
                if read.len() + data.len() > ANSWER_BYTES {
                    return;
                }
                read.extend_from_slice(&data);
            }
        }
    };
    // Out of time is as good as the end: what counts is in the head.
    let _ = tokio::time::timeout(ANSWER_TIME, all).await;
    read.freeze()
}

/// An error with what caused it: hyper's own text says only `client error (Connect)`.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// An `Authorization` header: `scheme` and the token.
///
/// # Errors
/// [`ConfigError`] at `token` where it holds bytes that no header can carry.
pub fn authorization(scheme: &str, token: &Secret) -> Result<HeaderValue, ConfigError> {
    let value = [scheme.as_bytes(), b" ", token.expose()].concat();
    let mut value = HeaderValue::from_bytes(&value)
        .map_err(|_| ConfigError::new("token", "holds bytes that no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// How to trust a server: by the authorities in `ca_file` alone, or by the system's.
///
/// # Errors
/// [`ConfigError`] at `ca_file` where the file cannot be read or holds no certificate, or the system has none.
pub fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig, ConfigError> {
    let wrong = |problem: String| ConfigError::new("ca_file", problem);
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        let unreadable = |error: &dyn Error| wrong(format!("{}: {error}", path.display()));
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
            let certificate = certificate.map_err(|error| unreadable(&error))?;
            roots.add(certificate).map_err(|error| unreadable(&error))?;
        }
        if roots.is_empty() {
            return Err(wrong(format!("{}: holds no PEM certificate", path.display())));
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(wrong("the system has no certificate authorities; name a PEM file of them".into()));
        }
    }
    trusting(roots)
}

/// The provider is named because a dependency may bring a second one, and rustls then refuses to choose.
fn trusting(roots: RootCertStore) -> Result<ClientConfig, ConfigError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::new("ca_file", error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_must_hold_certificates() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = tls_config(Some(file.path())).unwrap_err();
        assert_eq!(error.at, "ca_file");
        assert!(error.problem.contains("no PEM certificate"), "{error}");
        assert!(tls_config(Some(Path::new("/nonexistent/ca.pem"))).is_err());
    }
}
