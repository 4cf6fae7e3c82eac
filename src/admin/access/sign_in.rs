//! Signing in with a token, which a browser then need not keep, and out again.

use askama::Template;
use axum::Form;
use axum::extract::{Request, State};
use axum::http::header::{LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, RequestExt as _};
use serde::Deserialize;

use super::caller::{Caller, Via};

use super::sessions::LIFETIME;
use super::surroundings::{COOKIES, client_of, is_secure, session_ids};
use crate::admin::record::{Action, acted};
use crate::admin::state::Admin;
use crate::server::client::Peer;

/// Where the form is sent.
pub(super) const PATH: &str = "/sign-in";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Shown<'a> {
    to: &'a str,
    problem: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Given {
    token: String,
    #[serde(default)]
    to: String,
}

/// The form, which leads to `to`.
pub(in crate::admin) fn form(to: &str, problem: Option<&str>) -> Response {
    let shown = Shown { to: within(to), problem };
    shown.render().map_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response(), |page| Html(page).into_response())
}

/// `to` where it is a place of this site's; no `//host`, and nothing that browsers take for it.
fn within(to: &str) -> &str {
    let here = to.starts_with('/') && !to.starts_with("//") && to.bytes().all(|byte| byte.is_ascii_graphic());
    if here && !to.contains('\\') && !to.starts_with(PATH) { to } else { "/" }
}

/// Takes a token and begins a session, whatever session there was before.
pub(in crate::admin) async fn sign_in(State(admin): State<Admin>, request: Request) -> Response {
    let (client_ip, headers) = (client_of(&admin, &request), request.headers().clone());
    let peer = request.extensions().get::<Peer>().copied();
    let Ok(Form(given)) = request.extract::<Form<Given>, _>().await else {
        return (StatusCode::BAD_REQUEST, "expected a form with a token\n").into_response();
    };
    let refused = |status, problem| (status, form(&given.to, Some(problem))).into_response();
    let attempt = match admin.attempts.begin(client_ip) {
        Ok(attempt) => attempt,
        Err(wait) => {
            let mut response =
                refused(StatusCode::TOO_MANY_REQUESTS, "Too many failed attempts. Wait a minute, then try again.");
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)));
            return response;
        }
    };
    let view = admin.view.load();
    let Some(credential) = view.credentials.of_token(given.token.trim().as_bytes()) else {
        tracing::warn!(target: "gatepost::audit", event = "sign_in_failed", client_ip = client_ip.map(|ip| ip.to_string()), "sign-in failed");
        return refused(StatusCode::UNAUTHORIZED, "That is none of the tokens. Check it and try again.");
    };
    admin.attempts.succeeded(&attempt);
    let Some(id) = admin.sessions.begin(credential) else {
        return refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "This system has no randomness to give. Send the token instead.",
        );
    };
    session_ids(&headers).for_each(|old| admin.sessions.end(old));
    let caller = Caller { name: credential.name.clone(), role: credential.role, via: Via::Session, client_ip };
    acted(&caller, Action::SignIn);
    let cookie = cookie(&id, LIFETIME.as_secs(), is_secure(&admin, peer, &headers));
    see_other(within(&given.to), cookie)
}

/// Ends the session.
pub(in crate::admin) async fn sign_out(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Response {
    session_ids(&headers).for_each(|id| admin.sessions.end(id));
    acted(&caller, Action::SignOut);
    see_other("/", cookie("", 0, is_secure(&admin, peer.map(|peer| peer.0), &headers)))
}

fn cookie(id: &str, seconds: u64, secure: bool) -> String {
    let [plain, with_tls] = COOKIES;
    let (name, only_tls) = if secure { (with_tls, "; Secure") } else { (plain, "") };
    format!("{name}={id}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{only_tls}")
}

fn see_other(to: &str, cookie: String) -> Response {
    let (Ok(to), Ok(cookie)) = (HeaderValue::from_str(to), HeaderValue::try_from(cookie)) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    (StatusCode::SEE_OTHER, [(LOCATION, to), (SET_COOKIE, cookie)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn nobody_is_led_elsewhere() {
        for good in ["/", "/events?source=a&x=%20", "/refused/7"] {
            assert_eq!(within(good), good);
        }
        for bad in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb", "/\u{e9}", "/sign-in"] {
            assert_eq!(within(bad), "/", "{bad:?}");
        }
    }
}
