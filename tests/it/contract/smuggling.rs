//! HTTP/1.1 as attackers write it: requests whose length or lines can be read in two ways, and halves of requests.
//!
//! What counts: one answer at most, never 200 for a doubtful body, and leftover bytes are never read as a request.

use std::time::Duration;

use crate::support::{Conn, Daemon, Request, Response, Setup, Signer, event, nameless, unique};

fn daemon() -> Daemon {
    Setup::every_preset()
        .set("limits", "body_bytes", "65536")
        .preset_at("elsewhere", "cognigy", "/webhook/elsewhere", "allowed_ips = [\"192.0.2.0/24\"]")
        .start()
}

fn cognigy() -> Request {
    Signer::of("cognigy").sign(nameless())
}

fn statuses(responses: &[Response]) -> Vec<u16> {
    responses.iter().map(|response| response.status).collect()
}

/// A complete request that must never be answered when it stands behind another one's body.
fn smuggled() -> Vec<u8> {
    Request::new("GET", "/healthz").header("X-Smuggled", "yes").bytes()
}

#[test]
fn content_lengths_that_are_not_one_number() {
    let daemon = daemon();
    let body = nameless();
    let length = body.len();
    let bad = [
        format!("+{length}"),
        format!("-{length}"),
        format!("0x{length:x}"),
        format!("{length}."),
        format!("{length} 0"),
        format!("{length}, {}", length + 1),
        String::new(),
        "abc".into(),
        format!("{length}a"),
        "99999999999999999999999".into(),
        format!("{length};"),
        format!("\"{length}\""),
    ];
    for value in bad {
        let request = Signer::of("cognigy").sign(&body).header("Content-Length", &value);
        let responses = daemon.send_raw(&request.bytes());
        let codes = statuses(&responses);
        // 413 is the truth about a number beyond all limits.
        assert!(codes.len() <= 1 && codes.iter().all(|code| [400, 413].contains(code)), "{value:?}: {responses:?}");
    }
    let two = |first: usize, second: usize| {
        let request = Signer::of("cognigy").sign(&body);
        request.header("Content-Length", &first.to_string()).header("Content-Length", &second.to_string())
    };
    for (first, second) in [(length, length + 1), (length + 1, length), (0, length), (length, 0)] {
        let responses = daemon.send_raw(&two(first, second).bytes());
        assert!(statuses(&responses).iter().all(|code| *code == 400), "{first} and {second}: {responses:?}");
    }
    // One value twice may be refused or believed, never taken for two.
    let responses = daemon.send_raw(&two(length, length).header("Connection", "close").bytes());
    assert!([vec![200], vec![400]].contains(&statuses(&responses)), "{responses:?}");
}

#[test]
fn content_length_beside_transfer_encoding_ends_the_connection() {
    let daemon = daemon();
    for length in [0, 5, 10_000] {
        for first in ["Content-Length", "Transfer-Encoding"] {
            let request = cognigy();
            let chunked = request.chunked_bytes(50);
            let line = format!("Content-Length: {length}\r\n");
            let text = String::from_utf8(chunked).unwrap();
            let both = match first {
                "Content-Length" => text.replacen("Transfer-Encoding", &format!("{line}Transfer-Encoding"), 1),
                _ => text.replacen("\r\n\r\n", &format!("\r\n{}\r\n\r\n", line.trim_end()), 1),
            };
            let mut conn = daemon.connect();
            conn.send(&[both.into_bytes(), smuggled()].concat());
            let response = conn.response();
            assert!([200, 400].contains(&response.status), "{response:?}");
            assert!(
                conn.closes(),
                "{first} first, length {length}: leftover bytes were taken for a request, or the connection stays"
            );
        }
    }
}

