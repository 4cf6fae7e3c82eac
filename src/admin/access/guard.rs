//! The one layer that every request of the admin listener passes: who asks, whether a browser was led here by somebody
//! else, and what browsers must not do with the answer.

use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::caller::{Caller, Via};
use super::credentials::Credential;
use super::origin::{Origin, names_loopback};
use super::sign_in::{self, PATH};
use super::surroundings::{client_of, session_ids};
use crate::admin::answer;
use crate::admin::settings::Role;
use crate::admin::state::Admin;

/// What answers to anybody: orchestrators and load balancers that probe hold no token, and get one word.
const PROBES: [&str; 2] = ["/livez", "/readyz"];
/// What the form to sign in is made of.
const ASSETS: &str = "/assets/";
/// Who acts where nobody has to say who they are.
const LOCAL: &str = "local";

/// Nothing from anywhere but here, nothing inline, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Lets through who may pass, and says who that is.
pub(in crate::admin) async fn guard(State(admin): State<Admin>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if PROBES.contains(&path) {
        return next.run(request).await;
    }
    let is_open = path == PATH || path.starts_with(ASSETS);
    let response = match admit(&admin, &request, is_open) {
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            next.run(request).await
        }
        Err(refusal) => *refusal,
    };
    protected(response)
}

/// Who asks; nobody where anybody may.
fn admit(admin: &Admin, request: &Request, is_open: bool) -> Result<Option<Caller>, Box<Response>> {
    let (view, headers) = (admin.view.load(), request.headers());
    let client = client_of(admin, request);
    let known =
        |credential: Credential, via| Caller { name: credential.name, role: credential.role, via, client_ip: client };
    let refuse = |status, words: &str| Err(Box::new(answer::refusal(request.uri().path(), status, words)));
    let caller = if view.credentials.are_none() {
        if !names_loopback(headers, view.address) {
            let words =
                "this listener answers to loopback names alone: another one may be a page that points its name here";
            return refuse(StatusCode::FORBIDDEN, words);
        }
        Some(Caller { name: LOCAL.into(), role: Role::Operator, via: Via::Loopback, client_ip: client })
    } else if let Some(credential) = view.credentials.of_bearer(headers) {
        Some(known(credential.clone(), Via::Bearer))
    } else {
        let session = session_ids(headers).find_map(|id| admin.sessions.of(id, &view.credentials));
        session.map(|credential| known(credential, Via::Session))
    };
    if caller.is_none() && !is_open {
        return Err(Box::new(unauthorized(request)));
    }
    if !request.method().is_safe() && !came_from_here(request, caller.as_ref()) {
        let words =
            "this came from another site's page, or from no page at all: act on the page itself, or send the token";
        return refuse(StatusCode::FORBIDDEN, words);
    }
    Ok(caller)
}

/// Whether no other site's page made the browser send this.
fn came_from_here(request: &Request, caller: Option<&Caller>) -> bool {
    match (Origin::of(request.headers()), caller.map(|caller| caller.via)) {
        // No page can make a browser send the token.
        (_, Some(Via::Bearer)) | (Origin::Same, _) => true,
        // A program on this machine, which needs no token for the API either.
        (Origin::NotSaid, Some(Via::Loopback)) => request.uri().path().starts_with("/api/"),
        (Origin::NotSaid | Origin::Other, _) => false,
    }
}

fn unauthorized(request: &Request) -> Response {
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_page = request.method() == Method::GET && accepts.contains("text/html");
    let path = request.uri().path();
    let mut response = if path.starts_with("/api/") || !is_page {
        let words = "the admin token is needed: Authorization: Bearer …";
        answer::refusal(path, StatusCode::UNAUTHORIZED, words)
    } else {
        let to = request.uri().path_and_query().map_or("/", |target| target.as_str());
        (StatusCode::UNAUTHORIZED, sign_in::form(to, None)).into_response()
    };
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"gatepost\""));
    response
}

/// `response` with what keeps browsers from framing, sniffing, storing and telling on it.
fn protected(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let always: [(HeaderName, &'static str); 6] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses whoever may only see.
pub(in crate::admin) fn see_only(path: &str) -> Response {
    let words = "this takes the role \"operator\": yours is \"viewer\"";
    answer::refusal(path, StatusCode::FORBIDDEN, words)
}
