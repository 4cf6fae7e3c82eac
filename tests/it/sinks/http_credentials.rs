//! How the http sink says who sends: headers of any name, Basic, an OAuth 2.0 token, a client certificate.

use std::path::Path;

use gatepost::sink::{Delivered, Retry, Settings, SinkError, build};
use http::StatusCode;
use serde_json::Value;

use crate::support::certs::{Ca, Leaf};
use crate::support::dispatch_memory::event;
use crate::support::sink_upstream::{Reply, Upstream, attempt, settings_with};
use crate::support::{Setup, Signer, accepted, eventually, unique};

async fn deliver(settings: &Settings) -> Result<Delivered, SinkError> {
    build(settings).ok().unwrap().deliver(&event("e1", b"{}"), attempt(1)).await
}

/// What `check` says of an http sink with `keys`, and whether it is content.
fn checked(keys: &str) -> (String, bool) {
    let sink = format!("[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"http://127.0.0.1:1/\"\n{keys}\n");
    let output = Setup::new().preset("nice").block(&sink).run(&["check"]);
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.success())
}

#[tokio::test]
async fn headers_of_any_name_are_sent_as_they_stand() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let keys = "headers = { X-Api-Key = { value = 'k3y' }, 'X-Env' = 'prod, eu', Authorization = 'ApiKey abc' }";
    deliver(&settings_with("http", &upstream.url(), keys)).await.unwrap();
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.header("x-api-key"), Some("k3y"));
    assert_eq!(seen.header("x-env"), Some("prod, eu"));
    assert_eq!(seen.header("authorization"), Some("ApiKey abc"));
    assert_eq!(seen.header("ce-id"), Some("bot-a:e1"));
}

#[tokio::test]
async fn user_and_password_are_sent_as_basic() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let keys = "basic = { user = 'gäte', password = { value = 'p:ß' } }";
    deliver(&settings_with("http", &upstream.url(), keys)).await.unwrap();
    // printf 'gäte:p:ß' | base64
    assert_eq!(upstream.seen()[0].header("authorization"), Some("Basic Z8OkdGU6cDrDnw=="));
}

#[test]
fn check_shows_what_is_no_secret_and_where_the_others_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("key");
    std::fs::write(&secret, "hunter2-hunter2\n").unwrap();
    let file = format!("{{ file = {:?} }}", secret.display().to_string());
    let keys = format!(
        "headers = {{ X-Api-Key = {file}, X-Env = \"prod\" }}\nbasic = {{ user = \"gatepost\", password = {file} }}"
    );
    let (text, good) = checked(&keys);
    assert!(good, "{text}");
    let from = format!("[redacted] from file {}", secret.display());
    assert!(text.contains(&format!("headers = {{ \"X-Api-Key\" = {from:?}, \"X-Env\" = \"prod\" }}\n")), "{text}");
    assert!(text.contains(&format!("basic = {{ user = \"gatepost\", password = {from:?} }}\n")), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn what_is_wrong_is_told_all_at_once_with_its_place() {
    let keys = "token = { value = \"hunter2-token\" }\nbasic = { user = \"a:b\", password = { env = \"NOT_SET\" } }\n\
        headers = { Host = \"x\", X-A = \"hunter2\\n\", X-B = { file = \"/nonexistent/key\" } }\n";
    let (text, good) = checked(keys);
    assert!(!good);
    for line in [
        "sink[0].basic: is set beside `token`",
        "sink[0].basic.user: expected a name without colons",
        "sink[0].basic.password: the variable NOT_SET is not set",
        "sink[0].headers.Host: belongs to the connection",
        "sink[0].headers.X-A: cannot be sent",
        "sink[0].headers.X-B: cannot read the secret from /nonexistent/key",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

/// The files of a client's certificate in `folder`.
fn client_files(folder: &Path, leaf: &Leaf) -> String {
    let (cert, key) = leaf.write(folder);
    format!("client_cert_file = {:?}\nclient_key_file = {:?}\n", cert.display().to_string(), key.display().to_string())
}

#[tokio::test]
async fn a_client_certificate_is_presented_and_nothing_is_taken_without() {
    let (folder, clients) = (tempfile::tempdir().unwrap(), Ca::new());
    let ca = folder.path().join("ca.pem");
    let upstream = Upstream::start_mutual_tls(&ca, &clients, |_, _| Reply::status(200));
    let url = format!("https://localhost:{}/", upstream.address.port());
    let trusting = format!("ca_file = {:?}\n", ca.display().to_string());
    let with = |leaf: &Leaf| settings_with("http", &url, &format!("{trusting}{}", client_files(folder.path(), leaf)));
    assert_eq!(deliver(&with(&clients.leaf(1))).await, Ok(Delivered::Answered(StatusCode::OK)));
    for wrong in [with(&Ca::new().leaf(1)), settings_with("http", &url, &trusting)] {
        let error = deliver(&wrong).await.unwrap_err();
        assert_eq!(error.retry, Retry::Backoff, "{error}");
    }
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_client_certificate_that_changes_is_presented_from_then_on() {
    let clients = [Ca::new(), Ca::new()];
    let setup = Setup::new().preset("nice");
    let ca = setup.path("sink-ca.pem");
    let upstream = Upstream::start_mutual_tls(&ca, &clients[1], |_, _| Reply::status(200));
    let folder = setup.path("client");
    std::fs::create_dir(&folder).unwrap();
    let sink = format!(
        "[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"https://localhost:{}/\"\nca_file = {:?}\n{}",
        upstream.address.port(),
        ca.display().to_string(),
        client_files(&folder, &clients[0].leaf(1))
    );
    let setup = setup.block(&sink);
    let daemon = setup.start();
    accepted(&daemon.send(&Signer::of("nice").sign(crate::support::event(&unique()))));
    let failed = |record: &Value| record["sink"] == "orders" && record["error"].is_string();
    eventually("a failed attempt", || daemon.logs().into_iter().find(failed));
    // The files are watched: nobody says that they changed.
    client_files(&folder, &clients[1].leaf(2));
    eventually("the delivery", || (upstream.count() == 1).then_some(()));
}

#[test]
fn a_client_certificate_that_cannot_be_presented_is_refused_at_its_key() {
    let (folder, ca) = (tempfile::tempdir().unwrap(), Ca::new());
    let good = client_files(folder.path(), &ca.leaf(1));
    let other = folder.path().join("other.key");
    std::fs::write(&other, ca.leaf(2).key).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (first, second) = good.split_once('\n').unwrap();
    for (keys, line) in [
        (first.to_owned(), "sink[0].client_key_file: is missing beside client_cert_file"),
        (second.to_owned(), "sink[0].client_cert_file: is missing beside client_key_file"),
        (good.replace("tls.crt", "none.crt"), "sink[0].client_cert_file: "),
        (good.replace("tls.crt", "tls.key"), "holds no PEM certificate"),
        (good.replace("tls.key", "tls.crt"), "holds no PEM private key"),
        (good.replace("tls.key", "other.key"), "other.key does not belong to client_cert_file"),
        (good.replace(&path("tls.key"), ""), "sink[0].client_key_file: expected the path of a file"),
    ] {
        let sink = format!("[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"https://h/\"\n{keys}\n");
        let output = Setup::new().preset("nice").block(&sink).run(&["check"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(line), "{line}\n{text}");
    }
    let (text, good) = checked(&good);
    assert!(good && text.contains("client_cert_file: is not presented, because the URL begins with http://"), "{text}");
}
