//! The sections that there is one of: listener, TLS, limits, shutdown, store, quarantine, admin and log.
//!
//! Each reads its table of the file and its variables, checks ranges, and falls back to the built-in default.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::env::{self, Environment};
use super::section::Section;
use super::{Admin, CertificateFiles, Limits, Listener, Log, Shutdown, Tls, syntax};
use crate::secret::Secret;
use crate::server::networks::Networks;
use crate::settings::SecretRef;
use crate::settings::duration;
use crate::settings::{Diagnostics, Lookup};
use crate::store;

/// What deadlines may be; shorter than this no network keeps, longer than this they protect nobody.
pub(super) const DEADLINES: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(1);
/// Bodies: at least one byte, at most 1 GiB.
pub(super) const BODY_BYTES: RangeInclusive<u64> = 1..=1 << 30;

const MEMORY_BYTES: RangeInclusive<u64> = 1..=1 << 40;
const COUNTS: RangeInclusive<u64> = 1..=1_000_000;
const WAITS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);
/// Vendors retry for up to a day; ids forgotten earlier would let a retry count twice. At most ten years.
const RETENTION: RangeInclusive<Duration> = Duration::from_hours(24)..=Duration::from_hours(87600);

/// Reads `value`, which stands in variable `name`, with `read`.
pub(super) fn from_env<T>(
    diagnostics: &mut Diagnostics,
    name: &str,
    value: Option<&String>,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    read(value?).map_err(|problem| diagnostics.error(name, problem)).ok()
}

/// Takes the section away from the file; `use_it` reads it.
pub(super) fn within<T>(
    root: &mut Section,
    key: &'static str,
    diagnostics: &mut Diagnostics,
    use_it: impl FnOnce(&mut Section, &mut Diagnostics) -> T,
) -> T {
    let mut section = root.table(key);
    let value = use_it(&mut section, diagnostics);
    section.finish(&mut diagnostics.errors);
    value
}

/// `[listener]`
pub(super) fn listener(file: &mut Section, env: &env::Process, diagnostics: &mut Diagnostics) -> Listener {
    let address = from_env(diagnostics, "GATEPOST_LISTEN", env.gatepost_listen.as_ref(), syntax::address)
        .or(file.parse("address", syntax::address))
        .unwrap_or(SocketAddr::from(([0u16; 8], 8443)));
    let required =
        from_env(diagnostics, "GATEPOST_PROXY_PROTOCOL", env.gatepost_proxy_protocol.as_ref(), proxy_protocol);
    let proxy_protocol = required.or(file.parse("proxy_protocol", proxy_protocol)).unwrap_or(false);
    let given = file.holds("trusted_proxies") || env.gatepost_trusted_proxies.is_some();
    let trusted_proxies = trusted_proxies(file, env, diagnostics).unwrap_or(Networks::List(Vec::new()));
    if proxy_protocol && !given {
        let advice = "name the proxies in trusted_proxies (GATEPOST_TRUSTED_PROXIES)";
        let problem = "is required but nobody is trusted to send it, so that every connection would be closed";
        file.fault("proxy_protocol", format!("{problem}: {advice}"));
    }
    Listener {
        address,
        proxy_protocol,
        trusted_proxies,
        max_connections: file.size("max_connections", &COUNTS).unwrap_or(10_000),
        max_connections_per_client: file.size("max_connections_per_client", &COUNTS).unwrap_or(1_000),
    }
}

fn trusted_proxies(file: &mut Section, env: &env::Process, diagnostics: &mut Diagnostics) -> Option<Networks> {
    let from_file = file.strings("trusted_proxies").and_then(|list| {
        let problems = match trusted(list.iter().map(String::as_str)) {
            Ok(networks) => return Some(networks),
            Err(problems) => problems,
        };
        for problem in problems {
            file.fault("trusted_proxies", problem);
        }
        None
    });
    let from_variable = env.gatepost_trusted_proxies.as_ref().and_then(|list| {
        let problems = match trusted(list.split(',').map(str::trim)) {
            Ok(networks) => return Some(networks),
            Err(problems) => problems,
        };
        for problem in problems {
            diagnostics.error("GATEPOST_TRUSTED_PROXIES", problem);
        }
        None
    });
    from_variable.or(from_file)
}

fn proxy_protocol(text: &str) -> Result<bool, String> {
    match text {
        "off" => Ok(false),
        "required" => Ok(true),
        _ => Err(format!("expected \"off\" or \"required\", found {text:?}")),
    }
}

/// Proxies that are believed: anybody's word would let every client choose its own address.
fn trusted<'a>(list: impl Iterator<Item = &'a str> + Clone) -> Result<Networks, Vec<String>> {
    if list.clone().any(|entry| entry == "any") {
        return Err(vec!["`any` would let every client choose its own address: name the proxies".to_owned()]);
    }
    Networks::parse(list)
}

