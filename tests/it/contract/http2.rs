//! The same over HTTP/2: hosts, trailers, header lists, many streams, refusals with their full shape.

use http::{HeaderMap, HeaderValue};

use crate::support::http2::{Http2, to_http};
use crate::support::sign::{HOST, PRESETS};
use crate::support::{Daemon, Request, Setup, Signer, accepted, assert_refusal, callback, event, nameless, unique};

fn daemon() -> Daemon {
    Setup::every_preset()
        .set("limits", "body_bytes", "65536")
        .preset_at("elsewhere", "cognigy", "/webhook/elsewhere", "allowed_ips = [\"192.0.2.0/24\"]")
        .start()
}

fn cognigy() -> Request {
    Signer::of("cognigy").sign(nameless())
}

#[test]
fn every_preset_works_over_http_2() {
    let daemon = daemon();
    let mut client = Http2::open(&daemon);
    for preset in PRESETS {
        let body = if preset == "cognigy-callback" { callback() } else { event(&unique()) };
        let request = Signer::of(preset).sign(body);
        for duplicate in [false, true] {
            let answer = accepted(&client.ask(&request).unwrap());
            assert_eq!(answer["duplicate"], duplicate, "{preset}: {answer}");
        }
        let tampered = request.body(b"{\"tampered\":true}");
        assert_refusal(&client.ask(&tampered).unwrap(), 401, "signature_mismatch");
    }
}

#[test]
fn refusals_have_the_same_shape() {
    let daemon = daemon();
    let mut client = Http2::open(&daemon);
    let rows = [
        (cognigy().at("/nowhere"), 404, "not_found"),
        (cognigy().at("/webhook/cognigy/"), 404, "not_found"),
        (cognigy().method("PUT"), 405, "method_not_allowed"),
        (cognigy().set("Content-Type", "text/plain"), 415, "unsupported_media_type"),
        (cognigy().body(&vec![b' '; 66_000]), 413, "payload_too_large"),
        (cognigy().at("/webhook/elsewhere"), 403, "ip_not_whitelisted"),
        (cognigy().without("X-Cognigy-Timestamp"), 401, "missing_timestamp"),
        (Signer::of("cognigy").shifted(-4000).sign(b"{}"), 410, "timestamp_expired"),
        (cognigy().without("X-Cognigy-Signature"), 401, "missing_signature"),
        (Signer::of("cognigy").sign("x"), 400, "invalid_json"),
    ];
    for (request, status, reason) in rows {
        let response = client.ask(&request).unwrap_or_else(|error| panic!("{reason}: {error}"));
        assert_refusal(&response, status, reason);
    }
    assert_eq!(client.ask(&cognigy()).unwrap().status, 200, "the connection serves on");
}

#[test]
fn a_host_header_that_differs_from_the_authority_is_refused() {
    let daemon = daemon();
    let mut client = Http2::open(&daemon);
    let with_host = |host: &str| {
        let request = cognigy();
        let mut head = to_http(&request);
        head.headers_mut().insert("host", HeaderValue::from_str(host).unwrap());
        (head, request.body)
    };
    let (head, body) = with_host("other.example.test");
    assert_eq!(client.ask_with(head, &body, None).unwrap().status, 400);
    let (head, body) = with_host(HOST);
    assert_eq!(client.ask_with(head, &body, None).unwrap().status, 200);
    let request = Signer::of("cxone").sign(event(&unique()));
    let mut head = to_http(&request);
    head.headers_mut().append("host", HeaderValue::from_static("a.test"));
    head.headers_mut().append("host", HeaderValue::from_static(HOST));
    assert_eq!(client.ask_with(head, &request.body, None).unwrap().status, 400);
}

#[test]
fn the_authority_is_the_host_that_is_signed() {
    let daemon = daemon();
    let mut client = Http2::open(&daemon);
    let request = Signer::of("cxone").sign(event(&unique()));
    assert_refusal(&client.ask(&request.clone().set("Host", "other.example.test")).unwrap(), 401, "signature_mismatch");
    let mut signer = Signer::of("cxone");
    signer.host = format!("{HOST}:8443");
    accepted(&client.ask(&signer.sign(event(&unique()))).unwrap());
    accepted(&client.ask(&request).unwrap());
}

#[test]
fn trailers_do_not_count() {
    let daemon = daemon();
    let mut client = Http2::open(&daemon);
    let request = cognigy();
    let signature = request.get("X-Cognigy-Signature").to_owned();
    let head = to_http(&request.clone().without("X-Cognigy-Signature"));
    let trailers = HeaderMap::from_iter([("x-cognigy-signature".parse().unwrap(), signature.parse().unwrap())]);
    assert_refusal(&client.ask_with(head, &request.body, Some(trailers)).unwrap(), 401, "missing_signature");
    let junk = HeaderMap::from_iter([("x-cognigy-signature".parse().unwrap(), HeaderValue::from_static("00"))]);
    let response = client.ask_with(to_http(&request), &request.body, Some(junk)).unwrap();
    assert_eq!(response.status, 200, "a trailer spoils nothing either: {response:?}");
}

