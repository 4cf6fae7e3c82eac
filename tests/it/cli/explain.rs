//! `explain` from end to end: a request is refused and kept, the doctor says why, and where it advises a configuration,
//! `check` takes that and a daemon with it takes the request.

use serde_json::Value;

use crate::support::http2::Http2;
use crate::support::sign::{REGION, mac, secret_of};
use crate::support::{Daemon, Request, Setup, Signer, accepted, event, eventually, nameless, now, unique};

fn listed(setup: &Setup) -> Vec<Value> {
    let output = setup.run(&["quarantine", "list", "--json"]);
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone()
}

#[track_caller]
fn explained(setup: &Setup, arguments: &[&str]) -> String {
    let output = setup.run(&[&["explain"], arguments].concat());
    let told = String::from_utf8(output.stdout).unwrap();
    let expected = i32::from(!told.starts_with("ok "));
    assert_eq!(output.status.code(), Some(expected), "{told}{}", String::from_utf8_lossy(&output.stderr));
    for secret in setup.secrets() {
        assert!(!told.contains(&secret), "a secret is told: {told}");
    }
    told
}

/// What the doctor says of the one request that is kept.
#[track_caller]
fn kept(setup: &Setup) -> String {
    let entry = eventually("a kept request", || listed(setup).first().cloned());
    explained(setup, &[&entry["id"].to_string()])
}

fn causes(told: &str) -> Vec<&str> {
    told.lines().filter_map(|line| line.strip_prefix("cause    ")?.split(':').next()).collect()
}

/// The lines that `told` advises.
fn advised(told: &str) -> String {
    let (_, behind) = told.split_once("\nchange   ").unwrap_or_else(|| panic!("no change advised: {told}"));
    let lines: Vec<&str> = behind.lines().skip(1).map_while(|line| line.strip_prefix("    ")).collect();
    assert!(!lines.is_empty(), "{told}");
    lines.join("\n")
}

/// `keys` without those that `lines` set, then `lines`.
fn merged(keys: &str, lines: &str) -> String {
    let key = |line: &str| line.trim_start_matches("# and no ").split(" = ").next().unwrap_or_default().to_owned();
    let new: Vec<String> = lines.lines().map(key).collect();
    let kept: Vec<&str> = keys.lines().filter(|line| !new.contains(&key(line))).collect();
    [&kept.join("\n"), "\n", lines].concat()
}

/// A source, and a request that a sender makes for it again and again, differently each time.
struct Case {
    preset: &'static str,
    keys: String,
    secret: String,
    make: Box<dyn Fn() -> Request>,
    causes: &'static [&'static str],
}

impl Case {
    fn hmac(preset: &'static str, causes: &'static [&'static str], make: impl Fn() -> Request + 'static) -> Self {
        let keys = "secrets = [{ env = \"IT_SECRET\" }]".to_owned();
        Self { preset, keys, secret: secret_of(preset), make: Box::new(make), causes }
    }

    fn aws(causes: &'static [&'static str], make: impl Fn() -> Request + 'static) -> Self {
        let keys = format!(
            "region = \"{REGION}\"\nkeys = [{{ access_key_id = \"AKIDEXAMPLE\", secret = {{ env = \"IT_SECRET\" }} }}]"
        );
        Self { preset: "cxone", keys, secret: secret_of("cxone"), make: Box::new(make), causes }
    }

    fn setup(&self, keys: &str) -> Setup {
        Setup::new().source("one", self.preset, keys).env("IT_SECRET", &self.secret)
    }

    /// Refused, explained, configured as advised, checked, accepted.
    fn walk(&self) {
        let setup = self.setup(&self.keys);
        let daemon = setup.start();
        let refused = daemon.send(&(self.make)());
        assert!((400..500).contains(&refused.status), "{:?}: {refused:?}", self.causes);
        let told = kept(&setup);
        assert_eq!(causes(&told), self.causes, "{told}");
        assert!(told.starts_with(&format!("REFUSED  {}: ", refused.reason())), "{told}");
        drop(daemon);
        let mended = self.setup(&merged(&self.keys, &advised(&told)));
        let check = mended.run(&["check"]);
        assert_eq!(check.status.code(), Some(0), "{told}\n{}", String::from_utf8_lossy(&check.stderr));
        let daemon = mended.start();
        accepted(&daemon.send(&(self.make)()));
    }
}

/// A POST of an event to `path`, signed with `secret`: `content` from time and body, `headers` with `{mac}` and `{time}`.
fn signed(path: &str, secret: &[u8], content: &str, time: &str, headers: &[(&str, &str)]) -> Request {
    let body = String::from_utf8(event(&unique())).unwrap();
    let content = content.replace("{time}", time).replace("{body}", &body);
    let mac = mac(secret, content.as_bytes());
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &mac);
    let request = Request::post(path).header("Content-Type", "application/json").body(body.as_bytes());
    headers.iter().fold(request, |request, (name, value)| {
        let value = value.replace("{mac}", &hex::encode(&mac)).replace("{base64}", &base64).replace("{time}", time);
        request.header(name, &value)
    })
}

