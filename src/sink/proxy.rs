//! Which HTTP proxy a destination is reached through: the one that is configured, or that of the usual variables.
//!
//! Decides, connects to nothing. Variables as curl reads them; the upper-case form first, an empty one as if unset.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use sha2::{Digest as _, Sha256};

use super::address::{self, Endpoint};
use super::no_proxy::Exceptions;
use crate::secret::Secret;
use crate::settings::record::Shown;
use crate::settings::{Diagnostics, Example, Found, Located, THE_FILE, Table, secret};

/// Which proxy a destination is reached through; none of them by default.
#[derive(Clone, Default)]
pub struct Proxies(Option<Arc<Rules>>);

struct Rules {
    matcher: Matcher,
    /// What is reached without.
    exceptions: Exceptions,
    /// By scheme of the destination, who said so.
    origins: [&'static str; 2],
    /// Of everything that was said.
    fingerprint: [u8; 32],
}

/// A proxy on the way to a destination.
#[derive(Clone)]
pub struct Proxy {
    /// Where it is; without user and password.
    pub uri: Uri,
    /// `Proxy-Authorization`, where its URL holds a user.
    pub authorization: Option<HeaderValue>,
    /// The key or variable that named it.
    pub origin: &'static str,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = if self.authorization.is_some() { "[redacted]@" } else { "" };
        let (scheme, authority) = (self.uri.scheme_str().unwrap_or("http"), self.uri.authority());
        write!(f, "{scheme}://{user}{}", authority.map_or("", |authority| authority.as_str()))
    }
}

/// A variable that names no proxy that can be used.
#[derive(Debug, PartialEq, Eq)]
pub struct Unusable {
    pub variable: &'static str,
    /// What is wrong, in words, without its value.
    pub problem: String,
}

const KEY: &str = "proxy";
const DOC: &str = "The HTTP proxy on the way, perhaps with user:password@; { file = \"…\" } keeps that out of here. Where \
    it is left out, the variables HTTPS_PROXY, HTTP_PROXY, ALL_PROXY (or in lower case) name it but for what NO_PROXY names.";
