//! The metrics as numbers, for whoever shows them: what `/metrics` says, read once.

use super::Metrics;

/// Every series at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading(Vec<Series>);

/// One series.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Series {
    name: String,
    labels: Vec<(String, String)>,
    /// What it stands at.
    pub(crate) value: f64,
}

impl Series {
    /// The value of label `name`; empty without one.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }
}

impl Metrics {
    /// Every series now. As dear as a scrape: not for the path of a request.
    pub(crate) fn read(&self) -> Reading {
        Reading::parse(&self.render())
    }
}

impl Reading {
    fn parse(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(series).collect())
    }

    /// Every series called `name`.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Series> {
        self.0.iter().filter(move |series| series.name == name)
    }

    /// The one series called `name`, which has no labels.
    pub(crate) fn one(&self, name: &str) -> Option<f64> {
        self.all(name).next().map(|series| series.value)
    }

    /// The value of the series called `name` whose `label` is `value`.
    pub(crate) fn of(&self, name: &str, label: &str, value: &str) -> Option<f64> {
        self.all(name).find(|series| series.label(label) == value).map(|series| series.value)
    }
}

/// `name{label="value",…} 1.5`, as this program writes it.
fn series(line: &str) -> Option<Series> {
    let Some((name, rest)) = line.split_once('{') else {
        let (name, value) = line.split_once(' ')?;
        return Some(Series { name: name.to_owned(), labels: Vec::new(), value: value.parse().ok()? });
    };
    let (labels, rest) = labels(rest)?;
    Some(Series { name: name.to_owned(), labels, value: rest.split_whitespace().next()?.parse().ok()? })
}

fn labels(text: &str) -> Option<(Vec<(String, String)>, &str)> {
    let (mut found, mut rest) = (Vec::new(), text);
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((found, behind));
        }
        let (name, behind) = rest.split_once("=\"")?;
        let (mut value, mut chars) = (String::new(), behind.char_indices());
        rest = loop {
            match chars.next()? {
                (at, '"') => break behind.get(at + 1..)?,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, c) => value.push(c),
            }
        };
        found.push((name.to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Name;
    use crate::request_outcome::RequestOutcome;

    #[test]
    fn what_is_read_is_what_was_counted() {
        let metrics = Metrics::new();
        metrics.source("a", &[r#"key "x" \ {y="z"}"#.to_owned()]).outcome(RequestOutcome::Accepted).inc_by(3);
        metrics.source("a", &[]).duration.observe(0.003);
        metrics.sink(&Name::from("orders")).backlog.set(7);
        let read = metrics.read();
        let accepted =
            read.all("gatepost_requests_total").find(|series| series.label("outcome") == "accepted").unwrap();
        assert_eq!((accepted.label("source"), accepted.value), ("a", 3.0));
        assert_eq!(read.of("gatepost_delivery_backlog", "sink", "orders"), Some(7.0));
        assert_eq!(read.one("gatepost_quarantine_entries"), Some(0.0));
        let key = read.all("gatepost_verification_key_last_used_timestamp_seconds").next().unwrap();
        assert_eq!(key.label("key"), r#"key "x" \ {y="z"}"#);
        let at = |le: &str| read.of("gatepost_request_duration_seconds_bucket", "le", le);
        assert_eq!((at("0.002"), at("0.004")), (Some(0.0), Some(1.0)));
    }
}
