//! What stands beside the deployment on Kubernetes: who scrapes it and who may speak to it fit what it is.

use serde_json::{Value, json};

use super::deploy::{documents, kubernetes, kubernetes_config};

fn only(name: &str, kind: &str) -> Value {
    let mut all = documents(name);
    all.retain(|document| !document.is_null());
    assert_eq!(all.len(), 1, "{name}");
    assert_eq!(all[0]["kind"], kind);
    all.remove(0)
}

fn labels() -> Value {
    kubernetes("Deployment")["spec"]["template"]["metadata"]["labels"].clone()
}

#[test]
fn the_service_monitor_finds_the_admin_port_and_brings_the_token() {
    let monitor = only("kubernetes-monitoring.yaml", "ServiceMonitor");
    let wanted = &monitor["spec"]["selector"]["matchLabels"];
    let endpoint = &monitor["spec"]["endpoints"][0];
    let fits = |service: &&Value| {
        let has = service["spec"]["ports"].as_array().unwrap().iter().any(|port| port["name"] == endpoint["port"]);
        service["metadata"]["labels"] == *wanted && has
    };
    let services = documents("kubernetes.yaml").into_iter().filter(|document| document["kind"] == "Service");
    let services: Vec<Value> = services.collect();
    let scraped: Vec<&Value> = services.iter().filter(fits).collect();
    assert_eq!(scraped.len(), 1, "{scraped:?}");
    assert_eq!(scraped[0]["metadata"]["name"], "gatepost-admin");
    // The job's name is the value of this label; the alerts look for it.
    assert!(labels()[monitor["spec"]["jobLabel"].as_str().unwrap()].as_str().unwrap().contains("gatepost"));
    let pod = kubernetes("Deployment")["spec"]["template"]["spec"].clone();
    let secrets = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "secrets").unwrap();
    let token = &endpoint["authorization"]["credentials"];
    assert_eq!(token["name"], secrets["secret"]["secretName"]);
    let file = format!("/run/secrets/gatepost/{}", token["key"].as_str().unwrap());
    assert!(kubernetes("ConfigMap")["data"]["gatepost.toml"].as_str().unwrap().contains(&file));
}

#[test]
fn the_network_policy_opens_what_the_pod_needs_and_no_more() {
    let policy = only("kubernetes-network.yaml", "NetworkPolicy");
    assert_eq!(policy["spec"]["podSelector"]["matchLabels"], labels());
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    let deployment = kubernetes("Deployment");
    let ports = deployment["spec"]["template"]["spec"]["containers"][0]["ports"].as_array().unwrap();
    let (ingress, egress) =
        (policy["spec"]["ingress"].as_array().unwrap(), policy["spec"]["egress"].as_array().unwrap());
    let from = |port: &str| {
        assert!(ports.iter().any(|have| have["name"] == port), "{port}");
        let rules = ingress.iter().filter(|rule| rule["ports"] == json!([{ "port": port, "protocol": "TCP" }]));
        let peers: Vec<&Value> = rules.map(|rule| &rule["from"]).collect();
        assert_eq!(peers.len(), 1, "{port}");
        peers[0][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"].as_str().unwrap().to_owned()
    };
    assert_eq!((from("webhook").as_str(), from("admin").as_str(), ingress.len()), ("ingress-nginx", "monitoring", 2));
    let out: Vec<u64> = egress
        .iter()
        .flat_map(|rule| rule["ports"].as_array().unwrap())
        .map(|port| port["port"].as_u64().unwrap())
        .collect();
    assert_eq!(out, [53, 53, 5432, 443]);
    assert!(egress.iter().all(|rule| !rule["to"].as_array().unwrap().is_empty()), "each says to whom");
    // And that is where its configuration leads: PostgreSQL's port, and https.
    let config = kubernetes_config();
    assert!(config.boot.store_url.starts_with("postgres://"));
    assert!(kubernetes("ConfigMap")["data"]["gatepost.toml"].as_str().unwrap().contains("url = \"https://orders"));
}
