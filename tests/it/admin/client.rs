//! An operator's HTTP client without JavaScript: keeps its cookie, says where it comes from, follows and fills in forms.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::support::daemon::PATIENCE;
use crate::support::{Daemon, Response, Setup, wire};

pub(super) const TOKEN: &str = "an-admin-token-0123456789";
pub(super) const VIEWER: &str = "a-viewer-token-0123456789";

/// Guarded by [`TOKEN`], and [`VIEWER`] for `ann`, who may only look.
pub(super) fn guarded(setup: Setup) -> Setup {
    setup
        .set("admin", "token", "{ env = \"GATEPOST_ADMIN_TOKEN\" }")
        .env("GATEPOST_ADMIN_TOKEN", TOKEN)
        .block("[[admin.access]]\nname = \"ann\"\nrole = \"viewer\"\ntoken = { env = \"IT_VIEWER\" }\n")
        .env("IT_VIEWER", VIEWER)
}

/// See the head of this file.
pub(super) struct Client {
    address: SocketAddr,
    /// `name=value`
    pub(super) cookie: Option<String>,
    /// Further header lines of every request, each ending in CRLF.
    pub(super) headers: String,
}

impl Client {
    /// Somebody who has not signed in.
    pub(super) fn new(daemon: &Daemon) -> Self {
        Self { address: daemon.admin, cookie: None, headers: String::new() }
    }

    /// A program that bears `token`.
    pub(super) fn bearing(daemon: &Daemon, token: &str) -> Self {
        Self { headers: format!("Authorization: Bearer {token}\r\n"), ..Self::new(daemon) }
    }

    /// Somebody who signed in with `token`.
    #[track_caller]
    pub(super) fn signed_in(daemon: &Daemon, token: &str) -> Self {
        let mut client = Self::new(daemon);
        let answer = client.post("/sign-in", &[("token", token)]);
        assert_eq!(answer.status, 303, "{answer:?}");
        client
    }

    /// A request with exactly these header lines beside the client's own.
    pub(super) fn ask(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Response {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = if headers.contains("Host:") { String::new() } else { format!("Host: {}\r\n", self.address) };
        let cookie = self.cookie.as_ref().map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
        let own = &self.headers;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\n{host}{cookie}{own}{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        let mut answer = Vec::new();
        // What arrived before a reset is still an answer.
        let _ = stream.write_all((head + body).as_bytes()).and_then(|()| stream.read_to_end(&mut answer).map(drop));
        let answer = wire::parse(&answer, true).map_or_else(Response::closed, |(response, _)| response);
        if let Some(set) = answer.header("set-cookie") {
            self.cookie = set.split(';').next().map(str::to_owned);
        }
        answer
    }

    /// A page, as a browser asks for it.
    pub(super) fn get(&mut self, path: &str) -> Response {
        self.ask("GET", path, "Accept: text/html\r\n", "")
    }

    /// The JSON at `path`.
    #[track_caller]
    pub(super) fn json(&mut self, path: &str) -> Value {
        let answer = self.ask("GET", path, "", "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// A form sent from this very site.
    pub(super) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let origin = format!("Origin: http://{}\r\nContent-Type: application/x-www-form-urlencoded\r\n", self.address);
        self.ask("POST", path, &origin, &encoded(fields))
    }

    /// A POST of JSON, as a program sends it.
    pub(super) fn send(&mut self, path: &str, body: &Value) -> Response {
        self.ask("POST", path, "Content-Type: application/json\r\n", &body.to_string())
    }

    /// Sends the form of `page` that goes to an address beginning with `action`, its hidden fields as they stand there.
    #[track_caller]
    pub(super) fn submit(&mut self, page: &Response, action: &str) -> Response {
        let html = page.text();
        let form = html.split("<form ").find(|form| form.contains(&format!("action=\"{action}")));
        let form = form.unwrap_or_else(|| panic!("no form to {action}: {html}"));
        let form = form.split("</form>").next().unwrap();
        let target = attribute(form, "action").unwrap();
        let hidden = form.split("<input ").filter(|input| input.contains("type=\"hidden\""));
        let fields: Vec<(String, String)> =
            hidden.map(|input| (attribute(input, "name").unwrap(), attribute(input, "value").unwrap())).collect();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(&target, &fields)
    }

    /// The page that `answer` leads to.
    #[track_caller]
    pub(super) fn follow(&mut self, answer: &Response) -> Response {
        assert_eq!(answer.status, 303, "{answer:?}");
        let page = self.get(answer.header("location").unwrap());
        assert_eq!(page.status, 200, "{page:?}");
        page
    }

    /// The page behind the first link of `page` to an address that begins with `href`.
    #[track_caller]
    pub(super) fn click(&mut self, page: &Response, href: &str) -> Response {
        let html = page.text();
        let (_, rest) = html.split_once(&format!("href=\"{href}")).unwrap_or_else(|| panic!("no link {href}: {html}"));
        let target = unescaped(&format!("{href}{}", rest.split('"').next().unwrap()));
        let page = self.get(&target);
        assert_eq!(page.status, 200, "{target}: {page:?}");
        page
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    rest.split('"').next().map(unescaped)
}

fn unescaped(text: &str) -> String {
    [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let value =
        |text: &str| percent_encoding::percent_encode(text.as_bytes(), percent_encoding::NON_ALPHANUMERIC).to_string();
    fields.iter().map(|(name, text)| format!("{name}={}", value(text))).collect::<Vec<_>>().join("&")
}
