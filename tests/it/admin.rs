//! The admin listener: plain HTTP, probes and metrics for anyone who reaches it, the rest behind the token.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{Daemon, Setup};

const TOKEN: &str = "an-admin-token-0123456789";

fn setup() -> Setup {
    Setup::new().preset("cognigy")
}

fn with_token() -> Setup {
    setup().set("admin", "token", "{ env = \"GATEPOST_ADMIN_TOKEN\" }").env("GATEPOST_ADMIN_TOKEN", TOKEN)
}

#[test]
fn probes_and_metrics_need_no_token() {
    for daemon in [setup().start(), with_token().start()] {
        for path in ["/livez", "/readyz", "/metrics"] {
            assert_eq!(daemon.get(path).status, 200, "{path}");
        }
        let metrics = daemon.get("/metrics");
        let kind = metrics.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/plain") || kind.starts_with("application/openmetrics-text"), "{kind}");
    }
}

#[test]
fn everything_else_needs_the_token_when_one_is_set() {
    let daemon = with_token().start();
    for path in ["/", "/admin", "/events", "/quarantine", "/debug", "/metrics/", "/livez/x"] {
        assert_eq!(daemon.get(path).status, 401, "{path} without the token");
        for wrong in ["wrong", "", &TOKEN[1..], &format!("{TOKEN}x")] {
            let header = format!("Authorization: Bearer {wrong}\r\n");
            assert_eq!(daemon.get_with(path, &header).status, 401, "{path} with {wrong:?}");
        }
        let right = daemon.get_with(path, &format!("Authorization: Bearer {TOKEN}\r\n")).status;
        assert_ne!(right, 401, "{path} with the token");
    }
    let daemon = setup().start();
    assert_eq!(daemon.get("/nowhere").status, 404);
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
