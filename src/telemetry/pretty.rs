//! The line format for people: a request on one line of at most 100 columns, everything else with its words first.
//!
//! Records (see `json.rs`) are read back from their JSON: whoever looks at a terminal has no need of the last microsecond.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime as _;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::escape::visible;

/// The columns that a record takes at most.
const COLUMNS: usize = 100;
/// Where what tells one request from another begins: behind time, outcome, status and duration.
const OUTCOME: usize = 11;

/// One line for each event.
pub(super) struct PrettyLine {
    /// Whether colours are wanted.
    pub(super) colour: bool,
}

impl<S, N> FormatEvent<S, N> for PrettyLine
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let record = fields.record.and_then(|text| serde_json::from_str::<Map<String, Value>>(&text).ok());
        let level = *event.metadata().level();
        if let Some(record) = record {
            return writeln!(line, "{}", self.record(&record));
        }
        let mut now = String::new();
        tracing_subscriber::fmt::time::SystemTime.format_time(&mut Writer::new(&mut now))?;
        writeln!(line, "{}", self.words(clock(&now), level, &fields.message, &fields.others))
    }
}

impl PrettyLine {
    /// A record: when, what became of it, how, what it was about.
    fn record(&self, record: &Map<String, Value>) -> String {
        let text = |name: &str| record.get(name).and_then(Value::as_str);
        let number = |name: &str| record.get(name).and_then(Value::as_u64);
        let time = clock(text("timestamp").unwrap_or_default());
        let Some(outcome) = text("outcome") else { return self.other_record(time, record) };
        let status = number("status").map_or_else(String::new, |status| status.to_string());
        let took = number("latency_us").map_or_else(String::new, took);
        let mut about = text("source").unwrap_or("-").to_owned();
        for (before, part) in [
            ("", text("reason").map(str::to_owned)),
            ("", text("event_id").map(short)),
            ("", text("event_type").map(str::to_owned)),
            ("", text("path").filter(|_| text("event_id").is_none()).map(str::to_owned)),
            ("from ", text("client_ip").map(str::to_owned)),
        ] {
            if let Some(part) = part {
                _ = write!(about, "  {before}{part}");
            }
        }
        let before = format!("{status:>3} {took:>8}");
        let room = COLUMNS.saturating_sub(time.len() + 1 + OUTCOME + 1 + before.len() + 2);
        let colour = colour_of(outcome);
        let (time, outcome) = (self.dim(time), self.paint(colour, &format!("{outcome:<OUTCOME$}")));
        format!("{time} {outcome} {before}  {}", cut(&visible(&about, false), room))
    }

    /// A record of something else: its members.
    fn other_record(&self, time: &str, record: &Map<String, Value>) -> String {
        let said = record.iter().filter(|(name, value)| *name != "timestamp" && !value.is_null());
        let words: Vec<String> = said.map(|(name, value)| format!("{name}={}", plain(value))).collect();
        let room = COLUMNS.saturating_sub(time.len() + 1);
        format!("{} {}", self.dim(time), cut(&visible(&words.join(" "), false), room))
    }

    /// What is no record: whole, however long.
    fn words(&self, time: &str, level: Level, message: &str, others: &Map<String, Value>) -> String {
        let colour = match level {
            Level::ERROR => Colour::Red,
            Level::WARN => Colour::Yellow,
            _ => Colour::Blue,
        };
        let mut words = visible(message, false);
        for (name, value) in others {
            _ = write!(words, "  {name}={}", visible(&plain(value), false));
        }
        format!("{} {} {words}", self.dim(time), self.paint(colour, &format!("{level:<OUTCOME$}")))
    }

    fn paint(&self, colour: Colour, text: &str) -> String {
        if self.colour { format!("\u{1b}[{}m{text}\u{1b}[0m", colour as u8) } else { text.to_owned() }
    }

    fn dim(&self, text: &str) -> String {
        if self.colour { format!("\u{1b}[2m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Numbers of ECMA-48, section 8.3.117.
#[derive(Clone, Copy)]
enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
    Blue = 34,
}

/// Green is what is stored, red is what somebody has to look at here.
fn colour_of(outcome: &str) -> Colour {
    match outcome {
        "accepted" => Colour::Green,
        "refused" | "quarantined" => Colour::Yellow,
        "failed" | "shed" => Colour::Red,
        _ => Colour::Blue,
    }
}

/// The time of day in an RFC 3339 time, to the millisecond.
fn clock(time: &str) -> &str {
    time.get(11..23).unwrap_or(time)
}

/// Microseconds, as people say them.
fn took(micros: u64) -> String {
    let (millis, tenths) = (micros / 1000, micros % 1000 / 100);
    if millis < 100 { format!("{millis}.{tenths} ms") } else { format!("{millis} ms") }
}

/// The beginning of a long id, by which commands find it too.
fn short(id: &str) -> String {
    let most = if id.starts_with("sha256:") { 19 } else { 32 };
    id.chars().take(most).collect()
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `text` in at most `room` columns, with a mark where it was cut.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// What an event holds.
#[derive(Default)]
struct Fields {
    record: Option<String>,
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "record" => self.record = Some(value.to_owned()),
            "message" => value.clone_into(&mut self.message),
            _ => self.put(field, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.put(field, format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(colour: bool, record: &Value) -> String {
        PrettyLine { colour }.record(record.as_object().unwrap())
    }

    fn accepted(id: &str, kind: &str) -> Value {
        json!({
            "timestamp": "2026-01-02T03:04:05.678901Z", "outcome": "accepted", "source": "cognigy", "status": 200,
            "event_id": id, "event_type": kind, "client_ip": "127.0.0.1", "latency_us": 1290, "path": "/x", "reason": null,
        })
    }

    #[test]
    fn a_request_is_a_line() {
        let id = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(
            line(false, &accepted(&id, "order.status")),
            "03:04:05.678 accepted    200   1.2 ms  cognigy  sha256:0123456789ab  order.status  from 127.0.0.1"
        );
        let refused = json!({
            "timestamp": "2026-01-02T03:04:05.678901Z", "outcome": "refused", "source": null, "status": 404,
            "path": "/wp-login.php", "client_ip": "::1", "latency_us": 123_456, "reason": "not_found",
        });
        assert_eq!(
            line(false, &refused),
            "03:04:05.678 refused     404   123 ms  -  not_found  /wp-login.php  from ::1"
        );
    }

    #[test]
    fn whatever_it_holds_it_fits_and_cannot_reach_the_terminal() {
        let long = line(false, &accepted(&"x".repeat(256), &"\u{1b}[2J".repeat(40)));
        assert!(long.chars().count() == COLUMNS && long.ends_with('…') && !long.contains('\u{1b}'), "{long}");
        let other =
            json!({ "timestamp": "2026-01-02T03:04:05.6Z", "event": "webhook_validation", "intent": "y".repeat(200) });
        let other = line(false, &other);
        assert!(other.chars().count() <= COLUMNS && other.contains("event=webhook_validation"), "{other}");
    }

    #[test]
    fn colours_say_what_became_of_it_and_are_optional() {
        let coloured = line(true, &accepted("e", "t"));
        assert!(coloured.contains("\u{1b}[32maccepted"), "{coloured}");
        let plain = PrettyLine { colour: false }.words("t", Level::WARN, "said\n", &Map::new());
        assert_eq!(plain, "t WARN        said\\u{a}");
    }
}
