//! A running `server::Server` with a throw-away CA, and clients for it. Port 0, small deadlines.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use gatepost::lifecycle::Lifecycle;
use gatepost::metrics::Metrics;
use gatepost::server::client::Peer;
use gatepost::server::networks::Networks;
use gatepost::server::tls::{CertificatePaths, load};
use gatepost::server::{ClientAuth, Limits, Proxy, Server};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// No test waits longer for anything; it is for hangs, not for measuring.
const HANG: Duration = Duration::from_secs(30);
/// A deadline that is not to pass in the test.
pub(super) const LONG: Duration = Duration::from_mins(10);
/// A deadline that is to pass.
pub(super) const SHORT: Duration = Duration::from_millis(300);

/// A deadline for what must happen.
pub(super) async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(HANG, what).await.expect("hangs")
}

/// A certificate authority of the test's own.
pub(super) struct Ca {
    pub certificate: CertificateDer<'static>,
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate: certificate.der().clone(), pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// PEM of a certificate for `names` and its key.
    pub(super) fn issue(&self, names: &[&str], not_after: Option<i32>) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        if let Some(year) = not_after {
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// Writes a pair into `dir` as `stem.crt` and `stem.key`.
    pub(super) fn write(&self, dir: &Path, stem: &str, names: &[&str], not_after: Option<i32>) -> CertificatePaths {
        let (cert, key) = self.issue(names, not_after);
        let paths = CertificatePaths { cert_file: file(dir, stem, "crt"), key_file: file(dir, stem, "key") };
        std::fs::write(&paths.cert_file, cert).unwrap();
        std::fs::write(&paths.key_file, key).unwrap();
        paths
    }

    /// A client that trusts this CA and offers `alpn`.
    pub(super) fn client(&self, alpn: &[&[u8]]) -> ClientConfig {
        let mut config = builder().with_root_certificates(self.roots()).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }

    pub(super) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }
}

pub(super) fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}

fn file(dir: &Path, stem: &str, extension: &str) -> PathBuf {
    dir.join(format!("{stem}.{extension}"))
}

/// What a test wants of its server.
pub(super) struct Wish {
    pub limits: Limits,
    pub proxy: Proxy,
    /// Whether client certificates are required; `None`: not asked for.
    pub client_auth: Option<bool>,
    pub allow_tls12: bool,
}

impl Default for Wish {
    fn default() -> Self {
        let limits = Limits {
            max_connections: 1000,
            max_connections_per_client: 1000,
            handshake_timeout: LONG,
            header_timeout: LONG,
            idle_timeout: LONG,
        };
        let proxy = Proxy { required: false, trusted: Networks::List(Vec::new()) };
        Self { limits, proxy, client_auth: None, allow_tls12: false }
    }
}

/// A running server.
pub(super) struct Rig {
    pub ca: Ca,
    pub server: Server,
    pub address: SocketAddr,
    /// One permit lets one `/wait` request go on.
    pub gate: Arc<Semaphore>,
    /// One permit for every `/wait` request that has arrived.
    pub arrived: Arc<Semaphore>,
    pub dir: tempfile::TempDir,
    task: JoinHandle<()>,
}

