//! What an HMAC covers beside body and timestamp: named headers and the URL, with other code as signer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::{Daemon, Request, Setup, accepted, assert_refusal, nameless, sign};

const SECRET: &str = "a-shared-secret-of-some-length";

fn setup(lines: &str) -> Setup {
    let more = if lines.contains("signature_format") { "" } else { "signature_format = \"{hex}\"\n" };
    let id = if lines.contains("event_id") { "" } else { "event_id = \"digest\"\n" };
    let rest =
        format!("path = \"/own\"\nsecrets = [{{ env = \"IT_OWN\" }}]\nsignature_header = \"X-Sig\"\n{more}{id}{lines}");
    Setup::new().env("IT_OWN", SECRET).source("own", "hmac", &rest)
}

/// A request to `target` whose signature is made over `signed`.
fn request(target: &str, body: &[u8], signed: &[&[u8]]) -> Request {
    let mac = hex::encode(sign::mac(SECRET.as_bytes(), &signed.concat()));
    Request::post(target).header("Content-Type", "application/json").header("X-Sig", &mac).body(body)
}

#[test]
fn a_named_header_is_signed_as_it_stands() {
    let daemon = setup("signed_content = \"{header:X-Tenant}.{header:X-Kind}.{body}\"").start();
    let send = |tenant: &[&str], signed: &str| {
        let body = nameless();
        let request = request("/own", &body, &[signed.as_bytes(), b".order.", &body]).header("x-kind", "order");
        daemon.send(&tenant.iter().fold(request, |request, value| request.header("X-TENANT", value)))
    };
    assert_eq!(send(&["Acme, Inc."], "Acme, Inc.").status, 200);
    assert_eq!(send(&["b"], "b").status, 200);
    assert_eq!(send(&[""], "").status, 200, "an empty value is an empty value");
    for (tenant, signed) in [
        (&["c"][..], "b"),
        (&["B"], "b"),
        (&[], ""),
        (&["b", "b"], "b"),
        (&["b", "b"], "b,b"),
        (&["b", "b"], "b, b"),
        (&["b", ""], "b"),
    ] {
        assert_refusal(&send(tenant, signed), 401, "signature_mismatch");
    }
}

#[test]
fn the_url_is_the_public_one_with_path_and_query_as_they_arrived() {
    let lines = "signature_format = \"{base64}\"\npublic_url = \"https://hooks.example/in\"\n\
                 signed_content = \"POST{url}{body}{timestamp}\"\ntimestamp_header = \"X-Time\"\ntimestamp_unit = \"ms\"";
    let daemon = setup(lines).start();
    let time = format!("{}000", sign::now());
    let send = |target: &str, url: &str| {
        let body = nameless();
        let content = [b"POST", url.as_bytes(), &body, time.as_bytes()].concat();
        let mac = STANDARD.encode(sign::mac(SECRET.as_bytes(), &content));
        let head = Request::post(target).header("Content-Type", "application/json");
        daemon.send(&head.header("X-Time", &time).header("X-Sig", &mac).body(&body))
    };
    assert_eq!(send("/own", "https://hooks.example/in/own").status, 200);
    assert_eq!(send("/own?a=1&b=%20+", "https://hooks.example/in/own?a=1&b=%20+").status, 200);
    assert_eq!(send("/own?", "https://hooks.example/in/own?").status, 200);
    for (target, url) in [
        ("/own", "https://hooks.example/own"),
        ("/own", "https://hooks.example/in/own/"),
        ("/own", "https://hooks.example/in/own?"),
        ("/own", "http://hooks.example/in/own"),
        ("/own?a=1", "https://hooks.example/in/own"),
        ("/own?a=1", "https://hooks.example/in/own?a=2"),
        ("/own?a=%31", "https://hooks.example/in/own?a=1"),
    ] {
        assert_refusal(&send(target, url), 401, "signature_mismatch");
    }
}

#[test]
fn an_id_is_taken_from_a_header_that_is_signed_and_cannot_be_shifted() {
    let lines = "event_id = \"header:X-Delivery\"\nsigned_content = \"{header:X-Delivery}.{body}\"";
    let daemon = setup(lines).start();
    let send = |id: &str, body: &[u8]| {
        daemon.send(&request("/own", body, &[id.as_bytes(), b".", body]).header("X-Delivery", id))
    };
    let (body, other) = (nameless(), nameless());
    assert_eq!(accepted(&send("d-1", &body))["id"], "d-1");
    assert_eq!(accepted(&send("d-1", &body))["duplicate"], true);
    assert_eq!(accepted(&send("d-2", &body))["duplicate"], false);
    assert_eq!(send("d-1", &other).json()["status"], "quarantined");
    for loose in ["{header:X-Delivery}{body}", "{header:X-Delivery}.{header:X-Kind}.{body}", "{header:X-Kind}.{body}"] {
        let output = setup(&format!("event_id = \"header:X-Delivery\"\nsigned_content = \"{loose}\"")).run(&["check"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(64) && told.contains("source[0].event_id: "), "{loose}: {told}");
    }
}

#[test]
fn what_cannot_work_is_an_error_and_an_open_border_a_warning() {
    let check = |lines: &str| {
        let output = setup(lines).run(&["check"]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let url = |url: &str| format!("signed_content = \"{{url}}{{body}}\"\npublic_url = \"{url}\"");
    for (lines, key) in [
        ("signed_content = \"{header:}{body}\"".to_owned(), "signed_content"),
        ("signed_content = \"{header:a b}.{body}\"".to_owned(), "signed_content"),
        ("signed_content = \"{header:X-Sig}.{body}\"".to_owned(), "signed_content"),
        ("signed_content = \"{header:Host}.{body}\"".to_owned(), "signed_content"),
        ("signed_content = \"{url}{body}\"".to_owned(), "public_url"),
        ("signed_content = \"{body}\"\npublic_url = \"https://a\"".to_owned(), "public_url"),
        (url(""), "public_url"),
        (url("hooks.example"), "public_url"),
        (url("ftp://hooks.example"), "public_url"),
        (url("https://"), "public_url"),
        (url("https://u:p@hooks.example"), "public_url"),
        (url("https://hooks.example/"), "public_url"),
        (url("https://hooks.example?a"), "public_url"),
        (url("https://hooks.example#a"), "public_url"),
    ] {
        let (status, told) = check(&lines);
        assert!(status == Some(64) && told.contains(&format!("source[0].{key}: ")), "{lines}: {told}");
    }
    for lines in ["signed_content = \"{header:X-A}{body}\"", "signed_content = \"{header:X-A}.{header:X-B}.{body}\""] {
        let (status, told) = check(lines);
        assert!(status == Some(0) && told.contains("bytes can pass between them"), "{lines}: {told}");
    }
    for lines in [url("https://hooks.example"), url("http://10.0.0.1:8080/prefix")] {
        let (status, told) = check(&lines);
        assert!(status == Some(0) && !told.contains("bytes can pass"), "{lines}: {told}");
    }
}

/// What `send` makes verifies, though its headers are none of the sender's.
#[test]
fn a_sample_is_sent_with_every_header_that_is_signed() {
    let lines = "public_url = \"https://hooks.example\"\nsigned_content = \"{url}.{header:X-Tenant}.{body}\"";
    let setup = setup(lines);
    let daemon: Daemon = setup.start();
    let url = format!("https://{}/own", daemon.webhook);
    setup.write("ca.pem", daemon.ca.pem());
    let ca = setup.path("ca.pem");
    let output = setup.run(&["send", "own", "--url", &url, "--ca-file", &ca.to_string_lossy()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
