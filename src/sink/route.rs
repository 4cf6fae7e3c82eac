//! Connections to a destination: straight, through a tunnel of a proxy, or to the proxy that forwards.
//!
//! `https` destinations get a tunnel (CONNECT, RFC 9110 9.3.6), so that TLS is with them; for `http` ones the proxy is
//! sent the whole URL (RFC 9112 3.2.2), which hyper does where a connection says that it ends at a proxy.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use super::proxy::{Proxies, Proxy};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Wire = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Connects to where `proxies` say.
#[derive(Clone)]
pub(super) struct Route {
    /// Straight.
    pub direct: HttpConnector,
    /// To a proxy, over TLS where its URL says so.
    pub to_proxy: HttpsConnector<HttpConnector>,
    /// Which, for which destination.
    pub proxies: Proxies,
}

impl Service<Uri> for Route {
    type Response = Way;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Way, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // All of the connectors below are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let Some(proxy) = self.proxies.to(&to) else {
            let connecting = self.direct.call(to);
            return Box::pin(async move {
                Ok(Way { wire: MaybeHttpsStream::Http(connecting.await?), ends_at_proxy: false })
            });
        };
        if to.scheme_str() == Some("https") {
            let mut tunnel = Tunnel::new(proxy.uri.clone(), self.to_proxy.clone());
            if let Some(authorization) = &proxy.authorization {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            let tunneling = tunnel.call(to);
            return Box::pin(async move {
                let wire = tunneling.await.map_err(|error| at(&proxy, error.into()))?;
                Ok(Way { wire, ends_at_proxy: false })
            });
        }
        let connecting = self.to_proxy.call(proxy.uri.clone());
        Box::pin(async move {
            let wire = connecting.await.map_err(|error| at(&proxy, error))?;
            Ok(Way { wire, ends_at_proxy: true })
        })
    }
}

/// The proxy did not let us through.
#[derive(Debug, thiserror::Error)]
#[error("the proxy {proxy}{problem}")]
struct AtProxy {
    proxy: String,
    problem: &'static str,
    source: BoxError,
}

fn at(proxy: &Proxy, source: BoxError) -> BoxError {
    // hyper-util tells its reasons in words alone.
    let problem = if source.to_string().contains("authorization required") { AUTHORIZATION } else { " cannot be used" };
    Box::new(AtProxy { proxy: proxy.to_string(), problem, source })
}

/// What to do about a 407.
pub(super) const AUTHORIZATION: &str = " wants another user and password (407): set user:password@ in its URL";

/// A connection, and whether it ends at a proxy that is to forward what is sent.
pub(super) struct Way {
    wire: Wire,
    ends_at_proxy: bool,
}

impl Connection for Way {
    fn connected(&self) -> Connected {
        self.wire.connected().proxy(self.ends_at_proxy)
    }
}

impl Read for Way {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(cx, into)
    }
}

impl Write for Way {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write_vectored(cx, bytes)
    }
}
