//! What came of what was sent: each answer, or a summary of many.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::{output, table};
use super::client::Answer;
use super::fault::Expected;

/// One message and what came of it.
pub(super) struct Sent {
    expected: Expected,
    answer: Result<Answer, String>,
    took: Duration,
}

impl Sent {
    /// `answer` came after `took`.
    pub(super) const fn new(expected: Expected, answer: Result<Answer, String>, took: Duration) -> Self {
        Self { expected, answer, took }
    }

    fn as_expected(&self) -> bool {
        self.answer.as_ref().is_ok_and(|answer| self.expected.is(answer.status, &answer.body))
    }

    /// The answer on one line.
    fn line(&self) -> String {
        match &self.answer {
            Ok(answer) => {
                table::visible(format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)).trim_end(), false)
            }
            Err(problem) => problem.clone(),
        }
    }

    /// The answer, or why there is none.
    fn value(&self) -> Value {
        let expected = self.expected.words();
        match &self.answer {
            Ok(answer) => {
                let text = String::from_utf8_lossy(&answer.body);
                let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| text.as_ref().into());
                json!({ "status": answer.status, "body": body, "expected": expected, "as_expected": self.as_expected() })
            }
            Err(problem) => json!({ "error": problem, "expected": expected, "as_expected": false }),
        }
    }

    /// What it is counted under.
    fn class(&self) -> String {
        let Ok(answer) = &self.answer else { return self.line() };
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        let word = ["status", "message"].iter().find_map(|name| body.get(name)?.as_str()).unwrap_or_default();
        let duplicate = if body.get("duplicate") == Some(&Value::Bool(true)) { " (duplicate)" } else { "" };
        table::visible(format!("{} {word}{duplicate}", answer.status).trim_end(), false)
    }
}

/// All that was sent.
pub(super) struct Report {
    sent: Vec<Sent>,
    took: Duration,
    many: bool,
}

impl Report {
    /// `many`: a summary is wanted, not every answer.
    pub(super) const fn new(sent: Vec<Sent>, took: Duration, many: bool) -> Self {
        Self { sent, took, many }
    }

    /// Whether every answer was the one its message should get.
    pub(super) fn all_as_expected(&self) -> bool {
        self.sent.iter().all(Sent::as_expected)
    }

    /// Answers or summary to stdout, what was unexpected to stderr.
    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return output::print_json(&self.value());
        }
        if self.many {
            output::print(&self.summary())?;
        } else {
            for sent in &self.sent {
                output::print(&sent.line())?;
            }
        }
        // One of each is enough to see what is wrong.
        let mut wrong: Vec<String> = Vec::new();
        for sent in self.sent.iter().filter(|sent| !sent.as_expected()) {
            let words = format!("expected {}, got {}", sent.expected.words(), sent.class());
            if !wrong.contains(&words) {
                wrong.push(words);
            }
        }
        for words in &wrong {
            output::tell(words);
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let seconds = self.took.as_secs_f64();
        let mut lines = vec![format!("{} sent in {seconds:.2} s, {:.0}/s", self.sent.len(), self.rate())];
        lines.extend(self.classes().iter().map(|(class, count)| format!("{count:>8}  {class}")));
        if let [Some(p50), Some(p99), Some(max)] = self.millis() {
            lines.push(format!("p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms"));
        }
        lines.join("\n")
    }

    /// The summary; with every answer where there are few.
    fn value(&self) -> Value {
        let classes = self.classes();
        let outcomes: Vec<Value> =
            classes.iter().map(|(outcome, count)| json!({ "outcome": outcome, "count": count })).collect();
        let [p50, p99, max] = self.millis();
        let mut value = json!({
            "sent": self.sent.len(),
            "as_expected": self.all_as_expected(),
            "seconds": self.took.as_secs_f64(),
            "outcomes": outcomes,
            "latency_ms": { "p50": p50, "p99": p99, "max": max },
        });
        if !self.many {
            table::put(&mut value, "answers", self.sent.iter().map(Sent::value).collect::<Vec<_>>());
        }
        value
    }

    fn classes(&self) -> BTreeMap<String, usize> {
        let mut classes: BTreeMap<String, usize> = BTreeMap::new();
        for sent in &self.sent {
            *classes.entry(sent.class()).or_default() += 1;
        }
        classes
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people, and counts far below 2^52")]
    fn rate(&self) -> f64 {
        let seconds = self.took.as_secs_f64();
        if seconds > 0.0 { self.sent.len() as f64 / seconds } else { 0.0 }
    }

    /// What half, 99 in a hundred and all of the answers took at most, in milliseconds; none where none came.
    fn millis(&self) -> [Option<f64>; 3] {
        let answered = self.sent.iter().filter(|sent| sent.answer.is_ok());
        let mut took: Vec<Duration> = answered.map(|sent| sent.took).collect();
        took.sort_unstable();
        let of = [percentile(&took, 50), percentile(&took, 99), took.last()];
        of.map(|took| took.map(|took| took.as_secs_f64() * 1000.0))
    }
}

/// The nearest-rank percentile of sorted values.
fn percentile(sorted: &[Duration], percent: usize) -> Option<&Duration> {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(status: u16, body: &'static str, millis: u64) -> Sent {
        let answer = Answer { status, body: body.into() };
        Sent::new(Expected::Accepted, Ok(answer), Duration::from_millis(millis))
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let values: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 50), Some(&Duration::from_millis(100)));
        assert_eq!(percentile(&values, 99), Some(&Duration::from_millis(198)));
        assert_eq!(percentile(&values[..1], 99), Some(&Duration::from_millis(1)));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn many_answers_are_counted_by_kind() {
        let all = vec![
            sent(200, r#"{"status":"accepted","duplicate":false}"#, 1),
            sent(200, r#"{"status":"accepted","duplicate":true}"#, 2),
            sent(200, r#"{"status":"accepted","duplicate":false}"#, 3),
            sent(503, r#"{"message":"overloaded"}"#, 4),
        ];
        let report = Report::new(all, Duration::from_secs(2), true);
        assert!(!report.all_as_expected());
        assert_eq!(
            report.summary(),
            "4 sent in 2.00 s, 2/s\n       2  200 accepted\n       1  200 accepted (duplicate)\n       1  503 overloaded\n\
             p50 2.00 ms, p99 4.00 ms, max 4.00 ms"
        );
    }

    #[test]
    fn an_answer_is_one_line_and_cannot_reach_the_terminal() {
        assert_eq!(sent(200, "{}\n", 1).line(), "200 {}");
        assert_eq!(sent(500, "\u{1b}[31m\nx", 1).line(), "500 \\u{1b}[31m\\u{a}x");
    }
}
