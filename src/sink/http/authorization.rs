//! How a request to the sink says who sends it: keys `token`, `basic` and `oauth2`, one of which at most.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use zeroize::Zeroizing;

use super::super::fingerprint::Parts;
use super::super::http_client;
use super::oauth2;
use crate::settings::kind::text;
use crate::settings::{Diagnostics, Example, Table, inline, key, secret};

const KEYS: [&str; 3] = ["token", "basic", "oauth2"];

/// What `Authorization` holds.
#[derive(Clone)]
pub(super) enum Authorization {
    /// There is none.
    None,
    /// Always the same.
    Fixed(HeaderValue),
    /// An access token, which has to be asked for.
    Granted(oauth2::Settings),
}

impl Authorization {
    /// Reads the keys.
    pub(super) fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        let mut used = KEYS.into_iter().filter(|key| table.holds(key));
        let first = used.next();
        let others: Vec<&str> = used.collect();
        for (other, first) in others.into_iter().zip(first.into_iter().cycle()) {
            let problem = format!("is set beside `{first}`, and a request says only once who sends it: keep one");
            table.error(other, problem, diagnostics);
        }
        let token = token(table, diagnostics);
        let basic = basic(table, diagnostics);
        let granted = oauth2::Settings::read(table, diagnostics);
        match (token.or(basic), granted) {
            (Some(value), _) => Self::Fixed(value),
            (None, Some(granted)) => Self::Granted(granted),
            (None, None) => Self::None,
        }
    }

    /// Whether there is one.
    pub(super) const fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// What of it counts for the sink's fingerprint.
    pub(super) fn consists_of(&self, parts: &mut Parts) {
        match self {
            Self::None => parts.add("none"),
            Self::Fixed(value) => {
                parts.add("fixed");
                parts.add(value);
            }
            Self::Granted(granted) => {
                parts.add("granted");
                granted.consists_of(parts);
            }
        }
    }
}

fn token(table: &mut Table, diagnostics: &mut Diagnostics) -> Option<HeaderValue> {
    let token = secret("token", "Sent in Authorization: Bearer.")
        .example(Example::Off("{ file = \"/run/secrets/orders-token\" }"))
        .token(table, diagnostics)
        .value()?;
    match http_client::authorization("Bearer", &token) {
        Ok(authorization) => Some(authorization),
        Err(error) => {
            table.error(&error.at, error.problem, diagnostics);
            None
        }
    }
}

fn basic(table: &mut Table, diagnostics: &mut Diagnostics) -> Option<HeaderValue> {
    let doc = "User and password, sent in Authorization: Basic (RFC 7617).";
    let example = "{ user = \"gatepost\", password = { file = \"/run/secrets/orders-password\" } }";
    inline("basic", doc, example).read(table, diagnostics, user_and_password).value()
}

fn user_and_password(table: &mut Table, diagnostics: &mut Diagnostics) -> Option<HeaderValue> {
    let kind = text(user, "a name without a colon");
    let user = key("user", "The user's name.", kind).required("is missing", table, diagnostics);
    let given = table.holds("password");
    let password = secret("password", "The user's password.").needed().token(table, diagnostics).value();
    if !given {
        table.error("password", "is missing: refer to it with { file = \"/path\" } or { env = \"NAME\" }", diagnostics);
    }
    let (user, password) = (user?, password?);
    if password.expose().iter().any(u8::is_ascii_control) {
        table.error("password", "holds a line end or another control character, which no password may", diagnostics);
        return None;
    }
    let pair = Zeroizing::new([user.as_bytes(), b":", password.expose()].concat());
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(&pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// RFC 7617 section 2: a colon would end the name.
fn user(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(':') || text.contains(char::is_control) {
        return Err("expected a name without colons and control characters".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{read, wrong};
    use super::super::Settings;
    use super::*;

    const URL: &str = "url = 'http://127.0.0.1:1/'\n";

    #[test]
    fn user_and_password_are_sent_as_rfc_7617_says() {
        let keys = "basic = { user = 'Aladdin', password = { value = 'open sesame' } }";
        let (settings, _) = read::<Settings>(&format!("{URL}{keys}\n"), &[]);
        let Authorization::Fixed(value) = settings.authorization else { panic!("none") };
        assert_eq!(value.to_str().unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(value.is_sensitive());
    }

    #[test]
    fn half_of_it_and_what_could_be_misread_is_refused_at_its_key() {
        for (basic, at) in [
            ("{ user = 'u' }", "basic.password"),
            ("{ password = { value = 'p' } }", "basic.user"),
            ("{ user = '', password = { value = 'p' } }", "basic.user"),
            ("{ user = 'a:b', password = { value = 'p' } }", "basic.user"),
            ("{ user = 'u', password = 'p' }", "basic.password"),
            ("{ user = 'u', password = { value = '' } }", "basic.password"),
            ("{ user = 'u', password = { value = \"p\\n\" } }", "basic.password"),
            ("{ user = 'u', password = { value = 'p' }, pass = 'q' }", "basic.pass"),
            ("'u:p'", "basic"),
        ] {
            assert_eq!(wrong::<Settings>(&format!("{URL}basic = {basic}\n"), &[]), [at], "{basic}");
        }
    }

    #[test]
    fn there_is_one_credential_at_most() {
        let keys = "token = { value = 't' }\nbasic = { user = 'u', password = { value = 'p' } }\n";
        assert_eq!(wrong::<Settings>(&format!("{URL}{keys}"), &[]), ["basic"]);
    }
}
