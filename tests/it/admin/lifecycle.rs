//! Starting, draining, stopping, reloading: signals and exit codes.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::http2::Http2;
use crate::support::wire::client_config;
use crate::support::{
    Conn, Daemon, Request, Setup, Signer, accepted, assert_refusal, event, eventually, nameless, unique,
};

fn cognigy() -> Request {
    Signer::of("cognigy").sign(nameless())
}

fn held(daemon: &Daemon, request: &Request) -> Conn {
    let mut conn = daemon.connect();
    let length = request.body.len().to_string();
    conn.send(&request.clone().header("Expect", "100-continue").header("Content-Length", &length).head());
    assert_eq!(conn.response().status, 100);
    conn
}

#[track_caller]
fn not_ready(daemon: &Daemon) {
    eventually("/readyz says 503", || (daemon.get("/readyz").status == 503).then_some(()));
}

fn reloads(daemon: &Daemon, outcome: &str) -> i64 {
    daemon.scrape().count("gatepost_reloads_total", &[("outcome", outcome)])
}

#[test]
fn draining_serves_on_says_so_and_ends_with_0() {
    let setup = Setup::new().set("shutdown", "drain_delay", "\"3s\"").preset("cognigy");
    let mut daemon = setup.start();
    let mut kept = daemon.connect();
    assert_eq!(kept.ask(&cognigy()).header("connection"), None);
    daemon.signal(Signal::TERM);
    not_ready(&daemon);
    assert_eq!(daemon.get("/livez").status, 200);
    assert_eq!(daemon.send(&Request::new("GET", "/healthz")).status, 503);
    let fresh = daemon.send(&cognigy());
    accepted(&fresh);
    assert_eq!(fresh.header("connection"), Some("close"), "{fresh:?}");
    assert_eq!(Http2::open(&daemon).ask(&cognigy()).unwrap().status, 200, "new h2 connections are served too");
    let on_kept = kept.ask(&cognigy());
    assert_eq!((on_kept.status, on_kept.header("connection")), (200, Some("close")), "{on_kept:?}");
    assert!(kept.closes());
    assert_eq!(daemon.ended().code(), Some(0));
    assert!(Conn::open(daemon.webhook, client_config(&daemon.ca, &[])).is_err());
}

#[test]
fn what_is_in_flight_finishes() {
    let setup = Setup::new().set("limits", "body_timeout", "\"60s\"").set("shutdown", "drain_timeout", "\"50s\"");
    let mut daemon = setup.preset("cognigy").start();
    let request = cognigy();
    let mut conn = held(&daemon, &request);
    daemon.signal(Signal::TERM);
    eventually("the listener is closed", || {
        Conn::open(daemon.webhook, client_config(&daemon.ca, &[])).is_err().then_some(())
    });
    assert!(daemon.runs(), "a request is in flight");
    conn.send(&request.body);
    accepted(&conn.response());
    assert_eq!(daemon.ended().code(), Some(0));
}

#[test]
fn what_does_not_finish_is_cut_off_and_ends_with_2() {
    let setup = Setup::new().set("limits", "body_timeout", "\"60s\"").set("shutdown", "drain_timeout", "\"1s\"");
    let mut daemon = setup.preset("cognigy").start();
    let mut conn = held(&daemon, &cognigy());
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(2));
    assert_ne!(conn.try_response().map(|response| response.status), Some(200));
}

#[test]
fn idle_connections_hold_nothing_up() {
    let setup = Setup::new().set("shutdown", "drain_timeout", "\"50s\"").preset("cognigy");
    let mut daemon = setup.start();
    let mut conns: Vec<Conn> = (0..5).map(|_| daemon.connect()).collect();
    assert_eq!(conns[0].ask(&cognigy()).status, 200);
    let mut half = daemon.connect();
    half.send(b"POST /webhook/cognigy HTTP/1.1\r\n");
    let client = Http2::open(&daemon);
    daemon.signal(Signal::INT);
    assert_eq!(daemon.ended().code(), Some(0), "SIGINT drains too, and idle connections are closed");
    drop((conns, half, client));
}

