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

use tempfile::TempDir;

use super::fronts::{FRIEND, Front, behind, connect_from, swapped, tells_clients_apart};
use super::rolling::rolling_restart;
use crate::support::certs::Ca;
use crate::support::{Conn, Request, Response, Setup, Signer, event, eventually, unique};

const TCP: &str = include_str!("../../../deploy/haproxy.cfg");
const HTTP: &str = include_str!("../../../deploy/haproxy-http.cfg");
/// How many connections [`tells_clients_apart`] makes.
const OWN_CONNECTIONS: i64 = 7;
/// A running HAProxy; ended when dropped, its words shown when the test failed.
struct Proxy {
    child: Child,
    address: SocketAddr,
    ca: Arc<Ca>,
    dir: TempDir,
}

/// A shipped configuration for gateposts at `servers` with certificates and paths of a test.
fn fitted(shipped: &str, bind: SocketAddr, servers: &[SocketAddr], dir: &Path) -> String {
    let text = swapped(shipped, "bind :::8443 v4v6", &format!("bind {bind}"));
    let text = swapped(&text, "/run/tls/", &format!("{}/", dir.display()));
    // The interval is also a check's timeout: long for a busy test machine, short between the checks that decide.
    let text = swapped(&text, "inter 1s", "inter 3s fastinter 200ms downinter 200ms");
    let text = swapped(&text, "timeout connect 5s", "timeout connect 20s\n    timeout check 20s");
    let text = swapped(&text, "resolvers system init-addr last,libc,none", "");
    // What stands after the name and the address is the same for each of them.
    let server = |line: &&str| line.trim_start().starts_with("server ");
    let options = text.lines().find(server).and_then(|line| line.trim_start().splitn(4, ' ').nth(3)).expect("a server");
    let lines = servers.iter().enumerate().map(|(i, at)| format!("    server g{i} {at} {options}"));
    let rest = text.lines().filter(|line| !server(line)).map(str::to_owned);
    rest.chain(lines).collect::<Vec<_>>().join("\n") + "\n"
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

impl Front for Proxy {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn ca(&self) -> &Arc<Ca> {
        &self.ca
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

fn tcp_mode(shipped: &str) {
    let daemon = behind("required").start();
    let proxy = Proxy::start(shipped, &[daemon.webhook], &daemon.ca);
    tells_clients_apart(&daemon, |from, request| proxy.send_from(from, request), |client| client.to_string());
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
    tells_clients_apart(&daemon, |from, request| proxy.send_from(from, request), |_| Ipv4Addr::LOCALHOST.to_string());
}

#[test]
fn x_forwarded_for_names_the_client_also_where_haproxy_leaves_forged_lines_in() {
    let kept: Vec<&str> = HTTP.lines().filter(|line| !line.contains("del-header")).collect();
    let careless = kept.join("\n") + "\n";
    assert!(careless.len() < HTTP.len(), "deploy/haproxy-http.cfg no longer takes forged lines out");
    let daemon = behind("off").start();
    let proxy = Proxy::start(&careless, &[daemon.webhook], &daemon.ca);
    tells_clients_apart(&daemon, |from, request| proxy.send_from(from, request), |_| Ipv4Addr::LOCALHOST.to_string());
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

#[test]
fn a_rolling_restart_behind_tcp_mode_loses_nothing() {
    rolling_restart("required", |servers, ca| Proxy::start(TCP, servers, ca));
}

#[test]
fn a_rolling_restart_behind_http_mode_loses_nothing() {
    rolling_restart("off", |servers, ca| Proxy::start(HTTP, servers, ca));
}
