//! The published signing suite (awslabs/aws-c-auth, and the AWS SDK for Rust's additions), case by case:
//! canonical request, string to sign and signature. The suite lies beside the repository; without it nothing is held.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// Signed for a service that does not normalise paths (S3 alone), so not by the rule this verifier keeps.
const UNNORMALISED: [&str; 6] = [
    "get-relative-relative-unnormalized",
    "get-relative-unnormalized",
    "get-slash-dot-slash-unnormalized",
    "get-slash-pointless-dot-unnormalized",
    "get-slash-unnormalized",
    "get-slashes-unnormalized",
];

/// Sends a session token that the signature leaves out; refused here, where every `x-amz-*` header must be signed.
const UNSIGNED_TOKEN: [&str; 1] = ["post-sts-header-after"];

/// Carries a bare blank in its request target, which no HTTP parser lets through; canonical form only.
const UNSENDABLE: [&str; 2] = ["get-space-normalized", "get-space-unnormalized"];

fn folder(part: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/sigv4-suite").join(part);
    // A worktree lies one level deeper than the main checkout.
    let deeper = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/sigv4-suite").join(part);
    let found = [folder, deeper].into_iter().find(|folder| folder.is_dir());
    if found.is_none() {
        note(&format!("skipped: the signing suite's {part} is not beside this repository"));
    }
    found
}

#[expect(clippy::print_stderr, reason = "a skipped suite must not look like one that passed")]
fn note(text: &str) {
    eprintln!("{text}");
}

fn read(case: &Path, file: &str) -> String {
    let text = fs::read_to_string(case.join(file)).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    text.replace("\r\n", "\n")
}

/// A case's signed request. A folded header line becomes one, as a parser would make it.
struct Signed {
    head: Parts,
    path: String,
    body: String,
}

fn parse(text: &str) -> Signed {
    let (text, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match lines.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => *last = format!("{last} {}", line.trim()),
            _ => lines.push(line.into()),
        }
    }
    let (method, target) = lines[0].split_once(' ').unwrap();
    let target = target.strip_suffix(" HTTP/1.1").unwrap_or(target);
    let sendable = target.replace(' ', "%20");
    let mut head = Request::builder().method(method).uri(sendable).body(()).unwrap().into_parts().0;
    for line in &lines[1..] {
        let (name, value) = line.split_once(':').unwrap();
        let name: HeaderName = name.parse().unwrap();
        head.headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
    }
    let path = target.split('?').next().unwrap().to_owned();
    Signed { head, path, body: body.trim_end_matches('\n').into() }
}

fn suite_scheme(token: Option<&str>) -> SigV4 {
    let mut settings = settings(vec![AccessKey {
        access_key_id: "AKIDEXAMPLE".into(),
        secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY").unwrap(),
        session_token: token.map(|token| Secret::token(token).unwrap()),
    }]);
    settings.region = ScopePart::parse("us-east-1").ok();
    settings.service = ScopePart::parse("service").ok();
    SigV4::new(&settings).unwrap()
}

/// What we make of a case: canonical request, string to sign, verdict.
fn ours(scheme: &SigV4, signed: &Signed) -> (String, String, Result<KeyIndex, Refusal>) {
    let payload = Payload::from(Bytes::from(signed.body.clone()));
    let mut text = canonical_request(&signed.head, &payload).unwrap();
    if signed.path.contains(' ') {
        // The one thing that the URI type could not hold.
        let mut uri = Vec::new();
        canonical::put_uri(&mut uri, signed.path.as_bytes());
        let text_now = String::from_utf8(text).unwrap();
        let mut lines: Vec<&str> = text_now.split('\n').collect();
        let uri = String::from_utf8(uri).unwrap();
        lines[1] = &uri;
        text = lines.join("\n").into_bytes();
    }
    let hash = hex_of(&Sha256::digest(&text).into());
    let date = AmzDate::of(&signed.head).unwrap();
    let day = date.day();
    let string_to_sign = String::from_utf8(scheme.string_to_sign(date, &day, &hash).concat()).unwrap();
    let verdict = scheme
        .timestamp(&signed.head)
        .and_then(|_| scheme.read(&signed.head))
        .and_then(|claims| scheme.verify(&signed.head, &claims, &payload));
    (String::from_utf8(text).unwrap(), string_to_sign, verdict)
}

#[test]
fn the_published_suite_holds() {
    let Some(folder) = folder("v4") else { return };
    let (mut refused, mut total) = (BTreeSet::new(), 0);
    for case in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let context: serde_json::Value = serde_json::from_str(&read(&case, "context.json")).unwrap();
        let signed = parse(&read(&case, "header-signed-request.txt"));
        let token = context.pointer("/credentials/token").and_then(serde_json::Value::as_str);
        let scheme = suite_scheme(token);
        let (canonical, string_to_sign, verdict) = ours(&scheme, &signed);
        total += 1;
        if UNNORMALISED.contains(&&*name) {
            assert_eq!(context["normalize"], false, "{name}");
            assert_ne!(canonical, read(&case, "header-canonical-request.txt"), "{name}");
        } else {
            assert_eq!(canonical, read(&case, "header-canonical-request.txt"), "{name}");
            assert_eq!(string_to_sign, read(&case, "header-string-to-sign.txt"), "{name}");
            let hash = Sha256::digest(canonical.as_bytes()).into();
            let date = AmzDate::of(&signed.head).unwrap();
            let key = scheme.keys[0].signing.of(date.day(), &scheme.scope);
            assert_eq!(
                scheme.signature(&key, date, canonical.as_bytes()).to_hex(),
                read(&case, "header-signature.txt")
            );
            assert!(string_to_sign.ends_with(std::str::from_utf8(&hex_of(&hash)).unwrap()), "{name}");
        }
        match verdict {
            Ok(index) => assert_eq!(index, KeyIndex(0), "{name}"),
            Err(refusal) => {
                assert_eq!(refusal, Refusal::SignatureMismatch, "{name}");
                refused.insert(name);
            }
        }
    }
    assert_eq!(total, 38);
    let expected = UNNORMALISED.iter().chain(&UNSIGNED_TOKEN).chain(&UNSENDABLE);
    assert_eq!(refused, expected.map(|name| (*name).to_owned()).collect(), "these and no others are refused");
}

#[test]
fn the_sdks_double_encoding_holds() {
    let Some(folder) = folder("aws-sdk-rust-extra/v4") else { return };
    // Its request says 2015, its canonical request 2021: only what the date does not touch can be compared.
    let case = folder.join("double-encode-path");
    let (canonical, ..) = ours(&suite_scheme(None), &parse(&read(&case, "header-signed-request.txt")));
    let expected = read(&case, "header-canonical-request.txt").replace("20210511T154045Z", "20150830T123600Z");
    assert_eq!(canonical, expected.trim_end());

    let case = folder.join("double-url-encode");
    let mut settings = settings(vec![key("AKIDEXAMPLE", None)]);
    settings.region = ScopePart::parse("us-east-2").ok();
    settings.service = ScopePart::parse("lambda").ok();
    let scheme = SigV4::new(&settings).unwrap();
    let (canonical, string_to_sign, _) = ours(&scheme, &parse(&read(&case, "header-signed-request.txt")));
    assert_eq!(canonical, read(&case, "header-canonical-request.txt").trim_end());
    assert_eq!(string_to_sign, read(&case, "header-string-to-sign.txt").trim_end());
}
