//! How dead letters are named, and which there are.

use bytes::Bytes;

use jiff::Timestamp;

use super::print::{GONE, died_at, error};
use crate::cli::failure::{Failure, Status};
use crate::event::{Event, EventId, KeptHeaders};
use crate::operations::named;
use crate::store::{DeadLetter, DeliveryId, State};

fn letter(id: i64, source: &str, event: &str) -> DeadLetter {
    DeadLetter {
        id: DeliveryId(id),
        sink: "orders".into(),
        state: State::Dead,
        attempts: 12,
        died_at: Timestamp::UNIX_EPOCH,
        error: "503".into(),
        event: Event {
            source: source.into(),
            id: EventId::new(event).unwrap(),
            kind: "t".into(),
            received_at: Timestamp::UNIX_EPOCH,
            content_type: "application/json".into(),
            payload: Bytes::from_static(b"{}").into(),
            key: "0".into(),
            request_id: "r".into(),
            client_ip: None,
            traceparent: None,
            headers: KeptHeaders::default(),
        },
    }
}

fn ids(text: &str, letters: &[DeadLetter]) -> Result<Vec<i64>, Status> {
    let found = named(text, letters);
    found.map(|ids| ids.into_iter().map(|letter| letter.id.0).collect()).map_err(|error| Failure::from(error).status())
}

#[test]
fn a_letter_is_named_as_listed_by_event_or_by_source_and_event() {
    let letters = [letter(7, "a", "e1"), letter(8, "a", "e1"), letter(9, "b", "e2")];
    assert_eq!(ids("7", &letters), Ok(vec![7]));
    assert_eq!(ids("e1", &letters), Ok(vec![7, 8]));
    assert_eq!(ids("b:e2", &letters), Ok(vec![9]));
    assert_eq!(ids("b:e1", &letters), Err(Status::Failed));
    assert_eq!(ids("10", &letters), Err(Status::Failed));
}

#[test]
fn nothing_is_guessed() {
    let shared = [letter(1, "a", "e"), letter(2, "b", "e")];
    assert_eq!(ids("e", &shared), Err(Status::Wrong));
    let numeric = [letter(1, "a", "2"), letter(2, "a", "x")];
    assert_eq!(ids("2", &numeric), Err(Status::Wrong));
    assert!(named("2", &numeric).unwrap_err().to_string().ends_with("say a:2"), "which is one thing only");
    assert_eq!(ids("a:2", &numeric), Ok(vec![1]));
    assert_eq!(ids("3", &[letter(3, "a", "3")]), Ok(vec![3]));
    // `a:x` is x of a, and an id of b's own.
    let colons = [letter(1, "a", "x"), letter(2, "b", "a:x"), letter(3, "b", "a:x")];
    assert_eq!(ids("a:x", &colons), Err(Status::Wrong));
    let told = named("a:x", &colons).unwrap_err().to_string();
    assert!(told.ends_with("say 1 or b:a:x"), "what is said next means one event: {told}");
    let told = named("a:x", &[letter(4, "a", "x"), letter(1, "a", "x"), letter(2, "b", "a:x")]).unwrap_err();
    assert!(told.to_string().ends_with("say 4 1 or b:a:x"), "{told}");
    assert_eq!(ids("b:a:x", &colons), Ok(vec![2, 3]));
    assert_eq!(ids("a:x", &colons[..1]), Ok(vec![1]));
    assert_eq!(ids("a:x", &colons[1..]), Ok(vec![2, 3]));
}

#[test]
fn what_waits_for_a_sink_that_is_gone_says_so_and_has_not_died() {
    let waiting = DeadLetter { state: State::Pending, error: String::new(), ..letter(1, "a", "e") };
    assert_eq!((error(&waiting).as_str(), died_at(&waiting)), (GONE, None));
}
