//! What HMAC senders really send, against other code as signer: encodings, lists, several headers, other hashes and
//! secrets that are not text.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use hmac::Hmac;

use crate::support::{Daemon, Request, Response, Setup, assert_refusal, nameless, sign};

const SECRET: &str = "a-shared-secret-of-some-length";
/// As many bytes as a secret needs, NUL and line ends among them.
const BYTES: [u8; 20] = [0, 1, 2, 10, 13, 32, 255, 254, 0, 9, 0, 200, 7, 7, 7, 10, 10, 32, 32, 0];

fn setup_with(secret: &str, lines: &str) -> Setup {
    let header = if lines.contains("signature_header") { "" } else { "signature_header = \"X-Sig\"\n" };
    let format = if lines.contains("signature_format") { "" } else { "signature_format = \"{hex}\"\n" };
    let content = if lines.contains("signed_content") { "" } else { "signed_content = \"{body}\"\n" };
    let rest = format!(
        "path = \"/own\"\nevent_id = \"digest\"\nsecrets = [{{ env = \"IT_OWN\" }}]\n{header}{format}{content}{lines}"
    );
    Setup::new().env("IT_OWN", secret).source("own", "hmac", &rest)
}

fn setup(lines: &str) -> Setup {
    setup_with(SECRET, lines)
}

fn request(body: &[u8]) -> Request {
    Request::post("/own").header("Content-Type", "application/json").body(body)
}

/// What a MAC becomes in the headers of a request.
type Headers<'a> = dyn Fn(&[u8]) -> Vec<(&'static str, String)> + 'a;

/// A fresh body sent with the headers that `with` makes of its MAC.
fn sent(daemon: &Daemon, key: &[u8], with: impl Fn(&[u8]) -> Vec<(&'static str, String)>) -> Response {
    let body = nameless();
    let headers = with(&sign::mac(key, &body));
    daemon.send(&headers.into_iter().fold(request(&body), |request, (name, value)| request.header(name, &value)))
}

#[track_caller]
fn taken(daemon: &Daemon, with: impl Fn(&[u8]) -> String) {
    let response = sent(daemon, SECRET.as_bytes(), |mac| vec![("X-Sig", with(mac))]);
    assert_eq!(response.status, 200, "{} {response:?}", with(&[7; 32]));
}

#[track_caller]
fn refused(daemon: &Daemon, reason: &str, with: impl Fn(&[u8]) -> String) {
    let response = sent(daemon, SECRET.as_bytes(), |mac| vec![("X-Sig", with(mac))]);
    assert_eq!(response.reason(), reason, "{} {response:?}", with(&[7; 32]));
    assert_refusal(&response, 401, reason);
}

#[test]
fn base64_comes_in_either_alphabet_padded_or_not() {
    for format in ["{base64}", "{base64url}"] {
        let daemon = setup(&format!("signature_format = \"{format}\"")).start();
        for _ in 0..4 {
            for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
                taken(&daemon, |mac| engine.encode(mac));
            }
        }
        refused(&daemon, "signature_mismatch", |mac| format!("{}=", STANDARD.encode(mac)));
        refused(&daemon, "signature_mismatch", |mac| STANDARD.encode(&mac[..31]));
        refused(&daemon, "signature_mismatch", |mac| STANDARD.encode([mac, b"x"].concat()));
        refused(&daemon, "signature_mismatch", |mac| STANDARD.encode([mac, mac].concat()));
        refused(&daemon, "signature_mismatch", |mac| format!("{},", STANDARD.encode(mac)));
        refused(&daemon, "signature_mismatch", |mac| hex::encode(mac));
    }
}

#[test]
fn a_list_of_one_name_is_a_rotation_of_the_senders() {
    for format in ["v1={hex}", "v1={hex},v1={hex}"] {
        let daemon = setup(&format!("signature_format = \"{format}\"")).start();
        let other = "ab".repeat(32);
        taken(&daemon, |mac| format!("v1={}", hex::encode(mac)));
        taken(&daemon, |mac| format!("v1={},v1={other}", hex::encode(mac)));
        taken(&daemon, |mac| format!("v1={other}, v1={}", hex::encode(mac)));
        refused(&daemon, "signature_mismatch", |_| format!("v1={other},v1={other}"));
        refused(&daemon, "signature_mismatch", |mac| format!("v1={},v1=zz", hex::encode(mac)));
        refused(&daemon, "signature_mismatch", |mac| {
            format!("{}v1={}", format!("v1={other},").repeat(8), hex::encode(mac))
        });
        refused(&daemon, "missing_signature", |mac| format!("v2={}", hex::encode(mac)));
    }
    let strict = setup("signature_format = \"sha256={hex}\"").start();
    taken(&strict, |mac| format!("sha256={}", hex::encode(mac)));
    refused(&strict, "signature_mismatch", |mac| format!("sha256={0},sha256={0}", hex::encode(mac)));
}

