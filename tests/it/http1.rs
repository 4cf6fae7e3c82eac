//! HTTP/1.1 as attackers write it: requests whose length, host or route can be read in two ways, and halves of requests.
//!
//! Where a request is malformed only its status and the end of the connection are looked at: the parser answers it.

use std::time::Duration;

use crate::support::sign::HOST;
use crate::support::{
    Conn, Daemon, Request, Response, Setup, Signer, accepted, assert_refusal, event, nameless, now, sign, unique,
};

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
fn hosts() {
    let daemon = daemon();
    let headless = |lines: &str| {
        let raw = String::from_utf8(cognigy().header("Connection", "close").bytes()).unwrap();
        raw.replacen(&format!("Host: {HOST}\r\n"), lines, 1).into_bytes()
    };
    for (what, lines) in [
        ("no Host", ""),
        ("two Hosts", "Host: a.test\r\nHost: b.test\r\n"),
        ("one Host twice", "Host: a.test\r\nHost: a.test\r\n"),
    ] {
        let responses = daemon.send_raw(&headless(lines));
        assert_eq!(statuses(&responses), [400], "{what}: {responses:?}");
    }
    for lines in ["Host: a.test:8443\r\n", "hOST: [::1]:8443\r\n"] {
        assert_eq!(statuses(&daemon.send_raw(&headless(lines))), [200], "{lines}");
    }
    for lines in ["Host: a b\r\n", "Host: a/b\r\n", "Host: user@a.test\r\n", "Host: a.test, b.test\r\n"] {
        let codes = statuses(&daemon.send_raw(&headless(lines)));
        assert!([vec![400], vec![200], vec![]].contains(&codes), "{lines}: {codes:?}");
    }
}