/// `[tls]`
pub(super) fn tls(file: &mut Section, env: &env::Tls, diagnostics: &mut Diagnostics) -> Tls {
    let cert_file =
        from_env(diagnostics, "TLS_CERT_FILE", env.tls_cert_file.as_ref(), syntax::file).or(file.path("cert_file"));
    let key_file =
        from_env(diagnostics, "TLS_KEY_FILE", env.tls_key_file.as_ref(), syntax::file).or(file.path("key_file"));
    for (missing, key, variable) in
        [(cert_file.is_none(), "cert_file", "TLS_CERT_FILE"), (key_file.is_none(), "key_file", "TLS_KEY_FILE")]
    {
        if missing {
            file.fault(key, format!("is missing: set it in [tls], or set {variable}"));
        }
    }
    let first = cert_file.zip(key_file).map(|(cert_file, key_file)| CertificateFiles {
        section: "tls".to_owned(),
        cert_file,
        key_file,
    });
    let mut certificates: Vec<CertificateFiles> = first.into_iter().collect();
    for mut section in file.tables("certificate") {
        certificates.extend(certificate(&mut section));
        section.finish(&mut diagnostics.errors);
    }
    let allow_tls12 = file.parse("min_version", min_version).unwrap_or(false);
    if allow_tls12 {
        diagnostics.warn("tls.min_version is \"1.2\": an escape hatch for senders that cannot do better; go back to \"1.3\" when they can");
    }
    let client_ca_file = file.path("client_ca_file");
    let watched = certificates.iter().flat_map(|files| [&files.cert_file, &files.key_file]).chain(&client_ca_file);
    diagnostics.files.extend(watched.cloned());
    Tls { certificates, allow_tls12, client_ca_file }
}

fn certificate(section: &mut Section) -> Option<CertificateFiles> {
    let (cert_file, key_file) = (section.path("cert_file"), section.path("key_file"));
    for (missing, key) in [(cert_file.is_none(), "cert_file"), (key_file.is_none(), "key_file")] {
        if missing {
            section.fault(key, "is missing: each certificate needs cert_file and key_file");
        }
    }
    let name = section.at("cert_file");
    let section = name.trim_end_matches(".cert_file").to_owned();
    cert_file.zip(key_file).map(|(cert_file, key_file)| CertificateFiles { section, cert_file, key_file })
}

fn min_version(text: &str) -> Result<bool, String> {
    match text {
        "1.3" => Ok(false),
        "1.2" => Ok(true),
        _ => Err(format!("expected \"1.3\" or \"1.2\", found {text:?}")),
    }
}

/// `[limits]`
pub(super) fn limits(file: &mut Section, env: &env::Bounds, diagnostics: &mut Diagnostics) -> Limits {
    let seconds = Duration::from_secs;
    let body_bytes =
        from_env(diagnostics, "WEBHOOK_MAX_BYTES", env.webhook_max_bytes.as_ref(), |text| plain(text, &BODY_BYTES));
    Limits {
        body_bytes: body_bytes
            .and_then(|bytes| usize::try_from(bytes).ok())
            .or(file.size("body_bytes", &BODY_BYTES))
            .unwrap_or(1 << 20),
        body_memory_bytes: file.size("body_memory_bytes", &MEMORY_BYTES).unwrap_or(256 << 20),
        concurrent_requests: file.size("concurrent_requests", &COUNTS).unwrap_or(4096),
        handshake_timeout: file.duration("handshake_timeout", &DEADLINES).unwrap_or(seconds(10)),
        header_timeout: file.duration("header_timeout", &DEADLINES).unwrap_or(seconds(10)),
        body_timeout: file.duration("body_timeout", &DEADLINES).unwrap_or(seconds(10)),
        idle_timeout: file.duration("idle_timeout", &DEADLINES).unwrap_or(seconds(60)),
    }
}

/// Reads a plain number, as variables hold it: ASCII digits.
pub(super) fn plain(text: &str, range: &RangeInclusive<u64>) -> Result<u64, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && range.contains(number));
    number.ok_or_else(|| format!("expected a plain number from {} to {}, found {text:?}", range.start(), range.end()))
}

/// `[shutdown]`
pub(super) fn shutdown(file: &mut Section) -> Shutdown {
    Shutdown {
        drain_delay: file.duration("drain_delay", &WAITS).unwrap_or(Duration::from_secs(5)),
        drain_timeout: file.duration("drain_timeout", &DEADLINES).unwrap_or(Duration::from_secs(25)),
    }
}

