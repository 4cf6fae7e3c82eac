//! `[listener]`, `[tls]` and the deadlines of `[limits]`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};
use toml::Value;

use super::networks::Networks;
use crate::settings::kind::{self, Problems, choice, path, size, span, text};
use crate::settings::lists::strings;
use crate::settings::{Diagnostics, Example, Found, Kind, Table, grammar, key};

/// What deadlines may be; shorter than this no network keeps, longer than this they protect nobody.
pub(crate) const DEADLINES: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(1);

const COUNTS: RangeInclusive<u64> = 1..=1_000_000;

/// The part of `[listener]` that a reload cannot change.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where webhooks arrive.
    pub address: SocketAddr,
    /// Whether every connection must begin with a PROXY header (v1 or v2) from a trusted proxy.
    pub proxy_protocol: bool,
}

/// The part of `[listener]` that a reload changes.
#[derive(Clone, Debug)]
pub struct Connections {
    /// Whose `X-Forwarded-For`, `Forwarded` and PROXY headers are believed.
    pub trusted_proxies: Networks,
    /// Open at once.
    pub max: usize,
    /// Open at once by client address (IPv6: by /64); not applied to trusted proxies.
    pub max_per_client: usize,
}

/// The deadlines of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From accept to handshake done.
    pub handshake: Duration,
    /// From first byte of a head to its last.
    pub header: Duration,
    /// Nothing in flight on a connection.
    pub idle: Duration,
}

/// `[tls]`
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificates served, the first one to clients that name none or an unknown host.
    pub certificates: Vec<CertificateFiles>,
    /// Whether TLS 1.2 is allowed too.
    pub allow_tls12: bool,
    /// Who is asked for a certificate.
    pub client_auth: Option<ClientAuth>,
}

/// Mutual TLS. Whoever shows a certificate must show a good one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientAuth {
    /// PEM file of the authorities of client certificates.
    pub ca_file: PathBuf,
    /// Whether nobody is let in without one.
    pub required: bool,
}

/// A PEM chain and its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateFiles {
    /// Where they are named: `tls`, or `tls.certificate[1]`.
    pub section: String,
    /// Chain, leaf first.
    pub cert_file: PathBuf,
    /// Private key.
    pub key_file: PathBuf,
}

/// Where webhooks arrive.
pub(crate) const LISTEN: &str = "GATEPOST_LISTEN";
/// The chain.
pub(crate) const CERT_FILE: &str = "TLS_CERT_FILE";
/// Its private key.
pub(crate) const KEY_FILE: &str = "TLS_KEY_FILE";

/// `[listener]`, in its two parts.
pub(crate) fn read_listener(table: &mut Table, diagnostics: &mut Diagnostics) -> (Listener, Connections) {
    let address = key("address", "Where webhooks arrive: ADDRESS:PORT, no host names.", address())
        .variable(LISTEN)
        .takes_a_restart()
        .or(SocketAddr::from(([0u16; 8], 8443)), table, diagnostics);
    let proxy_protocol = key(
        "proxy_protocol",
        "\"required\": every connection begins with a PROXY header (v1 or v2) from a trusted proxy, or is closed.",
        choice(&[("off", false), ("required", true)]),
    )
    .variable("GATEPOST_PROXY_PROTOCOL")
    .takes_a_restart()
    .or(false, table, diagnostics);
    let trusted_proxies =
        key("trusted_proxies", "Whose X-Forwarded-For, Forwarded and PROXY headers are believed.", TrustedProxies)
            .variable("GATEPOST_TRUSTED_PROXIES")
            .example(Example::Set(r#"["10.0.0.0/8"]"#))
            .maybe(table, diagnostics);
    if proxy_protocol && matches!(trusted_proxies, Found::Unset) {
        let advice = "name the proxies in trusted_proxies (GATEPOST_TRUSTED_PROXIES)";
        let problem = "is required but nobody is trusted to send it, so that every connection would be closed";
        diagnostics.error(table.place_in_file("proxy_protocol"), format!("{problem}: {advice}"));
    }
    let max = key(
        "max_connections",
        "Open connections at once; beyond it those that have not begun TLS make room, the longest silent first.",
        size(COUNTS),
    )
    .or(10_000, table, diagnostics);
    let max_per_client = key(
        "max_connections_per_client",
        "Open connections at once by client address (IPv6: by /64; with PROXY headers: of the client they name); not \
         applied to trusted proxies.",
        size(COUNTS),
    )
    .or(1_000, table, diagnostics);
    let trusted_proxies = trusted_proxies.value().unwrap_or(Networks::List(Vec::new()));
    (Listener { address, proxy_protocol }, Connections { trusted_proxies, max, max_per_client })
}

/// An address and a port.
pub(crate) fn address() -> kind::Text<SocketAddr> {
    text(grammar::address, "ADDRESS:PORT, no host names")
}

impl Deadlines {
    /// Those of `[limits]`.
    pub(crate) fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        let ten = Duration::from_secs(10);
        Self {
            handshake: key("handshake_timeout", "From accept to the TLS handshake done.", span(DEADLINES)).or(
                ten,
                table,
                diagnostics,
            ),
            header: key(
                "header_timeout",
                "From the first byte of a request's head to its last; with HTTP/2 also from the handshake to the first \
                 frame.",
                span(DEADLINES),
            )
            .or(ten, table, diagnostics),
            idle: key("idle_timeout", "A connection with nothing in flight is closed after this.", span(DEADLINES)).or(
                Duration::from_mins(1),
                table,
                diagnostics,
            ),
        }
    }
}

impl Tls {
    /// `[tls]` and `[[tls.certificate]]`.
    pub(crate) fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        let cert_file = key("cert_file", "PEM chain, leaf first; watched and read again when it changes.", path())
            .variable(CERT_FILE)
            .example(Example::Set("\"/run/tls/tls.crt\""))
            .required(&format!("is missing: set it in [tls], or set {CERT_FILE}"), table, diagnostics);
        let key_file = key("key_file", "Its private key, in PEM; watched as well.", path())
            .variable(KEY_FILE)
            .example(Example::Set("\"/run/tls/tls.key\""))
            .required(&format!("is missing: set it in [tls], or set {KEY_FILE}"), table, diagnostics);
        let section = || "tls".to_owned();
        let first = cert_file.zip(key_file);
        let first = first.map(|(cert_file, key_file)| CertificateFiles { section: section(), cert_file, key_file });
        let allow_tls12 = key(
            "min_version",
            "\"1.2\" is an escape hatch for senders that cannot do better; it logs a warning at start.",
            choice(&[("1.3", false), ("1.2", true)]),
        )
        .or(false, table, diagnostics);
        if allow_tls12 {
            diagnostics.warn("tls.min_version is \"1.2\": an escape hatch for senders that cannot do better; go back to \"1.3\" when they can");
        }
        let client_ca_file =
            key("client_ca_file", "Mutual TLS: PEM file with the authorities of client certificates.", path())
                .example(Example::Set("\"/run/tls/clients.pem\""))
                .maybe(table, diagnostics)
                .value();
        let client_auth = ClientAuth::read(client_ca_file, table, diagnostics);
        let mut certificates: Vec<CertificateFiles> = first.into_iter().collect();
        for mut entry in table.tables("certificate", diagnostics) {
            certificates.extend(CertificateFiles::read(&mut entry, diagnostics));
            entry.finish_in(table, diagnostics);
        }
        let watched = certificates
            .iter()
            .flat_map(|files| [&files.cert_file, &files.key_file])
            .chain(client_auth.iter().map(|auth| &auth.ca_file));
        diagnostics.files.extend(watched.cloned());
        Self { certificates, allow_tls12, client_auth }
    }
}

