//! The real HAProxy in front, run on what `deploy/` ships: who the client is, and restarts that nobody notices.
//!
//! Only addresses, paths and the timing of checks in the shipped files are changed: the certificates carry a public name
//! (and `localhost`, by which the clients come), none that a file could have guessed. Clients are told apart by
//! their loopback addresses: HAProxy itself comes from 127.0.0.1, the only trusted proxy.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::support::certs::Ca;
use crate::support::wire::client_config;
use crate::support::{
    Conn, Daemon, Request, Response, Setup, Signer, accepted, assert_refusal, event, eventually, nameless, unique,
};

const TCP: &str = include_str!("../../../deploy/haproxy.cfg");
const HTTP: &str = include_str!("../../../deploy/haproxy-http.cfg");
/// A client whom the sources allow, and one whom they do not.
const FRIEND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// How many connections [`tells_clients_apart`] makes.
const OWN_CONNECTIONS: i64 = 7;
/// Between two requests of one client under steady load.
const PAUSE: Duration = Duration::from_millis(10);

/// A running HAProxy; ended when dropped, its words shown when the test failed.
struct Proxy {
    child: Child,
    address: SocketAddr,
    ca: Arc<Ca>,
    dir: TempDir,
}

/// Replaces what must stand in `text`.
#[track_caller]
fn swapped(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "deploy/ no longer says: {from}");
    text.replace(from, to)
}

/// A shipped configuration for gateposts at `servers` with certificates and paths of a test.
fn fitted(shipped: &str, bind: SocketAddr, servers: &[SocketAddr], dir: &Path) -> String {
    let text = swapped(shipped, "bind :::8443 v4v6", &format!("bind {bind}"));
    let text = swapped(&text, "/run/tls/", &format!("{}/", dir.display()));
    // The interval is also a check's timeout: long for a busy test machine, short between the checks that decide.
    let text = swapped(&text, "inter 1s", "inter 3s fastinter 200ms downinter 200ms");
    let text = swapped(&text, "timeout connect 5s", "timeout connect 20s\n    timeout check 20s");
    let text = swapped(&text, "resolvers system init-addr last,libc,none", "");
    let line = text.lines().find(|line| line.contains("server gatepost gatepost:8443")).expect("a server line");
    let each = |(i, at): (usize, &SocketAddr)| line.replace("gatepost gatepost:8443", &format!("g{i} {at}"));
    let lines: Vec<String> = servers.iter().enumerate().map(each).collect();
    text.replace(line, &lines.join("\n"))
}

impl Proxy {
    /// Runs HAProxy on a shipped configuration in front of `servers`, whose certificates `ca` has signed.
    fn start(shipped: &str, servers: &[SocketAddr], ca: &Arc<Ca>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let leaf = ca.leaf(99);
        std::fs::write(dir.path().join("haproxy.pem"), format!("{}{}", leaf.chain, leaf.key)).unwrap();
        std::fs::write(dir.path().join("ca.crt"), ca.pem()).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let file = dir.path().join("haproxy.cfg");
        std::fs::write(&file, fitted(shipped, address, servers, dir.path())).unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        // Debian keeps it where ordinary users' PATH does not reach.
        let program = ["haproxy", "/usr/sbin/haproxy"].into_iter().find(|p| Command::new(p).arg("-v").output().is_ok());
        let child = Command::new(program.expect("haproxy must be installed (Debian package haproxy; see .ci/setup)"))
            .arg("-db")
            .arg("-f")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut proxy = Self { child, address, ca: Arc::clone(ca), dir };
        eventually("HAProxy listens", || {
            assert!(proxy.child.try_wait().unwrap().is_none(), "HAProxy ended: {}", proxy.log());
            TcpStream::connect(address).ok()
        });
        proxy
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn connect_from(&self, source: Ipv4Addr) -> Conn {
        connect_from(source, self.address, &self.ca).expect("a TLS connection through HAProxy")
    }

    fn send_from(&self, source: Ipv4Addr, request: &Request) -> Response {
        self.connect_from(source).ask(request)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- HAProxy\n{}", self.log());
        }
    }
}

/// A TLS connection that comes from `source`.
fn connect_from(source: Ipv4Addr, to: SocketAddr, ca: &Ca) -> std::io::Result<Conn> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        socket.connect(to).await?.into_std()
    })?;
    stream.set_nonblocking(false)?;
    Conn::over(stream, client_config(ca, &["http/1.1"]))
}

