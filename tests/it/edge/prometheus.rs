//! The alerts that `deploy/` ships: Prometheus takes them, they fire when they must, and they name what is there.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::deploy::{documents, shipped};
use super::promql::{Shown, promtool};

const RULES: &str = "prometheus/gatepost.rules.yaml";
const TESTS: &str = "prometheus/gatepost.rules.test.yaml";
/// Recorded by the operator, as the comment in the file says.
const WATCHED: &str = "gatepost:watched_source";

fn rules() -> Vec<Value> {
    let groups = documents(RULES).remove(0)["groups"].as_array().unwrap().clone();
    groups.into_iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule.get("alert").is_some()).collect()
}

fn path(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name).display().to_string()
}

#[test]
fn prometheus_takes_the_rules() {
    promtool(&["check", "rules", &path(RULES)]);
}

#[test]
fn every_alert_fires_when_it_must_and_is_silent_otherwise() {
    promtool(&["test", "rules", &path(TESTS)]);
    let tests = shipped(TESTS);
    for alert in alerts() {
        let firing = format!("alertname=\"{}\"", alert["alert"].as_str().unwrap());
        assert!(tests.contains(&firing), "no test in which {firing} fires");
    }
}

#[test]
fn the_rules_name_what_a_running_gatepost_shows() {
    let mut shown = Shown::now();
    let recorded = rules().iter().filter_map(|rule| Some(rule["record"].as_str()?.to_owned())).collect::<BTreeSet<_>>();
    assert!(shipped(RULES).contains(&format!("# - record: {WATCHED}")), "the operator is told how to record it");
    shown.recorded = recorded.into_iter().chain([WATCHED.to_owned()]).collect();
    for rule in rules() {
        shown.assert_has(rule["expr"].as_str().unwrap());
    }
}

#[test]
fn every_alert_says_how_urgent_it_is_and_what_to_do() {
    let readme = include_str!("../../../README.md");
    let symptoms: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(["page", "ticket"].contains(&alert["labels"]["severity"].as_str().unwrap()), "{name}");
        let word = |key: &str| alert["annotations"][key].as_str().unwrap_or_else(|| panic!("{name} has no {key}"));
        assert!(!word("summary").is_empty() && word("description").ends_with('.'), "{name}");
        let symptom = word("symptom");
        assert!(symptoms.iter().any(|row| row.contains(symptom)), "{name}: the README has no row for {symptom}");
    }
}
