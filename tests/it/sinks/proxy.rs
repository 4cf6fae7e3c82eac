//! Outbound proxies: how http and sqs sinks and the SIEM get through one, what stops them, and what `check` says.

use std::net::SocketAddr;
use std::path::Path;

use gatepost::sink::{Delivered, Retry, Settings, SinkError, build};

use crate::support::dispatch_memory::event;
use crate::support::proxy::{Policy, Proxy};
use crate::support::sink_upstream::{Reply, Upstream, attempt, nowhere, server_config, settings_with};
use crate::support::{self, Setup, Signer, unique};

/// `printf 'us@er:hunter2hunter2' | base64`
const SHOWN: &str = "Basic dXNAZXI6aHVudGVyMmh1bnRlcjI=";
const USER: &str = "us%40er:hunter2hunter2";
const PASSWORD: &str = "hunter2hunter2";

fn through(proxy: &str, url: &str) -> Settings {
    trusting(proxy, url, None)
}

fn trusting(proxy: &str, url: &str, ca: Option<&Path>) -> Settings {
    let ca = ca.map(|ca| format!("ca_file = {:?}", ca.display().to_string()));
    settings_with("http", url, &format!("proxy = '{proxy}'\n{}", ca.unwrap_or_default()))
}

async fn deliver(settings: &Settings) -> Result<Delivered, SinkError> {
    build(settings).ok().unwrap().deliver(&event("e1", b"{}"), attempt(1)).await
}

fn upstream() -> Upstream {
    Upstream::start(|_, _| Reply::status(200))
}

#[tokio::test]
async fn an_https_sink_gets_a_tunnel_and_a_http_sink_is_forwarded() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let (plain, encrypted) = (upstream(), Upstream::start_tls(&ca, |_, _| Reply::status(200)));
    let proxy = Proxy::start(Policy::Wants(SHOWN));
    let with_user = format!("http://{USER}@{}", proxy.address);

    let place = format!("localhost:{}", encrypted.address.port());
    deliver(&trusting(&with_user, &format!("https://{place}/events"), Some(&ca))).await.unwrap();
    let head = proxy.heads().remove(0);
    assert!(head.starts_with(&format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n")), "{head}");
    assert_eq!(encrypted.seen()[0].line, "POST /events HTTP/1.1");

    deliver(&through(&with_user, &plain.url())).await.unwrap();
    assert_eq!(proxy.lines()[1], format!("POST http://{}/events HTTP/1.1", plain.address));
    for seen in [encrypted.seen(), plain.seen()].concat() {
        assert_eq!(seen.body, b"{}");
        assert_eq!(seen.header("proxy-authorization"), None, "the proxy's password is not the sink's business");
    }
}

#[tokio::test]
async fn a_proxy_may_speak_tls_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, own, both) = (folder.path().join("ca"), folder.path().join("own"), folder.path().join("both"));
    let encrypted = Upstream::start_tls(&ca, |_, _| Reply::status(200));
    let proxy = Proxy::start_tls(Policy::Open, server_config(&own));
    std::fs::write(&both, [std::fs::read(&ca).unwrap(), std::fs::read(&own).unwrap()].concat()).unwrap();
    let plain = upstream();
    for url in [format!("https://localhost:{}/", encrypted.address.port()), plain.url()] {
        let by = format!("https://localhost:{}", proxy.address.port());
        deliver(&trusting(&by, &url, Some(&both))).await.unwrap();
        let error = deliver(&trusting(&by, &url, Some(&ca))).await.unwrap_err();
        assert!(error.message.contains("certificate"), "{error}");
    }
    assert_eq!((encrypted.count(), plain.count(), proxy.heads().len()), (1, 1, 2));
}

