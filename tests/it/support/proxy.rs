//! A small HTTP proxy: opens tunnels, forwards requests, may want a user and password, may speak TLS itself.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// What it makes of requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Everybody may.
    Open,
    /// Whoever shows this in `Proxy-Authorization`; the others get a 407.
    Wants(&'static str),
    /// Nobody: 403.
    Refuses,
}

/// A running proxy; ends with the test program.
pub(crate) struct Proxy {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) fn start(policy: Policy) -> Self {
        Self::serve(policy, None)
    }

    /// Speaks TLS to its clients.
    pub(crate) fn start_tls(policy: Policy, config: Arc<ServerConfig>) -> Self {
        Self::serve(policy, Some(TlsAcceptor::from(config)))
    }

    fn serve(policy: Policy, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), heads: Arc::default() };
        let heads = Arc::clone(&proxy.heads);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let mut clients = tokio::task::JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let (heads, tls) = (Arc::clone(&heads), tls.clone());
                    clients.spawn(async move {
                        // A client that goes away is its own business.
                        match tls {
                            None => drop(converse(stream, policy, &heads).await),
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(stream).await {
                                    drop(converse(stream, policy, &heads).await);
                                }
                            }
                        }
                    });
                }
            });
        });
        proxy
    }

    /// The heads of the requests so far, one for each connection.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The first lines of them.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.heads().iter().map(|head| head.lines().next().unwrap().to_owned()).collect()
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    policy: Policy,
    heads: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    heads.lock().unwrap().push(head.clone());
    let shown = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.to_owned())
    });
    let refusal = match policy {
        Policy::Wants(wanted) if shown.as_deref() != Some(wanted) => Some("407 Proxy Authentication Required"),
        Policy::Refuses => Some("403 Forbidden"),
        Policy::Open | Policy::Wants(_) => None,
    };
    if let Some(refusal) = refusal {
        let answer = format!("HTTP/1.1 {refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        return stream.write_all(answer.as_bytes()).await;
    }
    let (line, headers) = head.split_once("\r\n").unwrap();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let mut onward;
    if method == "CONNECT" {
        onward = TcpStream::connect(target).await?;
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    } else {
        let rest = target.strip_prefix("http://").expect("the whole URL");
        let (authority, path) = rest.split_once('/').unwrap();
        onward = TcpStream::connect(authority).await?;
        let kept: String = headers
            .split_inclusive("\r\n")
            .filter(|line| !line.to_ascii_lowercase().starts_with("proxy-authorization:"))
            .collect();
        onward.write_all(format!("{method} /{path} HTTP/1.1\r\n{kept}").as_bytes()).await?;
    }
    copy_bidirectional(&mut stream, &mut onward).await.map(drop)
}
