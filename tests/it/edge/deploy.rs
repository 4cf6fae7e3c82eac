//! What `deploy/` ships is accepted by those who read it: HAProxy, systemd, YAML, and gatepost's own configuration.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use gatepost::config::{Config, load};
use serde_json::Value;

use super::fronts::swapped;
use crate::support::certs::Ca;

/// After the drain: what is left to close the store and write the last lines.
const LAST_WAIT: Duration = Duration::from_secs(3);

pub(super) fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(super) fn documents(name: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&shipped(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(super) fn kubernetes(kind: &str) -> Value {
    let mut found = documents("kubernetes.yaml").into_iter().filter(|document| document["kind"] == kind);
    found.next().unwrap_or_else(|| panic!("no {kind}"))
}

/// The text between `key` and the end of its line.
pub(super) fn setting<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap_or_else(|| panic!("no {key}")).trim()
}

/// Seconds as `40`, `40s`.
pub(super) fn seconds(text: &str) -> Duration {
    Duration::from_secs(text.trim_end_matches('s').parse().unwrap())
}

fn assert_drains_within(config: &Config, grace: Duration) {
    let needed = config.live.shutdown.drain_delay + config.live.shutdown.drain_timeout + LAST_WAIT;
    assert!(grace >= needed, "{grace:?} cuts off a drain of {needed:?}");
}

/// Everything that the shipped files expect under `/run`, in `dir`.
fn furnish(dir: &Path) {
    let ca = Ca::new();
    let leaf = ca.leaf(1);
    leaf.write(dir);
    fs::write(dir.join("ca.crt"), ca.pem()).unwrap();
    fs::write(dir.join("haproxy.pem"), format!("{}{}", leaf.chain, leaf.key)).unwrap();
    for secret in ["cognigy", "cxone", "admin-token"] {
        fs::write(dir.join(secret), "a-secret-of-enough-length\n").unwrap();
    }
    fs::write(dir.join("orders"), "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\n").unwrap();
    fs::write(dir.join("store-url"), "postgres://gatepost@db.internal/gatepost\n").unwrap();
}

/// Paths under `/run` become paths in `dir`.
fn moved(text: &str, dir: &Path) -> String {
    let there = format!("{}/", dir.display());
    ["/run/tls/", "/run/secrets/gatepost/", "/run/secrets/"].iter().fold(text.to_owned(), |t, p| t.replace(p, &there))
}

fn assert_haproxy_accepts(name: &str) {
    let dir = tempfile::tempdir().unwrap();
    furnish(dir.path());
    let file = dir.path().join(name);
    // No look-up of names while testing: the server may stay without an address.
    let text = moved(&shipped(name), dir.path()).replace("init-addr last,libc,none", "init-addr none");
    fs::write(&file, text).unwrap();
    // Debian keeps it where ordinary users' PATH does not reach.
    let program = ["haproxy", "/usr/sbin/haproxy"].into_iter().find(|p| Command::new(p).arg("-v").output().is_ok());
    let program = program.expect("haproxy is needed to check deploy/*.cfg: install Debian's package haproxy");
    let output = Command::new(program).args(["-c", "-f"]).arg(&file).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !words.contains("[WARNING]"), "{name}: {words}");
}

#[test]
fn haproxy_accepts_the_tcp_configuration() {
    assert_haproxy_accepts("haproxy.cfg");
}

#[test]
fn haproxy_accepts_the_http_configuration() {
    assert_haproxy_accepts("haproxy-http.cfg");
}