#[tokio::test]
async fn what_a_proxy_refuses_is_tried_again_and_said_to_be_the_proxys() {
    let plain = upstream();
    let encrypted = "https://localhost:1/".to_owned();
    let wants = Proxy::start(Policy::Wants(SHOWN));
    for url in [plain.url(), encrypted.clone()] {
        for user in ["", "us%40er:another2password@"] {
            let error = deliver(&through(&format!("http://{user}{}", wants.address), &url)).await.unwrap_err();
            assert_eq!(error.retry, Retry::Backoff);
            let (place, message) = (wants.address.to_string(), &error.message);
            assert!(message.contains("proxy") && message.contains("407") && message.contains(&place), "{message}");
            assert!(!message.contains("another2password"), "{message}");
        }
    }
    let refuses = Proxy::start(Policy::Refuses);
    let down = nowhere();
    for (proxy, url) in [(refuses.address, encrypted.clone()), (down, encrypted), (down, plain.url())] {
        let error = deliver(&through(&format!("http://{USER}@{proxy}"), &url)).await.unwrap_err();
        assert_eq!(error.retry, Retry::Backoff);
        assert!(error.message.contains(&format!("proxy http://[redacted]@{proxy} ")), "{error}");
        assert!(!error.message.contains(PASSWORD), "{error}");
    }
    assert_eq!(plain.count(), 0);
}

fn sink(kind: &str, name: &str, url: &str, rest: &str) -> String {
    format!("[[sink]]\nname = \"{name}\"\ntype = \"{kind}\"\nurl = \"{url}\"\n{rest}\n")
}

fn siem(setup: Setup, upstream: &Upstream) -> Setup {
    setup.set("siem", "url", &format!("\"http://{}/audit\"", upstream.address))
}

