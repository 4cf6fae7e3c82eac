//! Three processes behind the real HAProxy with the configuration we ship: senders know one address, one of the three
//! dies, and each event is accepted exactly once all the same.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::replicas::rig::{Told, database, events, listed, setup};
use crate::support::daemon::PATIENCE;
use crate::support::wire::client_config;
use crate::support::{Conn, Daemon, Request, Setup, Signer, eventually};

const REPLICAS: usize = 3;
const SENDERS: usize = 6;
const EVENTS: usize = 5000;

/// A running HAProxy; killed when dropped.
struct Haproxy {
    child: Child,
    address: SocketAddr,
}

impl Haproxy {
    /// Runs `deploy/haproxy.cfg` with our addresses in the place of its own.
    fn start(setup: &Setup, daemons: &[Daemon]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let ca = setup.path("ca.crt");
        std::fs::write(&ca, setup.ca.pem()).unwrap();
        let file = setup.path("haproxy.cfg");
        std::fs::write(&file, configuration(address, &ca, daemons)).unwrap();
        let program = ["haproxy", "/usr/sbin/haproxy"].into_iter().find(|p| Command::new(p).arg("-v").output().is_ok());
        let program = program.expect("haproxy is needed: install Debian's package haproxy");
        let mut command = Command::new(program);
        let child = command.args(["-db", "-f"]).arg(&file).stdout(Stdio::null()).spawn().unwrap();
        Self { child, address }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(address: SocketAddr, ca: &Path, daemons: &[Daemon]) -> String {
    let shipped = include_str!("../../../deploy/haproxy.cfg");
    let mut text = String::new();
    for line in shipped.lines() {
        if line.trim_start().starts_with("server gatepost-2 ") {
            continue;
        }
        if line.trim_start().starts_with("server gatepost-1 ") {
            let rest = line.split("gatepost-1:8443").nth(1).expect("the server line");
            for (n, daemon) in daemons.iter().enumerate() {
                let _ = writeln!(text, "    server gatepost{n} {}{rest}", daemon.webhook);
            }
        } else {
            let line = line
                .replace(":::8443 v4v6", &address.to_string())
                .replace("/run/tls/ca.crt", &ca.display().to_string())
                .replace("check-sni gatepost", "check-sni localhost")
                .replace(" resolvers system init-addr last,libc,none", "");
            let _ = writeln!(text, "{line}");
        }
    }
    assert!(text.contains(&address.to_string()) && !text.contains("/run/tls"), "{text}");
    text
}

/// Repeats a request over new connections until it is answered with a 200, as a sender does.
fn insist(conn: &mut Option<Conn>, to: SocketAddr, config: &Arc<ClientConfig>, request: &Request) -> serde_json::Value {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "no 200 through HAProxy");
        if conn.is_none() {
            *conn = Conn::open(to, Arc::clone(config)).ok();
        }
        match conn.as_mut().and_then(|conn| conn.try_ask(request)) {
            Some(response) if response.status == 200 => return response.json(),
            Some(response) => assert_eq!(response.status, 503, "{response:?}"),
            None => *conn = None,
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn behind_haproxy_the_loss_of_one_replica_costs_nothing() {
    let (_server, url) = database();
    let setup = setup(&url).set("listener", "proxy_protocol", "\"required\"").set(
        "listener",
        "trusted_proxies",
        "[\"127.0.0.1/32\"]",
    );
    let mut daemons: Vec<Daemon> = (0..REPLICAS).map(|_| setup.start()).collect();
    let haproxy = Haproxy::start(&setup, &daemons);
    let config = client_config(&setup.ca, &["http/1.1"]);
    let (events, told) = (events(EVENTS), Arc::new(Told::default()));
    let to = haproxy.address;
    eventually("HAProxy sends to each of them", || {
        if let Ok(mut conn) = Conn::open(to, Arc::clone(&config)) {
            drop(conn.try_ask(&Signer::of("nice").sign("{}").at("/nowhere")));
        }
        let reached = |daemon: &Daemon| {
            daemon.scrape().count("gatepost_requests_total", &[("source", "none"), ("outcome", "refused")]) > 0
        };
        daemons.iter().all(reached).then_some(())
    });
    // Each event twice, from different senders, so that replicas meet over ids.
    let senders: Vec<_> = (0..SENDERS)
        .map(|n| {
            let (events, told, config) = (Arc::clone(&events), Arc::clone(&told), Arc::clone(&config));
            std::thread::spawn(move || {
                let mut conn = None;
                for (id, request) in events.iter().skip(n % (SENDERS / 2)).step_by(SENDERS / 2) {
                    told.note(id, &insist(&mut conn, to, &config, request));
                }
            })
        })
        .collect();
    eventually("load", || (told.count.load(Ordering::SeqCst) >= EVENTS / 2).then_some(()));
    daemons.remove(1).kill();
    for sender in senders {
        sender.join().unwrap();
    }
    told.assert_none_twice();
    assert_eq!(told.acknowledged.lock().unwrap().len(), EVENTS);
    assert_eq!(listed(&setup), events.iter().map(|(id, _)| id.clone()).collect());
    for daemon in &daemons {
        let record = daemon.access_where("a request", |record| record["outcome"] == "accepted");
        assert_eq!(record["client_ip"], "127.0.0.1", "as the PROXY header says");
    }
}