impl Rig {
    pub(super) async fn start(wish: Wish) -> Self {
        let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
        let paths = [
            ca.write(dir.path(), "a", &["localhost", "a.test"], None),
            ca.write(dir.path(), "b", &["b.test", "*.wild.test"], None),
        ];
        let ca_file = dir.path().join("ca.pem");
        std::fs::write(&ca_file, &ca.pem).unwrap();
        let clients = wish.client_auth.map(|required| ClientAuth { ca_file, required });
        let tls = load(&paths, clients.as_ref(), wish.allow_tls12).unwrap();
        let server = Server {
            tls: Arc::new(ArcSwap::new(tls.config)),
            proxy: Arc::new(ArcSwap::from_pointee(wish.proxy)),
            limits: Arc::new(ArcSwap::from_pointee(wish.limits)),
            lifecycle: Lifecycle::default(),
            metrics: Arc::new(Metrics::new()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (gate, arrived) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (wait, note) = (Arc::clone(&gate), Arc::clone(&arrived));
        let service =
            tower::service_fn(move |request| Box::pin(answer(request, Arc::clone(&wait), Arc::clone(&note))) as Answer);
        let task = server.lifecycle.spawn(server.clone().serve(listener, service));
        Self { ca, server, address, gate, arrived, dir, task }
    }

    pub(super) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A TLS connection that asks for `name`.
    pub(super) async fn tls(&self, config: ClientConfig, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        soon(TlsConnector::from(Arc::new(config)).connect(name, self.tcp().await)).await
    }

    /// An HTTP/1.1 connection.
    pub(super) async fn h1(&self) -> TlsStream<TcpStream> {
        self.tls(self.ca.client(&[b"http/1.1"]), "localhost").await.unwrap()
    }

    /// A TLS connection on which HTTP/2 was agreed and nothing sent.
    pub(super) async fn h2_raw(&self) -> TlsStream<TcpStream> {
        self.tls(self.ca.client(&[b"h2"]), "localhost").await.unwrap()
    }

    /// Waits until a `/wait` request is in the service's hands.
    pub(super) async fn in_flight(&self) {
        soon(self.arrived.acquire()).await.unwrap().forget();
    }

    /// Waits until `serve` has returned.
    pub(super) async fn ended(self) {
        soon(self.task).await.unwrap();
    }
}

type Answer = std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// `/wait` answers when let, `/read` when it has the body, `/big` with 64 MiB, `/fields` with the header map,
/// `/refuse` with 413 at once; everything else with the peer's address.
async fn answer(
    request: Request<Body>,
    gate: Arc<Semaphore>,
    arrived: Arc<Semaphore>,
) -> Result<Response<Body>, Infallible> {
    let peer = request.extensions().get::<Peer>().expect("every request has one").ip;
    let body = match request.uri().path() {
        "/wait" => {
            arrived.add_permits(1);
            gate.acquire().await.unwrap().forget();
            Body::from("waited")
        }
        "/read" => {
            let (mut length, mut body) = (0, request.into_body());
            while let Some(frame) = body.frame().await {
                match frame {
                    Ok(frame) => length += frame.data_ref().map_or(0, bytes::Bytes::len),
                    Err(_) => return Ok(status(StatusCode::BAD_REQUEST)),
                }
            }
            Body::from(format!("read {length}"))
        }
        "/big" => Body::from(vec![b'x'; 64 * 1024 * 1024]),
        "/fields" => Body::from(format!("{} {:?}", request.uri(), request.headers())),
        "/refuse" => return Ok(status(StatusCode::PAYLOAD_TOO_LARGE)),
        _ => Body::from(format!("peer {peer}")),
    };
    Ok(Response::new(body))
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::from("refused"));
    *response.status_mut() = status;
    response
}

/// Everything until the server closes; a reset or a missing `close_notify` is a close, too.
pub(super) async fn until_closed<S: tokio::io::AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match soon(stream.read(&mut chunk)).await {
            Ok(0) | Err(_) => return String::from_utf8_lossy(&bytes).into_owned(),
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

/// One HTTP/1.1 answer whose body is as long as it says.
pub(super) async fn one_answer<S: tokio::io::AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut byte = [0];
        assert_eq!(soon(stream.read(&mut byte)).await.unwrap(), 1, "closed within an answer");
        bytes.push(byte[0]);
        if bytes.ends_with(b"\r\n\r\n") {
            let head = String::from_utf8(bytes.clone()).unwrap().to_ascii_lowercase();
            let length = head
                .split("content-length: ")
                .nth(1)
                .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
            let mut body = vec![0; length];
            soon(stream.read_exact(&mut body)).await.unwrap();
            bytes.extend(body);
            return String::from_utf8(bytes).unwrap();
        }
    }
}

/// Sends `request` and gives everything until the server closes.
pub(super) async fn exchange<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    stream: &mut S,
    request: &str,
) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    until_closed(stream).await
}
