//! The effective configuration as text for `gatepost check`, in the file's own form, without any secret.

use std::fmt::Write as _;

use super::Config;
use crate::event::Name;
use crate::server::networks::Networks;
use crate::settings::duration;
use crate::settings::record::Section;
use crate::sink::{self, Proxy};

const REDACTED: &str = "[redacted]";

/// Lines of `key = value` in sections.
struct Text(String);

impl Text {
    fn section(&mut self, name: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        _ = writeln!(self.0, "{gap}{name}");
    }

    fn bare(&mut self, key: &str, value: impl std::fmt::Display) {
        _ = writeln!(self.0, "{key} = {value}");
    }

    fn quoted(&mut self, key: &str, value: &str) {
        self.bare(key, format_args!("{value:?}"));
    }

    fn maybe(&mut self, key: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.quoted(key, value);
        }
    }

    fn list<T: AsRef<str>>(&mut self, key: &str, values: &[T]) {
        let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
        self.bare(key, format_args!("{values:?}"));
    }
}

impl Config {
    /// The effective configuration in the form of the file. Secrets are shown as `[redacted]`, with where they came
    /// from; passwords in URLs are left out.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = self.describe_others();
        for section in self.sources() {
            section.write(&mut text);
        }
        text
    }

    /// Where the session token of the key that source `name` signs with came from, in words.
    pub(crate) fn session_token_origin(&self, name: &Name) -> Option<&str> {
        let source = self.sources().find(|section| section.name.as_deref() == Some(name.as_str()))?;
        source.inner.first()?.origin_of("session_token")
    }

    /// The sources as they were read.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| section.title == "[[source]]")
    }

    pub(super) fn describe_others(&self) -> String {
        let mut text = Text(String::new());
        self.describe_server(&mut text);
        self.describe_process(&mut text);
        for sink in &self.sinks {
            self.describe_sink(sink, &mut text);
        }
        if let Some(siem) = &self.siem {
            text.section("[siem]");
            text.quoted("url", &redact_url(&siem.url));
            if siem.token.is_some() {
                text.quoted("token", &self.secret("siem.token"));
            }
            text.maybe("ca_file", siem.ca_file.as_ref().map(|path| path.display().to_string()).as_ref());
            let proxy = siem.url.parse().ok().and_then(|url| siem.proxies.to(&url));
            text.maybe("proxy", proxy.map(|proxy| self.proxy(&proxy, "siem.proxy")).as_ref());
            text.quoted("format", siem_format(siem.format));
        }
        text.0
    }

    fn describe_server(&self, text: &mut Text) {
        text.section("[listener]");
        text.quoted("address", &self.listener.address.to_string());
        text.quoted("proxy_protocol", if self.listener.proxy_protocol { "required" } else { "off" });
        text.bare("trusted_proxies", networks(&self.listener.trusted_proxies));
        text.bare("max_connections", self.listener.max_connections);
        text.bare("max_connections_per_client", self.listener.max_connections_per_client);
        text.section("[tls]");
        for (index, files) in self.tls.certificates.iter().enumerate() {
            if index > 0 {
                text.section("[[tls.certificate]]");
            }
            text.quoted("cert_file", &files.cert_file.display().to_string());
            text.quoted("key_file", &files.key_file.display().to_string());
            if index == 0 {
                text.quoted("min_version", if self.tls.allow_tls12 { "1.2" } else { "1.3" });
                text.maybe(
                    "client_ca_file",
                    self.tls.client_ca_file.as_ref().map(|path| path.display().to_string()).as_ref(),
                );
            }
        }
        text.section("[limits]");
        text.bare("body_bytes", self.limits.body_bytes);
        text.bare("body_memory_bytes", self.limits.body_memory_bytes);
        text.bare("concurrent_requests", self.limits.concurrent_requests);
        text.quoted("handshake_timeout", &duration::write(self.limits.handshake_timeout));
        text.quoted("header_timeout", &duration::write(self.limits.header_timeout));
        text.quoted("body_timeout", &duration::write(self.limits.body_timeout));
        text.quoted("idle_timeout", &duration::write(self.limits.idle_timeout));
    }

    fn describe_process(&self, text: &mut Text) {
        text.section("[shutdown]");
        text.quoted("drain_delay", &duration::write(self.shutdown.drain_delay));
        text.quoted("drain_timeout", &duration::write(self.shutdown.drain_timeout));
        text.section("[store]");
        text.quoted("url", &redact_url(&self.store.url));
        text.quoted("retention", &duration::write(self.store.retention));
        text.section("[quarantine]");
        text.bare("max_entries", self.store.quarantine.max_entries);
        text.bare("max_bytes", self.store.quarantine.max_bytes);
        text.section("[admin]");
        text.quoted("address", &self.admin.address.to_string());
        if self.admin.token.is_some() {
            text.quoted("token", &self.secret("admin.token"));
        }
        text.section("[log]");
        text.quoted("format", if self.log.json { "json" } else { "pretty" });
        text.quoted("filter", &self.log.filter);
    }

    fn describe_sink(&self, sink: &sink::Settings, text: &mut Text) {
        text.section("[[sink]]");
        text.quoted("name", sink.name.as_str());
        text.quoted("type", &sink.kind);
        // Only NATS has several, and no comma within one.
        let urls = if sink.kind == "nats" { sink.url.split(',').collect() } else { vec![sink.url.as_str()] };
        text.quoted("url", &urls.into_iter().map(redact_url).collect::<Vec<_>>().join(","));
        for (key, there) in [("secret", sink.secret.is_some()), ("token", sink.token.is_some())] {
            if there {
                text.quoted(key, &self.secret(&format!("sink.{}.{key}", sink.name)));
            }
        }
        text.maybe("subject", sink.subject.as_ref());
        text.maybe("ca_file", sink.ca_file.as_ref().map(|path| path.display().to_string()).as_ref());
        let label = format!("sink.{}.proxy", sink.name);
        text.maybe("proxy", sink.proxy().map(|proxy| self.proxy(&proxy, &label)).as_ref());
        text.quoted("timeout", &duration::write(sink.timeout));
        text.bare("concurrency", sink.concurrency);
        text.bare("max_attempts", sink.max_attempts);
        text.quoted("max_age", &duration::write(sink.max_age));
        if !sink.event_types.is_empty() {
            text.list("event_types", &sink.event_types);
        }
    }

    /// Without its password; says what named it where that is not the file itself.
    fn proxy(&self, proxy: &Proxy, label: &str) -> String {
        match self.origins.get(label) {
            Some(origin) if origin == crate::settings::THE_FILE => proxy.to_string(),
            Some(origin) => format!("{proxy} from {origin}"),
            None => format!("{proxy} from variable {}", proxy.origin),
        }
    }

    fn secret(&self, label: &str) -> String {
        match self.origins.get(label) {
            Some(origin) => format!("{REDACTED} from {origin}"),
            None => REDACTED.to_owned(),
        }
    }
}

