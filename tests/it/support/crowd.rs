//! Crowds of slow peers, for tests and measurements: each peer opens a connection, dawdles and is to be closed.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::daemon::PATIENCE;
use crate::support::wire::client_config;
use crate::support::{Conn, Daemon, Signer, nameless};

/// Between two bytes of a drip.
const DRIP: Duration = Duration::from_millis(100);
/// The header of a TLS handshake record, and the beginning of a `ClientHello` that is never finished.
const HALF_HELLO: [u8; 9] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc];

/// How a peer dawdles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slow {
    /// Connects and says nothing.
    NoHello,
    /// Stops within its `ClientHello`.
    HalfHello,
    /// Sends its head byte by byte.
    Head,
    /// Sends its body byte by byte.
    Body,
}

/// Every way.
pub(crate) const EVERY: [Slow; 4] = [Slow::NoHello, Slow::HalfHello, Slow::Head, Slow::Body];

/// Raises this process's own limit of descriptors to what it may be; children inherit it.
pub(crate) fn many_descriptors(needed: u64) {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    assert!(most >= needed, "needs {needed} descriptors, may have {most}: raise the hard limit (ulimit -Hn)");
    if limit.current.is_some_and(|current| current < needed) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum }).unwrap();
    }
}

enum Peer {
    Plain(TcpStream),
    Tls(Box<Conn>),
}

impl Peer {
    fn open(how: Slow, daemon: &Daemon) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(daemon.webhook)?;
        let begun = match how {
            Slow::NoHello => None,
            Slow::HalfHello => {
                stream.write_all(&HALF_HELLO)?;
                None
            }
            Slow::Head => Some(b"POST /webhook/cognigy HTTP/1.1\r\nX-Drip: ".to_vec()),
            Slow::Body => Some(Signer::of("cognigy").sign(nameless()).header("Content-Length", "10000").head()),
        };
        let Some(begun) = begun else {
            stream.set_nonblocking(true)?;
            return Ok(Self::Plain(stream));
        };
        let mut conn = Conn::over(stream, client_config(&daemon.ca, &["http/1.1"]))?;
        conn.send(&begun);
        conn.tls.sock.set_nonblocking(true)?;
        Ok(Self::Tls(Box::new(conn)))
    }

    /// One more byte, where this is a drip; whether the connection is still open.
    fn dawdle(&mut self) -> bool {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Tls(conn) => {
                conn.send(b"x");
                &mut conn.tls.sock
            }
        };
        loop {
            match stream.read(&mut [0; 4096]) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }
}

/// Opens `number` peers of a kind, one after the other, and dawdles until all are closed. Gives how many were not when
/// patience ended.
pub(crate) fn crowd<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    daemon: &'scope Daemon,
    how: Slow,
    number: usize,
) -> std::thread::ScopedJoinHandle<'scope, usize> {
    scope.spawn(move || {
        let mut peers: Vec<Peer> = (0..number).map(|_| Peer::open(how, daemon).expect("a connection")).collect();
        let begun = Instant::now();
        while !peers.is_empty() && begun.elapsed() < PATIENCE {
            peers.retain_mut(Peer::dawdle);
            std::thread::sleep(DRIP);
        }
        peers.len()
    })
}
