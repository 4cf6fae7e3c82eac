//! HTTP/1.1 over TLS, byte by byte: sends whatever a test wants sent and reads what comes back.

use std::fmt::{self, Write as _};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned, SupportedProtocolVersion};
use serde_json::Value;

use super::certs::{Ca, Leaf};
use super::daemon::PATIENCE;
use super::sign::HOST;

/// How long silence has to last before a test believes that nothing more will come.
const SILENCE: Duration = Duration::from_secs(2);

/// A request to be; `Host` and `Content-Length` are added where a test has not set them.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub method: String,
    pub target: String,
    pub version: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// A request of `method` without a body.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let (method, target, version) = (method.to_owned(), target.to_owned(), "HTTP/1.1".to_owned());
        Self { method, target, version, headers: Vec::new(), body: Vec::new() }
    }

    /// A POST.
    pub(crate) fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// Adds a header line.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes every line of a header away.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(have, _)| !have.eq_ignore_ascii_case(name));
        self
    }

    /// Replaces a header.
    pub(crate) fn set(self, name: &str, value: &str) -> Self {
        self.without(name).header(name, value)
    }

    /// The value of a header.
    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Replaces the body.
    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    /// Replaces the method.
    pub(crate) fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// Replaces the target; a signature stays what it was.
    pub(crate) fn at(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// The head, down to the empty line.
    pub(crate) fn head(&self) -> Vec<u8> {
        let has = |name: &str| self.headers.iter().any(|(have, _)| have.eq_ignore_ascii_case(name));
        let mut head = format!("{} {} {}\r\n", self.method, self.target, self.version);
        if !has("host") {
            let _ = write!(head, "Host: {HOST}\r\n");
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let sized = has("content-length") || has("transfer-encoding");
        if !sized && (!self.body.is_empty() || self.method == "POST") {
            let _ = write!(head, "Content-Length: {}\r\n", self.body.len());
        }
        (head + "\r\n").into_bytes()
    }

    /// Head and body.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head(), self.body.clone()].concat()
    }

    /// The same with its body in chunks of `size` bytes.
    pub(crate) fn chunked_bytes(&self, size: usize) -> Vec<u8> {
        let head = self.clone().without("content-length").set("Transfer-Encoding", "chunked").head();
        let mut bytes = head;
        for chunk in self.body.chunks(size) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    }
}

/// An answer.
#[derive(Clone)]
pub(crate) struct Response {
    /// 0 where the connection closed without one.
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// No answer at all.
    pub(crate) fn closed() -> Self {
        Self { status: 0, headers: Vec::new(), body: Vec::new() }
    }

