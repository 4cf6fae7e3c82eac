//! What a reload exchanges besides sinks and certificates, and what it refuses: contract 7.

use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{
    Conn, Daemon, Request, Setup, Signer, accepted, assert_refusal, event, eventually, nameless, unique,
};

fn cognigy() -> Request {
    Signer::of("cognigy").sign(nameless())
}

fn setup() -> Setup {
    Setup::new().preset("cognigy")
}

/// A request whose body is awaited: it is in flight for certain.
fn held(daemon: &Daemon, request: &Request) -> Conn {
    let mut conn = daemon.connect();
    let length = request.body.len().to_string();
    conn.send(&request.clone().header("Expect", "100-continue").header("Content-Length", &length).head());
    assert_eq!(conn.response().status, 100);
    conn
}

#[test]
fn the_number_of_requests_follows_and_those_in_flight_survive() {
    let setup = setup().set("limits", "concurrent_requests", "7").set("limits", "body_timeout", "\"10m\"");
    let daemon = setup.start();
    let requests: Vec<Request> = (0..3).map(|_| cognigy()).collect();
    let mut conns: Vec<Conn> = requests.iter().map(|request| held(&daemon, request)).collect();
    let setup = setup.set("limits", "concurrent_requests", "3");
    assert_eq!(daemon.reload(&setup), "[limits] changed");
    assert_refusal(&daemon.send(&cognigy()), 503, "overloaded");
    daemon.reload(&setup.set("limits", "concurrent_requests", "6"));
    accepted(&daemon.send(&cognigy()));
    for (conn, request) in conns.iter_mut().zip(&requests) {
        conn.send(&request.body);
        accepted(&conn.response());
    }
}

#[test]
fn body_limits_and_deadlines_follow() {
    let setup = setup().set("limits", "body_timeout", "\"10m\"");
    let daemon = setup.start();
    let body = |bytes: usize| format!("{{\"n\":\"{}\",\"x\":\"{}\"}}", unique(), "x".repeat(bytes));
    let large = || Signer::of("cognigy").sign(body(2000));
    accepted(&daemon.send(&large()));
    let setup = setup.set("limits", "body_bytes", "1000");
    daemon.reload(&setup);
    assert_refusal(&daemon.send(&large()), 413, "payload_too_large");
    // A budget that one body fills alone, whoever has the other half.
    let setup = setup.set("limits", "body_bytes", "3000").set("limits", "body_memory_bytes", "3000");
    daemon.reload(&setup);
    let first = Signer::of("cognigy").sign(body(1800));
    let mut conn = daemon.connect();
    conn.send(
        &[first.clone().header("Content-Length", &first.body.len().to_string()).head(), first.body[..1700].to_vec()]
            .concat(),
    );
    eventually("the body is charged", || (daemon.scrape().get("gatepost_body_memory_bytes", &[]) >= 1.0).then_some(()));
    assert_refusal(&daemon.send(&large()), 503, "overloaded");
    conn.send(&first.body[1700..]);
    accepted(&conn.response());
    daemon.reload(&setup.set("limits", "body_timeout", "\"1s\""));
    assert_refusal(&held(&daemon, &cognigy()).response(), 408, "body_timeout");
}

#[test]
fn connections_follow_those_that_are_open_too() {
    let setup = setup().set("listener", "max_connections_per_client", "2").set("limits", "idle_timeout", "\"10m\"");
    let daemon = setup.start();
    let (mut first, mut second) = (daemon.connect(), daemon.connect());
    accepted(&first.ask(&cognigy()));
    accepted(&second.ask(&cognigy()));
    let opens = || {
        let config = crate::support::wire::client_config(&daemon.ca, &["http/1.1"]);
        Conn::open(daemon.webhook, config).is_ok()
    };
    assert!(!opens(), "two are open");
    let setup = setup.set("listener", "max_connections_per_client", "3");
    assert_eq!(daemon.reload(&setup), "[listener] changed");
    eventually("a third one", || opens().then_some(()));
    daemon.reload(&setup.set("limits", "idle_timeout", "\"1s\""));
    // What holds from its next request on holds for a connection from before.
    accepted(&first.ask(&cognigy()));
    assert!(first.closes(), "idle for longer than is allowed now");
}

#[test]
fn trusted_proxies_and_the_client_address_follow() {
    let setup = Setup::new().source(
        "nice",
        "nice",
        "allowed_ips = [\"192.0.2.7\"]\nsecrets = [{ value = \"a-secret-of-some-length\" }]",
    );
    let daemon = setup.start();
    let request = || {
        let request = Signer::of("nice").secret("a-secret-of-some-length").sign(event(&unique()));
        request.header("X-Forwarded-For", "192.0.2.7")
    };
    assert_refusal(&daemon.send(&request()), 403, "ip_not_whitelisted");
    daemon.reload(&setup.set("listener", "trusted_proxies", "[\"127.0.0.1\"]"));
    accepted(&daemon.send(&request()));
}