#[test]
fn peers_that_say_nothing_more_hold_nothing_up() {
    let long = "\"50s\"";
    let setup = Setup::new().set("shutdown", "drain_timeout", long).preset("cognigy");
    let setup = setup.set("limits", "handshake_timeout", long).set("limits", "header_timeout", long);
    let mut daemon = setup.start();
    let silent = TcpStream::connect(daemon.webhook).unwrap();
    // HTTP/2 that is set up, and then takes no notice: the PING by which it would be sent away is not answered.
    let mut deaf = Conn::open(daemon.webhook, client_config(&daemon.ca, &["h2"])).unwrap();
    deaf.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0");
    let mut half = daemon.connect();
    half.send(b"POST /webhook/cognigy HTTP/1.1\r\n");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(0), "long before any deadline");
    drop((silent, deaf, half));
}

#[test]
fn a_second_signal_stops_now() {
    let setup = Setup::new().set("shutdown", "drain_delay", "\"10m\"").preset("cognigy");
    let mut daemon = setup.start();
    daemon.signal(Signal::TERM);
    not_ready(&daemon);
    daemon.signal(Signal::TERM);
    // Nothing was in flight, so nothing was cut off; but it did not drain in time either.
    assert!(matches!(daemon.ended().code(), Some(0 | 2)));
    let setup = Setup::new().set("shutdown", "drain_delay", "\"10m\"").set("shutdown", "drain_timeout", "\"10m\"");
    let mut daemon = setup.set("limits", "body_timeout", "\"10m\"").preset("cognigy").start();
    let conn = held(&daemon, &cognigy());
    daemon.signal(Signal::TERM);
    not_ready(&daemon);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(2), "a request was cut off");
    drop(conn);
}

#[test]
fn what_was_accepted_before_a_stop_is_known_after_it() {
    let setup = Setup::new().set("shutdown", "drain_delay", "\"1s\"").preset("nice");
    let request = Signer::of("nice").sign(event(&unique()));
    let mut daemon = setup.start();
    assert_eq!(accepted(&daemon.send(&request))["duplicate"], false);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(0));
    assert_eq!(accepted(&setup.start().send(&request))["duplicate"], true);
}

#[test]
fn a_taken_port_ends_with_1_and_is_named() {
    for section in ["listener", "admin"] {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let setup = Setup::new().set(section, "address", &format!("\"{address}\"")).preset("cognigy");
        let output = setup.run(&["serve"]);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{section}: {said}");
        assert!(said.contains(&address), "{section} {address}: {said}");
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).is_ok_and(|value| value.is_object()), "{line}");
        }
    }
}

#[test]
fn secrets_are_read_again_on_hangup() {
    let (old, new) = ("the-first-secret-0123456789", "the-second-secret-0123456789");
    let setup = Setup::new();
    let file = setup.write("secret", &format!("{old}\n"));
    let setup = setup.source("nice", "nice", &format!("secrets = [{{ file = {file} }}]"));
    let daemon = setup.start();
    let status = |secret: &str| daemon.send(&Signer::of("nice").secret(secret).sign(event(&unique()))).status;
    assert_eq!((status(old), status(new)), (200, 401));
    let mut kept = daemon.connect();
    assert_eq!(kept.ask(&Signer::of("nice").secret(old).sign(event(&unique()))).status, 200);
    setup.write("secret", new);
    daemon.signal(Signal::HUP);
    eventually("the new secret", || (status(new) == 200).then_some(()));
    eventually("the reload is counted", || (reloads(&daemon, "ok") >= 1).then_some(()));
    assert_eq!(status(old), 401);
    assert_eq!(kept.ask(&Signer::of("nice").secret(old).sign(event(&unique()))).status, 401, "open connections too");
    // A secret that is too short cannot act: the reload fails and what was stays.
    setup.write("secret", "short");
    daemon.signal(Signal::HUP);
    eventually("the failure is counted", || (reloads(&daemon, "failed") >= 1).then_some(()));
    assert_eq!((status(new), daemon.get("/readyz").status), (200, 200));
    setup.write("secret", old);
    daemon.signal(Signal::HUP);
    eventually("mended", || (status(old) == 200).then_some(()));
    for secret in ["short", old, new] {
        assert!(!daemon.out().contains(&format!("\"{secret}\"")), "a secret was logged");
    }
}