/// `[store]`, with `quarantine` for its share.
pub(super) fn store(
    file: &mut Section,
    env: &Environment,
    quarantine: store::QuarantineBounds,
    diagnostics: &mut Diagnostics,
) -> store::Settings {
    let reference = file.secret_or_string("url");
    let at = file.at("url");
    let raw = match diagnostics.secret_variable("GATEPOST_STORE") {
        Lookup::Found(raw) => Some(("GATEPOST_STORE".to_owned(), raw)),
        Lookup::Faulty => None,
        Lookup::Unset => reference.and_then(|reference| diagnostics.resolve(&at, reference)).map(|raw| (at, raw)),
    };
    let url = raw.and_then(|(at, raw)| {
        let url = str::from_utf8(&raw.bytes)
            .map_err(|_| "expected text".to_owned())
            .and_then(|url| syntax::store_url(url.trim()));
        if let Some(warning) = url.as_deref().ok().and_then(store::url_warning) {
            diagnostics.warn(format!("{at}: {warning}"));
        }
        url.map_err(|problem| diagnostics.error(at, problem)).ok()
    });
    let read = |text: &str| duration::parse_within(text, &RETENTION);
    let retention = from_env(diagnostics, "GATEPOST_RETENTION", env.bounds.gatepost_retention.as_ref(), read);
    store::Settings {
        url: url.unwrap_or_else(|| "sqlite:data/gatepost.db".to_owned()),
        retention: retention.or(file.duration("retention", &RETENTION)).unwrap_or(Duration::from_hours(96)),
        quarantine,
    }
}

/// `[quarantine]`
pub(super) fn quarantine(file: &mut Section) -> store::QuarantineBounds {
    store::QuarantineBounds {
        max_entries: file.number("max_entries", &(1..=100_000_000)).unwrap_or(10_000),
        max_bytes: file.number("max_bytes", &MEMORY_BYTES).unwrap_or(64 << 20),
    }
}

/// `[admin]`
pub(super) fn admin(file: &mut Section, env: &env::Process, diagnostics: &mut Diagnostics) -> Admin {
    let address = from_env(diagnostics, "GATEPOST_ADMIN_LISTEN", env.gatepost_admin_listen.as_ref(), syntax::address)
        .or(file.parse("address", syntax::address))
        .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9090)));
    let reference = file.secret("token");
    let place = file.at("token");
    let given = token(&place, "GATEPOST_ADMIN_TOKEN", reference, diagnostics);
    if let Given::Token(token) = &given {
        diagnostics.warn_if_short(&place, token);
    }
    if matches!(given, Given::No) && !file.faulted("token") && !syntax::is_loopback(address.ip()) {
        let advice = "set admin.token or GATEPOST_ADMIN_TOKEN, or listen on loopback";
        file.fault("token", format!("is missing, and {address} is not loopback: {advice}"));
    }
    let token = given.token();
    Admin { address, token }
}

/// Whether a bearer token was given, in either way.
pub(super) enum Given {
    /// No.
    No,
    /// Wrongly; the fault is recorded.
    Faulty,
    /// Here it is.
    Token(Secret),
}

impl Given {
    /// The token, if there is a good one.
    pub(super) fn token(self) -> Option<Secret> {
        match self {
            Self::Token(token) => Some(token),
            Self::No | Self::Faulty => None,
        }
    }
}

/// The bearer token in `variable`, else what stands at `place` in the file.
pub(super) fn token(place: &str, variable: &str, reference: Option<SecretRef>, diagnostics: &mut Diagnostics) -> Given {
    let (at, raw) = match (diagnostics.secret_variable(variable), reference) {
        (Lookup::Found(raw), _) => (variable, Some(raw)),
        (Lookup::Faulty, _) => return Given::Faulty,
        (Lookup::Unset, None) => return Given::No,
        (Lookup::Unset, Some(reference)) => (place, diagnostics.resolve(place, reference)),
    };
    let Some(mut raw) = raw else { return Given::Faulty };
    let Some(token) = diagnostics.bearer(at, &mut raw) else { return Given::Faulty };
    diagnostics.origins.insert(place.to_owned(), raw.origin);
    Given::Token(token)
}

/// `[log]`
pub(super) fn log(file: &mut Section, env: &env::Process, diagnostics: &mut Diagnostics) -> Log {
    let json = from_env(diagnostics, "GATEPOST_LOG_FORMAT", env.gatepost_log_format.as_ref(), log_format);
    let filter = from_env(diagnostics, "GATEPOST_LOG", env.gatepost_log.as_ref(), log_filter);
    Log {
        json: json.or(file.parse("format", log_format)).unwrap_or(true),
        filter: filter.or(file.parse("filter", log_filter)).unwrap_or_else(|| "info".to_owned()),
    }
}

fn log_format(text: &str) -> Result<bool, String> {
    match text {
        "json" => Ok(true),
        "pretty" => Ok(false),
        _ => Err(format!("expected \"json\" or \"pretty\", found {text:?}")),
    }
}

fn log_filter(text: &str) -> Result<String, String> {
    let wanted = "expected a filter as in RUST_LOG, such as \"info\" or \"info,gatepost=debug\"";
    if text.trim().is_empty() {
        return Err(format!("{wanted}, found nothing"));
    }
    EnvFilter::builder().parse(text).map(|_| text.to_owned()).map_err(|error| format!("{wanted}: {error}"))
}
