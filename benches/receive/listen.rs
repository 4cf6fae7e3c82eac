//! A server without a program around it: axum's router behind tokio-rustls, as A and what is built on A listen.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::result::BenchResult;

/// Serves `app` on `port` (0: any) until killed; tells its address as the program does.
pub(crate) fn serve(port: u16, cert: &Path, key: &Path, app: &Router) -> BenchResult<()> {
    let acceptor = TlsAcceptor::from(Arc::new(tls(cert, key)?));
    // As the program does: one thread where there is one core.
    let one = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let mut builder =
        if one { tokio::runtime::Builder::new_current_thread() } else { tokio::runtime::Builder::new_multi_thread() };
    builder.enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        println!(r#"{{"message":"listening","webhook":"{}","admin":""}}"#, listener.local_addr()?);
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(app.clone()));
            connections.spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    // A client that goes away is no failure of the measurement.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                }
            });
            while connections.try_join_next().is_some() {}
        }
    })
}

/// As the program serves: TLS 1.3 alone, no tickets.
fn tls(cert: &Path, key: &Path) -> BenchResult<rustls::ServerConfig> {
    let mut config = rustls::ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from_pem_file(cert)?], PrivateKeyDer::from_pem_file(key)?)?;
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
