//! The dashboard that `deploy/` ships: every panel says what it shows, in which unit, and asks for what is there.

use serde_json::{Value, json};

use super::deploy::shipped;
use super::promql::{Shown, promtool};

/// Panels that come with Grafana.
const TYPES: [&str; 3] = ["row", "stat", "timeseries"];

fn dashboard() -> Value {
    serde_json::from_str(&shipped("grafana/gatepost.json")).unwrap()
}

fn panels() -> Vec<Value> {
    dashboard()["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row").cloned().collect()
}

/// The queries of `panel` with Grafana's variables filled in.
fn queries(panel: &Value) -> Vec<String> {
    let filled = |query: &str| {
        let names = ["$job", "$instance", "$source", "$sink"];
        names.iter().fold(query.replace("$__rate_interval", "5m"), |query, name| query.replace(name, ".*"))
    };
    let queries: Vec<String> =
        panel["targets"].as_array().unwrap().iter().map(|target| filled(target["expr"].as_str().unwrap())).collect();
    assert!(queries.iter().all(|query| !query.contains('$')), "a variable that is not one: {queries:?}");
    queries
}

#[test]
fn every_panel_has_a_title_a_unit_and_a_query() {
    let all = dashboard()["panels"].as_array().unwrap().clone();
    assert!(all.iter().all(|panel| TYPES.contains(&panel["type"].as_str().unwrap())), "a plugin is needed");
    assert!(all.iter().all(|panel| !panel["title"].as_str().unwrap().is_empty()));
    for panel in panels() {
        let title = panel["title"].as_str().unwrap();
        assert!(!panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap().is_empty(), "{title}");
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{title}");
        assert_eq!(panel["datasource"], json!({ "type": "prometheus", "uid": "${datasource}" }), "{title}");
        assert!(!queries(&panel).is_empty(), "{title}");
    }
    let variables = dashboard()["templating"]["list"].as_array().unwrap().clone();
    let names: Vec<&str> = variables.iter().filter_map(|variable| variable["name"].as_str()).collect();
    assert_eq!(names, ["datasource", "job", "instance", "source", "sink"]);
}

#[test]
fn prometheus_understands_every_query() {
    let rules: Vec<Value> = panels()
        .iter()
        .flat_map(queries)
        .enumerate()
        .map(|(i, query)| json!({ "record": format!("panel:{i}"), "expr": query }))
        .collect();
    assert!(rules.len() > 20, "{}", rules.len());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("panels.yaml");
    // JSON is YAML.
    std::fs::write(&file, json!({ "groups": [{ "name": "panels", "rules": rules }] }).to_string()).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()]);
}

#[test]
fn every_panel_asks_for_what_a_running_gatepost_shows() {
    let shown = Shown::now();
    for query in panels().iter().flat_map(queries) {
        shown.assert_has(&query);
    }
    for variable in dashboard()["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["query"]["query"].as_str() {
            shown.assert_has(&query.replace("$job", ".*"));
        }
    }
}
