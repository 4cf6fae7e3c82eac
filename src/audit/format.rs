//! A batch of audit records in the words of the SIEM: as they are logged, Elastic Common Schema, or Splunk's collector.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::settings::SiemFormat;
use crate::store::QueuedAudit;

/// The version of the schema that the fields are taken from.
const ECS_VERSION: &str = "8.17.0";

/// The body of one request. `Json` and `Ecs` are JSON arrays; `SplunkHec` is event objects one after the other, which
/// is how its collector takes batches. A record that cannot be read any more is left out.
pub(super) fn body(format: SiemFormat, records: &[QueuedAudit]) -> String {
    let records = records.iter().map(|queued| queued.record.as_str());
    match format {
        SiemFormat::Json => format!("[{}]", records.collect::<Vec<_>>().join(",")),
        SiemFormat::Ecs => format!("[{}]", records.filter_map(ecs).collect::<Vec<_>>().join(",")),
        SiemFormat::SplunkHec => records.filter_map(splunk_hec).collect::<Vec<_>>().join("\n"),
    }
}

/// What is read back of a stored record.
#[derive(Deserialize)]
struct Record<'a> {
    event: &'a str,
    timestamp: Timestamp,
    /// Nobody asks an operator for a proof.
    validated: Option<bool>,
    reason: Option<&'a str>,
    latency_us: Option<u64>,
}

fn ecs(record: &str) -> Option<String> {
    #[derive(Serialize)]
    struct Document<'a> {
        #[serde(rename = "@timestamp")]
        timestamp: Timestamp,
        ecs: Version,
        event: Event<'a>,
        observer: Observer,
        // Everything under its own name too: the schema has no place for source, bot, intent and counts.
        gatepost: &'a RawValue,
    }
    #[derive(Serialize)]
    struct Version {
        version: &'static str,
    }
    #[derive(Serialize)]
    struct Event<'a> {
        kind: &'static str,
        category: [&'static str; 1],
        r#type: [&'static str; 1],
        module: &'static str,
        dataset: &'static str,
        action: &'a str,
        outcome: &'static str,
        reason: Option<&'a str>,
        // Nanoseconds.
        duration: Option<u64>,
    }
    #[derive(Serialize)]
    struct Observer {
        product: &'static str,
        version: &'static str,
    }
    let read: Record = serde_json::from_str(record).ok()?;
    let document = Document {
        timestamp: read.timestamp,
        ecs: Version { version: ECS_VERSION },
        event: Event {
            kind: "event",
            category: ["authentication"],
            r#type: ["info"],
            module: "gatepost",
            dataset: "gatepost.audit",
            action: read.event,
            outcome: if read.validated.unwrap_or(true) { "success" } else { "failure" },
            reason: read.reason,
            duration: read.latency_us.map(|micros| micros.saturating_mul(1000)),
        },
        observer: Observer { product: "gatepost", version: env!("CARGO_PKG_VERSION") },
        gatepost: serde_json::from_str(record).ok()?,
    };
    serde_json::to_string(&document).ok()
}

fn splunk_hec(record: &str) -> Option<String> {
    #[derive(Serialize)]
    struct Collected<'a> {
        // Seconds since 1970, with a fraction.
        time: Box<RawValue>,
        source: &'static str,
        sourcetype: &'static str,
        event: &'a RawValue,
    }
    let at = serde_json::from_str::<Record>(record).ok()?.timestamp;
    let millis = at.as_millisecond();
    let time = format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000));
    let event = Collected {
        time: RawValue::from_string(time).ok()?,
        source: "gatepost",
        sourcetype: "gatepost:audit",
        event: serde_json::from_str(record).ok()?,
    };
    serde_json::to_string(&event).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::flood::FloodSummary;
    use super::super::flood::tests::verdict;
    use super::*;

    fn records() -> Vec<QueuedAudit> {
        let mut flood = FloodSummary::default();
        let records = [verdict(1_500, None), verdict(2_500, Some("ip_not_whitelisted"))];
        let records = records.into_iter().flat_map(|verdict| flood.records_of(verdict).collect::<Vec<_>>());
        records.map(|record| QueuedAudit { id: 1, record, attempts: 0 }).collect()
    }

    #[test]
    fn json_is_the_records_as_they_are() {
        let array: Vec<Value> = serde_json::from_str(&body(SiemFormat::Json, &records())).unwrap();
        assert_eq!(array.len(), 2);
        assert_eq!(array[0].as_object().unwrap().len(), 9);
        assert_eq!(array[1]["reason"], "ip_not_whitelisted");
        assert_eq!(array[0]["reason"], Value::Null);
    }

    #[test]
    fn ecs_uses_the_schemas_names_and_keeps_the_rest() {
        let array: Vec<Value> = serde_json::from_str(&body(SiemFormat::Ecs, &records())).unwrap();
        assert_eq!(array[1]["@timestamp"], "1970-01-01T00:00:02.5Z");
        assert_eq!(array[1]["event"]["outcome"], "failure");
        assert_eq!(array[1]["event"]["reason"], "ip_not_whitelisted");
        assert_eq!(array[0]["event"]["outcome"], "success");
        assert_eq!(array[0]["event"]["duration"], 250_000);
        assert_eq!(array[0]["gatepost"]["source"], "bot-a");
        assert_eq!(array[0]["gatepost"].as_object().unwrap().len(), 9);
    }

    #[test]
    fn splunk_gets_event_objects_one_after_the_other() {
        let text = body(SiemFormat::SplunkHec, &records());
        let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events[0]["time"], 1.5);
        assert_eq!(events[1]["event"]["reason"], "ip_not_whitelisted");
    }
}
