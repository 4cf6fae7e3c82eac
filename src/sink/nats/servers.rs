//! What a NATS URL names: servers, and who we are to them. Connects to nothing.
//!
//! User and password leave the addresses: async-nats does not send them, and it logs addresses whole.

use async_nats::ServerAddr;
use http::uri::Authority;
use percent_encoding::percent_decode_str;

use super::login::Login;
use crate::secret::Secret;
use crate::sink::address;

/// What is connected to, and as whom.
pub(super) struct Servers {
    /// As it was written.
    text: String,
    /// At least one, without user and password.
    pub(super) addresses: Vec<ServerAddr>,
    /// The one that every address which names any names, percent-decoded.
    pub(super) login: Option<Login>,
}

impl Servers {
    /// Reads `nats://` or `tls://` addresses separated by commas.
    ///
    /// # Errors
    /// What is wrong, in words that repeat nothing of the URL.
    pub(super) fn read(url: &str) -> Result<Self, String> {
        let mut servers = Self { text: url.to_owned(), addresses: Vec::new(), login: None };
        for text in url.split(',') {
            let (address, login) = server(text.trim_matches(' '))?;
            servers.addresses.push(address);
            match (&servers.login, login) {
                (_, None) => {}
                (None, login) => servers.login = login,
                (Some(ours), Some(theirs)) if ours.is(&theirs) => {}
                (Some(_), Some(_)) => {
                    return Err("names several users or passwords: all servers of a sink know the same one".to_owned());
                }
            }
        }
        Ok(servers)
    }

    /// As it was written; it may hold a password.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

fn server(text: &str) -> Result<(ServerAddr, Option<Login>), String> {
    let form = || "expected nats://host:port or tls://host:port, several separated by commas".to_owned();
    address::unsent(text)?;
    let (scheme, rest) = text.split_once("://").ok_or_else(form)?;
    if scheme != "nats" && scheme != "tls" {
        return Err(form());
    }
    if rest.strip_suffix('/').unwrap_or(rest).contains(['/', '?']) {
        return Err(
            "holds a path or a query, which NATS has none of: write %2F or %3F where one belongs to a password"
                .to_owned(),
        );
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    if place.is_empty() {
        return Err("names no host".to_owned());
    }
    let authority: Authority = place.parse().map_err(|_| format!("names no host and port; {}", address::PORTS))?;
    address::place(&authority)?;
    let address = format!("{scheme}://{place}").parse().map_err(|_| form())?;
    Ok((address, user.map(identity).transpose()?))
}

/// The user in a URL (RFC 3986 3.2.1): what is no colon, `@` or the like stands for itself or is percent-encoded.
fn identity(text: &str) -> Result<Login, String> {
    let decoded = |text: &str| {
        if text.contains(['@', ':', '[', ']']) {
            return Err("a user or password holds `@`, `:` or brackets: write %40, %3A, %5B, %5D".to_owned());
        }
        let text = percent_decode_str(text).decode_utf8().map_err(|_| "a user or password is not UTF-8".to_owned())?;
        Ok(text.into_owned())
    };
    let secret =
        |text: String| Secret::token(text).map_err(|_| "holds an `@` and an empty user or password".to_owned());
    match text.split_once(':') {
        None => Ok(Login::Token(secret(decoded(text)?)?)),
        Some(("", _)) => Err("holds a password without a user".to_owned()),
        Some((name, password)) => Ok(Login::Named(decoded(name)?, secret(decoded(password)?)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(url: &str) -> Option<(String, String)> {
        let text = |secret: &Secret| String::from_utf8(secret.expose().to_vec()).unwrap();
        match Servers::read(url).ok().unwrap().login? {
            Login::Token(token) => Some((String::new(), text(&token))),
            Login::Named(name, password) => Some((name, text(&password))),
            Login::Seed(_) | Login::Credentials(_) => panic!("no URL holds those"),
        }
    }

    #[test]
    fn user_and_password_are_decoded_and_leave_the_address() {
        let named = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(user("nats://h:4222"), None);
        assert_eq!(user("nats://s3cr%20et@h"), named("", "s3cr et"));
        assert_eq!(user("nats://us%3Aer:p%40ss%2F%25@h:1"), named("us:er", "p@ss/%"));
        assert_eq!(user("tls://a:1, nats://u:p@[::1]:2/, nats://u:%70@c"), named("u", "p"));
        let servers = Servers::read("nats://us%20er:hunter2@h:1,nats://us%20er:hunter2@b").ok().unwrap();
        let shown: Vec<_> = servers.addresses.iter().map(ServerAddr::as_url_str).collect();
        assert_eq!(shown, ["nats://h:1", "nats://b"]);
    }

    #[test]
    fn what_names_no_server_is_refused_without_repeating_it() {
        for (url, word) in [
            ("", "nats://host"),
            ("nats://a,", "nats://host"),
            ("http://a", "nats://host"),
            ("ws://a", "nats://host"),
            ("nats://", "no host"),
            ("nats://u:hunter2@", "no host"),
            ("nats://a:0", "1 to 65535"),
            ("nats://a:99999", "1 to 65535"),
            ("nats://a:", "1 to 65535"),
            ("nats://a:x", "1 to 65535"),
            ("nats://a/events", "path"),
            ("nats://a?x=hunter2", "query"),
            ("nats://a#b", "fragment"),
            ("nats://a b", "blanks"),
            ("nats://a:1,\nnats://b:1", "blanks"),
            ("nats://u:hun/ter2@a", "%2F"),
            ("nats://u:hunter2@x@a", "%40"),
            ("nats://u:hunter2:x@a", "%3A"),
            ("nats://@a", "empty"),
            ("nats://u:@a", "empty"),
            ("nats://:hunter2@a", "without a user"),
            ("nats://%ff@a", "UTF-8"),
            ("nats://u:hunter2@a,nats://v:hunter2@b", "several users"),
            ("nats://u:hunter2@a,nats://u:other@b", "several users"),
            ("nats://hunter2@a,nats://u:hunter2@b", "several users"),
        ] {
            let problem = Servers::read(url).err().unwrap();
            assert!(problem.contains(word), "{url}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
