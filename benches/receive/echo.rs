//! A: what any HTTPS service pays for a request. A bare axum handler behind tokio-rustls that reads the body and answers.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::options::Options;
use crate::result::BenchResult;

const ANSWER: &str = r#"{"status":"accepted","id":"0","duplicate":false}"#;

/// Serves until killed; tells its address as the program does.
pub(crate) fn serve(options: &Options) -> BenchResult<()> {
    let (Some(cert), Some(key)) = (&options.cert, &options.key) else { return Err("no certificate".into()) };
    let acceptor = TlsAcceptor::from(Arc::new(tls(cert, key)?));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!(r#"{{"message":"listening","webhook":"{}","admin":""}}"#, listener.local_addr()?);
        let app = Router::new().fallback(echo);
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

async fn echo(body: Bytes) -> impl IntoResponse {
    std::hint::black_box(&body);
    ([(CONTENT_TYPE, "application/json")], ANSWER)
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
