//! HTTP/1.1: hosts, paths, queries, `Expect`, sizes of heads, versions, and the headers that hold parameter lists.
//!
//! Where a request is malformed only its status and the end of the connection are looked at: the parser answers it.

use crate::support::sign::HOST;
use crate::support::{
    Daemon, Request, Response, Setup, Signer, accepted, assert_refusal, event, nameless, now, sign, unique,
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
        (good.clone().body(&vec![b' '; 70_000]), 413, "payload_too_large"),
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
    assert_eq!(daemon.send(&cognigy().at(&format!("/{}", "y".repeat(66_000)))).status, 414, "a target of 66 kB");
    // Longer still, the whole head is too large as well; which of the two is said first is not fixed.
    let status = daemon.send(&cognigy().at(&format!("/{}", "y".repeat(1_000_000)))).status;
    assert!([414, 431].contains(&status), "a target of a megabyte: {status}");
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
}
