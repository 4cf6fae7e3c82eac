//! The outermost layer: names the request, and writes exactly one access record however it ends.
//!
//! Also counts it and, where a source was validated, writes the audit record. A request whose connection breaks
//! leaves its record when its future is dropped.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use jiff::Timestamp;
use pin_project_lite::pin_project;
use serde::Serialize;
use tokio::sync::mpsc;
use tower::{Layer, Service};

use crate::audit_record::AuditRecord;
use crate::clock::Clock;
use crate::feed::{Feed, FeedEvent};
use crate::flat_json;
use crate::metrics::SourceMetrics;
use crate::request_id;
use crate::request_outcome::{Reason, RequestOutcome};
use crate::server::Unreadable;
use crate::server::client::{self, BadForwarded, Peer};
use crate::server::networks::Networks;
use crate::trace::Tracer;

use super::arrival::{Arrival, Arrived};
use super::log_text::escape_for_log;
use super::request_end::{Answered, RequestEnd};
use super::source::Source;
use super::span::{Seen, Traced};

/// What senders may quote when they ask about a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The `gatepost::access` record, in the contract's order.
#[derive(Serialize)]
struct Access<'a> {
    timestamp: Timestamp,
    request_id: &'a str,
    source: Option<&'a str>,
    outcome: RequestOutcome,
    method: Option<Cow<'a, str>>,
    path: Option<Cow<'a, str>>,
    content_type: Option<Cow<'a, str>>,
    reason: Option<&'static str>,
    quarantine_id: Option<i64>,
    status: Option<u16>,
    event_id: Option<&'a str>,
    event_type: Option<&'a str>,
    client_ip: Option<IpAddr>,
    peer_ip: IpAddr,
    bytes: usize,
    latency_us: u64,
    key: Option<&'a str>,
}

/// What every record needs, whatever the source.
pub struct Recorder {
    /// The time.
    pub clock: Clock,
    /// Whose forwarding headers are believed.
    pub trusted: Networks,
    /// Told of every request, where somebody follows.
    pub feed: Feed,
    /// Series of requests that no source takes.
    pub unrouted: SourceMetrics,
    /// Audit records towards the SIEM; full means dropped there, never blocked here.
    pub audit: Option<mpsc::Sender<AuditRecord>>,
    /// Where requests are traced.
    pub tracer: Option<Arc<Tracer>>,
}

/// Makes [`AccessLog`]; `source` is `None` on the stack of unknown paths.
#[derive(Clone)]
pub(super) struct AccessLogLayer {
    /// Shared by all stacks.
    pub recorder: Arc<Recorder>,
    /// Whose stack it is on.
    pub source: Option<Arc<Source>>,
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLog<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AccessLog { layer: self.clone(), inner }
    }
}

/// See [`AccessLogLayer`].
#[derive(Clone)]
pub(super) struct AccessLog<S> {
    layer: AccessLogLayer,
    inner: S,
}

impl<S> Service<Request<Body>> for AccessLog<S>
where
    S: Service<Arrived<Body>, Response = Box<Answered>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Logged<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let started = Instant::now();
        let (head, body) = request.into_parts();
        // Without a peer the server's promise is broken; the unspecified address is on no allowlist but `any`.
        let peer = head.extensions.get::<Peer>().copied();
        let peer = peer.unwrap_or_else(|| Peer::of_new_connection([0, 0, 0, 0].into()));
        let trusted = &self.layer.recorder.trusted;
        // Only what no source takes can be one.
        let unreadable = match self.layer.source {
            None => head.extensions.get::<Unreadable>().copied(),
            Some(_) => None,
        };
        let client = match unreadable {
            // What the proxy says of the client cannot be read, either.
            Some(_) if trusted.contains(peer.ip.to_canonical()) => Err(BadForwarded),
            _ => client::client_ip(peer, &head.headers, trusted),
        };
        let traced = self.layer.recorder.tracer.as_ref().map(|tracer| Traced::begin(tracer, &head));
        let at = self.layer.recorder.clock.now();
        let arrival = Arrival { at, request_id: request_id::new(at), client, traced };
        let head = Arc::new(head);
        let asked = unreadable.is_none().then(|| Asked(Arc::clone(&head)));
        let answered = unreadable.is_none_or(Unreadable::is_answered);
        let layer = self.layer.clone();
        let entry = Entry { layer, started, peer, arrival: arrival.clone(), asked, answered, written: false };
        Logged { inner: self.inner.call(Arrived { arrival, head, body }), entry }
    }
}

pin_project! {
    /// The answer of the inner service, recorded.
    pub struct Logged<F> {
        #[pin]
        inner: F,
        entry: Entry,
    }
}

impl<F> Future for Logged<F>
where
    F: Future<Output = Result<Box<Answered>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(answered) = ready!(this.inner.poll(cx));
        let Answered { mut response, end } = *answered;
        this.entry.write(&end, Some(response.status()));
        // Of hexadecimal digits: it cannot fail.
        if let Ok(id) = HeaderValue::from_str(&this.entry.arrival.request_id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        Poll::Ready(Ok(response))
    }
}

/// What was asked for: shared with the request, not copied, and made fit for the record when that is written.
struct Asked(Arc<Parts>);

impl Asked {
    fn method(&self) -> &Method {
        &self.0.method
    }

    /// Without the query, whose values senders use for secrets; `None` where the target has no path (CONNECT).
    fn path(&self) -> Option<Cow<'_, str>> {
        Some(self.0.uri.path()).filter(|path| !path.is_empty()).map(escape_for_log)
    }

    fn content_type(&self) -> Option<Cow<'_, str>> {
        self.0.headers.get(CONTENT_TYPE).map(|value| match String::from_utf8_lossy(value.as_bytes()) {
            Cow::Borrowed(plain) => escape_for_log(plain),
            Cow::Owned(mended) => Cow::Owned(escape_for_log(&mended).into_owned()),
        })
    }
}

