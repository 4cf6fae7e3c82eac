//! Ingress: from a request to a stored event, through one stack per source that can be read aloud.

mod allow_ip;
mod content;
mod fields;
mod http_rules;
mod json;
mod kept;
mod load;
mod quarantine;
mod receive;
mod record;
mod reject;
mod release;
mod sampler;
pub(crate) mod settings;
mod source;
#[cfg(test)]
mod tests;
mod text;
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
use tower::{Service, ServiceBuilder};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::validate_request::ValidateRequestHeaderLayer;

use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::metrics::{Metrics, NO_SOURCE};
use crate::store::{Inbox, Quarantine};

use self::allow_ip::AllowIp;
use self::content::Content;
use self::http_rules::{OnlyPost, Readable, WellFormed};
use self::kept::Kept;
use self::load::LoadLayer;
use self::receive::Receive;
use self::record::{Ended, RecordLayer};
use self::reject::Reject;
use self::verify::VerifyLayer;
use self::window::WindowLayer;

pub use self::content::judge as judge_content;
pub use self::fields::Wanted;
pub use self::http_rules::well_formed;
pub use self::kept::names_credential;
pub use self::load::{BodyBudget, RequestPermits};
pub use self::quarantine::{ID_CONFLICT, Intake, Shelver, intake};
pub use self::record::Recorder;
pub use self::release::{Released, release};
pub use self::settings::{IdRule, SourceSettings, TypeRule};
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
    pub intake: Intake,
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
    /// For `/healthz`.
    pub lifecycle: Lifecycle,
}

/// The webhook listener's routes: one stack per source, `/healthz`, and 404 for the rest.
pub fn router(shared: &Shared, recorder: &Arc<Recorder>, sources: &[Arc<Source>]) -> Router {
    let lifecycle = shared.lifecycle.clone();
    let healthz = get(move || std::future::ready(health(lifecycle.is_ready())))
        .layer(ValidateRequestHeaderLayer::custom(WellFormed));
    let unknown = ServiceBuilder::new()
        .layer(RecordLayer { recorder: Arc::clone(recorder), source: None })
        // 400, 414, 431: what stands for a head that could not be read. It has no target, so it ends up here.
        .layer(ValidateRequestHeaderLayer::custom(Readable))
        .layer(LoadLayer(Arc::clone(&shared.requests)))
        .layer(ValidateRequestHeaderLayer::custom(WellFormed))
        .service_fn(|_: Request<Body>| std::future::ready(Ok::<_, Infallible>(Reject::NotFound.into_response())));
    // A path may begin a segment with a colon; only braces mean something here, and configuration refuses those.
    let router = Router::new().without_v07_checks().route("/healthz", healthz).fallback_service(unknown);
    sources
        .iter()
        .fold(router, |router, source| router.route_service(&source.config.path, stack(shared, recorder, source)))
}

/// What a request to `source` goes through, outermost first.
fn stack(
    shared: &Shared,
    recorder: &Arc<Recorder>,
    source: &Arc<Source>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
    let keeper = shared.intake.keeper(&source.config.name, Kept::from(&source.config.scheme));
    let source = || Arc::clone(source);
    ServiceBuilder::new()
        // A name, one access record however it ends, metrics, the audit record.
        .layer(RecordLayer { recorder: Arc::clone(recorder), source: Some(source()) })
        // 503: too many in flight, said at once instead of queued.
        .layer(LoadLayer(Arc::clone(&shared.requests)))
        // 400, 501: what two HTTP parsers could understand differently.
        .layer(ValidateRequestHeaderLayer::custom(WellFormed))
        // 405: webhooks are POSTed.
        .layer(ValidateRequestHeaderLayer::custom(OnlyPost))
        // 415: other media types, anything compressed.
        .layer(ValidateRequestHeaderLayer::custom(Content(source())))
        // 413: declared too large; and the stream is cut at the limit, whatever was declared.
        .map_response(in_our_words)
        .layer(RequestBodyLimitLayer::new(source().config.body_bytes))
        // 403: not on the allowlist.
        .layer(ValidateRequestHeaderLayer::custom(AllowIp(source())))
        // 401, 410, 400: outside the window, or nothing to verify. Request → Claimed.
        .layer(WindowLayer {
            source: source(),
            clock: shared.clock.clone(),
            keeper: Arc::clone(&keeper),
            budget: Arc::clone(&shared.budget),
        })
        // 408, 413, 503, 401: the body, buffered and proven. Claimed → Verified.
        .layer(VerifyLayer {
            source: source(),
            budget: Arc::clone(&shared.budget),
            waiting: Arc::clone(&shared.waiting),
            timeout: shared.body_timeout,
            keeper: Arc::clone(&keeper),
        })
        // 400, 503, 200: understood, committed, answered.
        .service(Receive {
            source: source(),
            inbox: Arc::clone(&shared.inbox),
            quarantine: Arc::clone(&shared.quarantine),
            keeper,
            clock: shared.clock.clone(),
        })
}

/// The body limit's own plain-text 413, said like every other refusal.
fn in_our_words<B>(response: Response<B>) -> Response<Body>
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<tower::BoxError>,
{
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE && response.extensions().get::<Ended>().is_none() {
        return Reject::PayloadTooLarge.into_response();
    }
    response.map(Body::new)
}

fn health(ready: bool) -> Response<Body> {
    let (status, word) = if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    reject::json(status, &serde_json::json!({ "status": word }))
}

/// The series of requests that no source takes.
#[must_use]
pub fn unrouted(metrics: &Metrics) -> crate::metrics::SourceMetrics {
    metrics.source(NO_SOURCE, &reject::REASONS, &[])
}

/// The service behind every connection: the router of the moment, exchanged on reload.
#[derive(Clone)]
pub struct Ingress(Arc<ArcSwap<Router>>);

impl Ingress {
    /// Serves `router` until it is replaced.
    #[must_use]
    pub fn new(router: Router) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(router)))
    }

    /// Serves `router` from the next request on; requests under way finish in the stack they began in.
    pub fn replace(&self, router: Router) {
        self.0.store(Arc::new(router));
    }
}

impl Service<Request<Body>> for Ingress {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = axum::routing::future::RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Router::clone(&self.0.load()).call(request)
    }
}