#[test]
fn the_allowlist_and_sources_are_read_again_on_hangup() {
    let setup = Setup::new().preset("nice").preset("cognigy");
    let daemon = setup.start();
    assert_eq!(daemon.send(&cognigy()).status, 200);
    let file = setup.path("gatepost.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let at = text.rfind("allowed_ips = [\"127.0.0.0/8\"]").unwrap();
    let narrowed = format!("{}{}", &text[..at], text[at..].replacen("127.0.0.0/8", "192.0.2.0/24", 1));
    std::fs::write(&file, &narrowed).unwrap();
    daemon.signal(Signal::HUP);
    eventually("the allowlist holds", || (daemon.send(&cognigy()).status == 403).then_some(()));
    assert_refusal(&daemon.send(&cognigy()), 403, "ip_not_whitelisted");
    assert_eq!(daemon.send(&Signer::of("nice").sign(event(&unique()))).status, 200);
    for broken in ["[[source", "unknown_key = 1\n", "[limits]\nbody_bytes = \"many\"\n"] {
        let failed = reloads(&daemon, "failed");
        std::fs::write(&file, format!("{broken}\n{narrowed}")).unwrap();
        daemon.signal(Signal::HUP);
        eventually("the failure is counted", || (reloads(&daemon, "failed") > failed).then_some(()));
        assert_eq!(daemon.send(&Signer::of("nice").sign(event(&unique()))).status, 200, "{broken}");
        assert_eq!(daemon.send(&cognigy()).status, 403, "{broken}");
    }
    std::fs::write(&file, &text).unwrap();
    daemon.signal(Signal::HUP);
    eventually("open again", || (daemon.send(&cognigy()).status == 200).then_some(()));
}

#[test]
fn the_certificate_is_read_again_on_hangup() {
    let setup = Setup::new().preset("cognigy");
    let daemon = setup.start();
    let serial_shown = || {
        let conn = daemon.connect();
        conn.tls.conn.peer_certificates().unwrap()[0].to_vec()
    };
    let first = serial_shown();
    let mut kept = daemon.connect();
    assert_eq!(kept.ask(&cognigy()).status, 200);
    setup.ca.leaf(2).write(setup.path("").as_path());
    daemon.signal(Signal::HUP);
    let second = eventually("the new certificate", || Some(serial_shown()).filter(|shown| *shown != first));
    assert_eq!(kept.ask(&cognigy()).status, 200, "open connections stay");
    std::fs::write(setup.path("tls.crt"), "not a certificate").unwrap();
    daemon.signal(Signal::HUP);
    eventually("the failure is counted", || (reloads(&daemon, "failed") >= 1).then_some(()));
    assert_eq!(serial_shown(), second, "what was stays");
    assert_eq!(daemon.send(&cognigy()).status, 200);
}

#[test]
fn a_watch_on_the_files_reloads_without_a_signal() {
    let (old, new) = ("the-first-secret-0123456789", "the-second-secret-0123456789");
    let setup = Setup::new();
    let file = setup.write("secret", old);
    let daemon = setup.source("nice", "nice", &format!("secrets = [{{ file = {file} }}]")).start();
    std::fs::write(daemon_file(&file), new).unwrap();
    let status = || daemon.send(&Signer::of("nice").secret(new).sign(event(&unique()))).status;
    eventually("the new secret", || {
        std::thread::sleep(Duration::from_millis(100));
        (status() == 200).then_some(())
    });
}

fn daemon_file(quoted: &str) -> &str {
    quoted.trim_matches('"')
}

#[test]
fn hangups_under_traffic_lose_nothing() {
    let daemon = Setup::new().preset("nice").start();
    let mut conn = daemon.connect();
    for round in 0..200 {
        if round % 10 == 0 {
            daemon.signal(Signal::HUP);
        }
        let answer = accepted(&conn.ask(&Signer::of("nice").sign(event(&unique()))));
        assert_eq!(answer["duplicate"], false);
    }
    assert!(reloads(&daemon, "failed") == 0);
}

#[test]
fn signals_that_mean_nothing_here_do_not_kill() {
    let mut daemon = Setup::new().preset("cognigy").start();
    for (signal, name) in [
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::VTALARM, "SIGVTALRM"),
        (Signal::PROF, "SIGPROF"),
        (Signal::IO, "SIGIO"),
        (Signal::POWER, "SIGPWR"),
        (Signal::STKFLT, "SIGSTKFLT"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
    ] {
        daemon.signal(signal);
        eventually(name, || (daemon.told(name) == 1).then_some(()));
    }
    daemon.signal(Signal::PIPE);
    assert_eq!(daemon.send(&cognigy()).status, 200);
    assert!(daemon.runs());
    daemon.signal(Signal::QUIT);
    assert_eq!(daemon.ended().code(), Some(0), "SIGQUIT drains, too");
}
