//! The HMAC scheme's settings and their faults; what it accepts on the wire is in `tests/it/contract/hmac.rs`.

use super::*;
use crate::scheme::preset::{PRESETS, preset};
use crate::scheme::{AccessKey, Family, Settings};
use crate::secret::Secret;
use crate::settings::ConfigError;

fn settings(name: &str, secret: &str) -> Settings {
    Settings { secrets: vec![Secret::new(secret).unwrap()], ..Settings::of(preset(name).unwrap()) }
}

/// The keys at fault, sorted.
fn faults(settings: &Settings) -> Vec<String> {
    let faults = Hmac::new(settings).err().unwrap_or_default();
    let mut keys: Vec<_> = faults.into_iter().map(|ConfigError { at, .. }| at).collect();
    keys.sort_unstable();
    keys
}

const PLAIN: &str = "sixteen-bytes-ok";
const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn every_preset_row_is_a_scheme() {
    for row in PRESETS.iter().filter(|row| row.family == Family::Hmac && row.name != "hmac") {
        let secret = if row.name == "standard-webhooks" { WHSEC } else { PLAIN };
        let settings = settings(row.name, secret);
        assert_eq!(faults(&settings), Vec::<String>::new(), "{}", row.name);
        assert_eq!(has_timestamp(&settings), row.name != "cognigy-callback", "{}", row.name);
    }
}

#[test]
fn everything_missing_is_said_at_once() {
    let mut blank = settings("hmac", PLAIN);
    blank.secrets.clear();
    assert_eq!(faults(&blank), ["secrets", "signature_format", "signature_header", "signed_content"]);
}

#[test]
fn a_timestamp_has_one_source_and_a_unit() {
    let mut both = settings("nice", PLAIN);
    both.timestamp_header = Some("X-Timestamp".into());
    assert_eq!(faults(&both), ["timestamp_header"]);

    let mut neither = settings("cognigy-callback", PLAIN);
    neither.signed_content = Some("{timestamp}.{body}".into());
    assert_eq!(faults(&neither), ["signed_content"]);

    let mut unitless = settings("cognigy", PLAIN);
    unitless.timestamp_unit = None;
    assert_eq!(faults(&unitless), ["timestamp_unit"]);

    let mut idle = settings("cognigy-callback", PLAIN);
    idle.timestamp_unit = Some("s".into());
    assert_eq!(faults(&idle), ["timestamp_unit"]);

    let mut unknown = settings("cognigy", PLAIN);
    unknown.timestamp_unit = Some("seconds".into());
    assert_eq!(faults(&unknown), ["timestamp_unit"]);
}

#[test]
fn what_cannot_be_read_is_a_fault_at_its_key() {
    let mut wrong = settings("standard-webhooks", WHSEC);
    wrong.signature_headers = vec!["not a header".into()];
    wrong.timestamp_header = Some(String::new());
    wrong.id_header = Some("x:y".into());
    wrong.signature_format = Some("{sha256}".into());
    wrong.signed_content = Some("{timestamp}".into());
    let expected = ["id_header", "signature_format", "signature_header", "signed_content", "timestamp_header"];
    assert_eq!(faults(&wrong), expected);
}

#[test]
fn an_id_needs_its_header() {
    let mut idless = settings("standard-webhooks", WHSEC);
    idless.id_header = None;
    assert_eq!(faults(&idless), ["id_header"]);
}

#[test]
fn keys_of_the_other_family_are_faults() {
    let mut mixed = settings("cognigy", PLAIN);
    mixed.region = Some("eu-west-1".into());
    mixed.service = Some("execute-api".into());
    let secret = Secret::new(PLAIN).unwrap();
    mixed.keys = vec![AccessKey { access_key_id: "AKID".into(), secret, session_token: None }];
    assert_eq!(faults(&mixed), ["keys", "region", "service"]);
}

#[test]
fn standard_webhooks_secrets_have_their_own_form() {
    for wrong in [PLAIN, "whsec_", "whsec_!!!!!!!!!!!!!!!!!!!!", "whsec_c2hvcnQtc2VjcmV0LTE=", "WHSEC_MfKQ9r8GKYqrTwjU"]
    {
        let mut one = settings("standard-webhooks", WHSEC);
        one.secrets = vec![Secret::new(WHSEC).unwrap(), Secret::token(wrong).unwrap()];
        assert_eq!(faults(&one), ["secrets[1]"], "{wrong}");
    }
    for right in [WHSEC, "whsec_c2l4dGVlbi1ieXRlcy1vaw==", "whsec_c2l4dGVlbi1ieXRlcy1vaw"] {
        assert_eq!(faults(&settings("standard-webhooks", right)), Vec::<String>::new(), "{right}");
    }
    let mut other = settings("standard-webhooks", PLAIN);
    other.signature_headers = vec!["X-Other-Signature".into()];
    assert_eq!(faults(&other), Vec::<String>::new(), "somebody else's list takes its secret literally");
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