/// The record to be: written once, at the answer or, failing that, when dropped.
struct Entry {
    layer: AccessLogLayer,
    started: Instant,
    peer: Peer,
    arrival: Arrival,
    /// `None` where that could not be read.
    asked: Option<Asked>,
    /// Whether the answer goes out as the stack makes it.
    answered: bool,
    written: bool,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.written {
            self.write(&RequestEnd::disconnected(), None);
        }
    }
}

impl Entry {
    fn write(&mut self, end: &RequestEnd, status: Option<StatusCode>) {
        self.written = true;
        let now = self.layer.recorder.clock.now();
        let elapsed = self.started.elapsed();
        let latency_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.count(end, elapsed.as_secs_f64());
        self.log(now, end, status, latency_us);
        self.layer.recorder.feed.publish(|| self.told(end, status, latency_us));
        self.audit(now, end, latency_us);
        self.trace(end, status);
    }

    fn series(&self) -> &SourceMetrics {
        self.layer.source.as_ref().map_or(&self.layer.recorder.unrouted, |source| &source.metrics)
    }

    fn count(&self, end: &RequestEnd, seconds: f64) {
        let series = self.series();
        series.outcome(end.outcome).inc();
        series.duration.observe(seconds);
        if let Some(counter) = end.reason.and_then(|reason| series.refusal(reason)) {
            counter.inc();
        }
    }

    fn log(&self, timestamp: Timestamp, end: &RequestEnd, status: Option<StatusCode>, latency_us: u64) {
        let (known, asked) = (end.event.as_deref(), self.asked.as_ref());
        let event_id = known.and_then(|known| known.event_id.as_deref()).map(escape_for_log);
        let kind = known.and_then(|known| known.kind.as_deref()).map(escape_for_log);
        let record = Access {
            timestamp,
            request_id: &self.arrival.request_id,
            source: self.layer.source.as_ref().map(|source| source.config.name.as_str()),
            outcome: end.outcome,
            method: asked.map(|asked| escape_for_log(asked.method().as_str())),
            path: asked.and_then(Asked::path),
            content_type: asked.and_then(Asked::content_type),
            reason: end.reason.map(Reason::as_str),
            quarantine_id: end.quarantine_id,
            status: status.filter(|_| self.answered).map(|status| status.as_u16()),
            event_id: event_id.as_deref(),
            event_type: kind.as_deref(),
            client_ip: self.arrival.client.ok(),
            peer_ip: self.peer.ip,
            bytes: end.bytes,
            latency_us,
            key: known.map(|known| known.key.as_str()),
        };
        // Made only where the filter wants it. Texts and whole numbers always serialise.
        tracing::info!(target: "gatepost::access", record = flat_json::to_string(&record).unwrap_or_default());
    }

    fn trace(&self, end: &RequestEnd, status: Option<StatusCode>) {
        let Some((tracer, span)) = self.layer.recorder.tracer.as_ref().zip(self.arrival.traced.as_ref()) else {
            return;
        };
        let asked = self.asked.as_ref();
        span.end(
            tracer,
            &Seen {
                source: self.layer.source.as_ref().map(|source| &source.config),
                request_id: &self.arrival.request_id,
                method: asked.map(Asked::method),
                path: asked.and_then(Asked::path),
                status: status.filter(|_| self.answered),
                client: self.arrival.client.ok(),
                peer: self.peer.ip,
                end,
            },
        );
    }

    /// What those who follow are told of it.
    fn told(&self, end: &RequestEnd, status: Option<StatusCode>, latency_us: u64) -> FeedEvent {
        let known = end.event.as_deref();
        let shown = |text: Option<&String>| text.map(|text| escape_for_log(text).into_owned());
        FeedEvent {
            outcome: end.outcome.as_str(),
            source: self.layer.source.as_ref().map(|source| source.config.name.clone()),
            event_id: shown(known.and_then(|known| known.event_id.as_ref())),
            event_type: shown(known.and_then(|known| known.kind.as_ref())),
            reason: end.reason.map(|reason| reason.as_str().to_owned()),
            status: status.filter(|_| self.answered).map(|status| status.as_u16()),
            request_id: Some(self.arrival.request_id.to_string()),
            latency_us: Some(latency_us),
            ..FeedEvent::default()
        }
    }

    fn audit(&self, timestamp: Timestamp, end: &RequestEnd, latency_us: u64) {
        let (Some(source), Some(validated)) = (&self.layer.source, end.validated) else { return };
        let known = end.event.as_deref();
        let shown = |text: Option<&String>| text.map(|text| escape_for_log(text).into_owned());
        let verdict = AuditRecord {
            event: "webhook_validation",
            timestamp,
            source: source.config.name.clone(),
            bot_id: shown(known.and_then(|known| known.bot_id.as_ref())),
            intent: shown(known.and_then(|known| known.intent.as_ref())),
            validated,
            reason: end.reason.map(Reason::as_str),
            latency_us,
            rejections: source.metrics.outcome(RequestOutcome::Refused).get(),
        };
        // As above.
        tracing::info!(target: "gatepost::audit", record = flat_json::to_string(&verdict).unwrap_or_default());
        if let Some(audit) = &self.layer.recorder.audit {
            // A full queue is counted by its owner; the request never waits for it.
            let _ = audit.try_send(verdict);
        }
    }
}
