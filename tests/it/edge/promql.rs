//! What a query of Prometheus names, and whether a running gatepost shows it.

use std::collections::BTreeSet;
use std::process::Command;

use crate::support::Setup;
use crate::support::scrape::Scrape;

/// Labels that Prometheus gives, or that a recording rule does.
const NOT_OURS: [&str; 5] = ["job", "instance", "quantile", "alertname", "severity"];
/// Metrics that Prometheus makes.
const PROMETHEUS: [&str; 1] = ["up"];
/// Words before a list of labels.
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// A matcher: label, operator, value.
type Matcher = (String, String, String);

/// What a query names.
#[derive(Default)]
struct Named {
    metrics: Vec<(String, Vec<Matcher>)>,
    grouping: Vec<String>,
}

/// Takes what is up to `end` off the front of `text`, and `end`; quoted text hides it.
fn up_to<'a>(text: &mut &'a str, end: char) -> &'a str {
    let mut quoted = false;
    let at = text.find(|c: char| {
        quoted ^= c == '"' && end != '"';
        c == end && !quoted
    });
    let (before, after) = text.split_at(at.unwrap_or_else(|| panic!("no {end} in {text}")));
    *text = &after[end.len_utf8()..];
    before
}

fn matchers(mut text: &str) -> Vec<Matcher> {
    let mut all = Vec::new();
    while let Some(at) = text.find(['=', '!']) {
        let label = text[..at].trim_matches([' ', ',']).to_owned();
        text = &text[at..];
        let operator = up_to(&mut text, '"').trim().to_owned();
        let (value, rest) = text.split_once('"').expect("an end of the value");
        all.push((label, operator, value.to_owned()));
        text = rest;
    }
    all
}

impl Named {
    fn of(query: &str) -> Self {
        let (mut named, mut rest) = (Self::default(), query);
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
            if end == 0 {
                rest = &rest[first.len_utf8()..];
                // A string, a range: nothing is named in there.
                let hidden = [('"', '"'), ('[', ']')].into_iter().find(|(begin, _)| *begin == first);
                if let Some((_, end)) = hidden {
                    up_to(&mut rest, end);
                }
                continue;
            }
            let name = &rest[..end];
            rest = &rest[end..];
            if GROUPING.contains(&name) {
                up_to(&mut rest, '(');
                named.grouping.extend(up_to(&mut rest, ')').split(',').map(|label| label.trim().to_owned()));
            } else if PROMETHEUS.contains(&name) || ["gatepost", "process_"].iter().any(|p| name.starts_with(p)) {
                let selector = rest.strip_prefix('{').map(|inner| {
                    rest = inner;
                    matchers(up_to(&mut rest, '}'))
                });
                named.metrics.push((name.to_owned(), selector.unwrap_or_default()));
            }
        }
        named
    }
}

/// What a gatepost with sources and a sink shows.
pub(super) struct Shown {
    scrape: Scrape,
    /// Names that the rules record, or that an operator's are to.
    pub(super) recorded: BTreeSet<String>,
}

impl Shown {
    /// Starts one and asks it.
    pub(super) fn now() -> Self {
        let sink = "[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"http://127.0.0.1:9/\"\n";
        Self { scrape: Setup::every_preset().block(sink).start().scrape(), recorded: BTreeSet::new() }
    }

    /// Panics where `query` names a metric, a label or a value that is not there; gives the metrics.
    #[track_caller]
    pub(super) fn assert_has(&self, query: &str) -> Vec<String> {
        let named = Named::of(query);
        assert!(!named.metrics.is_empty(), "names nothing of gatepost: {query}");
        for (metric, matchers) in &named.metrics {
            if PROMETHEUS.contains(&metric.as_str()) || self.recorded.contains(metric) {
                continue;
            }
            let series = self.scrape.of(metric);
            assert!(!series.is_empty(), "no metric {metric}: {query}");
            for (label, operator, value) in matchers.iter().filter(|(label, _, _)| !NOT_OURS.contains(&label.as_str()))
            {
                let values: Vec<&str> = if operator.ends_with('~') { value.split('|').collect() } else { vec![value] };
                for value in values {
                    let wanted = if value == ".*" { format!("{label}=\"") } else { format!("{label}=\"{value}\"") };
                    assert!(series.iter().any(|series| series.contains(&wanted)), "no {metric}{{{wanted}}}: {query}");
                }
            }
        }
        for label in named.grouping.iter().filter(|label| !NOT_OURS.contains(&label.as_str())) {
            let found = self.scrape.names().any(|series| series.contains(&format!("{label}=\"")));
            assert!(found, "no series has a label {label}: {query}");
        }
        named.metrics.into_iter().map(|(metric, _)| metric).collect()
    }
}

/// Runs Debian's promtool; `false`, and says so, where there is none. Panics where it finds fault.
pub(super) fn promtool(arguments: &[&str]) -> bool {
    let Ok(output) = Command::new("promtool").args(arguments).output() else {
        eprintln!("promtool is not installed (Debian package prometheus; see .ci/setup): not run: {arguments:?}");
        return false;
    };
    let words = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {arguments:?}: {}", String::from_utf8_lossy(&words));
    true
}

#[test]
fn what_a_query_names_is_found() {
    let named = Named::of(
        "sum by (job, le) (rate(gatepost_a_bucket{x=\"1, }\",y=~\"b|c\"}[5m])) / up > 0.5 and on (z) gatepost:b",
    );
    let metrics: Vec<&str> = named.metrics.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(metrics, ["gatepost_a_bucket", "up", "gatepost:b"]);
    let matcher = |label: &str, operator: &str, value: &str| (label.to_owned(), operator.to_owned(), value.to_owned());
    assert_eq!(named.metrics[0].1, [matcher("x", "=", "1, }"), matcher("y", "=~", "b|c")]);
    assert_eq!(named.grouping, ["job", "le", "z"]);
}