/// Each variable, its other form after it.
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const NO: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Those of the variables `vars` that name a proxy, or what goes around it.
#[must_use]
pub fn proxy_variables(vars: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let known = [ALL, HTTPS, HTTP, NO].concat();
    let ours = vars.iter().filter(|(name, _)| known.contains(&name.as_str()));
    ours.map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Proxies {
    /// Reads key `proxy`, else the usual variables, which are read only where somebody is to go through them, as `used`
    /// says. Shown is the proxy on the way to `to`.
    pub(crate) fn read(to: Option<&Endpoint>, used: bool, table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        let (proxies, origin) = match secret(KEY, DOC).example(Example::Off("\"http://proxy.internal:3128\"")).text(
            None,
            table,
            diagnostics,
        ) {
            Found::Value(located) => (Self::located(&located, diagnostics), Some(located.origin)),
            Found::Unset if used => (Self::told_of_variables(diagnostics), None),
            Found::Unset | Found::Faulty => (Self::default(), None),
        };
        // What was read may hold a password in a form that only this file knows.
        table.hide(KEY);
        if let Some(proxy) = to.and_then(|to| proxies.to(to.uri())) {
            let text = match origin {
                Some(origin) if origin == THE_FILE => proxy.to_string(),
                Some(origin) => format!("{proxy} from {origin}"),
                None => format!("{proxy} from variable {}", proxy.origin),
            };
            let all = proxies.fingerprint().and_then(|all| Secret::token(hex::encode(all)).ok());
            table.show(KEY, Shown::Plain(format!("{text:?}"), all));
        }
        proxies
    }

    fn located(located: &Located, diagnostics: &mut Diagnostics) -> Self {
        Self::fixed(&located.text).unwrap_or_else(|problem| {
            diagnostics.error(&located.at, problem);
            Self::default()
        })
    }

    fn told_of_variables(diagnostics: &mut Diagnostics) -> Self {
        let proxies = match Self::of_variables(|name| diagnostics.foreign_variable(name)) {
            Ok(proxies) => proxies,
            Err(unusable) => {
                for Unusable { variable, problem } in unusable {
                    diagnostics.error(variable, problem);
                }
                Self::default()
            }
        };
        for warning in proxies.pointless_exceptions() {
            // Every sink reads the same variables.
            if !diagnostics.warnings.contains(&warning) {
                diagnostics.warn(warning);
            }
        }
        proxies
    }

    /// Everything through `proxy`, a URL that may hold `user:password@`; says where it is key `proxy`.
    ///
    /// # Errors
    /// What is wrong, in words, without the value.
    pub fn fixed(proxy: &str) -> Result<Self, String> {
        let proxy = usable(proxy)?;
        let matcher = Matcher::builder().all(&proxy).build();
        let fingerprint = fingerprint(&[KEY, &proxy]);
        Ok(Self(Some(Arc::new(Rules { matcher, exceptions: Exceptions::default(), origins: [KEY; 2], fingerprint }))))
    }

    /// What the usual variables say.
    ///
    /// # Errors
    /// Every variable that says nothing usable.
    pub fn of_variables<'v>(variable: impl Fn(&str) -> Option<&'v str>) -> Result<Self, Vec<Unusable>> {
        let mut problems = Vec::new();
        let set = |names: [&'static str; 2]| {
            let value = |name| Some((name, variable(name)?.trim())).filter(|(_, value)| !value.is_empty());
            names.into_iter().find_map(value)
        };
        let mut named = |names| {
            let (variable, value) = set(names)?;
            match usable(value) {
                Ok(proxy) => Some((variable, proxy)),
                Err(problem) => {
                    problems.push(Unusable { variable, problem });
                    None
                }
            }
        };
        let (https, http, all) = (named(HTTPS), named(HTTP), named(ALL));
        if !problems.is_empty() {
            return Err(problems);
        }
        let (https, http) = (https.or_else(|| all.clone()), http.or(all));
        let list = set(NO).map_or("", |(_, list)| list);
        let exceptions = Exceptions::read(list);
        if exceptions.everything || (https.is_none() && http.is_none()) {
            return Ok(Self::default());
        }
        let origins = [&https, &http].map(|named| named.as_ref().map_or("", |(variable, _)| variable));
        let [https, http] = [https, http].map(|named| named.map_or_else(String::new, |(_, value)| value));
        let fingerprint = fingerprint(&[&https, &http, list]);
        let matcher = Matcher::builder().https(https).http(http).no(exceptions.hosts.as_str()).build();
        Ok(Self(Some(Arc::new(Rules { matcher, exceptions, origins, fingerprint }))))
    }

    /// The same for what says the same, passwords included; tells whether a reload changes something.
    pub(super) fn fingerprint(&self) -> Option<[u8; 32]> {
        self.0.as_ref().map(|rules| rules.fingerprint)
    }

    /// Whether TLS is spoken on the way to `to`: with itself, or with a proxy.
    pub(super) fn tls_on_the_way(&self, to: &Uri) -> bool {
        let encrypted = |uri: &Uri| uri.scheme_str() == Some("https");
        encrypted(to) || self.to(to).is_some_and(|proxy| encrypted(&proxy.uri))
    }

    /// A warning for each entry of `NO_PROXY` that cannot match.
    fn pointless_exceptions(&self) -> Vec<String> {
        let entries = self.0.iter().flat_map(|rules| &rules.exceptions.pointless);
        let warning = |entry: &String| {
            // Somebody may have written a URL with a password.
            let entry = if entry.contains('@') { "an entry".to_owned() } else { format!("{entry:?}") };
            format!(
                "NO_PROXY: {entry} matches no destination: write a host, .suffix, address or network, perhaps with :port"
            )
        };
        entries.map(warning).collect()
    }

    /// The proxy on the way to `to`, if there is one.
    #[must_use]
    pub fn to(&self, to: &Uri) -> Option<Proxy> {
        let rules = self.0.as_ref()?;
        let encrypted = to.scheme_str() == Some("https");
        let port = to.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        if rules.exceptions.name_port_of(to, port) {
            return None;
        }
        let found = rules.matcher.intercept(to)?;
        let [https, http] = rules.origins;
        Some(Proxy {
            uri: found.uri().clone(),
            authorization: found.basic_auth().cloned(),
            origin: if encrypted { https } else { http },
        })
    }
}

