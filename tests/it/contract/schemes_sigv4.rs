//! What real AWS senders and the proxies before them do to a signed request: contract and verification.md, SigV4.
//!
//! Signed by the AWS SDK's signer. The other reading of a raw plus has no such signer: it is signed as `%2B`.

use http::Version;
use sha2::Digest as _;

use crate::support::http2::Http2;
use crate::support::{Daemon, Request, Setup, Signer, assert_refusal, event, sign, unique};

fn daemon() -> Daemon {
    Setup::new().preset("cxone").preset("nice").start()
}

fn cxone() -> Request {
    Signer::of("cxone").sign(event(&unique()))
}

#[track_caller]
fn taken(daemon: &Daemon, what: &str, request: &Request) {
    let response = daemon.send(request);
    assert_eq!(response.status, 200, "{what}: {response:?}");
}

#[track_caller]
fn mismatch(daemon: &Daemon, what: &str, request: &Request) {
    let response = daemon.send(request);
    assert_eq!(response.reason(), "signature_mismatch", "{what}: {response:?}");
    assert_refusal(&response, 401, "signature_mismatch");
}

#[test]
fn what_proxies_add_may_arrive_unsigned() {
    let daemon = daemon();
    taken(&daemon, "CloudFront", &cxone().header("X-Amz-Cf-Id", "8xNvVz2M_n9w=="));
    taken(&daemon, "a load balancer", &cxone().header("X-Amzn-Trace-Id", "Root=1-5759e988"));
    for name in ["X-Amz-Cf-Pop", "X-Amz-Cf-Id2", "X-Amz-Meta-A", "X-Amz-User-Agent"] {
        mismatch(&daemon, name, &cxone().header(name, "x"));
    }
    let signer = Signer::of("cxone");
    let draft = Request::post(&signer.target).header("Host", sign::HOST).header("Content-Type", "application/json");
    let request = signer.sign_v4(draft.header("X-Amz-Cf-Id", "a").body(&event(&unique())));
    taken(&daemon, "signed all the same", &request);
    mismatch(&daemon, "signed and changed", &request.set("X-Amz-Cf-Id", "b"));
}

