//! Ingress: from a request to a stored event, through one stack per source that can be read aloud.

mod access_log;
mod allow_ip;
mod answer_handshake;
mod arrival;
mod body;
mod body_budget;
mod body_limit;
mod challenge;
mod client_certificate;
mod concurrency_limit;
mod content;
mod extract;
mod handshake;
mod http_rules;
mod json;
mod keep;
mod limits;
mod log_text;
mod quarantine;
mod receive;
mod redaction;
mod refused;
mod reject;
mod release;
mod request_end;
mod rescue;
mod routes;
mod sampler;
pub(crate) mod settings;
mod source;
mod span;
#[cfg(test)]
mod tests;
mod token;
mod try_map_request;
mod twins;
mod verify;
mod waiting;
mod window;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response, StatusCode};
use serde::Serialize;
use tower::{Service, ServiceBuilder};
use tower_http::validate_request::ValidateRequestHeaderLayer;

use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::metrics::{Metrics, NO_SOURCE};
use crate::near_misses::NearMisses;
use crate::scheme::Challenge;
use crate::store::{Inbox, Quarantine};

use self::access_log::AccessLogLayer;
use self::allow_ip::allow_ip;
use self::answer_handshake::AnswerHandshakeLayer;
use self::arrival::Arrived;
use self::body_limit::body_limit;
use self::client_certificate::client_certificate;
use self::concurrency_limit::ConcurrencyLimitLayer;
use self::content::content;
use self::http_rules::{method, readable};
use self::receive::Receive;
use self::redaction::Redaction;
use self::refused::Refused;
use self::reject::Reject;
use self::request_end::Answered;
use self::rescue::RescueLayer;
use self::routes::RouteFuture;
use self::token::token;
use self::try_map_request::{check, try_map};
use self::verify::{Verifier, VerifyLayer};
use self::window::window;

pub use self::access_log::Recorder;
pub use self::body_budget::BodyBudget;
pub use self::concurrency_limit::RequestPermits;
pub use self::content::check_content;
pub use self::extract::Extractor;
pub use self::handshake::asks_handshake;
pub use self::http_rules::well_formed;
pub use self::limits::Limits;
pub use self::quarantine::{QuarantineQueue, QuarantineWriter, quarantine_queue};
pub(crate) use self::redaction::CLIENT_CERTIFICATE;
pub use self::redaction::names_credential;
pub use self::release::{Released, release};
pub use self::routes::Routes;
pub use self::settings::{CertificatePin, HandshakeSettings, IdRule, Identity, SourceSettings, TypeRule};
pub use self::source::Source;
pub use self::waiting::Waiting;

/// What all stacks share. Survives reloads, so that limits hold across them; what a reload changes is in the copy that
/// the new stacks are made from.
#[derive(Clone)]
pub struct Shared {
    /// Where events go.
    pub inbox: Arc<dyn Inbox>,
    /// Where second bodies of known ids go.
    pub quarantine: Arc<dyn Quarantine>,
    /// Where refused requests go.
    pub quarantine_queue: QuarantineQueue,
    /// Requests in flight.
    pub requests: Arc<RequestPermits>,
    /// Those of them whose body has not arrived yet.
    pub waiting: Arc<Waiting>,
    /// Bodies in flight.
    pub budget: Arc<BodyBudget>,
    /// From first body byte wanted to last byte read.
    pub body_timeout: Duration,
    /// The time.
    pub clock: Clock,
    /// Told of requests to paths that are nearly some source's.
    pub near_misses: NearMisses,
    /// For `/healthz`.
    pub lifecycle: Lifecycle,
}

/// The webhook listener's routes: one stack per source, `/healthz`, and 404 for the rest.
pub fn routes(shared: &Shared, recorder: &Arc<Recorder>, sources: &[Arc<Source>]) -> Routes {
    let lifecycle = shared.lifecycle.clone();
    let healthz = get(move || std::future::ready(health(lifecycle.is_ready())))
        .layer(ValidateRequestHeaderLayer::custom(well_formed_or_answered));
    let unknown = ServiceBuilder::new()
        .layer(AccessLogLayer { recorder: Arc::clone(recorder), source: None })
        .layer(RescueLayer::new(None, Arc::clone(&shared.budget)))
        // 400, 414, 431: what stands for a head that could not be read. It has no target, so it ends up here.
        .layer(check(readable))
        .layer(ConcurrencyLimitLayer(Arc::clone(&shared.requests)))
        .layer(check(well_formed))
        .service_fn(not_found(shared, sources));
    let others = Router::new().route("/healthz", healthz).fallback_service(unknown);
    let add =
        |routes: Routes, source: &Arc<Source>| routes.source(&source.config.path, stack(shared, recorder, source));
    sources.iter().fold(Routes::new(others), add)
}