#[test]
fn the_log_s_filter_follows() {
    let setup = setup().set("log", "filter", "\"warn,gatepost::app=info\"");
    let daemon = setup.start();
    accepted(&daemon.send(&cognigy()));
    let setup = setup.set("log", "filter", "\"info\"");
    assert_eq!(daemon.reload(&setup), "[log] changed");
    accepted(&daemon.send(&cognigy()));
    daemon.access_where("the second request", |record| record["outcome"] == "accepted");
    assert_eq!(daemon.access().len(), 1, "the first one was not to be logged");
    let faults = daemon.refused_reload(&setup.set("log", "filter", "\"gatepost=loud\""));
    assert!(faults.contains("log.filter"), "{faults}");
}

#[test]
fn the_quarantine_s_bounds_follow_at_once() {
    let setup = setup();
    let daemon = setup.start();
    let refused = || daemon.send(&Signer::of("cognigy").secret("wrong-secret-0123456789").sign(nameless()));
    (0..8).for_each(|_| assert_eq!(refused().status, 401));
    let entries = || daemon.scrape().count("gatepost_quarantine_entries", &[]);
    eventually("eight are kept", || (entries() == 8).then_some(()));
    let setup = setup.set("quarantine", "max_entries", "3");
    assert_eq!(daemon.reload(&setup), "[quarantine] changed");
    eventually("five made room", || (entries() == 3).then_some(()));
    assert_eq!(refused().status, 401);
    daemon.reload(&setup.set("quarantine", "max_entries", "2"));
    eventually("and one more", || (entries() == 2).then_some(()));
}

#[test]
fn the_shutdown_s_times_follow() {
    let setup = setup().set("shutdown", "drain_delay", "\"10m\"").set("shutdown", "drain_timeout", "\"10m\"");
    let mut daemon = setup.start();
    daemon.reload(&setup.set("shutdown", "drain_delay", "\"0s\""));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(0));
}

#[test]
fn the_admin_token_follows() {
    let setup = setup();
    let token = setup.write("token", "the-first-token-0123456789");
    let setup = setup.set("admin", "token", &format!("{{ file = {token} }}"));
    let daemon = setup.start();
    let status = |token: &str| daemon.get_with("/nowhere", &format!("Authorization: Bearer {token}\r\n")).status;
    assert_eq!((status("the-first-token-0123456789"), status("the-second-token-0123456789")), (404, 401));
    setup.write("token", "the-second-token-0123456789");
    assert_eq!(daemon.reload(&setup), "secrets of [admin] changed");
    assert_eq!((status("the-first-token-0123456789"), status("the-second-token-0123456789")), (401, 404));
    for token in ["the-first-token", "the-second-token"] {
        assert!(!daemon.out().contains(token), "a token was logged");
    }
}

#[test]
fn sources_that_come_and_go_are_told_by_name() {
    let setup = setup().preset("nice");
    let daemon = setup.start();
    let nice = || daemon.send(&Signer::of("nice").sign(event(&unique()))).status;
    assert_eq!(nice(), 200);
    let setup = setup.without_block("preset = \"nice\"");
    assert_eq!(daemon.reload(&setup), "source nice removed");
    assert_eq!(nice(), 404);
    let series = daemon.scrape();
    assert!(!series.names().any(|name| name.contains("source=\"nice\"")), "its series are gone, too");
    assert!(series.names().any(|name| name.contains("source=\"cognigy\"")));
    assert_eq!(daemon.idle_reload(&setup), "nothing had changed");
}

#[test]
fn the_series_of_a_key_goes_with_the_key() {
    let (old, new) = ("the-first-secret-0123456789", "the-second-secret-0123456789");
    let secrets = |text: &str| format!("path = \"/webhooks/nice\"\nsecrets = [{text}]");
    let both = format!("{{ value = \"{new}\" }}, {{ value = \"{old}\" }}");
    let setup = Setup::new().source("nice", "nice", &secrets(&both));
    let daemon = setup.start();
    let keys = || daemon.scrape().of("gatepost_verification_key_last_used_timestamp_seconds").len();
    assert_eq!(keys(), 2);
    daemon.reload(&setup.replace(&both, &format!("{{ value = \"{new}\" }}")));
    assert_eq!(keys(), 1);
}