#[test]
fn the_variables_are_for_sinks_and_siem_but_what_no_proxy_names() {
    let (first, direct, siem_side, forward) = (upstream(), upstream(), upstream(), upstream());
    let proxy = Proxy::start(Policy::Wants(SHOWN));
    let setup = siem(Setup::new().preset("nice"), &siem_side)
        .block(&sink("http", "first", &first.url(), ""))
        .block(&sink("http", "direct", &direct.url(), ""))
        .env("GATEPOST_FORWARD_URL", &forward.url())
        .env("HTTP_PROXY", &format!("http://{USER}@{}", proxy.address))
        .env("no_proxy", &format!("192.0.2.0/24, .internal, 127.0.0.1:{}", direct.address.port()));
    let daemon = setup.start();
    assert_eq!(daemon.send(&Signer::of("nice").sign(support::event(&unique()))).status, 200);
    for upstream in [&first, &direct, &siem_side, &forward] {
        support::eventually("a request", || (upstream.count() > 0).then_some(()));
    }
    let lines = proxy.lines();
    let forwarded = |to: SocketAddr| lines.iter().any(|line| line.starts_with(&format!("POST http://{to}/")));
    assert!(forwarded(first.address) && forwarded(siem_side.address) && forwarded(forward.address), "{lines:?}");
    assert!(!forwarded(direct.address), "{lines:?}");
    let said = format!("{}{}", daemon.out(), daemon.err());
    assert!(!said.contains(PASSWORD), "{said}");
    drop(daemon);

    let output = setup.run(&["check"]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    let shown = format!("proxy = \"http://[redacted]@{} from variable HTTP_PROXY\"", proxy.address);
    assert_eq!(said.matches(&shown).count(), 3, "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
}

#[test]
fn a_sinks_own_proxy_wins_and_may_be_kept_in_a_file() {
    let (sinks, audit) = (upstream(), upstream());
    let (own, of_siem, unused) =
        (Proxy::start(Policy::Wants(SHOWN)), Proxy::start(Policy::Open), Proxy::start(Policy::Open));
    let setup = siem(Setup::new().preset("nice"), &audit);
    let file = setup.write("proxy", &format!("http://{USER}@{}\n", own.address));
    let setup = setup
        .block(&sink("http", "orders", &sinks.url(), &format!("proxy = {{ file = {file} }}")))
        .set("siem", "proxy", &format!("\"http://{}\"", of_siem.address))
        .env("ALL_PROXY", &format!("http://{}", unused.address))
        .env("NO_PROXY", "*");
    let daemon = setup.start();
    assert_eq!(daemon.send(&Signer::of("nice").sign(support::event(&unique()))).status, 200);
    for upstream in [&sinks, &audit] {
        support::eventually("a request", || (upstream.count() > 0).then_some(()));
    }
    assert!(own.heads().len() == 1 && !of_siem.heads().is_empty() && unused.heads().is_empty());
    drop(daemon);
    let output = setup.run(&["check"]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(said.contains(&format!("proxy = \"http://[redacted]@{} from file ", own.address)), "{said}");
    assert!(said.contains(&format!("proxy = \"http://{}\"", of_siem.address)), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
}

#[cfg(feature = "sqs")]
#[test]
fn sqs_goes_through_it_and_credentials_of_this_machine_do_not() {
    let queue = Upstream::start(|_, _| Reply::Status(200, "", b"{}".to_vec()));
    let credentials = Upstream::start(|_, _| {
        let body =
            r#"{"AccessKeyId":"ASIAPROXY","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"}"#;
        Reply::Status(200, "Content-Type: application/json\r\n", body.as_bytes().to_vec())
    });
    let proxy = Proxy::start(Policy::Open);
    let daemon = Setup::new()
        .preset("nice")
        .block(&sink("sqs", "orders", &format!("http://{}/1/orders", queue.address), ""))
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("http://{}/creds", credentials.address))
        .env("http_proxy", &proxy.address.to_string())
        .start();
    assert_eq!(daemon.send(&Signer::of("nice").sign(support::event(&unique()))).status, 200);
    support::eventually("a message", || (queue.count() == 1).then_some(()));
    assert_eq!(credentials.count(), 1);
    assert_eq!(proxy.lines(), [format!("POST http://{}/ HTTP/1.1", queue.address)]);
}

#[test]
fn what_is_no_proxy_is_a_fault_that_names_where_it_stands() {
    let web = |rest: &str| sink("http", "orders", "https://orders.internal/", rest);
    for (variable, value) in [
        ("HTTPS_PROXY", "socks5://us:hunter2hunter2@proxy:1080"),
        ("https_proxy", "http://us:hunter2hunter2@proxy:0"),
        ("HTTP_PROXY", "ftp://proxy"),
        ("ALL_PROXY", "http://proxy/path"),
    ] {
        let output = Setup::new().preset("nice").block(&web("")).env(variable, value).run(&["check"]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(&format!("{variable}: ")) && !said.contains(PASSWORD), "{said}");
    }
    let output = Setup::new().preset("nice").block(&web("proxy = \"socks5://us:hunter2hunter2@p:1\"")).run(&["check"]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!output.status.success() && said.contains("sink[0].proxy: ") && said.contains("SOCKS"), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    // Nobody here would use it.
    assert!(Setup::new().preset("nice").env("HTTPS_PROXY", "socks5://proxy").run(&["check"]).status.success());
}

#[cfg(feature = "nats")]
#[test]
fn nats_goes_through_no_http_proxy_and_check_says_so() {
    let nats = |rest: &str| Setup::new().preset("nice").block(&sink("nats", "bus", "nats://bus.internal:4222", rest));
    let output = nats("").env("HTTPS_PROXY", "http://proxy:3128").run(&["check"]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("NATS does not go through an HTTP proxy") && said.contains("HTTPS_PROXY"), "{said}");
    assert!(!said.contains("proxy = "), "{said}");
    let output = nats("").env("HTTPS_PROXY", "http://proxy:3128").env("NO_PROXY", ".internal").run(&["check"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("NATS"), "{output:?}");
    let output = nats("proxy = \"http://proxy:3128\"").run(&["check"]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!output.status.success() && said.contains("sink[0].proxy: NATS"), "{said}");
}
