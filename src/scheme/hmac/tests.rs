//! The HMAC scheme's settings and their faults; what it accepts on the wire is in `tests/it/contract/hmac.rs`.

use std::any::Any;
use std::collections::BTreeMap;

use super::*;
use crate::scheme::preset::{preset, presets};
use crate::scheme::{self, Settings as _};
use crate::settings::{Diagnostics, Table};

/// A source of preset `name` with `lines` in its table, and the keys at fault, sorted.
fn read(name: &str, lines: &str) -> (Settings, Vec<String>) {
    let vars = BTreeMap::new();
    let mut diagnostics = Diagnostics::new(&vars);
    let mut table = Table::new("", "", lines.parse().unwrap());
    let read = scheme::read(preset(name).unwrap(), None, &mut table, &mut diagnostics);
    let settings: &dyn Any = &*read;
    let mut keys: Vec<_> = diagnostics.errors.into_iter().map(|error| error.at).collect();
    keys.sort_unstable();
    (settings.downcast_ref::<Settings>().unwrap().clone(), keys)
}

fn with_secret(secret: &str, lines: &str) -> String {
    format!("secrets = [{{ value = '{secret}' }}]\n{lines}")
}

fn settings(name: &str, secret: &str) -> Settings {
    read(name, &with_secret(secret, "")).0
}

fn faults(name: &str, lines: &str) -> Vec<String> {
    read(name, &with_secret(PLAIN, lines)).1
}

/// The keys that keep `settings` from being a scheme.
fn unfit(settings: &Settings) -> Vec<String> {
    settings.build().err().unwrap_or_default().into_iter().map(|ConfigError { at, .. }| at).collect()
}

const PLAIN: &str = "sixteen-bytes-ok";
const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const HEX: &str = "00112233445566778899aabbccddeeff";
const NONE: [String; 0] = [];

#[test]
fn every_preset_row_is_a_scheme() {
    for row in presets().filter(|row| row.scheme.scheme() == "HMAC" && row.name != "hmac") {
        let secret = match row.name {
            "standard-webhooks" => WHSEC,
            "dixa" => HEX,
            _ => PLAIN,
        };
        let (settings, faults) = read(row.name, &with_secret(secret, ""));
        assert_eq!(faults, NONE, "{}", row.name);
        assert!(settings.build().is_ok(), "{}", row.name);
        let timeless = ["cognigy-callback", "genesys-messaging", "github", "shopify", "pagerduty", "paystack"];
        assert_eq!(settings.has_timestamp(), !timeless.contains(&row.name), "{}", row.name);
        // A vendor does not change what it signs.
        assert_eq!(settings.warnings(), NONE, "{}", row.name);
    }
}

#[test]
fn everything_missing_is_said_at_once() {
    let missing = ["secrets", "signature_format", "signature_header", "signed_content"];
    let (blank, faults) = read("hmac", "");
    assert_eq!(faults, missing);
    let mut unfit = unfit(&blank);
    unfit.sort_unstable();
    assert_eq!(unfit, missing);
}

#[test]
fn a_timestamp_has_one_source_and_a_unit() {
    assert_eq!(faults("nice", "timestamp_header = 'X-Timestamp'"), ["timestamp_header"]);
    assert_eq!(faults("cognigy-callback", "signed_content = '{timestamp}.{body}'"), ["signed_content"]);
    assert_eq!(faults("cognigy-callback", "timestamp_header = 'X-Timestamp'"), ["timestamp_unit"]);
    assert_eq!(faults("cognigy-callback", "timestamp_unit = 's'"), ["timestamp_unit"]);
    assert_eq!(faults("cognigy", "timestamp_unit = 'seconds'"), ["timestamp_unit"]);
}

#[test]
fn what_cannot_be_read_is_a_fault_at_its_key() {
    let wrong = "signature_header = 'not a header'\ntimestamp_header = ''\nid_header = 'x:y'\n\
        signature_format = '{sha256}'\nsigned_content = '{timestamp}'";
    let expected = ["id_header", "signature_format", "signature_header", "signed_content", "timestamp_header"];
    assert_eq!(read("standard-webhooks", &with_secret(WHSEC, wrong)).1, expected);
}

#[test]
fn an_id_needs_its_header() {
    assert_eq!(faults("nice", "signed_content = '{id}.{body}'"), ["id_header"]);
}

#[test]
fn a_label_names_one_secret() {
    let lines = format!(
        "secrets = [{{ value = '{PLAIN}', label = 'a' }}, {{ value = '{WHSEC}', label = 'a' }}, {{ value = '{PLAIN}' }}]"
    );
    let (settings, faults) = read("nice", &lines);
    assert_eq!(faults, ["secrets"]);
    assert_eq!(settings.warnings(), ["secrets[2] is the same secret as secrets[0]"]);
}

#[test]
fn keys_of_the_other_scheme_are_faults() {
    let lines = "region = 'eu-west-1'\nservice = 'execute-api'\nkeys = []\nunsigned_headers = []";
    assert_eq!(faults("cognigy", lines), ["keys", "region", "service", "unsigned_headers"]);
}

#[test]
fn standard_webhooks_secrets_have_their_own_form() {
    for wrong in [PLAIN, "whsec_", "whsec_!!!!!!!!!!!!!!!!!!!!", "whsec_c2hvcnQtc2VjcmV0LTE=", "WHSEC_MfKQ9r8GKYqrTwjU"]
    {
        let lines = format!("secrets = [{{ value = '{WHSEC}' }}, {{ value = '{wrong}' }}]");
        assert_eq!(read("standard-webhooks", &lines).1, ["secrets[1]"], "{wrong}");
    }
    for right in [WHSEC, "whsec_c2l4dGVlbi1ieXRlcy1vaw==", "whsec_c2l4dGVlbi1ieXRlcy1vaw"] {
        assert_eq!(read("standard-webhooks", &with_secret(right, "")).1, NONE, "{right}");
    }
    let other = faults("standard-webhooks", "signature_header = 'X-Other-Signature'");
    assert_eq!(other, NONE, "somebody else's list takes its secret literally");
}

#[test]
fn what_differs_is_told_as_it_is_written() {
    let (from, _) = read("cognigy", &with_secret(PLAIN, ""));
    let (to, _) = read(
        "cognigy",
        &with_secret(
            PLAIN,
            "signature_header = ['x-cognigy-signature', 'X-Sig']\nalgorithm = 'sha1'\ntimestamp_unit = 'ms'",
        ),
    );
    let expected = [
        ("signature_header", "[\"x-cognigy-signature\", \"X-Sig\"]"),
        ("timestamp_unit", "\"ms\""),
        ("algorithm", "\"sha1\""),
    ];
    let told = scheme::Settings::changes(&from, &to);
    assert_eq!(told, expected.map(|(key, value)| (key, Some(value.to_owned()))));
    assert!(scheme::Settings::changes(&from, &from).is_empty());
}

#[test]
fn only_what_the_mac_covers_is_vouched_for() {
    let standard = Hmac::new(&settings("standard-webhooks", WHSEC)).unwrap();
    assert!(standard.covers_header("webhook-id") && standard.covers_header("webhook-timestamp"));
    assert!(!standard.covers_header("webhook-signature") && !standard.covers_header("content-type"));
    let cognigy = Hmac::new(&settings("cognigy", PLAIN)).unwrap();
    assert!(!cognigy.covers_header("x-cognigy-timestamp"));
    let expert = Hmac::new(&settings("cxone-expert", PLAIN)).unwrap();
    assert!(expert.covers_header("x-nexus-timestamp"));
}