#[test]
fn transfer_codings_other_than_chunked() {
    let daemon = daemon();
    let bad = [
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "identity",
        "xchunked",
        "chunkedx",
        "\"chunked\"",
        "chunked;q=1",
        "gzip",
        ",",
        "chunked, identity",
    ];
    for value in bad {
        let raw = String::from_utf8(cognigy().chunked_bytes(64)).unwrap();
        let raw = raw.replacen("Transfer-Encoding: chunked", &format!("Transfer-Encoding: {value}"), 1);
        let responses = daemon.send_raw(&[raw.into_bytes(), smuggled()].concat());
        let codes = statuses(&responses);
        assert!(codes.len() <= 1 && codes.iter().all(|code| [400, 501].contains(code)), "{value:?}: {responses:?}");
    }
    for second in ["chunked", "identity", "gzip"] {
        let raw = String::from_utf8(cognigy().chunked_bytes(64)).unwrap();
        let both = format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: {second}");
        let raw = raw.replacen("Transfer-Encoding: chunked", &both, 1);
        let responses = daemon.send_raw(&[raw.into_bytes(), smuggled()].concat());
        let codes = statuses(&responses);
        assert!(codes.len() <= 1 && codes.iter().all(|code| [400, 501].contains(code)), "{second}: {responses:?}");
    }
    // A chunked body is no part of HTTP/1.0.
    let mut old = cognigy();
    old.version = "HTTP/1.0".into();
    let codes = statuses(&daemon.send_raw(&[old.chunked_bytes(64), smuggled()].concat()));
    assert!(codes.len() <= 1 && !codes.contains(&200), "{codes:?}");
}

#[test]
fn chunked_bodies() {
    let daemon = daemon();
    let request = || cognigy().header("Connection", "close");
    for size in [1, 7, 10_000] {
        assert_eq!(statuses(&daemon.send_raw(&request().chunked_bytes(size))), [200], "chunks of {size}");
    }
    let with = |change: &dyn Fn(String) -> String| {
        let raw = String::from_utf8(request().chunked_bytes(10_000)).unwrap();
        let (head, body) = raw.split_once("\r\n\r\n").unwrap();
        format!("{head}\r\n\r\n{}", change(body.to_owned())).into_bytes()
    };
    let extended = with(&|body| body.replacen("\r\n", ";name=value\r\n", 1));
    assert!([vec![200], vec![400]].contains(&statuses(&daemon.send_raw(&extended))));
    let bad: [(&str, Vec<u8>); 6] = [
        ("size overflows", with(&|body| format!("1{}\r\n{body}", "0".repeat(20)))),
        ("size is negative", with(&|body| format!("-{body}"))),
        ("size has a prefix", with(&|body| format!("0x{body}"))),
        ("size is no number", with(&|body| format!("zz\r\n{body}"))),
        ("size is missing", with(&|body| format!("\r\n{body}"))),
        ("chunk is longer than it says", with(&|body| format!("1\r\nabc\r\n{body}"))),
    ];
    for (what, raw) in bad {
        let responses = daemon.send_raw(&[raw, smuggled()].concat());
        let codes = statuses(&responses);
        assert!(codes.len() <= 1 && codes.iter().all(|code| (400..500).contains(code)), "{what}: {responses:?}");
    }
    let endless_extension = with(&|body| format!("1;{}\r\n{body}", "x".repeat(1_000_000)));
    assert!(!statuses(&daemon.send_raw(&endless_extension)).contains(&200), "an extension of a megabyte");
}

#[test]
fn a_value_in_a_trailer_does_not_count() {
    let daemon = daemon();
    let signed = cognigy();
    for name in ["X-Cognigy-Signature", "X-Cognigy-Timestamp"] {
        let value = signed.get(name).to_owned();
        let request = signed.clone().without(name).header("Trailer", name).header("Connection", "close");
        let raw = String::from_utf8(request.chunked_bytes(1000)).unwrap();
        let raw = raw.strip_suffix("\r\n").unwrap();
        let responses = daemon.send_raw(format!("{raw}{name}: {value}\r\n\r\n").as_bytes());
        assert_eq!(responses[0].status, 401, "{name}: {responses:?}");
        assert!(responses[0].reason().starts_with("missing_"), "{name}: {responses:?}");
    }
}