fn nice(content: &'static str, value: &'static str) -> impl Fn() -> Request {
    move || {
        let secret = secret_of("nice");
        signed("/webhooks/nice", secret.as_bytes(), content, &now().to_string(), &[("X-NICE-Signature", value)])
    }
}

const USUAL: &str = "v1={mac},t={time}";

#[test]
fn what_is_advised_about_the_signature_is_accepted() {
    let cases = [
        Case::hmac("nice", &["content-differs"], nice("{time}.{body}", USUAL)),
        Case::hmac("nice", &["content-differs"], nice("{time}{body}", USUAL)),
        Case::hmac("nice", &["content-differs"], nice("v0:{time}:{body}", USUAL)),
        Case::hmac("nice", &["signature-format"], nice("{body}", "v1={base64},t={time}")),
        Case::hmac("nice", &["signature-format"], nice("{body}", "s={mac}; ts={time}")),
        Case::hmac("nice", &["signature-format", "timestamp-missing"], nice("{body}", "sha256={mac}")),
        Case::hmac("nice", &["signature-elsewhere"], || {
            let headers = [("X-Hub-Signature-256", USUAL)];
            signed("/webhooks/nice", secret_of("nice").as_bytes(), "{body}", &now().to_string(), &headers)
        }),
        // A signature in Authorization is kept: without it there would be nothing to explain.
        Case::hmac("cognigy-callback", &["signature-elsewhere", "signature-format"], || {
            let body = crate::support::callback();
            let mac = hex::encode(mac(secret_of("cognigy-callback").as_bytes(), &body));
            Request::post("/webhook/cognigy/callback")
                .header("Content-Type", "application/json")
                .header("Authorization", &format!("HMAC-SHA256 {mac}"))
                .body(&body)
        }),
    ];
    for case in cases {
        case.walk();
    }
}

#[test]
fn what_is_advised_about_timestamp_and_id_is_accepted() {
    let standard = |content: &'static str, headers: &'static [(&str, &str)]| {
        move || {
            let id = unique();
            let content = content.replace("{id}", &id);
            let headers: Vec<(&str, String)> =
                headers.iter().map(|(name, value)| (*name, value.replace("{id}", &id))).collect();
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let secret = b"standard-webhooks-test-secret-0123456789";
            signed("/webhooks/standard", secret, &content, &now().to_string(), &headers)
        }
    };
    let cases = [
        Case::hmac("nice", &["time", "timestamp-unit"], || {
            let time = format!("{}000", now());
            signed("/webhooks/nice", secret_of("nice").as_bytes(), "{body}", &time, &[("X-NICE-Signature", USUAL)])
        }),
        Case::hmac("cognigy", &["timestamp-elsewhere"], || {
            let headers = [("X-Cognigy-Signature", "{mac}"), ("X-Sent-Timestamp", "{time}")];
            signed("/webhook/cognigy", secret_of("cognigy").as_bytes(), "{body}", &now().to_string(), &headers)
        }),
        Case::hmac(
            "standard-webhooks",
            &["content-differs"],
            standard(
                "{time}.{body}",
                &[("webhook-signature", "v1,{base64}"), ("webhook-timestamp", "{time}"), ("webhook-id", "{id}")],
            ),
        ),
        Case::hmac(
            "standard-webhooks",
            &["signature-elsewhere", "timestamp-elsewhere", "id-elsewhere"],
            standard(
                "{id}.{time}.{body}",
                &[("svix-signature", "v1,{base64}"), ("svix-timestamp", "{time}"), ("svix-id", "{id}")],
            ),
        ),
    ];
    for case in cases {
        case.walk();
    }
}

#[test]
fn what_is_advised_about_secrets_and_algorithms_is_accepted() {
    let hex_secret = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let with = |secret: &[u8]| {
        let secret = secret.to_vec();
        move || signed("/webhooks/nice", &secret, "{body}", &now().to_string(), &[("X-NICE-Signature", USUAL)])
    };
    let decoded = hex::decode(hex_secret).unwrap();
    let from_base64 = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, hex_secret).unwrap();
    let sha1 = || {
        let body = event(&unique());
        let mut mac = <hmac::Hmac<sha1::Sha1> as hmac::KeyInit>::new_from_slice(secret_of("nice").as_bytes()).unwrap();
        hmac::Mac::update(&mut mac, &body);
        let value = format!("v1={},t={}", hex::encode(hmac::Mac::finalize(mac).into_bytes()), now());
        Request::post("/webhooks/nice")
            .header("Content-Type", "application/json")
            .header("X-NICE-Signature", &value)
            .body(&body)
    };
    let encoded = |make: Box<dyn Fn() -> Request>| Case {
        preset: "nice",
        keys: "secrets = [{ env = \"IT_SECRET\" }]".to_owned(),
        secret: hex_secret.to_owned(),
        make,
        causes: &["secret-encoded"],
    };
    encoded(Box::new(with(&decoded))).walk();
    encoded(Box::new(with(&from_base64))).walk();
    Case::hmac("nice", &["other-algorithm"], sha1).walk();
}

