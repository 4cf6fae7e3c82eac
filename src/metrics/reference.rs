//! The page of every metric, made of what `/metrics` says of a daemon with one source and one sink.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::Metrics;

const HEAD: &str = "\
# Metrics

Written by `gatepost reference metrics` from the registry that `/metrics` of the admin listener is served from. Behind the
admin token, where one is set:

```sh
curl -H \"Authorization: Bearer $GATEPOST_ADMIN_TOKEN\" http://127.0.0.1:9090/metrics
```

Every series is there from the start, every label has values of a fixed set: sources, sinks and keys as configured (`none`
is the source of requests that no path matched), reasons as in [answers](answers.md). Only
`gatepost_store_free_bytes` is there once it is known, which it is for SQLite alone. The alerts of
`deploy/prometheus/gatepost.rules.yaml` and the dashboard `deploy/grafana/gatepost.json` use them.

| metric | type | what it says | labels |
|---|---|---|---|
";

/// Labels whose values an operator chooses, or that would fill the page.
const OPEN: [&str; 5] = ["source", "sink", "key", "reason", "version"];

/// The page, as Markdown.
pub(crate) fn page() -> String {
    let metrics = Metrics::new();
    drop(metrics.source("a", &["k".to_owned()]));
    drop(metrics.sink(&"b".into()));
    metrics.set_store_size(0, Some(0));
    let mut text = HEAD.to_owned();
    for family in families(&metrics.render()) {
        let labels: Vec<String> = family.labels.iter().map(|(name, values)| label(name, values)).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            family.series,
            family.kind,
            family.help.trim_end_matches('.'),
            labels.join("; ")
        );
    }
    text
}

fn label(name: &str, values: &BTreeSet<String>) -> String {
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    if OPEN.contains(&name) { format!("`{name}`") } else { format!("`{name}`: {}", values.join(", ")) }
}

/// A metric as the text of `/metrics` describes it.
#[derive(Default)]
struct Family {
    series: String,
    kind: String,
    help: String,
    labels: BTreeMap<String, BTreeSet<String>>,
}

/// Those of `text`, which is ours: no label holds a comma, a quote or a brace.
fn families(text: &str) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            families.push(Family { series: name.to_owned(), help: help.to_owned(), ..Family::default() });
        } else if let Some(family) = families.last_mut() {
            family.read(line);
        }
    }
    families
}

impl Family {
    fn read(&mut self, line: &str) {
        if let Some((_, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kind.clone_into(&mut self.kind);
            return;
        }
        let Some((series, labels)) = line.split_once([' ', '{']).filter(|_| !line.starts_with('#')) else { return };
        // A counter's series ends in `_total`, that of an info in `_info`; the several of a histogram go by its name.
        if self.kind != "histogram" {
            series.clone_into(&mut self.series);
        }
        let labels = labels.split_once('}').map_or("", |(labels, _)| labels);
        for (name, value) in labels.split(',').filter_map(|label| label.split_once('=')) {
            if name != "le" {
                self.labels.entry(name.to_owned()).or_default().insert(value.trim_matches('"').to_owned());
            }
        }
    }
}
