//! The token endpoint: one request, and what its answer says.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::Deserialize;
use tokio::time::Instant;

use super::super::super::client_settings::ClientSettings;
use super::super::super::delivery::{Retry, SinkError};
use super::super::super::http_client::{self, Answer, HttpClient};
use super::super::super::{answer, http_client::authorization};
use super::settings::Settings;
use super::token::Token;
use crate::clock::Clock;
use crate::secret::Secret;
use crate::settings::ConfigError;

/// What `application/x-www-form-urlencoded` leaves as it is, but for the blank.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');
/// How long a token is used whose endpoint does not say how long it is good.
const UNTOLD: Duration = Duration::from_hours(1);
/// The longest code that stands in `error` (RFC 6749 5.2) has 22 characters.
const MAX_CODE: usize = 40;

/// Where tokens are had, and who asks.
pub(super) struct TokenEndpoint {
    client: HttpClient,
    url: Uri,
    credentials: HeaderValue,
    form: String,
    clock: Clock,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
}

impl TokenEndpoint {
    /// See [`super::Tokens::new`].
    pub(super) fn new(
        settings: &Settings,
        client: &ClientSettings,
        timeout: Duration,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let Settings { token_url, client_id, client_secret, scope } = settings;
        let scope = scope.as_ref().map_or_else(String::new, |scope| format!("&scope={}", form(scope.as_bytes())));
        let pair = format!("{}:{}", form(client_id.as_bytes()), form(client_secret.expose()));
        let credentials = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)));
        let mut credentials = credentials.map_err(|error| ConfigError::new("oauth2", error.to_string()))?;
        credentials.set_sensitive(true);
        Ok(Self {
            client: HttpClient::new(token_url.uri(), client, timeout, 1)?,
            url: token_url.uri().clone(),
            credentials,
            form: format!("grant_type=client_credentials{scope}"),
            clock,
        })
    }

    /// Asks for a token.
    ///
    /// # Errors
    /// Never final: what is wrong there is nothing about the event.
    pub(super) async fn ask(&self) -> Result<Token, SinkError> {
        let failed = |problem: &str, retry: Retry| {
            let host = self.url.authority().map_or("", |authority| authority.as_str());
            let retry = if retry == Retry::Never { Retry::Backoff } else { retry };
            SinkError { message: format!("no access token from {host}: {problem}"), status: None, retry }
        };
        let request = Request::post(self.url.clone())
            .header(USER_AGENT, http_client::USER_AGENT)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(AUTHORIZATION, &self.credentials)
            .body(Full::new(Bytes::from(self.form.clone())))
            .map_err(|error| failed(&error.to_string(), Retry::Backoff))?;
        let asked = Instant::now();
        let answer = self.client.send(request).await.map_err(|error| failed(&error.message, error.retry))?;
        if let Err(error) = answer::accepted(answer.status, &answer.headers, self.clock.now()) {
            return Err(failed(&format!("{}{}", error.message, code(&answer)), error.retry));
        }
        let (authorization, lifetime) = granted(&answer.body).map_err(|problem| failed(problem, Retry::Backoff))?;
        Ok(Token::new(authorization, asked, lifetime))
    }
}

/// The token as a header holds it, and how long it is good.
fn granted(body: &[u8]) -> Result<(HeaderValue, Duration), &'static str> {
    let granted: Granted =
        serde_json::from_slice(body).map_err(|_| "its answer is not a JSON object with `access_token`")?;
    if granted.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("it gave a token that is not of type Bearer");
    }
    let text = granted.access_token;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it gave a token that cannot stand in a header");
    }
    let token = Secret::token(text).map_err(|_| "it gave an empty token")?;
    let value = authorization("Bearer", &token).map_err(|_| "it gave a token that cannot stand in a header")?;
    Ok((value, granted.expires_in.as_ref().and_then(seconds).unwrap_or(UNTOLD)))
}

/// A number, or one in quotes as some endpoints write it.
fn seconds(value: &serde_json::Value) -> Option<Duration> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    Duration::try_from_secs_f64(seconds).ok().map(|lifetime| lifetime.min(UNTOLD * 24))
}

/// The code in which the endpoint says why not (RFC 6749 5.2), where it is one: ` (invalid_client)`.
fn code(answer: &Answer) -> String {
    let Ok(Denied { error }) = serde_json::from_slice(&answer.body) else { return String::new() };
    let plain = error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if plain && (1..=MAX_CODE).contains(&error.len()) { format!(" ({error})") } else { String::new() }
}

fn form(bytes: &[u8]) -> String {
    percent_encode(bytes, FORM).to_string().replace("%20", "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_written_as_forms_write_them() {
        assert_eq!(form("a b+c&d=é:/%~*-._".as_bytes()), "a+b%2Bc%26d%3D%C3%A9%3A%2F%25%7E*-._");
    }

    #[test]
    fn a_grant_is_a_bearer_token_with_a_lifetime() {
        let lifetime = |rest: &str| granted(format!(r#"{{"access_token":"t"{rest}}}"#).as_bytes()).unwrap().1;
        assert_eq!(lifetime(r#","token_type":"bEARER","expires_in":300,"scope":"x""#), Duration::from_mins(5));
        assert_eq!(lifetime(r#","expires_in":"300""#), Duration::from_mins(5));
        assert_eq!(lifetime(r#","expires_in":0"#), Duration::ZERO);
        for untold in ["", r#","expires_in":null"#, r#","expires_in":-1"#, r#","expires_in":"soon""#] {
            assert_eq!(lifetime(untold), UNTOLD, "{untold}");
        }
        assert_eq!(lifetime(r#","expires_in":1e300"#), UNTOLD, "no duration");
        for bad in [
            "",
            "[]",
            "access_token=t",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":1}"#,
            r#"{"access_token":"a\r\nX: y"}"#,
            r#"{"access_token":"a b"}"#,
            r#"{"access_token":"é"}"#,
            r#"{"access_token":"t","token_type":"mac"}"#,
        ] {
            assert!(granted(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
