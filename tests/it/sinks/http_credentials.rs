//! How the http sink says who sends: headers of any name, Basic, an OAuth 2.0 token, a client certificate.

use gatepost::sink::{Delivered, Settings, SinkError, build};

use crate::support::Setup;
use crate::support::dispatch_memory::event;
use crate::support::sink_upstream::{Reply, Upstream, attempt, settings_with};

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