#[test]
fn what_is_advised_about_an_aws_signature_is_accepted() {
    let signer = |change: fn(&mut Signer)| {
        let mut signer = Signer::of("cxone");
        change(&mut signer);
        signer.sign(event(&unique()))
    };
    let cases = [
        Case::aws(&["other-region"], move || signer(|signer| "us-east-1".clone_into(&mut signer.region))),
        Case::aws(&["other-service"], move || signer(|signer| "lambda".clone_into(&mut signer.service))),
        Case::aws(&["header-unsigned"], move || signer(|_| {}).header("X-Amz-Meta-Edge", "1")),
        Case::aws(&["other-region", "header-unsigned"], move || {
            signer(|signer| "us-east-1".clone_into(&mut signer.region)).header("X-Amz-Meta-Edge", "1")
        }),
    ];
    for case in cases {
        case.walk();
    }
}

/// Sends over HTTP/2 and gives what the doctor says.
fn over_http_2(request: &Request, status: u16) -> String {
    let setup = Setup::new().preset("cxone");
    let daemon: Daemon = setup.start();
    assert_eq!(Http2::open(&daemon).ask(request).unwrap().status, status);
    kept(&setup)
}

#[test]
fn a_request_of_http_2_keeps_its_host() {
    let host = |host: &str| {
        let mut signer = Signer::of("cxone");
        host.clone_into(&mut signer.host);
        signer
    };
    let late = over_http_2(&host("hooks.example.test:8443").shifted(-4000).sign(event(&unique())), 401);
    assert!(late.starts_with("REFUSED  timestamp_expired: "), "{late}");
    assert!(
        late.contains("\nsigned   the signature holds: ") && !late.contains("REFUSED  signature_mismatch"),
        "{late}"
    );
    let moved = host("hooks.example.test").sign(event(&unique())).set("Host", "hooks.example.test:8443");
    let told = over_http_2(&moved, 401);
    assert_eq!(causes(&told), ["host-changed"], "{told}");
    assert!(told.contains("it signed hooks.example.test, and hooks.example.test:8443 arrived"), "{told}");
    assert!(told.contains("    host:hooks.example.test:8443"), "{told}");
    let tampered = over_http_2(&host("hooks.example.test").sign(event(&unique())).body(&nameless()), 401);
    assert_eq!(causes(&tampered), ["nothing-fits"], "{tampered}");
}

#[test]
fn a_raw_request_is_explained_with_its_repeated_headers() {
    let setup = Setup::new().preset("nice").preset("cxone");
    let file = |request: &Request| {
        std::fs::write(setup.path("request"), request.bytes()).unwrap();
        setup.path("request").display().to_string()
    };
    let nice = Signer::of("nice").sign(event(&unique()));
    let good = explained(&setup, &["--request", &file(&nice)]);
    assert!(good.starts_with("ok       ") && good.contains("the signature holds"), "{good}");
    let twice = explained(&setup, &["--request", &file(&nice.clone().header("X-NICE-Signature", "v1=00,t=1"))]);
    assert!(twice.starts_with("REFUSED  invalid_timestamp_format") && causes(&twice) == ["signature-twice"], "{twice}");
    let coded = nice.clone().header("Content-Encoding", "gzip");
    let coded = explained(&setup, &["--request", &file(&coded)]);
    assert!(coded.starts_with("REFUSED  unsupported_media_type: Content-Encoding"), "{coded}");
    let chunked = nice.chunked_bytes(7);
    std::fs::write(setup.path("request"), chunked).unwrap();
    let chunked = explained(&setup, &["--request", &setup.path("request").display().to_string()]);
    assert!(chunked.starts_with("ok       "), "{chunked}");
    let cxone = Signer::of("cxone").sign(event(&unique()));
    let stage = cxone.at("/prod/webhooks/cxone");
    let stage = explained(&setup, &["--source", "cxone", "--request", &file(&stage)]);
    assert_eq!(causes(&stage), ["path-prefix-added"], "{stage}");
}

#[test]
fn a_raw_request_is_judged_by_the_time_that_is_said_and_told_as_json() {
    let setup = Setup::new().preset("nice");
    let request = Signer::of("nice").shifted(-86_400).sign(event(&unique()));
    std::fs::write(setup.path("request"), request.bytes()).unwrap();
    let file = setup.path("request").display().to_string();
    let told = |more: &[&str]| {
        let output = setup.run(&[&["explain", "--request", &file, "--json"], more].concat());
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (code, late) = told(&[]);
    assert_eq!((code, &late["refused"]["reason"]), (Some(1), &"timestamp_expired".into()), "{late}");
    let (code, then) = told(&["--at", "1d"]);
    assert_eq!((code, &then["refused"], &then["source"]), (Some(0), &Value::Null, &"nice".into()), "{then}");
    let kept = setup.run(&["explain", "1", "--at", "1d"]);
    assert_eq!(kept.status.code(), Some(64), "a kept request has a time of its own");
}
