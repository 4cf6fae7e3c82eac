//! `tail`, and the stream of the admin listener behind it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::daemon::PATIENCE;
use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{Daemon, Request, Setup, Signer, accepted, event, eventually, nameless, unique};

const TOKEN: &str = "an-admin-token-0123456789";

fn setup(url: &str) -> Setup {
    let sink = format!("[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{url}\"\n");
    let setup = Setup::new().preset("nice").preset("cognigy").block(&sink);
    setup.set("admin", "token", "{ env = \"GATEPOST_ADMIN_TOKEN\" }").env("GATEPOST_ADMIN_TOKEN", TOKEN)
}

/// `tail` beside a daemon; ended when dropped.
struct Tail {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Tail {
    fn start(setup: &Setup, daemon: &Daemon, arguments: &[&str]) -> Self {
        let mut command = setup.command();
        command.env("GATEPOST_ADMIN_LISTEN", daemon.admin.to_string()).arg("tail").args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.lines.read_line(&mut line).unwrap() > 0, "tail ended");
        line
    }

    fn json(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stream opened by hand, once it follows.
fn follow(daemon: &Daemon, query: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(daemon.admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET /api/v1/tail{query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while !line.contains(": following") {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "closed");
        assert!(!line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.1 200"), "{line}");
    }
    reader
}

/// Does `work` while events come that `next` makes: whoever begins to follow sees some.
fn while_posting<T>(daemon: &Daemon, next: impl Fn() -> Request + Sync, work: impl FnOnce() -> T) -> T {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let stopped = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stopped.load(Ordering::SeqCst) {
                accepted(&daemon.send(&next()));
            }
        });
        let _stop = Stop(&stopped);
        work()
    })
}

fn some_event() -> Request {
    Signer::of("nice").sign(event(&format!("some-{}", unique())))
}

#[test]
fn what_happens_is_told_as_it_happens() {
    let upstream = Upstream::start(|_, request| {
        Reply::status(if request.header("ce-id").is_some_and(|id| id.contains("bad")) { 400 } else { 200 })
    });
    let setup = setup(&upstream.url());
    let daemon = setup.start();
    let mut tail = Tail::start(&setup, &daemon, &["--json"]);
    while_posting(&daemon, some_event, || tail.json());
    let (good, bad) = (format!("good-{}", unique()), format!("bad-{}", unique()));
    let signer = Signer::of("nice");
    accepted(&daemon.send(&signer.sign(event(&good))));
    accepted(&daemon.send(&signer.sign(event(&good))));
    accepted(&daemon.send(&signer.sign(event(&bad))));
    let refused = signer.secret("another-secret-of-nobody-at-all").sign(event("x"));
    assert_eq!(daemon.send(&refused).status, 401);
    let mut told: Vec<Value> = Vec::new();
    let is = |event: &Value, outcome: &str, id: &str| event["outcome"] == outcome && event["event_id"] == *id;
    let wanted = [("accepted", &good), ("duplicate", &good), ("delivered", &good), ("accepted", &bad), ("dead", &bad)];
    while !(wanted.iter().all(|(outcome, id)| told.iter().any(|event| is(event, outcome, id)))
        && told.iter().any(|event| event["outcome"] == "refused"))
    {
        told.push(tail.json());
    }
    let of = |outcome: &str, id: &str| told.iter().find(|event| is(event, outcome, id)).unwrap();
    let accepted = of("accepted", &good);
    assert_eq!(
        (&accepted["source"], &accepted["status"], &accepted["sink"]),
        (&"nice".into(), &200.into(), &Value::Null)
    );
    let delivered = of("delivered", &good);
    assert_eq!((&delivered["sink"], &delivered["attempt"]), (&"orders".into(), &1.into()));
    assert_eq!(delivered["request_id"], accepted["request_id"]);
    assert!(delivered["latency_us"].as_u64() > Some(0) && delivered["time"].is_string(), "{delivered}");
    assert!(of("dead", &bad)["reason"].as_str().unwrap().contains("400"));
    let refused = told.iter().find(|event| event["outcome"] == "refused").unwrap();
    assert_eq!((&refused["reason"], &refused["event_id"]), (&"signature_mismatch".into(), &Value::Null));
}