/// Believes HAProxy at 127.0.0.1 and nobody else on loopback; `cognigy` is open to [`FRIEND`] alone.
fn behind(proxy_protocol: &str) -> Setup {
    Setup::new()
        .set("listener", "proxy_protocol", &format!("\"{proxy_protocol}\""))
        .set("listener", "trusted_proxies", "[\"127.0.0.1/32\"]")
        .preset_at("cognigy", "cognigy", "/webhook/cognigy", &format!("allowed_ips = [\"{FRIEND}\"]"))
}

fn cognigy() -> Request {
    Signer::of("cognigy").sign(nameless())
}

/// Waits for the access record of the request with `outcome` from `client`.
fn record(daemon: &Daemon, outcome: &str, client: Ipv4Addr, peer: &str) -> Value {
    daemon.access_where(&format!("{outcome} from {client} over {peer}"), |record| {
        record["outcome"] == outcome && record["client_ip"] == client.to_string() && record["peer_ip"] == peer
    })
}

/// Allowed and refused by who the client is, whatever the client says of itself.
fn tells_clients_apart(daemon: &Daemon, proxy: &Proxy, peer_of: impl Fn(Ipv4Addr) -> String) {
    accepted(&proxy.send_from(FRIEND, &cognigy()));
    record(daemon, "accepted", FRIEND, &peer_of(FRIEND));
    assert_refusal(&proxy.send_from(STRANGER, &cognigy()), 403, "ip_not_whitelisted");
    record(daemon, "refused", STRANGER, &peer_of(STRANGER));
    let friend = FRIEND.to_string();
    for (name, value) in [
        ("X-Forwarded-For", friend.clone()),
        ("X-Forwarded-For", format!("{friend}, {friend}")),
        ("x-forwarded-for", format!("{friend}, 127.0.0.1")),
        ("Forwarded", format!("for={friend}")),
    ] {
        let forged = cognigy().header(name, &value);
        assert_refusal(&proxy.send_from(STRANGER, &forged), 403, "ip_not_whitelisted");
    }
    let refused = |record: &&Value| record["client_ip"] == STRANGER.to_string() && record["status"] == 403;
    eventually("every refusal names the stranger", || {
        (daemon.access().iter().filter(refused).count() == 5).then_some(())
    });
    // And what the friend says of itself does not hurt it either.
    accepted(&proxy.send_from(FRIEND, &cognigy().header("X-Forwarded-For", "192.0.2.7")));
}

fn tcp_mode(shipped: &str) {
    let daemon = behind("required").start();
    let proxy = Proxy::start(shipped, &[daemon.webhook], &daemon.ca);
    tells_clients_apart(&daemon, &proxy, |client| client.to_string());
    // Without a header, and from somebody who may not send one, there is no connection at all.
    for source in [Ipv4Addr::LOCALHOST, FRIEND] {
        assert!(connect_from(source, daemon.webhook, &daemon.ca).is_err(), "{source}");
    }
    // HAProxy's own checks (LOCAL, or its own address in version 1) are answered, though not on the allowlist.
    eventually("health checks over TLS", || {
        let handshakes = daemon.scrape().count("gatepost_tls_handshakes_total", &[("outcome", "ok")]);
        (handshakes >= OWN_CONNECTIONS + 3).then_some(())
    });
    assert!(!proxy.log().contains("is DOWN"), "{}", proxy.log());
}

#[test]
fn proxy_version_2_names_the_client() {
    tcp_mode(TCP);
}

#[test]
fn proxy_version_1_names_the_client() {
    tcp_mode(&swapped(TCP, "send-proxy-v2 ", "send-proxy "));
}

#[test]
fn x_forwarded_for_names_the_client() {
    let daemon = behind("off").start();
    let proxy = Proxy::start(HTTP, &[daemon.webhook], &daemon.ca);
    tells_clients_apart(&daemon, &proxy, |_| Ipv4Addr::LOCALHOST.to_string());
}

#[test]
fn x_forwarded_for_names_the_client_also_where_haproxy_leaves_forged_lines_in() {
    let kept: Vec<&str> = HTTP.lines().filter(|line| !line.contains("del-header")).collect();
    let careless = kept.join("\n") + "\n";
    assert!(careless.len() < HTTP.len(), "deploy/haproxy-http.cfg no longer takes forged lines out");
    let daemon = behind("off").start();
    let proxy = Proxy::start(&careless, &[daemon.webhook], &daemon.ca);
    tells_clients_apart(&daemon, &proxy, |_| Ipv4Addr::LOCALHOST.to_string());
}

