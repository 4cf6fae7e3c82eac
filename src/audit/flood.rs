//! Floods of refusals, summed up in one record per second, source and reason instead of one each; what is accepted always
//! gets its own record.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::audit_record::AuditRecord;
use crate::event::Name;

/// Refusals of one source, for one reason, within one second, that still get their own record.
const MAX_SINGLE: u64 = 100;

/// One second of one source's refusals for one reason.
struct Window {
    second: i64,
    seen: u64,
    last: AuditRecord,
}

/// The record that stands for many: the nine fields of the audit and how many refusals it counts.
#[derive(Serialize)]
struct Summary<'a> {
    event: &'static str,
    timestamp: Timestamp,
    source: &'a Name,
    bot_id: Option<&'a str>,
    intent: Option<&'a str>,
    validated: bool,
    reason: Option<&'static str>,
    latency_us: Option<u64>,
    rejections: u64,
    count: u64,
}

/// Counts refusals by source and reason, of which both come from fixed sets, so it does not grow.
#[derive(Default)]
pub(super) struct FloodSummary(HashMap<(Name, &'static str), Window>);

impl FloodSummary {
    /// The records that `verdict` leads to, if any: its own, or the summary of the second that it ends.
    pub(super) fn records_of(&mut self, verdict: AuditRecord) -> impl Iterator<Item = String> {
        let mut ended = None;
        let mut own = None;
        match verdict.reason {
            Some(reason) if !verdict.validated => {
                let second = verdict.timestamp.as_second();
                let key = (verdict.source.clone(), reason);
                let window = self.0.entry(key).or_insert_with(|| Window { second, seen: 0, last: verdict.clone() });
                if second > window.second {
                    ended = window.summary();
                    (window.second, window.seen) = (second, 0);
                }
                window.seen += 1;
                if window.seen <= MAX_SINGLE {
                    own = record(&verdict);
                }
                window.last = verdict;
            }
            _ => own = record(&verdict),
        }
        ended.into_iter().chain(own)
    }

    /// The summaries of all seconds before `second`.
    pub(super) fn summaries_before(&mut self, second: i64) -> Vec<String> {
        let summaries = self.0.values().filter(|window| window.second < second).filter_map(Window::summary).collect();
        self.0.retain(|_, window| window.second >= second);
        summaries
    }
}

impl Window {
    fn summary(&self) -> Option<String> {
        let count = self.seen.checked_sub(MAX_SINGLE).filter(|count| *count > 0)?;
        record(&Summary {
            event: self.last.event,
            timestamp: self.last.timestamp,
            source: &self.last.source,
            bot_id: None,
            intent: None,
            validated: false,
            reason: self.last.reason,
            latency_us: None,
            rejections: self.last.rejections,
            count,
        })
    }
}

/// Texts and numbers always serialise.
fn record(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::audit) fn verdict(millis: i64, reason: Option<&'static str>) -> AuditRecord {
        AuditRecord {
            event: "webhook_validation",
            timestamp: Timestamp::from_millisecond(millis).unwrap(),
            source: "bot-a".into(),
            bot_id: None,
            intent: Some("order".into()),
            validated: reason.is_none(),
            reason,
            latency_us: 250,
            rejections: 7,
        }
    }

    fn admitted(flood: &mut FloodSummary, n: usize, millis: i64, reason: Option<&'static str>) -> usize {
        (0..n).flat_map(|_| flood.records_of(verdict(millis, reason)).collect::<Vec<_>>()).count()
    }

    #[test]
    fn a_hundred_a_second_stand_alone_and_the_rest_is_one_record() {
        let mut flood = FloodSummary::default();
        assert_eq!(admitted(&mut flood, 20, 5_000, Some("signature_mismatch")), 20);
        assert_eq!(admitted(&mut flood, 5_000, 5_900, Some("signature_mismatch")), 80);
        assert_eq!(admitted(&mut flood, 100, 5_900, Some("timestamp_expired")), 100);
        assert!(flood.summaries_before(5).is_empty());
        let summaries = flood.summaries_before(6);
        assert_eq!(
            summaries,
            [concat!(
                r#"{"event":"webhook_validation","timestamp":"1970-01-01T00:00:05.9Z","source":"bot-a","bot_id":null,"#,
                r#""intent":null,"validated":false,"reason":"signature_mismatch","latency_us":null,"rejections":7,"#,
                r#""count":4920}"#
            )]
        );
        assert!(flood.0.is_empty());
    }

    #[test]
    fn the_next_second_starts_afresh_and_tells_of_the_last() {
        let mut flood = FloodSummary::default();
        assert_eq!(admitted(&mut flood, 101, 5_000, Some("signature_mismatch")), 100);
        assert_eq!(admitted(&mut flood, 1, 6_000, Some("signature_mismatch")), 2);
        assert!(flood.summaries_before(7).is_empty());
    }

    #[test]
    fn accepted_ones_are_never_summed_up() {
        assert_eq!(admitted(&mut FloodSummary::default(), 1000, 5_000, None), 1000);
    }
}
