//! What sinks are told: what all are, what the variables add, and what is wrong with it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::settings::SinkType;
use super::{Settings, build, read as read_all};
use crate::settings::{Diagnostics, Table};

fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The sinks of `file`, and what is wrong with them.
fn sinks(file: &str, pairs: &[(&str, &str)]) -> (Vec<Settings>, Vec<String>) {
    let vars = vars(pairs);
    let mut diagnostics = Diagnostics::new(&vars);
    let sinks = read_all(&mut Table::new("", "", file.parse().unwrap()), &mut diagnostics);
    (sinks, diagnostics.errors.iter().map(ToString::to_string).collect())
}

/// The one sink of `keys`, all of which are right.
pub(super) fn sink(keys: &str) -> Settings {
    let (mut sinks, errors) = sinks(&format!("[[sink]]\n{keys}"), &[]);
    assert_eq!(errors, Vec::<String>::new());
    sinks.remove(0)
}

/// What `keys` say of a sink of type `T`, and what all sinks are told by default.
pub(super) fn read<T: SinkType>(keys: &str, pairs: &[(&str, &str)]) -> (T, Settings) {
    let vars = vars(pairs);
    let mut diagnostics = Diagnostics::new(&vars);
    let own = T::read(Some(&"orders".into()), &mut Table::new("", "", keys.parse().unwrap()), &mut diagnostics);
    assert_eq!(diagnostics.errors, []);
    (own.unwrap(), sink("name = 'orders'\ntype = 'http'\nurl = 'http://127.0.0.1:1/'\n"))
}

/// The keys that `keys` get wrong for a sink of type `T`.
pub(super) fn wrong<T: SinkType>(keys: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let vars = vars(pairs);
    let mut diagnostics = Diagnostics::new(&vars);
    T::read(Some(&"orders".into()), &mut Table::new("", "", keys.parse().unwrap()), &mut diagnostics);
    diagnostics.errors.into_iter().map(|error| error.at).collect()
}

const ORDERS: &str = "name = 'orders'\ntype = 'http'\nurl = 'http://127.0.0.1:1/'\n";

#[test]
fn filters_are_exact_or_prefixes() {
    let mut settings = sink(ORDERS);
    assert!(settings.takes("anything") && settings.takes(""));
    settings.event_types = vec!["order.created".into(), "user.*".into()];
    assert!(settings.takes("order.created") && settings.takes("user.") && settings.takes("user.deleted"));
    assert!(!settings.takes("order.created.x") && !settings.takes("user") && !settings.takes("a.user.b"));
    settings.event_types = vec!["*".into()];
    assert!(settings.takes(""));
}

#[test]
fn a_type_that_is_unknown_or_missing_is_named_and_the_rest_not_read() {
    let (_, errors) = sinks("[[sink]]\nname = 'a'\ntype = 'kafka'\nurl = 'x'\ntopic = 1\n", &[]);
    assert_eq!(errors, ["sink[0].type: unknown sink type \"kafka\": expected http, nats or sqs"]);
    let (_, errors) = sinks("[[sink]]\nname = 'a'\n", &[]);
    assert_eq!(errors, ["sink[0].type: is missing: http, nats or sqs", "sink[0].url: is missing"]);
    assert!(build(&sink(ORDERS)).is_ok());
}

#[test]
fn a_key_that_another_type_has_is_unknown() {
    let (sinks, errors) = sinks(&format!("[[sink]]\n{ORDERS}subject = 'a'\n"), &[]);
    assert_eq!(errors, ["sink[0].subject: unknown key"]);
    assert_eq!(sinks.len(), 1, "sources may name it");
}

#[test]
fn the_variables_add_a_sink_or_win_over_the_file_s() {
    let both = [
        ("GATEPOST_FORWARD_URL", "http://127.0.0.1:2/"),
        ("GATEPOST_FORWARD_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ];
    let (found, errors) = sinks(&format!("[[sink]]\n{ORDERS}"), &both);
    assert_eq!((found.len(), errors), (2, vec![]));
    assert!(found[1].name.as_str() == "forward" && found[1].everywhere && !found[0].everywhere);
    let ours = ORDERS.replace("orders", "forward");
    let (found, errors) = sinks(&format!("[[sink]]\n{ours}timeout = '1s'\n"), &both);
    assert_eq!((found.len(), errors), (1, vec![]));
    assert!(found[0].everywhere && found[0].timeout == Duration::from_secs(1));
    assert!(found[0].fingerprint() != sink(&format!("{ours}timeout = '1s'\n")).fingerprint());
}

#[test]
fn what_is_wrong_with_the_variables_is_told_at_them() {
    for (url, secret, expected) in [
        ("ftp://a", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "GATEPOST_FORWARD_URL: must begin"),
        ("http://127.0.0.1:2/", "whsec_!!!!!!!!!!!!!!!!!!!!!!!!!", "GATEPOST_FORWARD_SECRET: expected a Standard"),
        ("", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "GATEPOST_FORWARD_URL: is not set, but"),
    ] {
        let pairs = [("GATEPOST_FORWARD_SECRET", secret), ("GATEPOST_FORWARD_URL", url)];
        let (_, errors) = sinks("", pairs.get(..if url.is_empty() { 1 } else { 2 }).unwrap());
        assert!(errors.len() == 1 && errors[0].starts_with(expected), "{errors:?}");
    }
    let (_, errors) = sinks("[[sink]]\nname = 'forward'\ntype = 'kafka'\nurl = 'x'\n", &[]);
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn every_key_every_secret_and_the_content_of_files_count() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, "one").unwrap();
    let own = [
        String::new(),
        "secret = { value = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }".to_owned(),
        "secret = { value = 'whsec_AfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }".to_owned(),
        "token = { value = 'a' }".to_owned(),
        "token = { value = 'b' }".to_owned(),
        format!("ca_file = {:?}", file.display().to_string()),
        "proxy = 'http://p:3128'".to_owned(),
        "proxy = 'http://u:hunter2@p:3128'".to_owned(),
        "timeout = '20s'".to_owned(),
        "concurrency = 17".to_owned(),
        "rate = '100/s'".to_owned(),
        "rate = '100/m'".to_owned(),
        "content_mode = 'raw'".to_owned(),
        "headers = { A = 'a' }".to_owned(),
        "headers = { A = 'b' }".to_owned(),
        "basic = { user = 'a', password = { value = 'a' } }".to_owned(),
        "oauth2 = { token_url = 'https://a/', client_id = 'a', client_secret = { value = 'a' } }".to_owned(),
        "oauth2 = { token_url = 'https://a/', client_id = 'a', client_secret = { value = 'b' } }".to_owned(),
        "max_attempts = 13".to_owned(),
        "max_age = '73h'".to_owned(),
        "event_types = ['a']".to_owned(),
    ];
    let texts: Vec<String> = own
        .iter()
        .map(|key| format!("{ORDERS}{key}\n"))
        .chain([ORDERS.replace("orders", "other"), ORDERS.replace(":1/", ":1/x")])
        .collect();
    let print = |text: &String| sink(text).fingerprint();
    for (i, one) in texts.iter().enumerate() {
        for (j, other) in texts.iter().enumerate() {
            assert_eq!(print(one) == print(other), i == j, "{one} {other}");
        }
    }
    let before = print(&texts[5]);
    std::fs::write(&file, "two").unwrap();
    assert!(before != print(&texts[5]));
}