/// Of parts that cannot run into each other: none of them holds a line end.
fn fingerprint(parts: &[&str]) -> [u8; 32] {
    Sha256::digest(parts.join("\n")).into()
}

/// The URL of a proxy that we can talk to, `http://` in front where there was no scheme.
fn usable(text: &str) -> Result<String, String> {
    address::unsent(text)?;
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let form = "expected http://host:port, perhaps with user:password@ before the host";
    let scheme = whole.split("://").next().unwrap_or_default().to_ascii_lowercase();
    if scheme.starts_with("socks") {
        return Err(format!("names a SOCKS proxy, which is not supported; {form}"));
    }
    if scheme != "http" && scheme != "https" {
        return Err(form.to_owned());
    }
    let uri: Uri = whole
        .parse()
        .map_err(|_| format!("is not the URL of a proxy; {form} (%40, %3A for `@`, `:` in a password)"))?;
    if !matches!(uri.path_and_query().map(http::uri::PathAndQuery::as_str), None | Some("" | "/")) {
        return Err(format!(
            "holds a path or a query, which a proxy has none of; {form} (%2F for a `/` in a password)"
        ));
    }
    let authority = uri.authority().ok_or(form)?;
    address::place(authority)?;
    if authority.as_str().matches('@').count() > 1 {
        return Err("holds more than one `@`: write %40 for one that belongs to a password".to_owned());
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(set: &[(&str, &str)]) -> Result<Proxies, Vec<Unusable>> {
        let find = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        Proxies::of_variables(find)
    }

    fn way(proxies: &Proxies, to: &str) -> Option<String> {
        proxies.to(&to.parse().unwrap()).map(|proxy| format!("{proxy} by {}", proxy.origin))
    }

    #[track_caller]
    fn assert_way(set: &[(&str, &str)], to: &str, expected: Option<&str>) {
        assert_eq!(way(&of(set).unwrap(), to).as_deref(), expected, "{set:?} {to}");
    }

    #[test]
    fn the_scheme_of_the_destination_chooses_the_variable() {
        let set = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "p:2"), ("ALL_PROXY", "http://all:3")];
        assert_way(&set, "https://h/", Some("http://s:1 by HTTPS_PROXY"));
        assert_way(&set, "http://h/", Some("http://p:2 by http_proxy"));
        assert_way(&set[2..], "https://h/", Some("http://all:3 by ALL_PROXY"));
        assert_way(&set[2..], "http://h/", Some("http://all:3 by ALL_PROXY"));
        assert_way(&set[..1], "http://h/", None);
        assert_way(
            &[("HTTPS_PROXY", "http://u:1"), ("https_proxy", "http://l:1")],
            "https://h",
            Some("http://u:1 by HTTPS_PROXY"),
        );
        assert_way(
            &[("HTTPS_PROXY", " "), ("https_proxy", "http://l:1")],
            "https://h",
            Some("http://l:1 by https_proxy"),
        );
        assert_way(&[("HTTPS_PROXY", "https://s:1/")], "https://h", Some("https://s:1 by HTTPS_PROXY"));
        assert_way(&[], "https://h/", None);
    }

    #[test]
    fn no_proxy_takes_hosts_suffixes_networks_ports_and_everything() {
        for (list, reached, proxied) in [
            ("a.example", &["a.example", "x.a.example", "A.Example:8443"][..], &["b.a.exampl", "xa.example"][..]),
            (".example", &["a.example", "example"], &["aexample"]),
            ("*.example", &["a.example"], &["aexample"]),
            ("10.0.0.0/8, 192.0.2.1", &["10.9.9.9", "192.0.2.1:99"], &["11.0.0.1", "192.0.2.2"]),
            ("::1,[2001:db8::/32]", &["[::1]", "[2001:db8::9]:1"], &["[2001:db9::1]"]),
            ("a.example:8443 b.example", &["a.example:8443", "b.example"], &["a.example", "a.example:444"]),
            ("[::1]:8443", &["[::1]:8443"], &["[::1]:1"]),
            ("h:443", &["h", "h:443"], &["h:80"]),
            ("*:9", &["h:9", "10.0.0.1:9"], &["h"]),
            ("*", &["a", "10.0.0.1", "[::1]"], &[]),
            (",", &[], &["a"]),
        ] {
            let proxies = of(&[("HTTPS_PROXY", "http://p:1"), ("no_proxy", list)]).unwrap();
            for host in reached {
                assert_eq!(way(&proxies, &format!("https://{host}/")), None, "{list}: {host}");
            }
            for host in proxied {
                assert!(way(&proxies, &format!("https://{host}/")).is_some(), "{list}: {host}");
            }
        }
    }

    #[test]
    fn a_password_is_sent_and_not_shown() {
        let proxies = of(&[("HTTPS_PROXY", "http://us%40er:hun%3Ater2@p:1")]).unwrap();
        let proxy = proxies.to(&"https://h/".parse().unwrap()).unwrap();
        assert_eq!(proxy.to_string(), "http://[redacted]@p:1");
        let shown = proxy.authorization.unwrap();
        assert!(shown.is_sensitive());
        // printf 'us@er:hun:ter2' | base64
        assert_eq!(shown, "Basic dXNAZXI6aHVuOnRlcjI=");
        let fixed = Proxies::fixed("http://u:p@q:3128").ok().unwrap();
        assert_eq!(way(&fixed, "http://10.0.0.1/").as_deref(), Some("http://[redacted]@q:3128 by proxy"));
    }

    #[test]
    fn whatever_is_said_changes_the_fingerprint() {
        let fixed = |url| Proxies::fixed(url).ok().unwrap().fingerprint();
        let set = |no| of(&[("HTTPS_PROXY", "http://u:p@q:1"), ("NO_PROXY", no)]).unwrap().fingerprint();
        let all = [None, fixed("http://u:p@q:1"), fixed("http://u:o@q:1"), set("a"), set("a.b")];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().enumerate().all(|(j, other)| (one == other) == (i == j)), "{i}");
        }
        assert_eq!(fixed("http://u:p@q:1"), fixed("u:p@q:1"));
    }

    #[test]
    fn what_is_no_proxy_is_named_and_not_repeated() {
        for (value, word) in [
            ("socks5://u:hunter2@p:1", "SOCKS"),
            ("ftp://u:hunter2@p:1", "http://host:port"),
            ("http://", "http://host:port"),
            ("http://p:0", "1 to 65535"),
            ("http://u:hunter2@p:99999", "1 to 65535"),
            ("http://u:hunter2@p:1/path", "path"),
            ("http://u:hunter2@p:1?x", "query"),
            ("http://u:hunter2@x@p:1", "%40"),
            ("http://u:hun#ter2@p:1", "fragment"),
            ("http://u:hunter2@p :1", "blanks"),
            ("http://u:hun/hunter2@p:1", "%2F"),
        ] {
            let problems = of(&[("https_proxy", value), ("NO_PROXY", "*")]).err().unwrap();
            assert_eq!(problems[0].variable, "https_proxy");
            assert!(problems[0].problem.contains(word), "{value}: {}", problems[0].problem);
            assert!(!problems[0].problem.contains("hunter2"), "{}", problems[0].problem);
        }
        assert_eq!(of(&[("ALL_PROXY", "socks5://a"), ("HTTP_PROXY", "socks4://a")]).err().unwrap().len(), 2);
    }
}