fn networks(networks: &Networks) -> String {
    match networks {
        Networks::Any => "\"any\"".to_owned(),
        Networks::List(list) => format!("{:?}", list.iter().map(ToString::to_string).collect::<Vec<_>>()),
    }
}

const fn siem_format(format: super::SiemFormat) -> &'static str {
    match format {
        super::SiemFormat::Json => "json",
        super::SiemFormat::Ecs => "ecs",
        super::SiemFormat::SplunkHec => "splunk-hec",
    }
}

/// `url` without its user's password and the values in its query, which often are credentials too.
///
/// Everything before the last `@` goes: a password that was not percent-encoded may hold `/` or `?` itself.
fn redact_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (format!("{REDACTED}@"), rest),
        None => (String::new(), rest),
    };
    let Some((place, query)) = rest.split_once('?') else { return format!("{scheme}://{user}{rest}") };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name @ "sslmode", value)) => format!("{name}={value}"),
        Some((name, _)) => format!("{name}={REDACTED}"),
        None => REDACTED.to_owned(),
    });
    format!("{scheme}://{user}{place}?{}", shown.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::redact_url;

    #[test]
    fn passwords_and_query_values_are_left_out_of_urls() {
        for (url, shown) in [
            ("sqlite:data/a@b.db", "sqlite:data/a@b.db"),
            ("https://host/path", "https://host/path"),
            ("postgres://u:hunter2@h:5432/d?sslmode=require", "postgres://[redacted]@h:5432/d?sslmode=require"),
            ("postgres://u:hun/te?r2@h/d", "postgres://[redacted]@h/d"),
            ("postgres://h/d?user=u&password=hunter2", "postgres://h/d?user=[redacted]&password=[redacted]"),
            ("https://h/hook?hunter2", "https://h/hook?[redacted]"),
        ] {
            assert_eq!(redact_url(url), shown);
        }
    }
}
