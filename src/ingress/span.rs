//! The span of a request, where requests are traced: begun with its head, ended with its access record.
//!
//! Names are those of OpenTelemetry's conventions for HTTP, and our own below `gatepost.`. Never a body, a secret, a signature or
//! the value of a query.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{Method, StatusCode, Version};

use super::log_text::escape_for_log;
use super::request_end::RequestEnd;
use super::settings::SourceSettings;
use crate::trace::{Attribute, Begun, Tracer, Value};

/// What conventions call a method that is none of HTTP's own.
const OTHER: &str = "_OTHER";

/// A request that is traced.
#[derive(Debug)]
pub(super) struct Traced {
    begun: Begun,
    version: Version,
    host: Option<String>,
}

/// What the access record tells of the request.
pub(super) struct Seen<'r> {
    pub source: Option<&'r SourceSettings>,
    pub request_id: &'r str,
    /// `None` where that could not be read, like `path`.
    pub method: Option<&'r Method>,
    pub path: Option<Cow<'r, str>>,
    pub status: Option<StatusCode>,
    pub client: Option<IpAddr>,
    pub peer: IpAddr,
    pub end: &'r RequestEnd,
}

impl Traced {
    /// Begins the span of the request with `head`.
    pub(super) fn begin(tracer: &Tracer, head: &Parts) -> Arc<Self> {
        let begun = tracer.serve(&head.headers);
        let host = if begun.context.is_sampled() { host(head) } else { None };
        Arc::new(Self { begun, version: head.version, host })
    }

    /// What its event says of it to whoever gets that.
    pub(super) fn traceparent(&self) -> String {
        self.begun.context.header()
    }

    /// Ends it.
    pub(super) fn end(&self, tracer: &Tracer, seen: &Seen<'_>) {
        tracer.end(&self.begun, || {
            // What the sender did wrong is no error of this side.
            let failed = seen.status.filter(StatusCode::is_server_error).map(|_| String::new());
            (name(seen), self.attributes(seen), failed)
        });
    }

    fn attributes(&self, seen: &Seen<'_>) -> Vec<Attribute> {
        let (known, end) = (seen.end.event.as_deref(), seen.end);
        let text = |text: Option<&String>| text.map(|text| Value::from(escape_for_log(text).into_owned()));
        let method = seen.method.map(|method| method_name(method).unwrap_or(OTHER));
        let own = seen.method.filter(|method| method_name(method).is_none());
        let route = seen.source.map(|source| Value::from(source.path.clone()));
        let all = [
            ("http.request.method", method.map(Value::from)),
            ("http.request.method_original", own.map(|own| escape_for_log(own.as_str()).into_owned().into())),
            ("http.route", route),
            ("http.response.status_code", seen.status.map(|status| u32::from(status.as_u16()).into())),
            ("url.scheme", Some("https".into())),
            ("url.path", seen.path.as_ref().map(|path| path.to_string().into())),
            ("server.address", self.host.clone().map(Value::from)),
            ("client.address", seen.client.map(|client| client.to_string().into())),
            ("network.peer.address", Some(seen.peer.to_string().into())),
            ("network.protocol.name", Some("http".into())),
            ("network.protocol.version", version(self.version).map(Value::from)),
            ("error.type", error(seen)),
            ("gatepost.source", seen.source.map(|source| source.name.to_string().into())),
            ("gatepost.outcome", Some(end.outcome.as_str().into())),
            ("gatepost.reason", end.reason.map(|reason| reason.as_str().into())),
            ("gatepost.event_id", text(known.and_then(|known| known.event_id.as_ref()))),
            ("gatepost.event_type", text(known.and_then(|known| known.kind.as_ref()))),
            ("gatepost.request_id", Some(seen.request_id.to_owned().into())),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Of few different ones: the method and the path of the source.
fn name(seen: &Seen<'_>) -> String {
    let method = seen.method.and_then(method_name).unwrap_or("HTTP");
    match seen.source {
        Some(source) => format!("{method} {}", source.path),
        None => method.to_owned(),
    }
}

/// An answer that is our fault, by its status; none at all, by its reason.
fn error(seen: &Seen<'_>) -> Option<Value> {
    match seen.status {
        Some(status) if status.is_server_error() => Some(status.as_u16().to_string().into()),
        Some(_) => None,
        None => seen.end.reason.map(|reason| reason.as_str().into()),
    }
}

fn method_name(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    }
}

/// The host that the sender asked for, without a port.
fn host(head: &Parts) -> Option<String> {
    let in_target = head.uri.host().map(str::to_owned);
    let in_head = || head.headers.get(HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let host = in_target.or_else(|| in_head().map(|authority| authority.host().to_owned()))?;
    Some(escape_for_log(&host).into_owned())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn the_host_is_told_without_its_port_wherever_it_stands() {
        let of = |target: &str, header: Option<&str>| {
            let request = Request::post(target);
            let request = header.map_or(Request::post(target), |header| request.header("host", header));
            host(&request.body(()).unwrap().into_parts().0)
        };
        assert_eq!(of("/a", Some("hooks.example:8443")).as_deref(), Some("hooks.example"));
        assert_eq!(of("https://hooks.example:8443/a", None).as_deref(), Some("hooks.example"));
        assert_eq!(of("/a", Some("[::1]:1")).as_deref(), Some("[::1]"));
        assert_eq!(of("/a", None), None);
    }

    #[test]
    fn methods_are_of_a_fixed_set() {
        assert_eq!(method_name(&Method::POST), Some("POST"));
        assert_eq!(method_name(&Method::from_bytes(b"post").unwrap()), None);
    }
}