impl ClientAuth {
    fn read(ca_file: Option<PathBuf>, table: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self> {
        let given = table.holds("client_auth");
        let required = key(
            "client_auth",
            "Who is asked for a certificate: \"required\" lets nobody in without one, \"optional\" leaves that to the \
             sources that have client_certificates. A certificate that is shown must be a good one either way.",
            choice(&[("required", true), ("optional", false)]),
        )
        .or(true, table, diagnostics);
        if given && ca_file.is_none() && !table.is_faulty("client_ca_file", diagnostics) {
            let problem = "has no effect without client_ca_file: name the authorities of client certificates there";
            table.error("client_auth", problem, diagnostics);
        }
        if ca_file.is_none() {
            table.hide("client_auth");
        }
        Some(Self { ca_file: ca_file?, required })
    }
}

impl CertificateFiles {
    /// One `[[tls.certificate]]`.
    pub(crate) fn read(entry: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self> {
        let missing = "is missing: each certificate needs cert_file and key_file";
        let cert_file = key(
            "cert_file",
            "A further certificate, chosen by the host name the client asks for (SNI); the one of [tls] serves \
             everybody else.",
            path(),
        )
        .example(Example::Set("\"/run/tls/other.crt\""))
        .required(missing, entry, diagnostics);
        let key_file = key("key_file", "Its private key.", path())
            .example(Example::Set("\"/run/tls/other.key\""))
            .required(missing, entry, diagnostics);
        let section = entry.stands_at().to_owned();
        cert_file.zip(key_file).map(|(cert_file, key_file)| Self { section, cert_file, key_file })
    }
}

/// Proxies that are believed. Never `any`: that would let every client choose its own address.
struct TrustedProxies;

impl TrustedProxies {
    fn trusted<'t>(entries: impl Iterator<Item = &'t str> + Clone) -> Result<Networks, Problems> {
        if entries.clone().any(|entry| entry == "any") {
            return Err(kind::problem("`any` would let every client choose its own address: name the proxies"));
        }
        Networks::parse(entries).map_err(|problems| problems.into_iter().flat_map(kind::problem).collect())
    }
}

impl Kind for TrustedProxies {
    type Value = Networks;

    fn from_file(&self, value: Value) -> Result<Networks, Problems> {
        let entries = strings(value)?;
        Self::trusted(entries.iter().map(String::as_str))
    }

    fn from_variable(&self, text: &str) -> Result<Networks, Problems> {
        Self::trusted(text.split(',').map(str::trim))
    }

    fn show(&self, value: &Networks) -> String {
        value.to_toml()
    }

    fn expects(&self) -> String {
        "a list of addresses and CIDRs".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "array", "items": { "type": "string" } })
    }
}
