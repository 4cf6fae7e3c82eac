//! The server's address: a `postgres://` URL as libpq users write it, TLS included.
//!
//! `sslmode`: `disable`, `prefer` (the default) and `require` do not check the certificate (with `sslrootcert`,
//! `require` checks the chain, as libpq does); `verify-ca` checks the chain, `verify-full` the host name as well.
//! `sslrootcert` is a PEM file, or `system` for the certificates of the operating system.

use std::net::IpAddr;
use std::str::FromStr as _;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::error::StoreError;
use crate::store::postgres::tls::{self, Roots, Trust};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(4);

/// Where the server is and how to speak to it. Holds the password: no `Debug`.
#[derive(Clone)]
pub(super) struct Address {
    /// Everything but the verification of certificates.
    pub config: Config,
    /// Makes TLS connections, or refuses to where it is disabled.
    pub tls: MakeRustlsConnect,
}

/// Reads `url`. Errors never repeat any of it: it may hold a password.
pub(super) fn parse(url: &str) -> Result<Address, StoreError> {
    let (plain, mode, roots) = split(url)?;
    // The error's own text names keys and never values.
    let mut config = Config::from_str(&plain).map_err(|error| StoreError::Url(format!("postgres URL: {error}")))?;
    let (ssl, trust) = trust(mode.as_deref(), roots)?;
    config.ssl_mode(ssl).connect_timeout(CONNECT).tcp_user_timeout(CONNECT * 2);
    config.keepalives_idle(Duration::from_secs(10));
    if config.get_application_name().is_none() {
        config.application_name("gatepost");
    }
    Ok(Address { config, tls: tls::connector(trust)? })
}

/// What is worth a warning about how `url` protects the way to the server; nothing where that is this machine.
pub(crate) fn warning(url: &str) -> Option<&'static str> {
    let (plain, mode, roots) = split(url).ok()?;
    let config = Config::from_str(&plain).ok()?;
    let near = |host: &Host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        Host::Unix(_) => true,
    };
    if config.get_hosts().iter().all(near) {
        return None;
    }
    match (mode.as_deref(), roots) {
        (None | Some("prefer"), _) => Some(
            "sslmode=prefer (the default) goes on without TLS where somebody on the way says that there is none: write \
             sslmode=verify-full&sslrootcert=…, or sslmode=disable where the network itself is trusted",
        ),
        (Some("require"), None) => Some(
            "sslmode=require does not check whose certificate it is: write sslmode=verify-full&sslrootcert=… (a PEM \
             file, or the word system)",
        ),
        _ => None,
    }
}

/// The URL without `sslmode` and `sslrootcert`, and these two.
fn split(url: &str) -> Result<(String, Option<String>, Option<Roots>), StoreError> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = || {
            let text = percent_decode_str(value).decode_utf8();
            text.map(String::from).map_err(|_| StoreError::Url(format!("postgres URL: {key} is not UTF-8")))
        };
        match key {
            "sslmode" => mode = Some(value()?),
            "sslrootcert" => {
                let value = value()?;
                roots = Some(if value == "system" { Roots::System } else { Roots::File(value.into()) });
            }
            _ => rest.push(pair),
        }
    }
    let plain = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    Ok((plain, mode, roots))
}

fn trust(mode: Option<&str>, roots: Option<Roots>) -> Result<(SslMode, Trust), StoreError> {
    let needed = |roots: Option<Roots>| {
        let missing = "postgres URL: this sslmode needs sslrootcert, a PEM file or the word system";
        roots.ok_or_else(|| StoreError::Url(missing.into()))
    };
    Ok(match mode {
        Some("disable") => (SslMode::Disable, Trust::Anything),
        None | Some("prefer") => (SslMode::Prefer, Trust::Anything),
        Some("require") => (SslMode::Require, roots.map_or(Trust::Anything, Trust::Chain)),
        Some("verify-ca") => (SslMode::Require, Trust::Chain(needed(roots)?)),
        Some("verify-full") => (SslMode::Require, Trust::ChainAndName(needed(roots)?)),
        Some(_) => {
            let known = "disable, prefer, require, verify-ca or verify-full";
            return Err(StoreError::Url(format!("postgres URL: sslmode is not one of {known}")));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(query: &str) -> Result<SslMode, String> {
        let url = format!("postgres://u:secret-word@h:5433/db{query}");
        parse(&url).map(|address| address.config.get_ssl_mode()).map_err(|error| error.to_string())
    }

    #[test]
    fn sslmode_means_what_libpq_says() {
        assert_eq!(mode(""), Ok(SslMode::Prefer));
        assert_eq!(mode("?sslmode=disable"), Ok(SslMode::Disable));
        assert_eq!(mode("?application_name=x&sslmode=require"), Ok(SslMode::Require));
        assert!(mode("?sslmode=verify-full").unwrap_err().contains("sslrootcert"));
        assert!(mode("?sslmode=verify-ca&sslrootcert=%2Fnowhere.pem").unwrap_err().contains("/nowhere.pem"));
        assert!(mode("?sslmode=allow-all").unwrap_err().contains("verify-full"));
    }

    #[test]
    fn a_way_that_is_not_protected_is_warned_about() {
        let warned = |host: &str, query: &str| warning(&format!("postgres://u:p@{host}/db{query}")).is_some();
        for query in ["", "?sslmode=prefer", "?application_name=x", "?sslmode=require"] {
            assert!(warned("db.internal:5432", query), "{query}");
            assert!(!warned("127.0.0.1:5432", query) && !warned("localhost", query), "{query}");
        }
        for query in ["?sslmode=disable", "?sslmode=require&sslrootcert=system", "?sslmode=verify-full&sslrootcert=/x"]
        {
            assert!(!warned("db.internal", query), "{query}");
        }
        assert!(!warned("%2Fvar%2Frun%2Fpostgresql", ""), "a socket file is on this machine");
        assert!(warned("127.0.0.1,db.internal", ""), "one far host is enough");
    }

    #[test]
    fn no_error_repeats_the_password() {
        for query in ["?sslmode=secret-word", "?secret-word=1", "?connect_timeout=secret-word"] {
            assert!(!mode(query).unwrap_err().contains("u:secret-word"), "{query}");
        }
    }
}
