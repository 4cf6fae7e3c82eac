//! Where to send: the URL taken apart, and whom to trust there.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

use crate::server::Listener;

use super::super::dev_certificates;
use super::super::failure::Failure;

/// Where to send.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Target {
    /// The host, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether it speaks TLS.
    pub(super) tls: bool,
    /// `Host`: host and port as in the URL, the port only where it is not the scheme's own.
    pub(super) authority: String,
    /// The target of the request line.
    pub(super) path: PathAndQuery,
    /// The authorities to trust; `None` for those of the system.
    pub(super) ca_file: Option<PathBuf>,
    /// What to show who is there.
    pub(super) identity: Option<Identity>,
}

/// A client certificate.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Identity {
    /// PEM chain, leaf first.
    pub(super) cert_file: PathBuf,
    /// Its private key, PEM.
    pub(super) key_file: PathBuf,
}

impl Target {
    /// From `--url`, else from where the listener is; a URL without a path gets the source's.
    pub(super) fn new(
        url: Option<&str>,
        listener: &Listener,
        source_path: &str,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let url = url.map_or_else(|| format!("https://{}{source_path}", local(listener.address)), str::to_owned);
        let wrong = |problem: &str| Failure::Usage(format!("--url {}: {problem}", without_credentials(&url)));
        let uri: Uri = url.parse().map_err(|_| wrong("not a URL"))?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(wrong("expected https://HOST[:PORT][/PATH]")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("credentials do not belong here: the signature is the credential"));
        }
        let own_port = if tls { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(own_port);
        let host = authority.host();
        let path = match uri.path_and_query() {
            Some(path) if path.as_str() != "/" => path.clone(),
            _ => source_path.parse().map_err(|_| wrong("the source's path does not fit into a URL"))?,
        };
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let ca_file = ca_file.or_else(|| tls.then(|| development_ca(&name)).flatten());
        let authority = if port == own_port { host.to_owned() } else { format!("{host}:{port}") };
        Ok(Self { host: name, port, tls, authority, path, ca_file, identity: None })
    }

    /// The whole URL.
    pub(super) fn url(&self) -> String {
        format!("{}://{}{}", if self.tls { "https" } else { "http" }, self.authority, self.path)
    }

    /// What to say before sending.
    pub(super) fn warning(&self) -> Option<String> {
        (!self.tls && !is_loopback(&self.host)).then(|| {
            format!("warning: http://{} is not encrypted: everybody on the way can read the event", self.authority)
        })
    }
}

/// `url` without what stands before an `@`, for messages: it is a password as often as not.
fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) if scheme.is_empty() => format!("[redacted]@{host}{behind}"),
        Some((_, host)) => format!("{scheme}://[redacted]@{host}{behind}"),
        None => url.to_owned(),
    }
}

/// Where to reach a listener from this machine. Where it listens everywhere or on loopback, that is `localhost`, the
/// name that development certificates carry.
fn local(address: SocketAddr) -> String {
    let ip = address.ip().to_canonical();
    if ip.is_unspecified() || ip.is_loopback() { format!("localhost:{}", address.port()) } else { address.to_string() }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The authority that `dev` made, for loopback only: it must never be trusted for another machine.
fn development_ca(host: &str) -> Option<PathBuf> {
    let file = Path::new(dev_certificates::DIRECTORY).join(dev_certificates::CA_FILE);
    (is_loopback(host) && file.is_file()).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: &str) -> Listener {
        Listener { address: address.parse().unwrap(), proxy_protocol: false }
    }

    fn target(url: Option<&str>, address: &str) -> Result<Target, Failure> {
        Target::new(url, &listener(address), "/webhooks/nice", None)
    }

    #[test]
    fn the_default_is_the_listener_seen_from_here() {
        for (address, expected) in [
            ("[::]:8443", "https://localhost:8443/webhooks/nice"),
            ("0.0.0.0:443", "https://localhost/webhooks/nice"),
            ("127.0.0.1:9443", "https://localhost:9443/webhooks/nice"),
            ("10.1.2.3:8443", "https://10.1.2.3:8443/webhooks/nice"),
            ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443/webhooks/nice"),
        ] {
            assert_eq!(target(None, address).unwrap().url(), expected);
        }
    }

    #[test]
    fn a_url_without_a_path_gets_the_sources() {
        let url = |text| target(Some(text), "[::]:1").unwrap().url();
        assert_eq!(url("https://hooks.example.com"), "https://hooks.example.com/webhooks/nice");
        assert_eq!(url("https://hooks.example.com:443/"), "https://hooks.example.com/webhooks/nice");
        assert_eq!(url("https://hooks.example.com/a%20b?c=d"), "https://hooks.example.com/a%20b?c=d");
        assert_eq!(target(Some("https://[::1]:7/x"), "[::]:1").unwrap().host, "::1");
    }

    #[test]
    fn what_cannot_be_sent_to_is_refused() {
        for url in ["", "localhost", "ftp://x/", "https://", "https://user:pw@x/", "/webhooks/nice"] {
            assert_eq!(target(Some(url), "[::]:1").unwrap_err().status() as u8, 64, "{url}");
        }
        for url in ["https://user:pw-1@x/", "ftp://pw-1@x/a@b", "https://u:pw-1@x y", "pw-1@x", "https://a:b@pw-1@x"] {
            let told = target(Some(url), "[::]:1").unwrap_err().to_string();
            assert!(told.contains("--url") && told.contains("[redacted]@x") && !told.contains("pw-1"), "{told}");
        }
    }

    #[test]
    fn plain_text_to_elsewhere_is_worth_a_warning() {
        assert!(target(Some("http://hooks.example.com/"), "[::]:1").unwrap().warning().is_some());
        assert!(target(Some("http://127.0.0.1:1/"), "[::]:1").unwrap().warning().is_none());
        assert!(development_ca("hooks.example.com").is_none());
    }
}