#[test]
fn lines_that_end_or_fold_oddly() {
    let daemon = daemon();
    let raw = || String::from_utf8(cognigy().header("Connection", "close").bytes()).unwrap();
    let bad = [
        ("obs-fold", raw().replacen("Content-Type:", "X-Fold: a\r\n b\r\nContent-Type:", 1)),
        ("folded length", raw().replacen("Content-Length: ", "Content-Length:\r\n ", 1)),
        ("blank before colon", raw().replacen("Content-Length:", "Content-Length :", 1)),
        ("blank first line", raw().replacen("Host:", " Host:", 1)),
        ("no colon", raw().replacen("Host:", "Nonsense\r\nHost:", 1)),
        ("NUL in a value", raw().replacen("Content-Type: ", "X-Nul: a\0b\r\nContent-Type: ", 1)),
        ("CR in a value", raw().replacen("Content-Type: ", "X-Cr: a\rb\r\nContent-Type: ", 1)),
        ("name with blank", raw().replacen("Content-Type:", "X Y: a\r\nContent-Type:", 1)),
        ("two blanks", raw().replacen("POST ", "POST  ", 1)),
        ("no version", raw().replacen(" HTTP/1.1", "", 1)),
        ("HTTP/1.2", raw().replacen("HTTP/1.1", "HTTP/1.2", 1)),
        ("HTTP/2.0", raw().replacen("HTTP/1.1", "HTTP/2.0", 1)),
        ("method with NUL", raw().replacen("POST", "PO\0ST", 1)),
    ];
    for (what, text) in bad {
        let responses = daemon.send_raw(text.as_bytes());
        let codes = statuses(&responses);
        assert!(codes.len() <= 1 && codes.iter().all(|code| [400, 505].contains(code)), "{what}: {responses:?}");
    }
    // A bare LF may end a line or be refused, but all lines are then read in the same way.
    let (head, body) = raw().split_once("\r\n\r\n").map(|(head, body)| (head.to_owned(), body.to_owned())).unwrap();
    let bare = format!("{}\n\n{body}", head.replace("\r\n", "\n"));
    assert!([vec![200], vec![400], vec![]].contains(&statuses(&daemon.send_raw(bare.as_bytes()))));
    let hidden = raw().replacen("Content-Type: ", "X-Hidden: a\nTransfer-Encoding: chunked\r\nContent-Type: ", 1);
    let codes = statuses(&daemon.send_raw(&[hidden.into_bytes(), smuggled()].concat()));
    assert!(codes.len() <= 1 && !codes.contains(&200), "{codes:?}");
}

#[test]
fn what_stands_in_a_refused_body_is_no_request() {
    let daemon = daemon();
    let inner = Signer::of("nice").sign(event(&unique())).bytes();
    for (request, status) in [
        (cognigy().at("/nowhere"), 404),
        (cognigy().without("X-Cognigy-Signature"), 401),
        (cognigy().set("Content-Type", "text/plain"), 415),
        (cognigy().at("/webhook/elsewhere"), 403),
        (cognigy().method("GET"), 405),
    ] {
        let responses = daemon.send_raw(&request.body(&inner).bytes());
        assert_eq!(statuses(&responses), [status], "{responses:?}");
    }
    // Too large: whatever of it arrives, none of it is a request.
    let mut large = vec![b' '; 70_000];
    large.extend_from_slice(&inner);
    let responses = daemon.send_raw(&cognigy().body(&large).bytes());
    assert_eq!(statuses(&responses), [413], "{responses:?}");
}

#[test]
fn garbage_and_halves_leave_the_daemon_serving() {
    let daemon = daemon();
    let whole = cognigy().bytes();
    let halves: Vec<Conn> = [1, 10, whole.len() / 2, whole.len() - 1]
        .into_iter()
        .map(|length| {
            let mut conn = daemon.connect();
            conn.send(&whole[..length]);
            conn
        })
        .collect();
    let garbage: [&[u8]; 9] = [
        b"\0\0\0\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\njunk",
        b"\xff\xfe\xfd\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"GET / HTTP/1.1 extra\r\nHost: a\r\n\r\n",
        b"{}\r\n\r\n",
    ];
    for bytes in garbage {
        let mut conn = daemon.connect();
        conn.send(bytes);
        conn.tls.conn.send_close_notify();
        conn.send(b"");
        let codes = statuses(&conn.all_responses());
        assert!(codes.iter().all(|code| (400..500).contains(code) || *code == 505), "{bytes:?}: {codes:?}");
    }
    let mut held = daemon.connect();
    held.send(&cognigy().bytes()[..20]);
    assert!(held.is_silent_for(Duration::from_millis(50)), "half a head has no answer");
    drop(halves);
    assert_eq!(daemon.send(&cognigy()).status, 200);
    assert_eq!(daemon.get("/readyz").status, 200);
}
