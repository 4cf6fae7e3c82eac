//! The line format: `timestamp`, `level` and `target`, then the event's fields, all at the top level.
//!
//! An event with a text field called `record` brings a whole JSON object of its own, timestamp included (the access and
//! audit records): its members are taken over as they are, nulls too. Such an event has no other fields.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime as _;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// One JSON object for each event.
pub(super) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        for part in [r#"{"level":""#, metadata.level().as_str(), r#"","target":""#, metadata.target(), r#"","#] {
            line.write_str(part)?;
        }
        let mut fields = Fields { line, has_record: false, others: Map::new() };
        event.record(&mut fields);
        let Fields { mut line, has_record, others } = fields;
        if !has_record {
            line.write_str(r#""timestamp":""#)?;
            tracing_subscriber::fmt::time::SystemTime.format_time(&mut line)?;
            line.write_char('"')?;
            for (name, value) in &others {
                write!(line, ",\"{name}\":{value}")?;
            }
            line.write_char('}')?;
        }
        line.write_char('\n')
    }
}

/// Writes a record straight into the line; gathers other fields.
struct Fields<'w> {
    line: Writer<'w>,
    has_record: bool,
    others: Map<String, Value>,
}

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match value.strip_prefix('{').filter(|_| field.name() == "record") {
            // Without the brace it opens with: the line has opened one already.
            Some(members) => {
                self.has_record = true;
                // Writing to the line's buffer cannot fail.
                let _ = self.line.write_str(members);
            }
            None => self.put(field, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::EnvFilter;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> Value {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            super::super::subscriber(super::super::Format::Json, EnvFilter::new("info"), move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = lines.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn every_event_is_one_object_whatever_it_holds() {
        let line = logged(|| tracing::warn!(odd = "a\"b\n{}", number = 7, yes = true, "said \u{1}"));
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["odd"], "a\"b\n{}");
        assert_eq!(line["number"], 7);
        assert_eq!(line["message"], "said \u{1}");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn a_record_is_taken_over_with_its_nulls_and_its_own_time() {
        let line = logged(|| tracing::info!(target: "x", record = r#"{"timestamp":"then","reason":null}"#));
        assert_eq!(line, serde_json::json!({"level":"INFO","target":"x","timestamp":"then","reason":null}));
    }
}
