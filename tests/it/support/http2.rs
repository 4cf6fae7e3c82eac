//! HTTP/2 over TLS, with the frame-level client below any HTTP library, so that tests may send what libraries refuse to.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::HeaderMap;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::runtime::Runtime;

use super::daemon::{Daemon, PATIENCE};
use super::wire::{self, Request, Response};

/// An open HTTP/2 connection.
pub(crate) struct Http2 {
    runtime: Runtime,
    send: SendRequest<Bytes>,
}

impl Http2 {
    /// Connects to the webhook listener of `daemon`.
    pub(crate) fn open(daemon: &Daemon) -> Self {
        Self::open_with(daemon, wire::client_config(&daemon.ca, &["h2"]))
    }

    /// The same as `config` says.
    pub(crate) fn open_with(daemon: &Daemon, config: Arc<ClientConfig>) -> Self {
        Self::open_at(daemon.webhook, config)
    }

    /// Connects to whoever listens at `to`.
    pub(crate) fn open_at(to: SocketAddr, config: Arc<ClientConfig>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let send = runtime.block_on(connect(to, config, &runtime));
        Self { runtime, send }
    }

    /// Sends `request` with `:authority` taken from its `Host` and reads its answer, or why there is none.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Response, h2::Error> {
        self.ask_with(to_http(request), &request.body, None)
    }

    /// Sends a head, a body and maybe trailers.
    pub(crate) fn ask_with(
        &mut self,
        head: http::Request<()>,
        body: &[u8],
        trailers: Option<HeaderMap>,
    ) -> Result<Response, h2::Error> {
        let (send, body) = (self.send.clone(), Bytes::copy_from_slice(body));
        self.runtime.block_on(async {
            let mut send = send.ready().await?;
            let (response, mut stream) = send.send_request(head, false)?;
            // A server that refuses early resets the stream; the answer is what counts.
            let outcome = stream.send_data(body, trailers.is_none());
            if let (Ok(()), Some(trailers)) = (outcome, trailers) {
                let _ = stream.send_trailers(trailers);
            }
            read(response).await
        })
    }

    /// Sends a head and, once a 100 has come, the body: the statuses before the answer, and the answer.
    pub(crate) fn ask_when_told(&mut self, request: &Request) -> Result<(Vec<u16>, Response), h2::Error> {
        let (send, body) = (self.send.clone(), Bytes::copy_from_slice(&request.body));
        self.runtime.block_on(async {
            let (mut response, mut stream) = send.ready().await?.send_request(to_http(request), false)?;
            let mut told = Vec::new();
            let waiting = std::future::poll_fn(|cx| response.poll_informational(cx));
            // `None`: the answer itself has come.
            if let Some(before) = tokio::time::timeout(PATIENCE, waiting).await.expect("an answer of any kind") {
                told.push(before?.status().as_u16());
                stream.send_data(body, true)?;
            }
            Ok((told, read(response).await?))
        })
    }

    /// Sends the heads of `requests` and no body; they are held as long as what this gives.
    pub(crate) fn heads(&mut self, requests: &[Request]) -> Vec<(ResponseFuture, SendStream<Bytes>)> {
        let send = self.send.clone();
        self.runtime.block_on(async {
            let mut open = Vec::new();
            for request in requests {
                let mut ready = send.clone().ready().await.unwrap();
                open.push(ready.send_request(to_http(request), false).unwrap());
            }
            open
        })
    }

    /// Sends the heads of `requests` at once, then all bodies, and reads every answer.
    pub(crate) fn ask_all(&mut self, requests: &[Request]) -> Vec<Result<Response, h2::Error>> {
        let send = self.send.clone();
        self.runtime.block_on(async {
            let mut open = Vec::new();
            for request in requests {
                let mut ready = send.clone().ready().await.unwrap();
                let (response, stream) = ready.send_request(to_http(request), false).unwrap();
                open.push((response, stream, Bytes::copy_from_slice(&request.body)));
            }
            let mut answers = Vec::new();
            for (_, stream, body) in &mut open {
                let _ = stream.send_data(body.clone(), true);
            }
            for (response, _, _) in open {
                answers.push(read(response).await);
            }
            answers
        })
    }

    /// How many requests at once the server allows.
    pub(crate) fn max_streams(&mut self) -> usize {
        self.send.current_max_send_streams()
    }
}

async fn connect(to: SocketAddr, config: Arc<ClientConfig>, runtime: &Runtime) -> SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(to).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    // Ends with the runtime, which ends with the test.
    runtime.spawn(async move {
        let _ = connection.await;
    });
    send
}

async fn read(response: h2::client::ResponseFuture) -> Result<Response, h2::Error> {
    let response = response.await?;
    let status = response.status().as_u16();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let (mut stream, mut body) = (response.into_body(), Vec::new());
    while let Some(piece) = stream.data().await {
        let Ok(piece) = piece else { break };
        let _ = stream.flow_control().release_capacity(piece.len());
        body.extend_from_slice(&piece);
    }
    Ok(Response { status, headers, body })
}

/// The head of `request` as HTTP/2 has it.
pub(crate) fn to_http(request: &Request) -> http::Request<()> {
    let host = Some(request.get("host")).filter(|host| !host.is_empty()).unwrap_or(super::sign::HOST);
    let uri = format!("https://{host}{}", request.target);
    let builder = http::Request::builder().method(request.method.as_str()).uri(uri).version(http::Version::HTTP_2);
    let headers = request.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host"));
    headers.fold(builder, |builder, (name, value)| builder.header(name, value)).body(()).unwrap()
}
