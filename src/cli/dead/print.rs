//! How dead letters are printed: in a listing, as JSON, and some with all there is.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::store::{DeadLetter, State};

use super::super::listing::Row;
use super::super::table;

/// Why something pending stands among dead letters.
pub(super) const GONE: &str = "waits: the sink is not in the configuration";

impl Row<7> for DeadLetter {
    const HEADINGS: [&'static str; 7] = ["ID", "SINK", "EVENT", "TYPE", "ATTEMPTS", "DIED", "ERROR"];
    const IDS: &'static [usize] = &[2];

    fn cells(&self) -> [String; 7] {
        [
            self.id.0.to_string(),
            self.sink.to_string(),
            format!("{}:{}", self.event.source, self.event.id),
            self.event.kind.clone(),
            self.attempts.to_string(),
            died_at(self).map_or_else(String::new, |at| format!("{at:.0}")),
            error(self),
        ]
    }

    fn summary(&self) -> Value {
        json!({
            "id": self.id.0,
            "sink": self.sink,
            "source": self.event.source,
            "event_id": self.event.id.as_str(),
            "type": self.event.kind,
            "state": self.state,
            "attempts": self.attempts,
            "received_at": self.event.received_at,
            "died_at": died_at(self),
            "error": error(self),
        })
    }
}

pub(super) fn died_at(letter: &DeadLetter) -> Option<Timestamp> {
    (letter.state == State::Dead).then_some(letter.died_at)
}

/// Why it does not get any further.
pub(super) fn error(letter: &DeadLetter) -> String {
    match (letter.state, letter.error.as_str()) {
        (State::Pending, "") => GONE.to_owned(),
        (State::Pending, error) => format!("{GONE}; before: {error}"),
        (State::Dead | State::Delivered | State::Stored, error) => error.to_owned(),
    }
}

/// Dead letters with their bodies, as JSON; a body that is not text in base64.
pub(super) fn details(letters: &[DeadLetter]) -> Value {
    let detail = |letter: &DeadLetter| {
        let mut value = letter.summary();
        table::put_body(&mut value, letter.event.payload.bytes());
        value
    };
    Value::Array(letters.iter().map(detail).collect())
}

pub(super) fn shown(letters: &[DeadLetter]) -> String {
    let texts = letters.iter().map(|letter| {
        let fields = table::fields(&[
            ("id", letter.id.0.to_string()),
            ("sink", letter.sink.to_string()),
            ("source", letter.event.source.to_string()),
            ("event id", letter.event.id.to_string()),
            ("type", letter.event.kind.clone()),
            ("received at", letter.event.received_at.to_string()),
            ("attempts", letter.attempts.to_string()),
            ("died at", died_at(letter).map_or_else(String::new, |at| at.to_string())),
            ("error", error(letter)),
        ]);
        format!("{fields}\n\n{}", table::body(letter.event.payload.bytes()))
    });
    texts.collect::<Vec<_>>().join("\n\n")
}