#[test]
fn what_takes_a_restart_is_refused_as_a_whole_and_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (section, key, value, variable) in [
        ("listener", "address", format!("\"{taken}\""), "GATEPOST_LISTEN"),
        ("listener", "proxy_protocol", "\"required\"".to_owned(), "GATEPOST_PROXY_PROTOCOL"),
        ("admin", "address", format!("\"{taken}\""), "GATEPOST_ADMIN_LISTEN"),
        ("store", "retention", "\"48h\"".to_owned(), "GATEPOST_RETENTION"),
        ("store", "url", "\"sqlite:/nowhere/other.db\"".to_owned(), "GATEPOST_STORE"),
        ("log", "format", "\"pretty\"".to_owned(), "GATEPOST_LOG_FORMAT"),
    ] {
        let daemon_setup = setup().set("listener", "trusted_proxies", "[\"127.0.0.1\"]");
        let daemon = daemon_setup.start();
        // Beside it, something that could be exchanged: all or nothing.
        let setup = daemon_setup.set(section, key, &value).set("limits", "body_bytes", "1");
        let faults = daemon.refused_reload(&setup);
        let named = format!("{section}.{key}");
        assert!(faults.contains(&named) && faults.contains(variable) && faults.contains("restart"), "{faults}");
        accepted(&daemon.send(&cognigy()));
        let scrape = daemon.scrape();
        assert_eq!(scrape.count("gatepost_reloads_total", &[("outcome", "ok")]), 0, "{named}");
        assert!(scrape.count("gatepost_reloads_total", &[("outcome", "failed")]) >= 1, "{named}");
    }
}

#[test]
fn a_secret_that_is_rotated_while_the_daemon_starts_is_seen() {
    let (old, new) = ("the-first-secret-0123456789", "the-second-secret-0123456789");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let setup = Setup::new();
    let file = setup.write("secret", old);
    let setup = setup.source("nice", "nice", &format!("secrets = [{{ file = {file} }}]"));
    drop(setup.start());
    let setup = setup.set("listener", "address", &format!("\"{free}\""));
    // The configuration is read and the port is bound, but somebody holds the store.
    let store = rusqlite::Connection::open(setup.path("gatepost.db")).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    let daemon = std::thread::scope(|scope| {
        let daemon = scope.spawn(|| Daemon::start_unready(&setup));
        eventually("the port is bound", || std::net::TcpStream::connect(free).ok());
        setup.write("secret", new);
        store.execute_batch("COMMIT").unwrap();
        daemon.join().unwrap()
    });
    let status = |secret: &str| daemon.send(&Signer::of("nice").secret(secret).sign(event(&unique()))).status;
    eventually("the new secret", || {
        std::thread::sleep(Duration::from_millis(100));
        (status(new) == 200).then_some(())
    });
    assert_eq!(status(old), 401);
}

#[test]
fn a_mistake_is_mended_in_a_file_that_was_not_there_before() {
    let setup = setup();
    let daemon = setup.start();
    let secret = setup.path("later");
    let setup = setup.source("nice", "nice", &format!("secrets = [{{ file = \"{}\" }}]", secret.display()));
    let faults = daemon.refused_reload(&setup);
    assert!(faults.contains("later"), "{faults}");
    // No signal: the file that was missed is watched.
    std::fs::write(&secret, crate::support::sign::secret_of("nice")).unwrap();
    eventually("the source", || {
        std::thread::sleep(Duration::from_millis(100));
        (daemon.send(&Signer::of("nice").sign(event(&unique()))).status == 200).then_some(())
    });
}

#[test]
fn a_warning_that_is_new_is_told_and_one_that_was_told_at_start_is_not_told_again() {
    let setup = setup().set("tls", "min_version", "\"1.2\"");
    let daemon = setup.start();
    assert_eq!(daemon.told("tls.min_version"), 1);
    let setup =
        setup.source("open", "nice", "allowed_ips = \"any\"\nsecrets = [{ value = \"a-secret-of-some-length\" }]");
    daemon.reload(&setup);
    let told = || (daemon.told("tls.min_version"), daemon.told("source open: allowed_ips is `any`"));
    assert_eq!(told(), (1, 1));
    daemon.reload(&setup.set("limits", "body_bytes", "1000"));
    assert_eq!(told(), (1, 1));
}

#[test]
fn hangups_in_a_row_and_the_watch_never_interleave() {
    let setup = setup();
    let daemon = setup.start();
    for round in 0..40 {
        let bytes = if round % 2 == 0 { "700" } else { "900000" };
        setup.save();
        let text = std::fs::read_to_string(setup.path("gatepost.toml")).unwrap();
        let text = format!("[limits]\nbody_bytes = {bytes}\n{text}");
        std::fs::write(setup.path("next"), text).unwrap();
        std::fs::rename(setup.path("next"), setup.path("gatepost.toml")).unwrap();
        daemon.signal(Signal::HUP);
    }
    // Whatever the order of all those, what stands in the end is the last file.
    let large = || Signer::of("cognigy").sign(format!("{{\"n\":\"{}\",\"x\":\"{}\"}}", unique(), "x".repeat(2000)));
    let quiet = eventually("the reloads are done", || {
        let before = daemon.told("reloaded configuration");
        std::thread::sleep(Duration::from_millis(2500));
        (daemon.told("reloaded configuration") == before && before > 0).then_some(before)
    });
    assert!(quiet <= 81, "{quiet} reloads");
    accepted(&daemon.send(&large()));
    assert_eq!(daemon.told("reload refused"), 0);
}
