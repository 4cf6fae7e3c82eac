//! The Prometheus text of `/metrics`, just enough of it to look series up.

use std::collections::BTreeMap;

/// Series as `name{label="value",…}` with labels sorted, and their values.
pub(crate) struct Scrape(BTreeMap<String, String>);

impl Scrape {
    /// Reads the text; panics on a line that is none.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(series).collect())
    }

    /// The value of the series `name` with exactly these labels, which must be there.
    #[track_caller]
    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.text(name, labels).parse().unwrap()
    }

    /// The value of a series that counts whole things.
    #[track_caller]
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> i64 {
        let text = self.text(name, labels);
        text.trim_end_matches(".0").parse().unwrap_or_else(|_| panic!("{name}{labels:?} is no whole number: {text}"))
    }

    #[track_caller]
    fn text(&self, name: &str, labels: &[(&str, &str)]) -> &str {
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        let key = key(name, labels);
        self.0.get(&key).unwrap_or_else(|| panic!("no series {key} in {:#?}", self.of(name)))
    }

    /// Every series of the metric `name`.
    pub(crate) fn of(&self, name: &str) -> Vec<&str> {
        let ours =
            |series: &&String| series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
        self.0.keys().filter(ours).map(String::as_str).collect()
    }

    /// The names of all series with their labels.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn key(name: &str, mut labels: Vec<String>) -> String {
    labels.sort();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}

fn series(line: &str) -> (String, String) {
    let (head, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a series: {line}"));
    assert!(value.parse::<f64>().is_ok(), "not a number: {line}");
    let Some((name, labels)) = head.split_once('{') else { return (head.to_owned(), value.to_owned()) };
    let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("not a series: {line}"));
    let labels = labels.split(',').filter(|label| !label.is_empty()).map(str::to_owned).collect();
    (key(name, labels), value.to_owned())
}
