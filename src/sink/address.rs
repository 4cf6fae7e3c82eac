//! The URLs that things are sent to: what may stand in one, told so that it can be mended. Connects to nothing.
//!
//! No text is repeated in an error: a password may stand anywhere in a URL that was written wrongly.

use std::net::Ipv6Addr;

use http::Uri;
use http::uri::Authority;
use rustls::pki_types::ServerName;

use crate::secret::Secret;
use crate::settings::grammar::is_open_wire;
use crate::settings::kind::{Problems, expected, problem};
use crate::settings::{Diagnostics, Kind, redact};

/// What ports there are, for whoever wrote another.
pub(super) const PORTS: &str = "the port must be a number from 1 to 65535";

/// An `http://` or `https://` URL to send to. No `Debug`: its query may hold a credential.
#[derive(Clone)]
pub struct Endpoint {
    text: String,
    uri: Uri,
}

impl Endpoint {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong, in words: it is none, cannot be reached by anybody, or holds credentials (it is logged, they must
    /// not be).
    pub fn parse(text: &str) -> Result<Self, String> {
        web(text).map(|uri| Self { text: text.to_owned(), uri })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Warns where `what` goes to another machine in the open.
    pub(crate) fn warn_if_open(&self, what: &str, at: &str, diagnostics: &mut Diagnostics) {
        if is_open_wire(&self.text) {
            diagnostics.warn(format!("{at}: {what} go to another machine over http://, readable on the way"));
        }
    }

    /// As it is sent to.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }
}

/// Keys that hold URLs, which are shown without the passwords they may hold.
pub(crate) struct Address<T> {
    /// Reads what was written.
    pub(super) read: fn(&str) -> Result<T, String>,
    /// What was written: one URL, or several separated by commas where `several` says so.
    pub(super) text: fn(&T) -> &str,
    /// See `text`.
    pub(super) several: bool,
    /// What is expected, in words.
    pub(super) expects: &'static str,
}

/// An [`Endpoint`].
pub(crate) const fn endpoint() -> Address<Endpoint> {
    Address {
        read: Endpoint::parse,
        text: Endpoint::as_str,
        several: false,
        expects: "a URL that begins with https:// or http://",
    }
}

impl<T> Kind for Address<T> {
    type Value = T;

    fn from_file(&self, value: toml::Value) -> Result<T, Problems> {
        let toml::Value::String(text) = value else { return Err(expected("a string", &value)) };
        self.from_variable(&text)
    }

    fn from_variable(&self, text: &str) -> Result<T, Problems> {
        (self.read)(text).map_err(problem)
    }

    fn show(&self, value: &T) -> String {
        let text = (self.text)(value);
        let urls = if self.several { text.split(',').collect() } else { vec![text] };
        format!("{:?}", urls.into_iter().map(redact::url).collect::<Vec<_>>().join(","))
    }

    fn hides(&self, value: &T) -> Option<Secret> {
        Secret::token((self.text)(value)).ok()
    }

    fn expects(&self) -> String {
        self.expects.to_owned()
    }

    fn schema(&self) -> serde_json::Value {
        serde_json::json!({ "type": "string" })
    }
}

/// Reads an `http://` or `https://` URL.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn web(url: &str) -> Result<Uri, String> {
    if url.is_empty() {
        return Err("is empty; expected https://host/path".to_owned());
    }
    unsent(url)?;
    let uri: Uri = url.parse().map_err(|_| format!("is not a URL; expected https://host/path{}", port_hint(url)))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("must begin with https:// or http:// and name a host".to_owned());
    }
    let authority = uri.authority().ok_or_else(|| "names no host".to_owned())?;
    if authority.as_str().contains('@') {
        return Err(
            "holds a user name or password; the URL is logged, so give them by another key, such as `token`".to_owned()
        );
    }
    place(authority)?;
    if uri.scheme_str() == Some("https") && ServerName::try_from(bare(authority.host())).is_err() {
        return Err("names a host that no certificate can be for".to_owned());
    }
    Ok(uri)
}

/// What no URL may hold because it would not be sent, or not as written.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn unsent(url: &str) -> Result<(), String> {
    if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("holds blanks or line breaks: remove them, or write %20 for a blank that belongs to it".to_owned());
    }
    if url.contains('#') {
        return Err(
            "holds a fragment (#…), which is never sent: remove it, or write %23 for a # that belongs to it".to_owned()
        );
    }
    Ok(())
}

/// Host and port of `authority`, user and password aside.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn place(authority: &Authority) -> Result<(), String> {
    let host = authority.host();
    if host.is_empty() || host.trim_matches('.').is_empty() {
        return Err("names no host".to_owned());
    }
    if host.starts_with('[') && bare(host).parse::<Ipv6Addr>().is_err() {
        return Err("names an IPv6 address in brackets that is none".to_owned());
    }
    let whole = authority.as_str();
    let place = whole.rsplit_once('@').map_or(whole, |(_, place)| place);
    match place.strip_prefix(host) {
        Some("") => Ok(()),
        Some(port) if port.strip_prefix(':').is_some_and(is_port) => Ok(()),
        _ => Err(PORTS.to_owned()),
    }
}

/// A port to connect to: 0 is none.
#[must_use]
pub(super) fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port != 0)
}

/// `host` without the brackets of an IPv6 address.
#[must_use]
pub(super) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Names the port where that is what keeps `url` from being one.
fn port_hint(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    let wrong = port.is_some_and(|port| !port.is_empty() && !port.contains(']') && !is_port(port));
    if wrong { format!("; {PORTS}") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_sent_to_is_taken() {
        for url in [
            "https://orders.internal/events?x=1",
            "http://[::1]:8080",
            "https://[2001:db8::1]/",
            "https://10.0.0.1:443/a%20b",
            "http://under_score:65535/",
            "HTTPS://h:1/",
            "https://h/?to=a@b:0",
        ] {
            assert!(Endpoint::parse(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_nobody_can_reach_is_refused_and_said_why() {
        for (url, word) in [
            ("", "empty"),
            ("/events", "https://"),
            ("orders.internal", "https://"),
            ("ftp://a/", "https://"),
            ("https://", "https://"),
            ("https:///path", "https://host"),
            ("https://:443/", "host"),
            ("http://./", "host"),
            ("https://u:hunter2@a/", "password"),
            ("https://u@a/", "user name"),
            ("http://a b/", "blanks"),
            (" http://a/", "blanks"),
            ("http://a/\n", "blanks"),
            ("http://a/\u{a0}", "blanks"),
            ("http://a/#top", "fragment"),
            ("http://a/x?y#", "fragment"),
            ("http://a:0/", "1 to 65535"),
            ("http://a:00/", "1 to 65535"),
            ("http://a:99999/", "1 to 65535"),
            ("https://a:65536", "1 to 65535"),
            ("https://a:/", "1 to 65535"),
            ("https://a:+80/", "1 to 65535"),
            ("http://[::1]:0/", "1 to 65535"),
            ("https://u:hunter2/", "1 to 65535"),
            ("https://[zz]/", "IPv6"),
            ("https://a..b/", "certificate"),
            ("https://-/", "certificate"),
        ] {
            let problem = Endpoint::parse(url).err().unwrap();
            assert!(problem.contains(word), "{url}: {problem}");
            assert!(!problem.contains("hunter2"), "{url}: {problem}");
        }
    }
}
