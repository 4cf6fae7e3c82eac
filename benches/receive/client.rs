//! The sending side of one connection: writes bytes that are ready, reads just enough of the answer to judge it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::request::Expected;
use crate::result::BenchResult;

/// No answer of ours is longer.
const MAX_ANSWER: usize = 16 * 1024;

/// Where to connect, and whom to trust there.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Target {
    /// TLS 1.3 to `address`, every handshake a full one.
    pub(crate) fn new(address: SocketAddr, cert: &Path) -> BenchResult<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(cert)?)?;
        let mut config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { address, connector: TlsConnector::from(Arc::new(config)), name: ServerName::try_from("localhost")? })
    }

    /// Connects and shakes hands.
    pub(crate) async fn connect(&self) -> BenchResult<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream = self.connector.connect(self.name.clone(), stream).await?;
        Ok(Connection { stream, buffer: vec![0; MAX_ANSWER].into_boxed_slice(), closing: false })
    }
}

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    buffer: Box<[u8]>,
    closing: bool,
}

impl Connection {
    /// Whether the server has said that it takes no more on this connection.
    pub(crate) const fn closing(&self) -> bool {
        self.closing
    }

    /// Sends one request and checks its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8], expected: Expected) -> BenchResult<()> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(self.buffer.get_mut(filled..).unwrap_or_default()).await?;
            if read == 0 {
                return Err("the server closed the connection instead of answering".into());
            }
            filled += read;
            if let Some(answer) = Answer::parse(self.buffer.get(..filled).unwrap_or_default())? {
                self.closing = answer.closing;
                return answer.check(expected);
            }
        }
    }

    /// Closes in order and waits until the server has done so too.
    pub(crate) async fn close(mut self) -> BenchResult<()> {
        self.stream.shutdown().await?;
        // However it ends, it has ended.
        while matches!(self.stream.read(&mut self.buffer).await, Ok(read) if read > 0) {}
        Ok(())
    }
}

struct Answer<'a> {
    status: u16,
    body: &'a str,
    closing: bool,
}

impl<'a> Answer<'a> {
    /// `None` while more is to come.
    fn parse(bytes: &'a [u8]) -> BenchResult<Option<Self>> {
        let text = std::str::from_utf8(bytes)?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
        let (mut length, mut closing) = (None, false);
        for line in head.lines().skip(1) {
            let Some((name, value)) = line.split_once(": ") else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.parse::<usize>()?);
            }
            closing |= name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close");
        }
        let length = length.ok_or_else(|| format!("an answer without Content-Length: {head}"))?;
        let status = head.get(9..12).ok_or("a status line too short")?.parse()?;
        Ok((body.len() >= length).then_some(Self { status, body, closing }))
    }

    fn check(&self, expected: Expected) -> BenchResult<()> {
        if self.status == expected.status && self.body.contains(expected.contains) {
            return Ok(());
        }
        Err(format!("expected {expected:?}, answered {} {}", self.status, self.body).into())
    }
}