/// 404, and a word to operators where the path is nearly some source's.
fn not_found(
    shared: &Shared,
    sources: &[Arc<Source>],
) -> impl Fn(Arrived<Body>) -> std::future::Ready<Result<Box<Answered>, Box<Refused>>> + Clone + Send + Sync + 'static {
    let near_misses = shared.near_misses.clone();
    let sources: Arc<[Arc<Source>]> = sources.into();
    move |Arrived { arrival, head, .. }| {
        let known = sources.iter().map(|source| (&source.config.name, source.config.path.as_str()));
        let close = near_misses.note(head.uri.path(), arrival.client.ok(), arrival.at, &known);
        if let Some(source) = close.and_then(|at| sources.get(at)) {
            source.metrics.near_misses.inc();
        }
        std::future::ready(Err(Reject::NotFound.into()))
    }
}

/// What a request to `source` goes through, outermost first.
fn stack(
    shared: &Shared,
    recorder: &Arc<Recorder>,
    source: &Arc<Source>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
    let source_quarantine =
        shared.quarantine_queue.of_source(&source.config.name, Redaction::from(&source.config.scheme));
    let source = || Arc::clone(source);
    let receive = Arc::new(Receive {
        source: source(),
        inbox: Arc::clone(&shared.inbox),
        quarantine: Arc::clone(&shared.quarantine),
        source_quarantine: Arc::clone(&source_quarantine),
        clock: shared.clock.clone(),
    });
    ServiceBuilder::new()
        // A name, one access record however it ends, metrics, the audit record.
        .layer(AccessLogLayer { recorder: Arc::clone(recorder), source: Some(source()) })
        // What any layer beneath refuses: offered to the quarantine, answered.
        .layer(
            RescueLayer::new(Some(source_quarantine), Arc::clone(&shared.budget))
                .challenging(source().config.scheme.token().map(|token| token.challenge)),
        )
        // 503: too many in flight, said at once instead of queued.
        .layer(ConcurrencyLimitLayer(Arc::clone(&shared.requests)))
        // 400, 501: what two HTTP parsers could understand differently.
        .layer(check(well_formed))
        // 405: webhooks are POSTed, some handshakes are not.
        .layer(check(method(source())))
        // 415: other media types, anything compressed.
        .layer(check(content(source())))
        // 413: declared too large; and the stream is cut at the limit, whatever was declared.
        .layer(try_map(body_limit(source().config.body_bytes)))
        // 403: not on the allowlist. Arrived → Allowed.
        .layer(try_map(allow_ip(source())))
        // 401: not with a token of the source, where it has any. Allowed → Admitted.
        .layer(try_map(token(source())))
        // 401: no client certificate that the source takes, where it asks for one.
        .layer(try_map(client_certificate(source())))
        // 200, 401, 400: a handshake that nobody signs ends here.
        .layer(AnswerHandshakeLayer { source: source() })
        // 401, 410, 400: outside the window, or nothing to verify. Admitted → Unverified.
        .layer(try_map(window(source())))
        // 408, 413, 503, 401: the body, buffered and proven. Unverified → Verified.
        .layer(VerifyLayer::from(Verifier {
            source: source(),
            budget: Arc::clone(&shared.budget),
            waiting: Arc::clone(&shared.waiting),
            timeout: shared.body_timeout,
        }))
        // 400, 503, 200: understood, committed, answered; a signed handshake only answered.
        .service_fn(move |request| Arc::clone(&receive).receive(request))
}

#[expect(clippy::result_large_err, reason = "what tower-http wants of a validation")]
fn well_formed_or_answered(request: &mut Request<Body>) -> Result<(), Response<Body>> {
    let (head, body) = std::mem::take(request).into_parts();
    let judged = well_formed(&head).map_err(|reject| rescue::answer(&reject, Challenge::Signature));
    *request = Request::from_parts(head, body);
    judged
}

/// What `/healthz` answers.
#[derive(Serialize)]
struct Health {
    status: &'static str,
}

fn health(ready: bool) -> Response<Body> {
    let (status, word) = if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    rescue::json(status, &Health { status: word })
}

/// The series of requests that no source takes.
#[must_use]
pub fn unrouted(metrics: &Metrics) -> crate::metrics::SourceMetrics {
    metrics.source(NO_SOURCE, &[])
}

/// The service behind every connection: the routes of the moment, exchanged on reload.
#[derive(Clone)]
pub struct Ingress(Arc<ArcSwap<Routes>>);

impl Ingress {
    /// Serves `routes` until they are replaced.
    #[must_use]
    pub fn new(routes: Routes) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(routes)))
    }

    /// Serves `routes` from the next request on; requests under way finish in the stack they began in.
    pub fn replace(&self, routes: Routes) {
        self.0.store(Arc::new(routes));
    }
}

impl Service<Request<Body>> for Ingress {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RouteFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.load().call(request)
    }
}
