//! What the signature doctor says of requests that went wrong in known ways.

use std::collections::BTreeMap;
use std::path::Path;

use ::hmac::{Hmac, KeyInit as _, Mac as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use sha2::Sha256;

use super::*;
use crate::config;

const SECRET: &[u8] = b"development-only-nice-secret";

fn now() -> Timestamp {
    "2026-05-01T12:00:00Z".parse().unwrap()
}

fn source(name: &str) -> Source {
    let config = config::load(Some(Path::new("config/dev.toml")), &BTreeMap::new()).unwrap();
    config.sources.into_iter().find(|source| source.name.as_str() == name).unwrap()
}

fn mac(content: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    mac.update(content);
    mac.finalize().into_bytes().to_vec()
}

fn specimen(headers: &[(&str, &str)], body: &str) -> Specimen {
    let mut request = http::Request::post("/webhooks/nice").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    Specimen { head, body: Bytes::copy_from_slice(body.as_bytes()), at: now(), reason: None, notes: Vec::new() }
}

fn told(name: &str, specimen: &Specimen) -> String {
    let told = diagnose(&source(name), specimen).unwrap().join("\n");
    assert!(!told.contains("development-only"), "a secret is told: {told}");
    told
}

/// A signature of `content` in the form that `nice` takes.
fn nice(content: &str) -> String {
    format!("v1={},t={}", hex::encode(mac(content.as_bytes())), now().as_second())
}

#[test]
fn a_good_request_is_said_to_be_good() {
    let body = r#"{"eventId":"1"}"#;
    let told = told("nice", &specimen(&[("x-nice-signature", &nice(body))], body));
    assert!(
        told.contains("verifies with key 6eed74cf") && told.contains("event id 1") && !told.contains("REFUSED"),
        "{told}"
    );
}

#[test]
fn another_content_is_found_and_spelled_as_configuration() {
    let body = r#"{"eventId":"1"}"#;
    let signature = nice(&format!("{}.{body}", now().as_second()));
    let told = told("nice", &specimen(&[("x-nice-signature", &signature)], body));
    assert!(told.contains("REFUSED  signature_mismatch"), "{told}");
    assert!(told.contains(r#"signature_format = "v1={hex},t={timestamp}""#), "{told}");
    assert!(told.contains(r#"signed_content = "{timestamp}.{body}""#), "{told}");
    assert!(!told.contains(&signature[3..67]), "a signature is told: {told}");
}

#[test]
fn another_header_and_encoding_are_found() {
    let body = r#"{"id":"1"}"#;
    let signature = format!("v1,{}", STANDARD.encode(mac(format!("m1.1777636800.{body}").as_bytes())));
    let headers =
        [("x-other-signature", signature.as_str()), ("x-other-timestamp", "1777636800"), ("x-other-id", "m1")];
    let told = told("nice", &specimen(&headers, body));
    for line in [
        r#"signature_header = "x-other-signature""#,
        r#"signature_format = "v1,{base64}""#,
        r#"timestamp_header = "x-other-timestamp""#,
        r#"timestamp_unit = "s""#,
        r#"signed_content = "{id}.{timestamp}.{body}""#,
        r#"id_header = "x-other-id""#,
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    assert!(told.contains("REFUSED  missing_signature"), "{told}");
}

#[test]
fn the_senders_mistakes_are_named() {
    let body = "{ \"b\": 1, \"a\": \"x y\" }";
    for (signed, words) in [
        (format!("{body}\n"), "a line end that it did not send"),
        (r#"{"b":1,"a":"x y"}"#.to_owned(), "in another form"),
        (r#"{"a":"x y","b":1}"#.to_owned(), "in another form"),
    ] {
        let told = told("nice", &specimen(&[("x-nice-signature", &nice(&signed))], body));
        assert!(told.contains("the sender's mistake") && told.contains(words), "{told}");
    }
}

#[test]
fn a_foreign_key_is_no_variant() {
    let signature = format!("v1={},t={}", "ab".repeat(32), now().as_second());
    let told = told("nice", &specimen(&[("x-nice-signature", &signature)], "{}"));
    assert!(told.contains("none of the known variants fits"), "{told}");
}

#[test]
fn time_is_explained() {
    let signature = |at: i64| format!("v1={},t={at}", hex::encode(mac(b"{}")));
    let at = now().as_second();
    let told = |at| told("nice", &specimen(&[("x-nice-signature", &signature(at))], "{}"));
    assert!(told(at - 1000).contains("1000 s before it arrived") && told(at - 1000).contains("each attempt anew"));
    assert!(told(at + 1000).contains("clock is fast"));
    assert!(told(at * 1000).contains("milliseconds"));
}

#[test]
fn the_body_is_explained_once_the_signature_holds() {
    assert!(told("nice", &specimen(&[("x-nice-signature", &nice("[1]"))], "[1]")).contains("REFUSED  invalid_json"));
    let html = specimen(&[], "");
    let (mut head, body) = (html.head.clone(), html.body.clone());
    head.headers.insert("content-type", "text/html".parse().unwrap());
    assert!(told("nice", &Specimen { head, body, ..html }).contains("REFUSED  unsupported_media_type"));
}

/// A request signed for `host` and `target`, as it arrives with the head that `change` leaves.
fn aws(change: impl Fn(&mut http::request::Parts)) -> String {
    let source = source("cxone");
    let request = http::Request::post("/webhooks/cxone")
        .header("host", "hooks.example.com")
        .header("content-type", "application/json");
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    let body = Bytes::from_static(b"{\"eventId\":\"1\"}");
    scheme::build(&source.scheme).unwrap().sign(&mut head, &body, now());
    change(&mut head);
    let specimen = Specimen { head, body, at: now(), reason: None, notes: Vec::new() };
    let told = told("cxone", &specimen);
    let authorization = specimen.header("authorization").unwrap_or("Signature=none").to_owned();
    assert!(!told.contains(authorization.rsplit("Signature=").next().unwrap()), "a signature is told: {told}");
    told
}

#[test]
fn what_a_proxy_did_to_a_sigv4_request_is_found() {
    assert!(aws(|_| {}).contains("verifies with key AKIA"));
    let host = aws(|head| drop(head.headers.insert("host", "hooks.example.com:8443".parse().unwrap())));
    assert!(
        host.contains("it fits with Host: hooks.example.com:") && host.contains("    host:hooks.example.com:8443"),
        "{host}"
    );
    let path = aws(|head| head.uri = "/webhooks/cxone/".parse().unwrap());
    assert!(path.contains("it fits with the target /webhooks/cxone:"), "{path}");
    let query = aws(|head| head.uri = "/webhooks/cxone?x=1".parse().unwrap());
    assert!(query.contains("it fits with the target /webhooks/cxone:"), "{query}");
    let unsigned = aws(|head| drop(head.headers.insert("x-amz-meta", "1".parse().unwrap())));
    assert!(unsigned.contains("x-amz-meta arrived unsigned"), "{unsigned}");
}

#[test]
fn wrong_claims_of_a_sigv4_request_are_named() {
    let rewrite = |from: &'static str, to: &'static str| {
        aws(move |head| {
            let changed = head.headers["authorization"].to_str().unwrap().replace(from, to);
            head.headers.insert("authorization", changed.parse().unwrap());
        })
    };
    assert!(rewrite("/eu-west-1/", "/us-east-1/").contains("the region signed for is \"us-east-1\""));
    assert!(rewrite("Credential=AKIA", "Credential=AKIB").contains("is not configured"));
    assert!(rewrite("host;", "host;x-gone;").contains("REFUSED"));
}
