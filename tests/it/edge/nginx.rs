//! The real nginx in front, run on what `deploy/` ships: who the client is, that every signature survives, and restarts
//! that nobody notices where nginx may repeat a request.
//!
//! Only addresses, paths and the patience in connecting are changed in the shipped files.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::deploy::{kubernetes_config, seconds, setting};
use super::fronts::{FRIEND, Front, STRANGER, behind, cognigy, connect_from, swapped, tells_clients_apart};
use super::rolling::rolling_restart;
use crate::support::certs::Ca;
use crate::support::http2::Http2;
use crate::support::wire::client_config;
use crate::support::{Conn, Request, Response, Setup, Signer, accepted, assert_refusal, event, eventually, unique};

const HTTP: &str = include_str!("../../../deploy/nginx.conf");
const TCP: &str = include_str!("../../../deploy/nginx-stream.conf");
/// Where an nginx that is no root's keeps what it spills.
const SPILLS: [&str; 5] = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

/// A running nginx; ended when dropped, its words shown when the test failed.
struct Nginx {
    child: Child,
    address: SocketAddr,
    ca: Arc<Ca>,
    dir: TempDir,
}

/// A shipped configuration for gateposts at `servers` with certificates and paths of a test.
fn fitted(shipped: &str, bind: SocketAddr, servers: &[SocketAddr], dir: &Path) -> String {
    let text = swapped(shipped, "listen 8443", &format!("listen {bind}"));
    let v6 = text.lines().find(|line| line.contains("listen [::]:8443")).expect("IPv6, too").to_owned();
    let text = text.replace(&v6, "");
    let line = text.lines().find(|line| line.contains("server gatepost:8443")).expect("a server line").to_owned();
    let lines: Vec<String> = servers.iter().map(|at| line.replace("gatepost:8443", &at.to_string())).collect();
    let text = text.replace(&line, &lines.join("\n"));
    let text = swapped(&text, "proxy_connect_timeout 5s", "proxy_connect_timeout 20s");
    let spills: Vec<String> = SPILLS.iter().map(|what| format!("{what}_temp_path {}/{what};", dir.display())).collect();
    text.replace("/run/tls/", &format!("{}/", dir.display()))
        .replace("http {\n", &format!("http {{\n{}\n", spills.join("\n")))
}

impl Nginx {
    /// Runs nginx on a shipped configuration in front of `servers`, whose certificates `ca` must have signed.
    fn start(shipped: &str, servers: &[SocketAddr], ca: &Arc<Ca>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let leaf = ca.leaf(98);
        std::fs::write(dir.path().join("nginx.crt"), &leaf.chain).unwrap();
        std::fs::write(dir.path().join("nginx.key"), &leaf.key).unwrap();
        std::fs::write(dir.path().join("ca.crt"), ca.pem()).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = dir.path().join("nginx.conf");
        std::fs::write(&config, fitted(shipped, address, servers, dir.path())).unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        // Debian keeps it where ordinary users' PATH does not reach.
        let program = ["nginx", "/usr/sbin/nginx"].into_iter().find(|p| Command::new(p).arg("-v").output().is_ok());
        let child = Command::new(program.expect("nginx must be installed (Debian package nginx; see .ci/setup)"))
            .args(["-e", "stderr", "-g"])
            .arg(format!("daemon off; pid {}/pid;", dir.path().display()))
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut nginx = Self { child, address, ca: Arc::clone(ca), dir };
        eventually("nginx listens", || {
            assert!(nginx.child.try_wait().unwrap().is_none(), "nginx ended: {}", nginx.log());
            TcpStream::connect(address).ok()
        });
        nginx
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn connect_from(&self, source: Ipv4Addr) -> Conn {
        connect_from(source, self.address, &self.ca).expect("a TLS connection through nginx")
    }

    fn send_from(&self, source: Ipv4Addr, request: &Request) -> Response {
        self.connect_from(source).ask(request)
    }
}

impl Front for Nginx {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn ca(&self) -> &Arc<Ca> {
        &self.ca
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Asked, not killed: it ends its workers first.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- nginx\n{}", self.log());
        }
    }
}

#[test]
fn x_forwarded_for_names_the_client() {
    let daemon = behind("off").start();
    let nginx = Nginx::start(HTTP, &[daemon.webhook], &daemon.ca);
    tells_clients_apart(&daemon, |from, request| nginx.send_from(from, request), |_| Ipv4Addr::LOCALHOST.to_string());
}

#[test]
fn proxy_version_1_names_the_client() {
    let daemon = behind("required").start();
    let nginx = Nginx::start(TCP, &[daemon.webhook], &daemon.ca);
    tells_clients_apart(&daemon, |from, request| nginx.send_from(from, request), |client| client.to_string());
    // Without a header, and from somebody who may not send one, there is no connection at all.
    for source in [Ipv4Addr::LOCALHOST, FRIEND] {
        assert!(connect_from(source, daemon.webhook, &daemon.ca).is_err(), "{source}");
    }
}

