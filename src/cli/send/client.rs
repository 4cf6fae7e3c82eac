//! A small HTTPS client: HTTP/1.1 over TLS 1.3, one connection a sender. Tries nothing twice: what it reports happened.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::super::failure::Failure;
use super::compose::Message;
use super::outgoing::Outgoing;
use super::target::{Identity, Target};

/// Time to connect and shake hands.
const CONNECT: Duration = Duration::from_secs(10);
/// Time for an answer: longer than the daemon takes to say that its store hangs.
const ANSWER: Duration = Duration::from_secs(30);
/// Answers are small; more than this is not ours.
const ANSWER_BYTES: usize = 64 * 1024;

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: u16,
    /// Its body, cut at 64 KiB.
    pub(super) body: Bytes,
}

/// Connects to one target.
pub(super) struct Client {
    target: Target,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Client {
    /// Reads the authorities to trust and the certificate to show.
    pub(super) fn new(target: &Target) -> Result<Self, Failure> {
        let tls = if target.tls {
            let name = ServerName::try_from(target.host.clone())
                .map_err(|_| Failure::Usage(format!("{:?} is not a host name", target.host)))?;
            Some((
                TlsConnector::from(Arc::new(speaking(roots(target.ca_file.as_deref())?, target.identity.as_ref())?)),
                name,
            ))
        } else {
            None
        };
        Ok(Self { target: target.clone(), tls })
    }

    /// Opens a connection.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        match timeout(CONNECT, self.open()).await {
            Ok(opened) => opened,
            Err(_) => Err(self.unreachable(&format!("no answer within {} s", CONNECT.as_secs()))),
        }
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let refused = |error: std::io::Error| self.unreachable(&error.to_string());
        let tcp = TcpStream::connect((self.target.host.as_str(), self.target.port)).await.map_err(refused)?;
        tcp.set_nodelay(true).map_err(refused)?;
        match &self.tls {
            None => Connection::over(tcp).await,
            Some((connector, name)) => {
                let tls = connector.connect(name.clone(), tcp).await.map_err(|error| self.untrusted(&error))?;
                Connection::over(tls).await
            }
        }
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::Runtime(format!("cannot reach {}: {why}; is the daemon running?", self.target.authority))
    }

    fn untrusted(&self, error: &std::io::Error) -> Failure {
        let trusted = match &self.target.ca_file {
            Some(file) => format!("trusting {}", file.display()),
            None => "trusting the system's authorities; --ca-file names others".to_owned(),
        };
        Failure::Runtime(format!("no TLS with {} ({trusted}): {error}", self.target.authority))
    }
}

/// The authorities in `ca_file`, else those of the system: who sends to a public address through a company's proxy
/// has its authority there, and curl believes the same ones.
fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = ca_file {
        let wrong = |problem: String| Failure::Usage(format!("--ca-file {}: {problem}", file.display()));
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))? {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("holds no certificate".to_owned()));
        }
        return Ok(roots);
    }
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Failure::Runtime("this system trusts no authority: name one with --ca-file".to_owned()));
    }
    Ok(roots)
}

impl Identity {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Failure> {
        let Self { cert_file, key_file } = self;
        let wrong = |problem: String| Failure::Usage(format!("--cert {}: {problem}", cert_file.display()));
        let chain = CertificateDer::pem_file_iter(cert_file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| wrong(error.to_string()))?;
        if chain.is_empty() {
            return Err(wrong("holds no certificate".to_owned()));
        }
        // The parser's words may quote the key.
        let key = PrivateKeyDer::from_pem_file(key_file).map_err(|_| {
            Failure::Usage(format!("--key {}: holds no private key in PEM that can be read", key_file.display()))
        })?;
        Ok((chain, key))
    }
}

/// Trusts `roots`, shows `identity`.
fn speaking(roots: RootCertStore, identity: Option<&Identity>) -> Result<ClientConfig, Failure> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Failure::runtime("TLS 1.3 is not available", &error))?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = identity.read()?;
            let wrong = |_| Failure::Usage("--cert and --key do not belong together".to_owned());
            builder.with_client_auth_cert(chain, key).map_err(wrong)?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// An open connection; closed when dropped.
pub(super) struct Connection {
    sender: SendRequest<Outgoing>,
    _driver: JoinSet<()>,
}

impl Connection {
    async fn over<S>(stream: S) -> Result<Self, Failure>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Failure::runtime("cannot speak HTTP", &error))?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // How it ends shows in the request that was under way.
            let _ = connection.await;
        });
        Ok(Self { sender, _driver: driver })
    }

    /// Whether it takes another request; waits for the last one to be out of the way.
    pub(super) async fn is_open(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Sends `message` and reads the answer.
    ///
    /// # Errors
    /// In words: nothing is known of what became of the event.
    pub(super) async fn post(&mut self, message: &Message) -> Result<Answer, String> {
        let patient = message.head.headers.contains_key(EXPECT);
        let request = Request::from_parts(message.head.clone(), Outgoing::new(message.body.clone(), patient));
        let exchange = async {
            let response = self.sender.send_request(request).await.map_err(|error| in_words(&error))?;
            read(response).await
        };
        match timeout(ANSWER, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", ANSWER.as_secs())),
        }
    }
}

async fn read(response: Response<Incoming>) -> Result<Answer, String> {
    let status = response.status().as_u16();
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        if let Ok(data) = frame.map_err(|error| in_words(&error))?.into_data() {
            body.extend_from_slice(&data);
        }
        if body.len() > ANSWER_BYTES {
            body.truncate(ANSWER_BYTES);
            break;
        }
    }
    Ok(Answer { status, body: body.into() })
}

fn in_words(error: &hyper::Error) -> String {
    Failure::runtime("no answer", error).to_string()
}
