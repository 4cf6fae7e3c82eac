//! The admin listener: probes for anyone who reaches it, metrics and the rest behind the token.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;

use crate::support::daemon::PATIENCE;
use crate::support::{Daemon, Setup, Signer, accepted, eventually, nameless};

const TOKEN: &str = "an-admin-token-0123456789";

fn setup() -> Setup {
    Setup::new().preset("cognigy")
}

fn with_token() -> Setup {
    setup().set("admin", "token", "{ env = \"GATEPOST_ADMIN_TOKEN\" }").env("GATEPOST_ADMIN_TOKEN", TOKEN)
}

#[test]
fn probes_need_no_token_and_metrics_are_metrics() {
    let (open, guarded) = (setup().start(), with_token().start());
    for daemon in [&open, &guarded] {
        for path in ["/livez", "/readyz", "/livez?x=y"] {
            assert_eq!(daemon.get(path).status, 200, "{path}");
        }
    }
    let bearing = format!("Authorization: Bearer {TOKEN}\r\n");
    for metrics in [open.get("/metrics"), guarded.get_with("/metrics", &bearing)] {
        assert_eq!(metrics.status, 200, "{metrics:?}");
        let kind = metrics.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/plain") || kind.starts_with("application/openmetrics-text"), "{kind}");
        assert!(metrics.text().contains("gatepost_build_info"));
    }
}

#[test]
fn everything_else_needs_the_token_when_one_is_set() {
    let daemon = with_token().start();
    for path in
        ["/metrics", "/", "/admin", "/events", "/quarantine", "/debug", "/metrics/", "/livez/x", "/Livez", "//livez"]
    {
        let refused = daemon.get(path);
        assert_eq!(refused.status, 401, "{path} without the token");
        assert!(refused.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")), "{refused:?}");
        assert!(!refused.text().contains("gatepost_"), "{refused:?}");
        for wrong in ["wrong", "", &TOKEN[1..], &format!("{TOKEN}x"), &TOKEN.to_uppercase()] {
            let header = format!("Authorization: Bearer {wrong}\r\n");
            assert_eq!(daemon.get_with(path, &header).status, 401, "{path} with {wrong:?}");
        }
        let basic = format!("Authorization: Basic {TOKEN}\r\n");
        let twice = format!("Authorization: Bearer {TOKEN}\r\n").repeat(2);
        for wrong in [basic, twice] {
            assert_eq!(daemon.get_with(path, &wrong).status, 401, "{path} with {wrong:?}");
        }
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let right = daemon.get_with(path, &format!("Authorization: {scheme} {TOKEN}\r\n")).status;
            assert_eq!(
                right,
                if ["/metrics", "/", "/events"].contains(&path) { 200 } else { 404 },
                "{path} with the token"
            );
        }
    }
    let daemon = setup().start();
    assert_eq!(daemon.get("/nowhere").status, 404);
}

#[test]
fn healthcheck_needs_no_token() {
    let setup = with_token();
    let daemon = setup.start();
    let output = setup.env("GATEPOST_ADMIN_LISTEN", &daemon.admin.to_string()).run(&["healthcheck"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn off_loopback_a_token_is_required() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let quoted = format!("\"{address}\"");
        let output = setup().set("admin", "address", &quoted).run(&["check"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains("token"), "{said}");
        let output = with_token().set("admin", "address", &quoted).run(&["check"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn webhooks_are_not_served_there() {
    let daemon = setup().start();
    for path in ["/webhook/cognigy", "/healthz/x"] {
        assert_eq!(daemon.get(path).status, 404, "{path}");
    }
}

#[test]
fn nonsense_leaves_it_serving() {
    let daemon: Daemon = setup().start();
    let garbage: [&[u8]; 4] = [
        b"\x16\x03\x01\x00\x05hello",
        b"\r\n\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
    ];
    for bytes in garbage {
        let mut stream = TcpStream::connect(daemon.admin).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(daemon.get("/livez").status, 200);
}

/// Sends `bytes` to the admin listener and keeps the connection.
fn holding(daemon: &Daemon, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(daemon.admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Whether the other side has closed it; a connection with something unread is reset.
fn closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 16]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

const HALF: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Half: ";

#[test]
fn a_crowd_of_idle_connections_and_half_heads_keeps_no_probe_out() {
    let daemon = setup().start();
    let mut crowd: Vec<TcpStream> = (0..200).map(|n| holding(&daemon, if n % 2 == 0 { HALF } else { b"" })).collect();
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(daemon.get(path).status, 200, "{path}");
    }
    // At most 64 of them are left; the first to come were the first to go.
    assert!(crowd.iter_mut().take(200 - 64).all(closed), "more than 64 connections are open");
    let mut half = holding(&daemon, HALF);
    assert!(closed(&mut half), "half a head is closed at its deadline");
}

#[test]
fn half_a_head_delays_no_stop_and_the_store_is_closed() {
    let setup = setup().set("shutdown", "drain_timeout", "\"10m\"");
    let mut daemon = setup.start();
    daemon.signal(Signal::TERM);
    eventually("/readyz says 503", || (daemon.get("/readyz").status == 503).then_some(()));
    let _crowd: Vec<TcpStream> = (0..10).map(|n| holding(&daemon, if n % 2 == 0 { HALF } else { b"" })).collect();
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.out());
    let records = daemon.logs();
    assert!(records.iter().any(|record| record["message"] == "stopped" && record["cut_off"] == false));
    assert!(
        !records.iter().any(|record| record["level"] == "WARN" && record.to_string().contains("store")),
        "{records:?}"
    );
    let left = std::fs::metadata(setup.path("gatepost.db-wal")).map_or(0, |file| file.len());
    assert_eq!(left, 0, "a closed store leaves no log behind");
}

#[test]
fn probes_are_answered_to_the_end_of_the_drain() {
    let sink = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let block = format!(
        "[[sink]]\nname = \"slow\"\ntype = \"http\"\nurl = \"http://{}/\"\ntimeout = \"60s\"\n",
        sink.local_addr().unwrap()
    );
    let setup = setup().block(&block).set("shutdown", "drain_timeout", "\"10m\"");
    let mut daemon = setup.start();
    accepted(&daemon.send(&Signer::of("cognigy").sign(nameless())));
    // The sink has the event and lets it wait.
    let (mut delivery, _) = sink.accept().unwrap();
    daemon.signal(Signal::TERM);
    let front_is_gone = || TcpStream::connect(daemon.webhook).is_err().then_some(());
    eventually("the webhook listener is closed", front_is_gone);
    for _ in 0..20 {
        assert_eq!(daemon.get("/livez").status, 200, "{}", daemon.out());
        assert_eq!(daemon.get("/readyz").status, 503);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    delivery.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.out());
}