#[test]
fn filters_are_applied_and_words_are_for_people() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let setup = setup(&upstream.url());
    let daemon = setup.start();
    let mut stream = follow(&daemon, "?sink=orders&outcome=delivered");
    let id = unique();
    accepted(&daemon.send(&Signer::of("nice").sign(event(&id))));
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        stream.read_line(&mut line).unwrap();
    }
    let event: Value = serde_json::from_str(&line["data: ".len()..]).unwrap();
    assert_eq!((&event["outcome"], &event["event_id"]), (&"delivered".into(), &id.into()), "the first that passes");
    let mut tail = Tail::start(&setup, &daemon, &["--source", "cognigy"]);
    let (signer, nice, turn) = (Signer::of("cognigy"), Signer::of("nice"), AtomicBool::new(false));
    let either = || {
        if turn.fetch_xor(true, Ordering::SeqCst) {
            nice.sign(crate::support::event(&unique()))
        } else {
            signer.sign(nameless())
        }
    };
    let line = while_posting(&daemon, either, || tail.line());
    assert!(line.contains("cognigy:sha256:") && line.contains("Z  "), "{line}");
    for wrong in ["?nonsense=1", "?source=a&source=b"] {
        assert_eq!(daemon.get_with(&format!("/api/v1/tail{wrong}"), &bearer()).status, 400, "{wrong}");
    }
}

fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}\r\n")
}

#[test]
fn only_bearers_follow_and_no_more_than_twenty() {
    let setup = setup("http://127.0.0.1:1/");
    let daemon = setup.start();
    assert_eq!(daemon.get("/api/v1/tail").status, 401);
    let mut all: Vec<_> = (0..20).map(|_| follow(&daemon, "")).collect();
    let refused = daemon.get_with("/api/v1/tail", &bearer());
    assert!(refused.status == 503 && refused.header("retry-after").is_some(), "{refused:?}");
    let output = setup.run_with(&[("GATEPOST_ADMIN_LISTEN", &daemon.admin.to_string())], &["tail"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("20 follow it already"));
    drop(all.pop());
    eventually("a place", || {
        let mut stream = TcpStream::connect(daemon.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /api/v1/tail HTTP/1.1\r\nHost: localhost\r\n{}\r\n", bearer()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        (&status == b"HTTP/1.1 200").then_some(())
    });
    let other = setup.env("GATEPOST_ADMIN_TOKEN", "another-token-of-nobody");
    let output = other.run_with(&[("GATEPOST_ADMIN_LISTEN", &daemon.admin.to_string())], &["tail"]);
    assert!(output.status.code() == Some(1) && String::from_utf8_lossy(&output.stderr).contains("admin token"));
}

#[test]
fn a_daemon_that_stops_is_not_held_up_and_is_followed_again() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let admin = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let setup = setup(&upstream.url()).set("admin", "address", &format!("\"{admin}\""));
    let mut daemon = setup.start();
    let mut tail = Tail::start(&setup, &daemon, &["--json"]);
    while_posting(&daemon, some_event, || tail.json());
    let mut stream = follow(&daemon, "");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(0), "drained, whoever follows");
    stream.read_to_end(&mut Vec::new()).unwrap();
    drop(daemon);
    let daemon = setup.start();
    let mut told = BufReader::new(tail.child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("connected again") {
        assert!(told.read_line(&mut said).unwrap() > 0, "{said}");
    }
    assert!(said.contains("trying again"), "{said}");
    let id = format!("after-{}", unique());
    accepted(&daemon.send(&Signer::of("nice").sign(event(&id))));
    while tail.json()["event_id"] != id.as_str() {}
}

#[test]
fn a_daemon_that_speaks_tls_is_followed_and_nobody_else_gets_the_token() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let with_tls = || {
        let setup = setup(&upstream.url());
        let (cert, key) = (setup.path("tls.crt"), setup.path("tls.key"));
        setup.set("admin", "cert_file", &format!("{cert:?}")).set("admin", "key_file", &format!("{key:?}"))
    };
    let (setup, other) = (with_tls(), with_tls());
    let daemon = Daemon::start_unready(&setup);
    let at = [("GATEPOST_ADMIN_LISTEN", &*daemon.admin.to_string())];
    eventually("ready", || (setup.run_with(&at, &["healthcheck"]).status.code() == Some(0)).then_some(()));
    let mut tail = Tail::start(&setup, &daemon, &["--json"]);
    let told = while_posting(&daemon, some_event, || tail.json());
    assert!(told["outcome"].is_string(), "{told}");
    let output = other.run_with(&at, &["tail"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("another certificate"), "{said}");
}

#[test]
fn a_pipe_that_nobody_reads_ends_it() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let setup = setup(&upstream.url());
    let daemon = setup.start();
    let mut tail = Tail::start(&setup, &daemon, &[]);
    let ended = while_posting(&daemon, some_event, || {
        tail.line();
        tail.lines = BufReader::new(spare());
        eventually("the end", || tail.child.try_wait().unwrap())
    });
    assert_eq!(ended.code(), Some(0));
}

/// Some other stdout, to have the first one closed.
fn spare() -> ChildStdout {
    std::process::Command::new("true").stdout(Stdio::piped()).spawn().unwrap().stdout.take().unwrap()
}