/// One request of every preset; SigV4 with a port and capitals in its host, a query, and a name with an underscore, all signed.
fn signed() -> Vec<Request> {
    let presets = ["cognigy", "nice", "cxone-expert", "standard-webhooks"];
    let mut all: Vec<Request> = presets.iter().map(|preset| Signer::of(preset).sign(event(&unique()))).collect();
    let mut signer = Signer::of("cxone");
    signer.target = format!("{}?b=2&a=%20x&a=", signer.target);
    "Hooks.Example.Test:8443".clone_into(&mut signer.host);
    let request = Request::post(&signer.target).header("Host", &signer.host).header("Content-Type", "application/json");
    all.push(signer.sign_v4(request.header("x_tenant", "a  b").body(event(&unique()).as_ref())));
    all
}

#[test]
fn every_signature_survives_over_both_versions_of_http() {
    let daemon = Setup::every_preset().set("listener", "trusted_proxies", "[\"127.0.0.1/32\"]").start();
    let nginx = Nginx::start(HTTP, &[daemon.webhook], &daemon.ca);
    let mut conn = nginx.connect_from(FRIEND);
    for request in signed() {
        accepted(&conn.ask(&request));
    }
    let mut http2 = Http2::open_at(nginx.address, client_config(&nginx.ca, &["h2"]));
    for request in signed() {
        accepted(&http2.ask(&request).unwrap());
    }
}

#[test]
fn large_bodies_go_through_and_too_large_ones_are_gateposts_to_refuse() {
    let large = format!("allowed_ips = [\"{FRIEND}\"]\nbody_bytes = 5242880");
    let setup = Setup::new().set("listener", "trusted_proxies", "[\"127.0.0.1/32\"]");
    let daemon = setup.preset_at("cognigy", "cognigy", "/webhook/cognigy", &large).start();
    let nginx = Nginx::start(HTTP, &[daemon.webhook], &daemon.ca);
    let body = || format!("{{\"intent\":\"order\",\"n\":\"{}\",\"text\":\"{}\"}}", unique(), "x".repeat(3 << 20));
    accepted(&nginx.send_from(FRIEND, &Signer::of("cognigy").sign(body())));
    let mut conn = nginx.connect_from(FRIEND);
    conn.send(&Signer::of("cognigy").sign(body()).chunked_bytes(64 << 10));
    accepted(&conn.response());
    // nginx itself says that the body may come.
    let patient = Signer::of("cognigy").sign(body()).header("Expect", "100-continue");
    conn.send(&patient.head());
    assert_eq!(conn.response().status, 100);
    conn.send(&patient.body);
    accepted(&conn.response());
    let vast = cognigy().set("Content-Length", "6291456").header("Expect", "100-continue");
    let mut conn = nginx.connect_from(FRIEND);
    conn.send(&vast.head());
    assert_eq!(conn.response().status, 100);
    assert_refusal(&conn.response(), 413, "payload_too_large");
    daemon.access_where("the refusal", |record| record["reason"] == "payload_too_large");
    // A refusal before the body: by address.
    assert_refusal(&nginx.send_from(STRANGER, &cognigy()), 403, "ip_not_whitelisted");
}

#[test]
fn a_gatepost_whose_certificate_another_authority_signed_gets_nothing() {
    let daemon = behind("off").start();
    let nginx = Nginx::start(HTTP, &[daemon.webhook], &Arc::new(Ca::new()));
    assert_eq!(nginx.send_from(FRIEND, &cognigy()).status, 502);
    assert!(daemon.access().is_empty(), "{:?}", daemon.access());
    eventually("nginx says why", || nginx.log().contains("certificate verify error").then_some(()));
}

#[test]
fn nginx_gives_idle_connections_up_on_the_right_side_of_our_idle_timeout() {
    let idle = kubernetes_config().live.deadlines.idle;
    // TCP: we close first. HTTP: nginx gives its idle connections up first, so that no request meets a closing one.
    let time = |text: &str, key: &str| -> Duration { seconds(setting(text, key).trim_end_matches(';')) };
    assert!(time(TCP, "proxy_timeout") > idle);
    let upstream = HTTP.split("upstream gatepost {").nth(1).and_then(|rest| rest.split('}').next()).unwrap();
    assert!(time(upstream, "keepalive_timeout") < idle);
}

#[test]
fn a_rolling_restart_behind_http_mode_loses_nothing_where_nginx_may_repeat() {
    // As the comment in the file says.
    let instead = [
        "client_max_body_size 1m;",
        "proxy_request_buffering on;",
        "proxy_next_upstream error timeout non_idempotent;",
    ];
    let lines = ["client_max_body_size 0;", "proxy_request_buffering off;", "proxy_next_upstream error timeout;"];
    let text = lines.iter().zip(instead).fold(HTTP.to_owned(), |text, (line, instead)| {
        assert!(text.contains(&format!("#     {instead}")), "no longer told: {instead}");
        swapped(&text, line, instead)
    });
    rolling_restart("off", |servers, ca| Nginx::start(&text, servers, ca));
}