#[test]
fn every_signature_survives_http_mode() {
    let daemon = Setup::every_preset().set("listener", "trusted_proxies", "[\"127.0.0.1/32\"]").start();
    let proxy = Proxy::start(HTTP, &[daemon.webhook], &daemon.ca);
    let mut conn = proxy.connect_from(FRIEND);
    for preset in ["cxone", "cognigy", "nice", "cxone-expert", "standard-webhooks"] {
        let mut signer = Signer::of(preset);
        if preset == "cxone" {
            signer.target = format!("{}?b=2&a=%20x&a=", signer.target);
        }
        let answer = conn.ask(&signer.sign(event(&unique())));
        assert_eq!(answer.status, 200, "{preset}: {answer:?}");
    }
}

/// Clients that send one signed event after the other until told to stop, and never twice: half of them on kept-alive
/// connections, which they leave when told so, half on a new connection each time.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(proxy: &Proxy) -> Self {
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let client = |keeps: bool| {
            let (stop, sent, to, ca) = (Arc::clone(&stop), Arc::clone(&sent), proxy.address, Arc::clone(&proxy.ca));
            std::thread::spawn(move || {
                let mut kept = None;
                while !stop.load(Ordering::Relaxed) {
                    let mut conn = kept.take().unwrap_or_else(|| connect_from(FRIEND, to, &ca).expect("a connection"));
                    let answer = conn.ask(&Signer::of("nice").sign(event(&unique())));
                    assert_eq!(accepted(&answer)["duplicate"], false);
                    sent.fetch_add(1, Ordering::Relaxed);
                    if keeps && answer.header("connection") != Some("close") {
                        kept = Some(conn);
                    }
                    std::thread::sleep(PAUSE);
                }
            })
        };
        let clients = [true, false, true, false].map(client).into();
        Self { stop, sent, clients }
    }

    /// Waits until `more` further requests were answered.
    #[track_caller]
    fn goes_on(&self, more: u64) {
        let before = self.sent.load(Ordering::Relaxed);
        eventually("requests are answered", || {
            assert!(!self.clients.iter().any(JoinHandle::is_finished), "a client met a fault");
            (self.sent.load(Ordering::Relaxed) >= before + more).then_some(())
        });
    }

    /// Ends it; panics where a client met anything but 200.
    fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().expect("every request is answered with 200");
        }
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// How many events this run of a gatepost accepted, once its log is complete.
fn count(daemon: &Daemon) -> u64 {
    u64::try_from(daemon.access().iter().filter(|record| record["outcome"] == "accepted").count()).unwrap()
}

/// Restarts two gateposts, one after the other, behind HAProxy and under load: nobody notices.
fn rolling_restart(shipped: &str, proxy_protocol: &str) {
    let ca = Arc::new(Ca::new());
    let pair = [1, 2].map(|serial| {
        let mut setup = behind(proxy_protocol).set("shutdown", "drain_delay", "\"6s\"").preset("nice");
        setup.ca = Arc::clone(&ca);
        ca.leaf(serial).write(&setup.path(""));
        let daemon = setup.start();
        // Started again, it listens where it did.
        (setup.set("listener", "address", &format!("\"{}\"", daemon.webhook)), daemon)
    });
    let servers = [pair[0].1.webhook, pair[1].1.webhook];
    let proxy = Proxy::start(shipped, &servers, &ca);
    let load = Load::start(&proxy);
    load.goes_on(50);
    let (mut stored, mut running) = (0, Vec::new());
    for (setup, mut daemon) in pair {
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.ended().code(), Some(0), "drained in time");
        daemon.kill();
        stored += count(&daemon);
        assert!(count(&daemon) > 0, "it had its share");
        load.goes_on(20);
        let fresh = setup.start();
        eventually("it has its share again", || (count(&fresh) > 0).then_some(()));
        running.push(fresh);
    }
    load.goes_on(50);
    let sent = load.end();
    eventually("every event was accepted once", || {
        (stored + running.iter().map(count).sum::<u64>() == sent).then_some(())
    });
}

#[test]
fn a_rolling_restart_behind_tcp_mode_loses_nothing() {
    rolling_restart(TCP, "required");
}

#[test]
fn a_rolling_restart_behind_http_mode_loses_nothing() {
    rolling_restart(HTTP, "off");
}
