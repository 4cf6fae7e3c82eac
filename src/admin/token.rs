//! The admin token: what needs it, and whether a request bears it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::secret::Secret;

/// What answers without the token: orchestrators and load balancers that probe hold none, and get one word.
const OPEN_PATHS: [&str; 2] = ["/livez", "/readyz"];
/// RFC 6750 2.1; the scheme's name is case-insensitive (RFC 9110 11.1).
const SCHEME: &[u8] = b"bearer";

/// Lets through what is open, and who bears the token where one is set; everything else is 401, unknown paths too.
pub(super) async fn require(State(token): State<Arc<ArcSwapOption<Secret>>>, request: Request, next: Next) -> Response {
    if OPEN_PATHS.contains(&request.uri().path()) || allows(&token, request.headers()) {
        return next.run(request).await;
    }
    let headers = [(WWW_AUTHENTICATE, "Bearer realm=\"gatepost\""), (CACHE_CONTROL, "no-store")];
    (StatusCode::UNAUTHORIZED, headers, "the admin token is needed: Authorization: Bearer …\n").into_response()
}

/// Whether no token is set, or `headers` bear it.
fn allows(token: &ArcSwapOption<Secret>, headers: &HeaderMap) -> bool {
    token.load().as_ref().is_none_or(|token| bears(headers, token))
}

/// Whether the one `Authorization` bears `token`. Both are hashed first: equal lengths, so the time tells nothing.
fn bears(headers: &HeaderMap, token: &Secret) -> bool {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let Some((scheme, given)) = line.as_bytes().split_at_checked(SCHEME.len()) else { return false };
    let Some(given) = given.strip_prefix(b" ").filter(|_| scheme.eq_ignore_ascii_case(SCHEME)) else { return false };
    let (given, token) = (Sha256::digest(given.trim_ascii_start()), Sha256::digest(token.expose()));
    bool::from(given.as_slice().ct_eq(token.as_slice()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn allowed(lines: &[&str]) -> bool {
        let token = ArcSwapOption::from_pointee(Secret::token("a-token").ok());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        }
        allows(&token, &headers)
    }

    #[test]
    fn only_the_one_bearer_of_the_whole_token_is_let_in() {
        for good in ["Bearer a-token", "bearer a-token", "BEARER   a-token"] {
            assert!(allowed(&[good]), "{good}");
        }
        for bad in [
            "",
            "a-token",
            "Bearer",
            "Bearer ",
            "Bearera-token",
            "Basic a-token",
            "Bearer a-toke",
            "Bearer a-tokenx",
            "Bearer A-token",
            "Bearer a-token a-token",
            "Bearer\ta-token",
        ] {
            assert!(!allowed(&[bad]), "{bad:?}");
        }
        assert!(!allowed(&[]));
        assert!(!allowed(&["Bearer a-token", "Bearer a-token"]), "twice is not once");
    }

    #[test]
    fn without_a_token_everybody_is_let_in() {
        assert!(allows(&ArcSwapOption::empty(), &HeaderMap::new()));
    }
}
