//! Servers in this process: an HTTP endpoint that answers 204, with and without TLS, and what stands in for SQS.
//!
//! The stand-in checks no signature and stores nothing: an emulator would be slower than the program and measure
//! itself. What SQS itself takes, on the other end of a network, is not measured here.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::arrivals::Arrivals;
use crate::options::Kind;
use crate::result::BenchResult;
use crate::setting::Setting;

const SENT: &str = r#"{"MessageId":"00000000-0000-0000-0000-000000000000"}"#;

/// A server on a thread of its own.
pub(crate) struct Web {
    kind: Kind,
    address: SocketAddr,
    ca: String,
    /// What came.
    pub arrivals: Arc<Arrivals>,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Web {
    /// Starts a server of `kind` that expects `count` preloaded events.
    pub(crate) fn start(kind: Kind, setting: &Setting, count: u64) -> BenchResult<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let acceptor = if kind == Kind::Https { Some(acceptor(setting)?) } else { None };
        let (arrivals, stop) = (Arc::new(Arrivals::new(count)?), CancellationToken::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = serve(listener, acceptor, kind, Arc::clone(&arrivals));
        let ending = stop.clone();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = ending.cancelled() => {}
                    // Without its listener nothing arrives, which is noticed.
                    _ = serving => {}
                }
            });
        });
        Ok(Self { kind, address, ca: setting.cert.display().to_string(), arrivals, stop, thread: Some(thread) })
    }

    /// The sink's lines in the configuration.
    pub(crate) fn lines(&self) -> String {
        let (address, ca) = (self.address, &self.ca);
        match self.kind {
            Kind::Https => format!("type = \"http\"\nurl = \"https://{address}/events\"\nca_file = \"{ca}\""),
            Kind::Sqs => format!(
                "type = \"sqs\"\nurl = \"http://{address}/123456789012/events\"\n\
                 token = {{ value = \"AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\" }}"
            ),
            Kind::Http | Kind::Nats | Kind::None => format!("type = \"http\"\nurl = \"http://{address}/events\""),
        }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A thread that only serves.
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    acceptor: Option<TlsAcceptor>,
    kind: Kind,
    arrivals: Arc<Arrivals>,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        connections.spawn(connection(stream, acceptor.clone(), kind, Arc::clone(&arrivals)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, acceptor: Option<TlsAcceptor>, kind: Kind, arrivals: Arc<Arrivals>) {
    match acceptor {
        None => requests(stream, kind, arrivals).await,
        Some(acceptor) => {
            // A handshake that fails shows as a delivery that does not arrive.
            if let Ok(stream) = acceptor.accept(stream).await {
                requests(stream, kind, arrivals).await;
            }
        }
    }
}

async fn requests(stream: impl AsyncRead + AsyncWrite + Unpin, kind: Kind, arrivals: Arc<Arrivals>) {
    let service = service_fn(|request: Request<Incoming>| answer(request, kind, &arrivals));
    // A client that goes away is no failure of the measurement.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, kind: Kind, arrivals: &Arrivals) -> hyper::Result<Response<Full<Bytes>>> {
    let (head, mut incoming) = request.into_parts();
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        if let Ok(data) = frame?.into_data() {
            body.extend_from_slice(&data);
        }
    }
    if kind == Kind::Sqs {
        arrivals.record(&body);
        return Ok(Response::new(Full::new(Bytes::from_static(SENT.as_bytes()))));
    }
    arrivals.record(head.headers.get("ce-id").map_or(b"", |id| id.as_bytes()));
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    Ok(answer)
}

fn acceptor(setting: &Setting) -> BenchResult<TlsAcceptor> {
    let chain = vec![CertificateDer::from_pem_file(&setting.cert)?];
    let config = rustls::ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&setting.key)?)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
