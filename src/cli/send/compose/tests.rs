//! What `send` puts together, for every source of the development configuration.

use jiff::SignedDuration;
use serde_json::Value;

use super::super::sample::tests::source;
use super::*;
use crate::scheme::{Refusal, preset, presets};

fn target() -> Target {
    Target {
        host: "localhost".to_owned(),
        port: 8443,
        tls: true,
        authority: "localhost:8443".to_owned(),
        path: "/webhooks/x".parse().unwrap(),
        ca_file: None,
        identity: None,
    }
}

fn now() -> Timestamp {
    "2026-05-01T12:00:00Z".parse().unwrap()
}

fn composer(preset_name: &str, fault: Option<Kind>) -> Result<Composer, Failure> {
    Composer::new(&source(preset(preset_name).unwrap()), target(), None, fault, Clock::manual(now()))
}

fn compose(preset_name: &str, fault: Kind) -> Vec<Message> {
    composer(preset_name, Some(fault)).unwrap().compose().unwrap()
}

/// How the source itself judges a message: the seconds it is away from now, then whether it verifies.
fn judged(preset_name: &str, message: &Message) -> Result<Option<u64>, Refusal> {
    let scheme = source(preset(preset_name).unwrap()).scheme.build().unwrap();
    let away = scheme.timestamp(&message.head)?.map(|at| at.abs_diff(now().into()));
    let claims = scheme.read(&message.head)?;
    scheme.verify(&message.head, &claims, &message.body.clone().into()).map(|_| away)
}

#[test]
fn every_presets_good_message_verifies_and_no_two_are_the_same() {
    for preset in presets() {
        let composer = composer(preset.name, None).unwrap();
        let (first, second) = (composer.compose().unwrap(), composer.compose().unwrap());
        assert!(judged(preset.name, &first[0]).is_ok_and(|away| away.unwrap_or(0) == 0), "{}", preset.name);
        assert_ne!(first[0].body, second[0].body, "{}", preset.name);
        assert_eq!(first[0].expected, Expected::Accepted);
    }
}

#[test]
fn each_fault_breaks_the_check_it_is_named_after() {
    for name in ["cxone", "cognigy", "nice", "cxone-expert", "standard-webhooks"] {
        let judge = |kind| judged(name, &compose(name, kind)[0]);
        for kind in [Kind::Stale, Kind::Future] {
            assert!(judge(kind).is_ok_and(|away| away.is_some_and(|seconds| seconds > 300)), "{name} {kind:?}");
        }
        for kind in [Kind::WrongKey, Kind::BadSignature, Kind::TamperedBody] {
            assert_eq!(judge(kind), Err(Refusal::SignatureMismatch), "{name} {kind:?}");
        }
        assert_eq!(judge(Kind::MissingSignature), Err(Refusal::MissingSignature), "{name}");
        for kind in [Kind::Oversize, Kind::WrongContentType, Kind::Duplicate] {
            assert!(judge(kind).is_ok(), "{name} {kind:?}");
        }
    }
}

#[test]
fn a_bad_signature_differs_in_one_character() {
    let composer = composer("cognigy", Some(Kind::BadSignature)).unwrap();
    let bad = composer.compose().unwrap().remove(0);
    let good = composer.good(&composer.draft_with(&bad), now(), &*composer.scheme).unwrap();
    let text = |message: &Message| message.head.headers["x-cognigy-signature"].to_str().unwrap().to_owned();
    let differences = text(&bad).chars().zip(text(&good).chars()).filter(|(a, b)| a != b).count();
    assert_eq!((differences, text(&bad).len()), (1, 64));
}

#[test]
fn oversize_is_one_byte_more_than_is_taken() {
    let message = compose("nice", Kind::Oversize).remove(0);
    assert_eq!(message.body.len(), 4097);
    assert_eq!(message.head.headers[EXPECT], "100-continue");
    assert!(message.padding > 0 && message.body.ends_with(b"  "));
}

#[test]
fn a_duplicate_is_the_same_bytes_and_a_conflict_the_same_id() {
    let twice = compose("nice", Kind::Duplicate);
    assert_eq!((twice.len(), &twice[0].body), (2, &twice[1].body));
    assert_eq!(twice[1].expected, Expected::Duplicate);

    let conflict = compose("nice", Kind::Conflict);
    let id = |message: &Message| serde_json::from_slice::<Value>(&message.body).unwrap()["eventId"].clone();
    assert_eq!(id(&conflict[0]), id(&conflict[1]));
    assert_ne!(conflict[0].body, conflict[1].body);
    assert_eq!(conflict[1].expected, Expected::Quarantined);
    assert!(judged("nice", &conflict[1]).is_ok());

    let conflict = compose("standard-webhooks", Kind::Conflict);
    assert_eq!(conflict[0].head.headers["webhook-id"], conflict[1].head.headers["webhook-id"]);
    assert!(judged("standard-webhooks", &conflict[1]).is_ok());
}

#[test]
fn what_a_source_cannot_show_is_a_usage_error() {
    for (name, kind) in [
        ("cognigy", Kind::Conflict),
        ("cxone-expert", Kind::Conflict),
        ("cognigy-callback", Kind::Stale),
        ("cognigy-callback", Kind::Future),
    ] {
        assert_eq!(composer(name, Some(kind)).err().map(|failure| failure.status() as u8), Some(64), "{name} {kind:?}");
    }
}

#[test]
fn a_given_body_is_sent_as_it_is() {
    let given = Given { bytes: Bytes::from_static(b" {\"eventId\":\"7\"}\n"), file: Some(PathBuf::from("a.json")) };
    let source = source(preset("nice").unwrap());
    let composer = |fault| Composer::new(&source, target(), Some(given.clone()), fault, Clock::manual(now())).unwrap();
    let message = composer(None).compose().unwrap().remove(0);
    assert_eq!((message.body, message.file), (given.bytes.clone(), given.file.clone()));
    // The file no longer holds what is sent.
    let tampered = composer(Some(Kind::TamperedBody)).compose().unwrap().remove(0);
    assert_eq!(tampered.file, None);
    assert_eq!(&tampered.body[..], b" {\"tampered\":true,\"eventId\":\"7\"}\n");
}

#[test]
fn an_altered_body_is_still_of_its_kind() {
    let altered = |body: &'static str| altered(&Bytes::from_static(body.as_bytes()));
    assert_eq!(&altered("{}")[..], b"{\"tampered\":true}");
    assert_eq!(&altered("<a/>")[..], b"<a/>\n");
    assert_eq!(&altered("")[..], b"\n");
    assert!(serde_json::from_slice::<Value>(&altered("{ }")).is_ok());
}

#[test]
fn ids_are_uuids_of_version_4() {
    let id = new_id();
    assert_eq!(id.len(), 36);
    assert_eq!(&id[14..15], "4");
    assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
    assert_ne!(id, new_id());
}

#[test]
fn windows_are_left_by_two_minutes() {
    let composer = composer("nice", None).unwrap();
    assert_eq!(composer.beyond(now(), -1), now() - SignedDuration::from_secs(420));
    assert_eq!(composer.beyond(now(), 1), now() + SignedDuration::from_secs(420));
}
