//! A scripted HTTP upstream over real sockets: answers, stalls, cuts; plain or TLS with a CA of its own. One thread a connection.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatepost::sink::{Attempt, Settings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::certs::Ca;

/// A request as it arrived, its head one character a byte.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What to do with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Status, extra header lines, body.
    Status(u16, &'static str, Vec<u8>),
    /// The head of a 200 that promises a body which never comes.
    Unfinished,
    /// Close without an answer.
    Cut,
    /// Say nothing.
    Stall,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Status(status, "", Vec::new())
    }
}

type Script = dyn Fn(usize, &Received) -> Reply + Send + Sync;

pub(crate) struct Upstream {
    pub address: SocketAddr,
    pub received: Arc<Mutex<Vec<Received>>>,
    pub connections: Arc<AtomicUsize>,
}

impl Upstream {
    /// Answers the nth request (from 0) as `script` says.
    pub(crate) fn start(script: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve(None, Arc::new(script))
    }

    /// With TLS; writes the CA that issued its certificate to `ca_file`.
    pub(crate) fn start_tls(
        ca_file: &Path,
        script: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::serve(Some(server_config(ca_file)), Arc::new(script))
    }

    /// With TLS, for clients whose certificate `clients` issued.
    pub(crate) fn start_mutual_tls(
        ca_file: &Path,
        clients: &Ca,
        script: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(clients.roots(), provider).build().unwrap();
        Self::serve(Some(server_config_with(ca_file, verifier)), Arc::new(script))
    }

    fn serve(tls: Option<Arc<ServerConfig>>, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream =
            Self { address: listener.local_addr().unwrap(), received: Arc::default(), connections: Arc::default() };
        let (received, connections) = (Arc::clone(&upstream.received), Arc::clone(&upstream.connections));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::SeqCst);
                let (tls, received, script) = (tls.clone(), Arc::clone(&received), Arc::clone(&script));
                std::thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    match tls {
                        None => converse(stream, &received, &*script),
                        Some(config) => {
                            let session = ServerConnection::new(config).unwrap();
                            converse(StreamOwned::new(session, stream), &received, &*script);
                        }
                    }
                });
            }
        });
        upstream
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

/// What a server for `localhost` and `127.0.0.1` speaks TLS with; writes the CA that issued its certificate to `ca_file`.
pub(crate) fn server_config(ca_file: &Path) -> Arc<ServerConfig> {
    server_config_with(ca_file, WebPkiClientVerifier::no_client_auth())
}

fn server_config_with(ca_file: &Path, clients: Arc<dyn ClientCertVerifier>) -> Arc<ServerConfig> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(ca_file, ca.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap().signed_by(&key, &ca).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    Arc::new(config)
}

fn converse(stream: impl Read + Write, received: &Mutex<Vec<Received>>, script: &Script) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        let number = {
            let mut received = received.lock().unwrap();
            received.push(request.clone());
            received.len() - 1
        };
        let answer = match script(number, &request) {
            Reply::Status(status, headers, body) => {
                let head = format!("HTTP/1.1 {status} Scripted\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
                [head.into_bytes(), body].concat()
            }
            Reply::Unfinished => b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec(),
            Reply::Cut => return,
            Reply::Stall => {
                std::thread::sleep(Duration::from_mins(1));
                return;
            }
        };
        if stream.get_mut().write_all(&answer).and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
    }
}

fn read(stream: &mut BufReader<impl Read + Write>) -> Option<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        let line: String = line.trim_ascii_end().iter().copied().map(char::from).collect();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut request = Received { line: lines[0].clone(), headers, body: Vec::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body = vec![0; length];
    stream.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// An address where nobody listens.
pub(crate) fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// One POST, for setting up other people's servers.
pub(crate) fn post(address: SocketAddr, target: &str, headers: &str, body: &str) -> (u16, String) {
    let stream = TcpStream::connect(address).unwrap();
    let mut stream = BufReader::new(stream);
    let length = body.len();
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// An attempt at something that was never replayed.
pub(crate) fn attempt(number: u32) -> Attempt {
    Attempt { number, replay: 0 }
}

pub(crate) fn settings(kind: &str, url: &str) -> Settings {
    settings_with(kind, url, "")
}

/// A sink as the program reads it; `keys` are more lines of its `[[sink]]`.
pub(crate) fn settings_with(kind: &str, url: &str, keys: &str) -> Settings {
    let vars = [
        ("TLS_CERT_FILE", "c"),
        ("TLS_KEY_FILE", "k"),
        ("GATEPOST_ALLOWED_IPS", "any"),
        ("NICE_WEBHOOK_SECRET", "a-secret-of-sufficient-length"),
    ];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, format!("[[sink]]\nname = 'orders'\ntype = '{kind}'\nurl = '{url}'\n{keys}\n")).unwrap();
    let config = gatepost::config::load(Some(file.path()), &vars);
    config.unwrap_or_else(|errors| panic!("{errors}")).live.sinks.remove(0)
}
