//! `healthcheck`: asks the running daemon whether it is ready. Needs no secret, certificate or store: it reads
//! the admin address and whether TLS is spoken there, nothing else, so that it works for a user who may read nothing else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::admin::settings::{ADDRESS, LISTEN};

use super::failure::{Failure, Status};
use super::invocation::Invocation;
use super::{any_certificate, output};

const DEADLINE: Duration = Duration::from_secs(5);
/// Enough for any status line.
const STATUS_LINE_BYTES: usize = 64;

/// Exits 0 when `/readyz` answers 200.
pub(super) async fn run(invocation: Invocation) -> Result<Status, Failure> {
    let address = reachable(admin_address(&invocation)?);
    let tls = invocation.file.as_deref().map(speaks_tls).transpose()?.unwrap_or_default();
    let answer = timeout(DEADLINE, status_of(address, tls)).await;
    let words = match answer {
        Ok(Ok(200)) => return Ok(Status::Done),
        Ok(Ok(status)) => format!("not ready: {address} answered {status}"),
        Ok(Err(error)) => format!("not ready: {address}: {error}"),
        Err(_) => format!("not ready: {address} did not answer within {} s", DEADLINE.as_secs()),
    };
    output::tell(&words);
    Ok(Status::Failed)
}

/// Environment before file before default, as everywhere.
fn admin_address(invocation: &Invocation) -> Result<SocketAddr, Failure> {
    if let Some(text) = invocation.vars.get(LISTEN) {
        return parse(LISTEN, text);
    }
    match invocation.file.as_deref().map(address_in).transpose()?.flatten() {
        Some(text) => parse("admin.address", &text),
        None => Ok(ADDRESS),
    }
}

fn parse(at: &str, text: &str) -> Result<SocketAddr, Failure> {
    text.parse().map_err(|_| Failure::configuration(at, format!("{text:?} is not an address with a port")))
}

fn address_in(file: &Path) -> Result<Option<String>, Failure> {
    let address = admin_table(file)?.get("address").and_then(toml::Value::as_str).map(str::to_owned);
    Ok(address)
}

/// Whether the file gives the admin listener a certificate; no variable does.
fn speaks_tls(file: &Path) -> Result<bool, Failure> {
    Ok(admin_table(file)?.contains_key("cert_file"))
}

fn admin_table(file: &Path) -> Result<toml::Table, Failure> {
    let at = file.display();
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::configuration(at.to_string(), error.to_string()))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| Failure::configuration(at.to_string(), error.message().to_owned()))?;
    Ok(table.get("admin").and_then(toml::Value::as_table).cloned().unwrap_or_default())
}

/// An unspecified address is where one listens, not where one connects.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn status_of(address: SocketAddr, tls: bool) -> std::io::Result<u16> {
    let stream = TcpStream::connect(address).await?;
    if !tls {
        return asked(stream, address).await;
    }
    let connector = TlsConnector::from(any_certificate::client(None).map_err(std::io::Error::other)?);
    asked(connector.connect(ServerName::from(address.ip()), stream).await?, address).await
}

async fn asked(mut stream: impl AsyncRead + AsyncWrite + Unpin, address: SocketAddr) -> std::io::Result<u16> {
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(STATUS_LINE_BYTES);
    stream.take(STATUS_LINE_BYTES as u64).read_to_end(&mut answer).await?;
    parse_status(&answer).ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
}

fn parse_status(answer: &[u8]) -> Option<u16> {
    let rest = answer.strip_prefix(b"HTTP/1.1 ").or_else(|| answer.strip_prefix(b"HTTP/1.0 "))?;
    let digits = rest.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use tokio::net::TcpListener;

    use super::*;
    use crate::clock::Clock;

    fn invocation(file: Option<PathBuf>, listen: Option<&str>) -> Invocation {
        let vars: BTreeMap<_, _> = listen.map(|at| (LISTEN.to_owned(), at.to_owned())).into_iter().collect();
        Invocation { file, vars, clock: Clock::system(), without_drain: false }
    }

    /// A server that answers one connection with `answer`.
    async fn answering(answer: &'static [u8]) -> (SocketAddr, impl Future<Output = ()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(answer).await.unwrap();
        };
        (address, server)
    }

    #[tokio::test]
    async fn only_200_is_ready() {
        for (answer, expected) in [
            (&b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..], Status::Done),
            (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", Status::Failed),
            (b"SSH-2.0-nonsense\r\n", Status::Failed),
            (b"", Status::Failed),
        ] {
            let (address, server) = answering(answer).await;
            let text = address.to_string();
            let (status, ()) = tokio::join!(run(invocation(None, Some(&text))), server);
            assert_eq!(status.unwrap(), expected, "{}", String::from_utf8_lossy(answer));
        }
    }

    #[test]
    fn the_address_comes_from_the_environment_then_the_file_then_the_default() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("gatepost.toml");
        std::fs::write(&file, "[admin]\naddress = \"0.0.0.0:7000\"\ntoken = { file = \"/unreadable\" }\n").unwrap();
        let at =
            |file: Option<&PathBuf>, listen| admin_address(&invocation(file.cloned(), listen)).unwrap().to_string();
        assert_eq!(at(Some(&file), Some("127.0.0.1:1")), "127.0.0.1:1");
        assert_eq!(at(Some(&file), None), "0.0.0.0:7000");
        assert_eq!(at(None, None), ADDRESS.to_string());
        assert_eq!(admin_address(&invocation(None, Some("nowhere"))).unwrap_err().status(), Status::Wrong);
    }

    #[test]
    fn an_unspecified_address_is_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:9".parse().unwrap()).to_string(), "127.0.0.1:9");
        assert_eq!(reachable("[::]:9".parse().unwrap()).to_string(), "[::1]:9");
        assert_eq!(reachable("10.0.0.1:9".parse().unwrap()).to_string(), "10.0.0.1:9");
    }
}