#[test]
fn lists_may_be_separated_by_semicolons() {
    let lines = "signature_format = \"ts={timestamp};h1={hex}\"\ntimestamp_unit = \"s\"\nsigned_content = \"{timestamp}:{body}\"";
    let daemon = setup(lines).start();
    let time = sign::now();
    let sent = |list: &dyn Fn(&str) -> String| {
        let body = nameless();
        let content = [format!("{time}:").as_bytes(), &body].concat();
        let mac = hex::encode(sign::mac(SECRET.as_bytes(), &content));
        daemon.send(&request(&body).header("X-Sig", &list(&mac)))
    };
    assert_eq!(sent(&|mac| format!("ts={time};h1={mac}")).status, 200);
    assert_eq!(sent(&|mac| format!("h1={}; ts={time} ;h1={mac}", "0".repeat(64))).status, 200);
    assert_refusal(&sent(&|mac| format!("ts={time},h1={mac}")), 401, "invalid_timestamp_format");
    assert_refusal(&sent(&|mac| format!("ts={};h1={mac}", time + 1)), 401, "signature_mismatch");
    assert_refusal(&sent(&|mac| format!("ts={time};ts={time};h1={mac}")), 401, "invalid_timestamp_format");
}

#[test]
fn a_signature_may_stand_in_one_of_several_headers() {
    let daemon = setup("signature_header = [\"X-Sig\", \"X-Hub-Signature-256\"]").start();
    let both = |one: &Headers<'_>| sent(&daemon, SECRET.as_bytes(), one);
    let (good, bad) = (|mac: &[u8]| hex::encode(mac), "0".repeat(64));
    assert_eq!(both(&|mac| vec![("X-Sig", good(mac))]).status, 200);
    assert_eq!(both(&|mac| vec![("X-Hub-Signature-256", good(mac))]).status, 200);
    assert_eq!(both(&|mac| vec![("X-Sig", bad.clone()), ("X-Hub-Signature-256", good(mac))]).status, 200);
    assert_eq!(both(&|mac| vec![("X-Sig", good(mac)), ("X-Hub-Signature-256", "junk".to_owned())]).status, 200);
    assert_refusal(&both(&|_| vec![]), 401, "missing_signature");
    assert_refusal(
        &both(&|_| vec![("X-Sig", bad.clone()), ("X-Hub-Signature-256", bad.clone())]),
        401,
        "signature_mismatch",
    );
    let twice = both(&|mac| vec![("X-Sig", good(mac)), ("X-Sig", good(mac))]);
    assert_refusal(&twice, 401, "signature_mismatch");
    let other_twice = both(&|mac| {
        vec![("X-Sig", good(mac)), ("X-Hub-Signature-256", bad.clone()), ("X-Hub-Signature-256", bad.clone())]
    });
    assert_refusal(&other_twice, 401, "signature_mismatch");
}

#[test]
fn secrets_in_hex_and_base64_hold_any_byte() {
    for (encoding, text) in [
        ("hex", hex::encode(BYTES)),
        ("hex", hex::encode_upper(BYTES)),
        ("base64", STANDARD.encode(BYTES)),
        ("base64", URL_SAFE_NO_PAD.encode(BYTES)),
        ("base64", format!("whsec_{}", STANDARD.encode(BYTES))),
    ] {
        let daemon = setup_with(&text, &format!("secret_encoding = \"{encoding}\"")).start();
        let good = sent(&daemon, &BYTES, |mac| vec![("X-Sig", hex::encode(mac))]);
        assert_eq!(good.status, 200, "{encoding} {text}: {good:?}");
        let literal = sent(&daemon, text.as_bytes(), |mac| vec![("X-Sig", hex::encode(mac))]);
        assert_refusal(&literal, 401, "signature_mismatch");
    }
    let text = setup_with(&hex::encode(BYTES), "secret_encoding = \"text\"").start();
    let literal = sent(&text, hex::encode(BYTES).as_bytes(), |mac| vec![("X-Sig", hex::encode(mac))]);
    assert_eq!(literal.status, 200);
}

