//! Contract 4 and 7 for SigV4: which `Authorization` cannot be parsed, and that whatever else is wrong has one answer.
//!
//! The signing rules themselves have their vectors in `sigv4.rs`; here the program is asked.

use crate::support::{Daemon, Request, Setup, Signer, assert_refusal, event, unique};

fn daemon() -> Daemon {
    Setup::new().preset("cxone").start()
}

fn cxone() -> Request {
    Signer::of("cxone").sign(event(&unique()))
}

#[test]
fn authorization_headers() {
    let daemon = daemon();
    let good = cxone();
    let value = good.get("Authorization").to_owned();
    let part = |name: &str| {
        let found = value.split([' ', ',']).find(|part| part.starts_with(name));
        found.expect("the part stands in the header").to_owned()
    };
    let (credential, names, signature) = (part("Credential="), part("SignedHeaders="), part("Signature="));
    let of = |parts: &[&str]| format!("AWS4-HMAC-SHA256 {}", parts.join(", "));
    let malformed = [
        String::new(),
        "AWS4-HMAC-SHA256".to_owned(),
        "Bearer abc".to_owned(),
        "AWS AKID:sig".to_owned(),
        value.replace("SHA256", "SHA1"),
        value.replace("SHA256", "SHA512"),
        value.replace("SHA256", "SHA256X"),
        value.replace("AWS4-HMAC", "AWS4-ECDSA-P256"),
        value.replace("AWS4", "aws4"),
        of(&[&credential, &names]),
        of(&[&credential, &signature]),
        of(&[&names, &signature]),
        of(&[&credential, &names, &signature, &signature]),
        of(&[&credential, &credential, &names, &signature]),
        of(&[&credential, "", &names, &signature]),
        of(&[&credential, &names, &signature, ""]),
        of(&[&credential, "nonsense", &names, &signature]),
        value.replace("/aws4_request", ""),
        value.replace("/aws4_request", "/aws4_request/more"),
        value.replace("SignedHeaders=", "SignedHeaders=;"),
        value.replace("SignedHeaders=content-type;host", "SignedHeaders=host;content-type"),
        value.replace("SignedHeaders=content-type;host", "SignedHeaders=host;host"),
        of(&[&credential, "SignedHeaders=", &signature]),
        value.replace("SignedHeaders=content-type", "SignedHeaders=Content-Type"),
    ];
    let row = |value: &String| (good.clone().set("Authorization", value), 400, "malformed_authorization");
    let rows: Vec<_> = malformed.iter().filter(|text| **text != value).map(row).collect();
    for (request, status, reason) in rows {
        let response = daemon.send(&request);
        // An empty header may count as none.
        let empty = request.get("Authorization").is_empty() && response.reason() == "missing_signature";
        if !empty {
            assert!(response.reason() == reason, "{}: {response:?}", request.get("Authorization"));
            assert_refusal(&response, status, reason);
        }
    }
    let reordered = good.clone().set("Authorization", &of(&[&signature, &names, &credential]));
    assert_eq!(daemon.send(&reordered).status, 200, "any order");
    for query in ["X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Signature=00", "X-Amz-Credential=a"] {
        let request = Signer::of("cxone").target(&format!("/webhooks/cxone?{query}")).sign(event(&unique()));
        let response = daemon.send(&request);
        assert_refusal(&response, 400, "malformed_authorization");
    }
}

#[test]
fn sigv4_that_parses_but_does_not_verify_has_one_answer() {
    let daemon = daemon();
    let signer = Signer::of("cxone");
    let sign = |change: &dyn Fn(&mut Signer)| {
        let mut changed = signer.clone();
        change(&mut changed);
        changed.sign(event(&unique()))
    };
    let good = cxone();
    let tampered = |name: &str, from: &str, to: &str| good.clone().set(name, &good.get(name).replace(from, to));
    let rows = vec![
        sign(&|signer| signer.secret = "another-secret-0123456789".into()),
        sign(&|signer| signer.access_key = "AKIDUNKNOWN".into()),
        sign(&|signer| signer.region = "us-east-1".into()),
        sign(&|signer| signer.service = "s3".into()),
        tampered("Authorization", "aws4_request", "aws5_request"),
        tampered("Authorization", "host;x-amz-date", "host"),
        tampered("Authorization", "content-type;host", "content-type"),
        tampered("Authorization", "host;", "host;x-absent;"),
        good.clone().header("X-Amz-Meta-More", "unsigned"),
        good.clone().header("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        good.clone().header("X-Amz-Security-Token", "token"),
        good.clone().set("Host", "other.example.test"),
        good.clone().at("/webhooks/cxone?a=b"),
        good.clone().set("Content-Type", "application/json; a=b"),
    ];
    let mut answers = Vec::new();
    for request in rows {
        let response = daemon.send(&request);
        assert_eq!(response.reason(), "signature_mismatch", "{:?}", request.headers);
        assert_refusal(&response, 401, "signature_mismatch");
        answers.push((
            response.headers.iter().filter(|(name, _)| name != "date").cloned().collect::<Vec<_>>(),
            response.body,
        ));
    }
    // Request ids may differ; whatever else does would tell an attacker which part was right.
    for (headers, _) in &mut answers {
        headers.retain(|(name, _)| !name.contains("request-id"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "answers differ: {answers:?}");
    assert_eq!(daemon.send(&good).status, 200);
    assert_eq!(daemon.send(&Signer::of("cxone").target("/webhooks/cxone?b=2&a=1").sign(event(&unique()))).status, 200);
    assert_eq!(daemon.send(&cxone().header("X-Amzn-Trace-Id", "Root=1")).status, 200, "x-amzn-* is exempt");
}