#[test]
fn an_absolute_target_names_the_host_that_is_signed() {
    let daemon = daemon();
    let signer = Signer::of("cxone");
    let absolute = format!("https://{HOST}{}", signer.target);
    let request = signer.sign(event(&unique()));
    accepted(&daemon.send(&request.clone().at(&absolute)));
    let other_host = request.clone().set("Host", "other.example.test").at(&absolute);
    let status = daemon.send(&other_host).status;
    assert!([200, 400].contains(&status), "the target's authority counts, or the difference is refused: {status}");
    let other_target = request.at(&format!("https://other.example.test{}", signer.target));
    assert!([400, 401].contains(&daemon.send(&other_target).status), "the Host header does not count beside a target");
    let cognigy = cognigy().at(&format!("https://{HOST}/webhook/cognigy"));
    assert_eq!(daemon.send(&cognigy).status, 200);
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
fn continue_is_said_only_after_every_check_of_the_head() {
    let daemon = daemon();
    let expecting = |request: &Request| {
        request.clone().header("Expect", "100-continue").header("Content-Length", &request.body.len().to_string())
    };
    let good = cognigy();
    let mut conn = daemon.connect();
    conn.send(&expecting(&good).head());
    assert_eq!(conn.response().status, 100);
    conn.send(&good.body);
    accepted(&conn.response());
    let stale = Signer::of("cognigy").shifted(-4000).sign(nameless());
    let rows = [
        (good.clone().at("/webhook/elsewhere"), 403, "ip_not_whitelisted"),
        (good.clone().at("/nowhere"), 404, "not_found"),
        (good.clone().method("PUT"), 405, "method_not_allowed"),
        (good.clone().set("Content-Type", "text/plain"), 415, "unsupported_media_type"),
        (good.clone().body(&[b' '; 70_000]), 413, "payload_too_large"),
        (stale, 410, "timestamp_expired"),
        (good.clone().without("X-Cognigy-Timestamp"), 401, "missing_timestamp"),
        (good.clone().without("X-Cognigy-Signature"), 401, "missing_signature"),
        (Signer::of("cxone").sign(b"{}").set("Authorization", "x"), 400, "malformed_authorization"),
    ];
    for (request, status, reason) in rows {
        let mut conn = daemon.connect();
        conn.send(&expecting(&request).head());
        assert_refusal(&conn.response(), status, reason);
    }
}

#[test]
fn paths_match_byte_for_byte() {
    let daemon = daemon();
    for path in [
        "/webhook/cognigy/",
        "//webhook/cognigy",
        "/webhook//cognigy",
        "/webhook/%63ognigy",
        "/webhook%2Fcognigy",
        "/Webhook/cognigy",
        "/webhook/cognigy/.",
        "/webhook/./cognigy",
        "/webhook/x/../cognigy",
        "/webhook/cognigy;a=b",
        "/webhook/cognigy%00",
        "/webhook/cognigy%20",
        "/webhook",
        "/",
        "/webhook/cognigy.json",
        "/webhook/cognigy/callback/",
        "/webhook/cognig",
    ] {
        let response = daemon.send(&cognigy().at(path));
        assert!(response.status == 404, "{path}: {response:?}");
        assert_refusal(&response, 404, "not_found");
    }
    for target in ["*", "webhook/cognigy", "", "hooks.example.test:443"] {
        let codes = statuses(&daemon.send_raw(&cognigy().header("Connection", "close").at(target).bytes()));
        assert!(codes.len() <= 1 && codes.iter().all(|code| (400..500).contains(code)), "{target:?}: {codes:?}");
    }
}

#[test]
fn a_query_is_ignored_by_hmac_sources_and_never_logged_with_values() {
    let daemon = daemon();
    for query in ["?", "?token=query-value-nobody-logs", "?a=b&a=c", "?%zz", "?x=%00"] {
        let response = daemon.send(&cognigy().at(&format!("/webhook/cognigy{query}")));
        assert_eq!(response.status, 200, "{query}: {response:?}");
        assert_eq!(daemon.send(&cognigy().at(&format!("/nowhere{query}"))).status, 404);
    }
    daemon.access_where("all ten", |_| daemon.access().len() >= 10);
    assert!(!daemon.out().contains("query-value-nobody-logs"), "a query value was logged");
}

#[test]
fn heads_and_targets_beyond_measure() {
    let daemon = daemon();
    let many = (0..500).fold(cognigy(), |request, n| request.header(&format!("X-{n}"), "y"));
    assert_eq!(daemon.send(&many).status, 431, "500 headers");
    assert_eq!(daemon.send(&cognigy().header("X-Long", &"y".repeat(1 << 20))).status, 431, "a megabyte in one header");
    assert_eq!(daemon.send(&cognigy().at(&format!("/{}", "y".repeat(100_000)))).status, 414, "a target of 100 kB");
    // Within reason both are fine.
    let some = (0..40).fold(cognigy(), |request, n| request.header(&format!("X-{n}"), &"y".repeat(50)));
    assert_eq!(daemon.send(&some).status, 200);
    assert_eq!(daemon.send(&cognigy().at(&format!("/webhook/cognigy?{}", "y".repeat(2000)))).status, 200);
    assert_eq!(daemon.send(&cognigy()).status, 200);
}

#[test]
fn http_1_0_and_pipelining() {
    let daemon = daemon();
    let mut old = cognigy();
    old.version = "HTTP/1.0".into();
    let mut conn = daemon.connect();
    let response = conn.ask(&old);
    assert_eq!(response.status, 200, "{response:?}");
    assert!(conn.closes(), "HTTP/1.0 closes unless asked to stay");
    let mut conn = daemon.connect();
    let ids: Vec<String> = (0..5).map(|_| unique()).collect();
    let all: Vec<u8> = ids.iter().flat_map(|id| Signer::of("nice").sign(event(id)).bytes()).collect();
    conn.send(&all);
    for id in &ids {
        assert_eq!(accepted(&conn.response())["id"], *id, "answers come in the order of the requests");
    }
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

#[test]
fn parameter_lists_are_read_as_written() {
    let daemon = daemon();
    let body = event(&unique());
    let hex = hex::encode(sign::mac(sign::secret_of("nice").as_bytes(), &body));
    let (t, zero) = (now(), "0".repeat(64));
    let ask = |value: &str| {
        let request = Signer::of("nice").sign(&body).set("X-NICE-Signature", value);
        let response = daemon.send(&request);
        (response.status, response.reason())
    };
    let many = |count: usize| format!("{}v1={hex},t={t}", format!("v1={zero},").repeat(count - 1));
    for good in [
        format!("t={t},v1={hex}"),
        format!(" v1={hex} , t={t} "),
        format!("v1={zero},v1={hex},t={t}"),
        many(8),
        format!("v1={hex},t={t},v0=junk,other=thing"),
        format!("v1={},t={t}", hex.to_uppercase()),
    ] {
        assert_eq!(ask(&good).0, 200, "{good}");
    }
    for bad in [
        many(9),
        many(200),
        format!("v1={hex};t={t}"),
        format!("v1={hex},t={t},t={t}"),
        format!("v1={hex},t={t},t=1"),
        format!("v1={zero},t={t}"),
        format!("V1={hex},t={t}"),
        format!("v1={hex},T={t}"),
        format!("v1={hex}{hex},t={t}"),
        format!("v1={},t={t}", &hex[..62]),
        format!("v1=\"{hex}\",t={t}"),
        format!("v1={hex},t={t}x"),
        format!("v1={hex},t= "),
        "t".into(),
        "=".into(),
        ",,,,".into(),
        format!("v1={hex}"),
        hex.clone(),
    ] {
        let (status, reason) = ask(&bad);
        assert!(status == 401, "{bad}: {status} {reason}");
    }
    let (status, reason) = ask(&format!("v1={hex},t={t},,"));
    assert!([200, 401].contains(&status), "{status} {reason}");
}

#[test]
fn health_answers_anyone_and_says_nothing_else() {
    let daemon = daemon();
    let response = daemon.send(&Request::new("GET", "/healthz"));
    assert_eq!(response.status, 200, "{response:?}");
    for path in ["/metrics", "/readyz", "/livez"] {
        assert_refusal(&daemon.send(&Request::new("GET", path)), 404, "not_found");
    }
    assert_eq!(daemon.send(&Request::post("/healthz")).status, 405);
    // A webhook source of the same name as a path elsewhere does not exist: the answer names none.
    assert!(!response.text().contains("cognigy"), "{response:?}");
    assert!(!daemon.connect().is_silent_for(Duration::ZERO) || daemon.get("/livez").status == 200);
}