#[test]
fn a_header_list_beyond_16_kib_is_refused_and_the_daemon_serves_on() {
    let daemon = daemon();
    let mut client = Http2::open(&daemon);
    let large = (0..30).fold(cognigy(), |request, n| request.header(&format!("x-{n}"), &"y".repeat(1000)));
    match client.ask(&large) {
        Ok(response) => assert_eq!(response.status, 431, "{response:?}"),
        Err(error) => assert!(error.is_reset() || error.is_go_away() || error.is_remote() || error.is_io(), "{error}"),
    }
    let fits = (0..10).fold(cognigy(), |request, n| request.header(&format!("x-{n}"), &"y".repeat(1000)));
    assert_eq!(Http2::open(&daemon).ask(&fits).unwrap().status, 200);
}

#[test]
fn a_length_that_does_not_hold_is_an_error_of_the_stream() {
    let daemon = daemon();
    for length in ["1", "60000"] {
        let mut client = Http2::open(&daemon);
        let request = cognigy().header("content-length", length);
        if let Ok(response) = client.ask(&request) {
            assert!((400..500).contains(&response.status), "{length}: {response:?}");
        }
    }
    assert_eq!(Http2::open(&daemon).ask(&cognigy()).unwrap().status, 200);
}

#[test]
fn many_streams_at_once_up_to_128() {
    let daemon = daemon();
    let mut client = Http2::open(&daemon);
    assert_eq!(client.ask(&cognigy()).unwrap().status, 200);
    assert!(client.max_streams() <= 128, "{} streams allowed", client.max_streams());
    let requests: Vec<Request> = (0..client.max_streams()).map(|_| cognigy()).collect();
    for answer in client.ask_all(&requests) {
        assert_eq!(answer.unwrap().status, 200);
    }
}

#[test]
fn one_bad_stream_leaves_the_others_alone() {
    let daemon = daemon();
    let mut client = Http2::open(&daemon);
    let requests: Vec<Request> = (0..20).map(|n| if n % 2 == 0 { cognigy() } else { cognigy().body(b"{}") }).collect();
    for (n, answer) in client.ask_all(&requests).into_iter().enumerate() {
        assert_eq!(answer.unwrap().status, if n % 2 == 0 { 200 } else { 401 }, "stream {n}");
    }
}

#[test]
fn head_gets_no_body_on_any_version() {
    let daemon = daemon();
    for path in ["/webhook/cognigy", "/nowhere", "/healthz"] {
        let get = daemon.send(&Request::new("GET", path));
        let head = Http2::open(&daemon).ask(&Request::new("HEAD", path)).unwrap();
        assert_eq!(head.status, get.status, "{path}");
        assert!(head.body.is_empty(), "{path}: {head:?}");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}: {head:?}");
        let mut conn = daemon.connect();
        conn.send(&Request::new("HEAD", path).header("Connection", "close").bytes());
        let responses = conn.all_responses_slow();
        assert_eq!((responses.len(), responses[0].status), (1, get.status), "{path}");
        assert!(responses[0].body.is_empty(), "{path}: {responses:?}");
        assert_eq!(responses[0].header("content-length"), get.header("content-length"), "{path}: {responses:?}");
    }
}

#[test]
fn who_waits_to_be_asked_for_its_body_is_answered() {
    let daemon = daemon();
    let mut client = Http2::open(&daemon);
    let request = cognigy().header("Expect", "100-continue");
    let (before, answer) = client.ask_when_told(&request).unwrap();
    assert_eq!(before, [100]);
    accepted(&answer);
    // Whoever sends it without waiting is not told to.
    assert_eq!(client.ask(&cognigy().header("Expect", "100-continue")).unwrap().status, 200);
    // What the head refuses is refused at once, without 100.
    for (request, status, reason) in [
        (cognigy().without("X-Cognigy-Signature"), 401, "missing_signature"),
        (Signer::of("cognigy").shifted(-4000).sign(b"{}"), 410, "timestamp_expired"),
        (cognigy().at("/nowhere"), 404, "not_found"),
        (cognigy().header("Content-Length", "66000"), 413, "payload_too_large"),
    ] {
        let (before, answer) = client.ask_when_told(&request.header("Expect", "100-continue")).unwrap();
        assert_eq!(before, [0; 0], "{reason}");
        assert_refusal(&answer, status, reason);
    }
    // What only the body refuses, after it.
    let (before, answer) = client.ask_when_told(&cognigy().body(b"{}").header("Expect", "100-Continue")).unwrap();
    assert_eq!(before, [100]);
    assert_refusal(&answer, 401, "signature_mismatch");
}