#[test]
fn other_hashes_are_as_long_as_they_are() {
    fn of<M: hmac::Mac + hmac::KeyInit>(body: &[u8]) -> Vec<u8> {
        let mut mac = <M as hmac::KeyInit>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(body);
        mac.finalize().into_bytes().to_vec()
    }
    type Signs = fn(&[u8]) -> Vec<u8>;
    let table: [(&str, Signs); 4] = [
        ("sha1", of::<Hmac<sha1::Sha1>>),
        ("sha256", of::<Hmac<sha2::Sha256>>),
        ("sha384", of::<Hmac<sha2::Sha384>>),
        ("sha512", of::<Hmac<sha2::Sha512>>),
    ];
    for format in ["{hex}", "{base64}"] {
        let encode = |mac: &[u8]| if format == "{hex}" { hex::encode(mac) } else { STANDARD.encode(mac) };
        for (algorithm, _) in table {
            let daemon = setup(&format!("algorithm = \"{algorithm}\"\nsignature_format = \"{format}\"")).start();
            for (other, sign) in table {
                let body = nameless();
                let mac = sign(&body);
                let send = |signature: &str| daemon.send(&request(&body).header("X-Sig", signature));
                if other == algorithm {
                    assert_refusal(&send(&encode(&mac[..mac.len() - 1])), 401, "signature_mismatch");
                    assert_eq!(send(&encode(&mac)).status, 200, "{algorithm} {format}");
                } else {
                    assert_refusal(&send(&encode(&mac)), 401, "signature_mismatch");
                }
            }
        }
    }
}

#[test]
fn what_cannot_work_is_a_fault_and_sha_1_a_warning() {
    let check = |secret: &str, lines: &str| {
        let output = setup_with(secret, lines).run(&["check"]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let short = hex::encode([7_u8; 15]);
    let timed =
        "signature_header = [\"X-A\", \"X-B\"]\nsignature_format = \"v1={hex},t={timestamp}\"\ntimestamp_unit = \"s\"";
    for (secret, lines, key) in [
        (SECRET, "algorithm = \"md5\"", "algorithm"),
        (SECRET, "algorithm = \"SHA256\"", "algorithm"),
        (SECRET, "secret_encoding = \"base32\"", "secret_encoding"),
        (SECRET, "secret_encoding = \"hex\"", "secrets[0]"),
        ("a secret with blanks that is not base64", "secret_encoding = \"base64\"", "secrets[0]"),
        (short.as_str(), "secret_encoding = \"hex\"", "secrets[0]"),
        ("c2hvcnQtc2VjcmV0LTE=", "secret_encoding = \"base64\"", "secrets[0]"),
        (SECRET, "signature_header = []", "signature_header"),
        (SECRET, "signature_header = [\"X-A\", \"x-a\"]", "signature_header"),
        (SECRET, "signature_header = [\"X A\"]", "signature_header"),
        (SECRET, timed, "signature_header"),
    ] {
        let (status, said) = check(secret, lines);
        assert!(status == Some(64) && said.contains(&format!("source[0].{key}")), "{lines}: {said}");
        assert!(!said.contains(secret), "{said}");
    }
    let (status, said) = check(SECRET, "algorithm = \"sha1\"");
    assert!(status == Some(0) && said.contains("warning: source own: algorithm is sha1"), "{said}");
    for quiet in ["algorithm = \"sha512\"", "signature_format = \"{base64url}\"", "secret_encoding = \"text\""] {
        let (status, said) = check(SECRET, quiet);
        assert!(status == Some(0) && !said.contains("warning"), "{quiet}: {said}");
    }
}

#[test]
fn send_signs_whatever_is_configured() {
    let hex = hex::encode(BYTES);
    for (secret, lines) in [
        (SECRET, "signature_format = \"{base64url}\""),
        (SECRET, "signature_format = \"v1={hex}\""),
        (SECRET, "signature_format = \"ts={timestamp};h1={hex}\"\ntimestamp_unit = \"s\""),
        (
            SECRET,
            "signature_header = [\"X-Sig\", \"X-Other\"]\nalgorithm = \"sha512\"\nsignature_format = \"{base64}\"",
        ),
        (hex.as_str(), "secret_encoding = \"hex\"\nalgorithm = \"sha384\""),
        (SECRET, "algorithm = \"sha1\"\nsignature_format = \"sha1={hex}\""),
    ] {
        let setup = setup_with(secret, lines);
        let daemon = setup.start();
        let url = format!("https://localhost:{}/own", daemon.webhook.port());
        let ca = setup.path("ca.pem");
        std::fs::write(&ca, setup.ca.pem()).unwrap();
        let send = |fault: &[&str]| {
            let arguments = [&["send", "own", "--url", &url, "--ca-file", ca.to_str().unwrap()], fault].concat();
            let output = setup.run(&arguments);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{lines} {fault:?}: {said}");
        };
        send(&[]);
        for fault in ["wrong-key", "bad-signature", "missing-signature", "tampered-body", "duplicate"] {
            send(&["--fault", fault]);
        }
    }
}