#[test]
fn a_hash_of_the_body_may_arrive_unsigned_where_it_is_right() {
    let daemon = daemon();
    let with = |hash: &dyn Fn(&str) -> String| {
        let request = cxone();
        let right = hex::encode(sha2::Sha256::digest(&request.body));
        request.header("x-amz-content-sha256", &hash(&right))
    };
    taken(&daemon, "right", &with(&|right| right.to_owned()));
    for (what, wrong) in [
        ("upper case", with(&str::to_uppercase)),
        ("cut", with(&|right| right[..63].to_owned())),
        ("of another body", with(&|_| "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned())),
        ("unhashed", with(&|_| "UNSIGNED-PAYLOAD".to_owned())),
        ("in chunks", with(&|_| "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned())),
        ("empty", with(&|_| String::new())),
    ] {
        mismatch(&daemon, what, &wrong);
    }
    let once = with(&|right| right.to_owned());
    let again = once.get("x-amz-content-sha256").to_owned();
    mismatch(&daemon, "twice", &once.header("x-amz-content-sha256", &again));
}

#[test]
fn an_operator_names_further_headers_that_may_arrive_unsigned() {
    let names = "unsigned_headers = [\"x-amz-edge\", \"x-amz-other\"]";
    let daemon = Setup::new().preset_at("cxone", "cxone", "/webhooks/cxone", names).start();
    taken(&daemon, "one", &cxone().header("X-Amz-Edge", "a"));
    taken(&daemon, "one, twice", &cxone().header("X-Amz-Edge", "a").header("X-Amz-Edge", "b"));
    taken(&daemon, "both", &cxone().header("X-Amz-Edge", "a").header("X-Amz-Other", "b"));
    mismatch(&daemon, "another", &cxone().header("X-Amz-Edges", "a"));
    mismatch(&daemon, "a token", &cxone().header("X-Amz-Security-Token", "a"));
}

#[test]
fn what_can_never_be_left_unsigned_is_a_fault() {
    let check = |rest: &str| {
        let setup = Setup::new().preset_at("a", "cxone", "/a", rest);
        let output = setup.run(&["check"]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for name in ["x-amz-date", "x-amz-security-token", "authorization", "host", "content-type", "no header", ""] {
        let (status, said) = check(&format!("unsigned_headers = [\"x-amz-cf-id\", \"{name}\"]"));
        assert!(status == Some(64) && said.contains("source[0].unsigned_headers"), "{name}: {said}");
    }
    for (id, more) in
        [("x-amz-cf-id", ""), ("x-amz-edge", "unsigned_headers = [\"x-amz-edge\"]"), ("x-amzn-trace-id", "")]
    {
        let (status, said) = check(&format!("event_id = \"header:{id}\"\n{more}"));
        assert!(status == Some(64) && said.contains("source[0].event_id"), "{id}: {said}");
    }
    assert_eq!(check("unsigned_headers = [\"x-amz-edge\"]\nevent_id = \"header:x-amz-event\"").0, Some(0));
    let hmac = Setup::new().preset_at("a", "nice", "/a", "unsigned_headers = [\"x-amz-edge\"]").run(&["check"]);
    assert!(String::from_utf8_lossy(&hmac.stderr).contains("source[0].unsigned_headers"));
}

#[test]
fn a_raw_plus_is_a_blank_or_a_plus() {
    let daemon = daemon();
    let sent = |signed: &str, sent: &str| {
        let signer = Signer::of("cxone").target(&format!("/webhooks/cxone?{signed}"));
        signer.sign(event(&unique())).at(&format!("/webhooks/cxone?{sent}"))
    };
    for (signed, raw) in [
        ("q=a%20b", "q=a+b"),
        ("q=a%2Bb", "q=a+b"),
        ("q=a%20b%2Bc", "q=a+b%2Bc"),
        ("a%20b=1&a=2", "a+b=1&a=2"),
        ("a%2Bb=1&a%20c=2", "a+b=1&a%20c=2"),
        ("q=%20%20&r=%20", "q=++&r=+"),
    ] {
        taken(&daemon, raw, &sent(signed, raw));
    }
    // What the SDK itself makes of it: it reads a blank.
    taken(&daemon, "the SDK's own", &Signer::of("cxone").target("/webhooks/cxone?q=a+b").sign(event(&unique())));
    for (signed, raw) in [
        ("q=a%20b&r=c%2Bd", "q=a+b&r=c+d"),
        ("q=ab", "q=a+b"),
        ("q=a%20b", "q=a%2Bb"),
        ("q=a%2Bb", "q=a%20b"),
        ("q=a%252Bb", "q=a+b"),
    ] {
        mismatch(&daemon, raw, &sent(signed, raw));
    }
    let other = Signer::of("cxone").secret("another-secret-0123456789").target("/webhooks/cxone?q=a%20b");
    mismatch(&daemon, "another key", &other.sign(event(&unique())).at("/webhooks/cxone?q=a+b"));
}

const BAD_HOSTS: [&str; 15] = [
    "a b",
    "hooks.example.test/",
    "hooks.example.test/x",
    "user@hooks.example.test",
    "http://hooks.example.test",
    "hooks.example.test?",
    "hooks.example.test#x",
    "hooks.example.test:https",
    "hooks.example.test:65536",
    "hooks.example.test:443:443",
    "hooks\texample",
    "[::1",
    "[::g]",
    "::1",
    "a\\b",
];

#[test]
fn a_malformed_host_is_refused_on_every_route_signed_or_not() {
    let daemon = daemon();
    for host in BAD_HOSTS {
        for preset in ["cxone", "nice"] {
            let request = Signer::of(preset).sign(event(&unique())).set("Host", host);
            assert_refusal(&daemon.send(&request), 400, "bad_request");
        }
        for target in ["/nowhere", "/healthz"] {
            let response = daemon.send(&Request::new("GET", target).header("Host", host));
            assert!(response.status == 400, "{host} {target}: {response:?}");
        }
    }
    let lines = daemon.access().into_iter().filter(|record| record["reason"] == "bad_request").count();
    assert!(lines >= BAD_HOSTS.len() * 2, "each of them has a record: {lines}");
    for host in ["hooks.example.test", "HOOKS.example.test:8443", "192.0.2.1:1", "[2001:db8::1]:8443", "a_b"] {
        let mut signer = Signer::of("cxone");
        signer.host = host.to_owned();
        taken(&daemon, host, &signer.sign(event(&unique())));
        assert_eq!(daemon.send(&Request::new("GET", "/healthz").header("Host", host)).status, 200, "{host}");
    }
}

#[test]
fn a_malformed_authority_is_refused_over_http_2_and_in_absolute_form() {
    let daemon = daemon();
    let nice = || Signer::of("nice").sign(event(&unique()));
    let mut http2 = Http2::open(&daemon);
    let head = |uri: &str, host: Option<&str>| {
        let request = nice();
        let mut head = http::Request::post(uri).version(Version::HTTP_2);
        for (name, value) in request.headers.iter().filter(|(name, _)| name != "Host") {
            head = head.header(name, value);
        }
        if let Some(host) = host {
            head = head.header("host", host);
        }
        (head.body(()).unwrap(), request.body)
    };
    for authority in ["user@hooks.example.test", "u:p@hooks.example.test:1"] {
        let (head, body) = head(&format!("https://{authority}/webhooks/nice"), None);
        // The frame layer may refuse it before we see it; what is answered is a refusal.
        if let Ok(response) = http2.ask_with(head, &body, None) {
            assert_refusal(&response, 400, "bad_request");
        }
        let absolute = nice().at(&format!("http://{authority}/webhooks/nice"));
        assert_eq!(daemon.send(&absolute).status, 400, "{authority}");
    }
    let (good, body) = head("https://hooks.example.test:8443/webhooks/nice", Some("hooks.example.test:8443"));
    assert_eq!(Http2::open(&daemon).ask_with(good, &body, None).unwrap().status, 200);
}