#[test]
fn haproxy_closes_idle_connections_on_the_right_side_of_our_idle_timeout() {
    let config = kubernetes_config();
    // TCP: we close first. HTTP: HAProxy gives its idle connections up first, so that no request meets a closing one.
    assert!(seconds(setting(&shipped("haproxy.cfg"), "timeout server")) > config.live.deadlines.idle);
    let http = shipped("haproxy-http.cfg");
    let purge = http.split("pool-purge-delay ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(seconds(purge) < config.live.deadlines.idle);
}

pub(super) fn kubernetes_config() -> Config {
    let dir = tempfile::tempdir().unwrap();
    furnish(dir.path());
    let text = kubernetes("ConfigMap")["data"]["gatepost.toml"].as_str().unwrap().to_owned();
    let file = dir.path().join("gatepost.toml");
    fs::write(&file, moved(&text, dir.path())).unwrap();
    load(Some(&file), &BTreeMap::new()).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn the_kubernetes_pod_runs_what_its_configuration_says() {
    let config = kubernetes_config();
    let deployment = kubernetes("Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_drains_within(&config, Duration::from_secs(pod["terminationGracePeriodSeconds"].as_u64().unwrap()));
    let ports = container["ports"].as_array().unwrap();
    let port = |name: &str| ports.iter().find(|port| port["name"] == name).unwrap()["containerPort"].as_u64();
    assert_eq!(port("webhook"), Some(config.boot.listener.address.port().into()));
    assert_eq!(port("admin"), Some(config.boot.admin_address.port().into()));
    for (probe, path) in [("startupProbe", "/livez"), ("readinessProbe", "/readyz"), ("livenessProbe", "/livez")] {
        assert_eq!(container[probe]["httpGet"], serde_json::json!({ "path": path, "port": "admin" }), "{probe}");
    }
    assert!(
        config.boot.store_url.starts_with("postgres://"),
        "several replicas need a store that takes several writers"
    );
}

#[test]
fn the_kubernetes_pod_is_confined() {
    let deployment = kubernetes("Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(pod["automountServiceAccountToken"], false);
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(container["readOnlyRootFilesystem"], true);
    assert_eq!(container["allowPrivilegeEscalation"], false);
    assert_eq!(container["capabilities"]["drop"], serde_json::json!(["ALL"]));
    assert!(pod["containers"][0].get("lifecycle").is_none(), "the daemon drains by itself");
}

#[test]
fn every_kubernetes_selector_finds_the_pod() {
    let labels = kubernetes("Deployment")["spec"]["template"]["metadata"]["labels"].clone();
    for document in documents("kubernetes.yaml") {
        let selector = &document["spec"]["selector"];
        match document["kind"].as_str().unwrap() {
            "Service" => assert_eq!(*selector, labels),
            "Deployment" | "PodDisruptionBudget" => assert_eq!(selector["matchLabels"], labels),
            other => assert_eq!(other, "ConfigMap"),
        }
    }
}

#[test]
fn compose_gives_variables_that_make_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    furnish(dir.path());
    let compose = documents("compose.yaml").remove(0);
    let service = &compose["services"]["gatepost-1"];
    assert_eq!(*service, compose["services"]["gatepost-2"]);
    let variables = service["environment"].as_object().unwrap();
    let mut vars: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| (name.clone(), moved(value.as_str().unwrap(), dir.path()))).collect();
    let asked = vars.insert("GATEPOST_ALLOWED_IPS".into(), "203.0.113.7".into()).unwrap();
    assert!(asked.starts_with("${GATEPOST_ALLOWED_IPS:?"), "there is no answer to who may send but the site's own");
    let config = load(None, &vars).unwrap_or_else(|faults| panic!("{faults}"));
    assert_drains_within(&config, seconds(service["stop_grace_period"].as_str().unwrap()));
    assert!(config.boot.listener.proxy_protocol, "haproxy.cfg sends PROXY headers");
    let subnet = &compose["networks"]["edge"]["ipam"]["config"][0]["subnet"];
    assert_eq!(variables["GATEPOST_TRUSTED_PROXIES"], *subnet);
}

#[test]
fn one_compiler_builds_everywhere() {
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let (dockerfile, workflow) = (read("Dockerfile"), read(".github/workflows/ci.yaml"));
    let image = setting(&dockerfile, "ARG BUILD_IMAGE=");
    assert_eq!(setting(&workflow, "container: "), image);
    assert!(image.matches('.').count() == 2, "{image}: a version to the patch");
}

#[test]
fn the_image_sets_nothing_that_would_win_over_a_file() {
    let dockerfile = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).unwrap();
    let set: Vec<&str> =
        dockerfile.lines().filter(|line| line.trim_start_matches("ENV ").contains("GATEPOST_")).collect();
    assert_eq!(set.iter().filter(|line| !line.starts_with('#') && !line.starts_with("ARG ")).count(), 0, "{set:?}");
}

#[test]
fn systemd_accepts_the_unit() {
    let unit = shipped("gatepost.service");
    assert_drains_within(&kubernetes_config(), seconds(setting(&unit, "TimeoutStopSec=")));
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("systemd-analyze is not installed: the unit was not verified");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join("gatepost.service");
    fs::write(&file, swapped(&unit, "ExecStart=gatepost ", concat!("ExecStart=", env!("CARGO_BIN_EXE_gatepost"), " ")))
        .unwrap();
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    // Units of the machine itself may be at fault too; only what is said of ours counts.
    let ours: Vec<&str> = words.lines().filter(|line| line.contains("gatepost")).collect();
    assert!(output.status.success() && ours.is_empty(), "{words}");
}