    /// The value of a header, which must not stand twice.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(have, _)| have == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} stands twice: {self:?}");
        value
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// `message` of a refusal, empty where there is none.
    pub(crate) fn reason(&self) -> String {
        let json = serde_json::from_slice::<Value>(&self.body).unwrap_or_default();
        json["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.text())
    }
}

/// How a client of these tests speaks TLS: 1.3 unless told otherwise, with `alpn`.
pub(crate) fn client_config(ca: &Ca, alpn: &[&str]) -> Arc<ClientConfig> {
    client_config_of(ca, alpn, &[&rustls::version::TLS13])
}

/// The same with chosen protocol versions.
pub(crate) fn client_config_of(
    ca: &Ca,
    alpn: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let mut config = builder.with_root_certificates(ca.roots()).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// The same for a client that shows a certificate.
pub(crate) fn client_config_with(ca: &Ca, alpn: &[&str], client: &Leaf) -> Arc<ClientConfig> {
    let (chain, key) = client.der();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let builder = builder.unwrap().with_root_certificates(ca.roots());
    let mut config = builder.with_client_auth_cert(chain, key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// An open TLS connection.
pub(crate) struct Conn {
    pub tls: StreamOwned<ClientConnection, TcpStream>,
    buffer: Vec<u8>,
}

impl Conn {
    /// Connects and finishes the handshake.
    pub(crate) fn open(to: SocketAddr, config: Arc<ClientConfig>) -> std::io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        Self::over(stream, config)
    }

    /// Finishes the handshake over a stream that is already open.
    pub(crate) fn over(mut stream: TcpStream, config: Arc<ClientConfig>) -> std::io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").unwrap();
        let mut connection = ClientConnection::new(config, name).map_err(std::io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(Self { tls: StreamOwned::new(connection, stream), buffer: Vec::new() })
    }

    /// Sends bytes; that the server has closed already shows when reading.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.tls.write_all(bytes).and_then(|()| self.tls.flush());
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Request) -> Response {
        self.send(&request.bytes());
        self.response()
    }

    /// The next answer, 100 (Continue) included; panics when none comes.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        self.try_response()
            .unwrap_or_else(|| panic!("closed without an answer: {:?}", String::from_utf8_lossy(&self.buffer)))
    }

    /// The next answer; `None` when the connection closes first.
    pub(crate) fn try_response(&mut self) -> Option<Response> {
        loop {
            if let Some((response, used)) = parse(&self.buffer, false) {
                self.buffer.drain(..used);
                return Some(response);
            }
            match self.fill() {
                Ok(0) => {
                    let (response, used) = parse(&self.buffer, true)?;
                    self.buffer.drain(..used);
                    return Some(response);
                }
                Ok(_) => {}
                Err(error) => panic!("no answer within {PATIENCE:?} ({error})"),
            }
        }
    }

    /// Every answer until the connection closes or stays silent.
    pub(crate) fn all_responses(&mut self) -> Vec<Response> {
        self.tls.sock.set_read_timeout(Some(SILENCE)).unwrap();
        while self.fill().is_ok_and(|read| read > 0) {}
        let mut responses = Vec::new();
        while let Some((response, used)) = parse(&self.buffer, true) {
            self.buffer.drain(..used);
            responses.push(response);
        }
        responses
    }

    /// Every answer until the connection closes, however long that takes within a test's patience.
    pub(crate) fn all_responses_slow(&mut self) -> Vec<Response> {
        std::iter::from_fn(|| self.try_response()).collect()
    }

    /// Sends a request and reads its answer; `None` when the connection closes instead.
    pub(crate) fn try_ask(&mut self, request: &Request) -> Option<Response> {
        self.send(&request.bytes());
        self.try_response()
    }

    /// Whether the server closes the connection and says nothing more first.
    pub(crate) fn closes(&mut self) -> bool {
        self.buffer.is_empty() && matches!(self.fill(), Ok(0))
    }

    /// Whether nothing comes for `time`: neither bytes nor the end.
    pub(crate) fn is_silent_for(&mut self, time: Duration) -> bool {
        self.tls.sock.set_read_timeout(Some(time)).unwrap();
        let silent = self.fill().is_err();
        self.tls.sock.set_read_timeout(Some(PATIENCE)).unwrap();
        silent
    }

    /// Reads some bytes; 0 is the end, however it came about; an error is silence.
    fn fill(&mut self) -> std::io::Result<usize> {
        let mut piece = [0; 16 * 1024];
        match self.tls.read(&mut piece) {
            Ok(read) => {
                self.buffer.extend_from_slice(&piece[..read]);
                Ok(read)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(error),
            Err(_) => Ok(0),
        }
    }
}

/// Takes one answer from the front of `bytes`; `at_end` says that no more bytes will come.
pub(crate) fn parse(bytes: &[u8], at_end: bool) -> Option<(Response, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    assert!(status_line.starts_with("HTTP/1."), "not a status line: {status_line}");
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status code");
    let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let headers: Vec<_> = lines.filter_map(header).collect();
    let value = |name: &str| headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str());
    let rest = &bytes[end + 4..];
    let (body, used) = if status < 200 || status == 204 || status == 304 {
        (Vec::new(), 0)
    } else if value("transfer-encoding").is_some() {
        dechunk(rest)?
    } else if let Some(length) = value("content-length") {
        let length = length.parse().expect("a content length");
        match rest.get(..length) {
            Some(body) => (body.to_vec(), length),
            // The answer to HEAD names the length of a body that does not come.
            None if at_end && rest.is_empty() => (Vec::new(), 0),
            None => return None,
        }
    } else if at_end {
        (rest.to_vec(), rest.len())
    } else {
        return None;
    };
    Some((Response { status, headers, body }, end + 4 + used))
}

fn dechunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = bytes[at..].windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        at += line + 2;
        let chunk = bytes.get(at..at + size + 2)?;
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}
