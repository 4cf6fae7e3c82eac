//! The admin listener with a certificate of its own: TLS and nothing else, exchanged on reload.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::client::{TOKEN, guarded};
use crate::support::certs::Ca;
use crate::support::daemon::PATIENCE;
use crate::support::wire::{Conn, client_config};
use crate::support::{Daemon, Request, Setup, eventually};

fn plain(daemon: &Daemon) -> Vec<u8> {
    let mut stream = TcpStream::connect(daemon.admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    let _ = stream
        .write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .and_then(|()| stream.read_to_end(&mut answer));
    answer
}

#[test]
fn with_a_certificate_it_speaks_tls_alone_and_marks_its_cookie() {
    let setup = guarded(Setup::new().preset("nice"));
    let (cert, key) = (setup.path("tls.crt"), setup.path("tls.key"));
    let setup = setup.set("admin", "cert_file", &format!("{cert:?}")).set("admin", "key_file", &format!("{key:?}"));
    let daemon = Daemon::start_unready(&setup);
    let ask = |ca: &Ca, request: &Request| {
        let mut conn = Conn::open(daemon.admin, client_config(ca, &["http/1.1"])).unwrap();
        conn.ask(&request.clone().header("Connection", "close"))
    };
    eventually("/readyz", || (ask(&daemon.ca, &Request::new("GET", "/readyz")).status == 200).then_some(()));
    assert!(!plain(&daemon).starts_with(b"HTTP/"), "plain HTTP is not answered");
    let form = Request::post("/sign-in")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Sec-Fetch-Site", "same-origin")
        .body(format!("token={TOKEN}").as_bytes());
    let answer = ask(&daemon.ca, &form);
    let set = answer.header("set-cookie").unwrap_or_default();
    assert!(answer.status == 303 && set.starts_with("__Host-") && set.contains("; Secure"), "{answer:?}");
    let output = setup.run_with(&[("GATEPOST_ADMIN_LISTEN", &daemon.admin.to_string())], &["healthcheck"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    // Another one takes its place by itself.
    let ca = Ca::new();
    ca.leaf(2).write(setup.path("").as_path());
    eventually("the new certificate", || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let conn = Conn::open(daemon.admin, client_config(&ca, &["http/1.1"]));
        conn.ok().map(|mut conn| conn.ask(&Request::new("GET", "/livez"))).filter(|answer| answer.status == 200)
    });
}

#[test]
fn half_a_certificate_is_a_fault() {
    let setup = Setup::new().preset("nice");
    let cert = setup.path("tls.crt");
    let output = setup.set("admin", "cert_file", &format!("{cert:?}")).run(&["check"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("admin.key_file"));
}
