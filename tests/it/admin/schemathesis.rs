//! The API against its own `OpenAPI` document: schemathesis makes requests of it, right and wrong ones, and every answer has
//! to be one that the document knows.

use std::path::Path;
use std::process::Command;

use super::client::{Client, TOKEN, guarded};
use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{Setup, Signer, event, eventually, unique};

/// Where `.ci/setup` puts it.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/schemathesis/bin/schemathesis");
/// All but one: what a field says can be wrong in ways that no schema tells, such as a time.
const NOT_CHECKED: &str = "positive_data_acceptance";

#[test]
fn the_api_answers_as_its_document_says() {
    if !Path::new(PROGRAM).exists() {
        eprintln!("skipped: schemathesis is not there; .ci/setup installs it where PyPI can be reached");
        return;
    }
    let upstream = Upstream::start(|_, _| Reply::status(400));
    let sink = format!("[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{}\"\n", upstream.url());
    let daemon = guarded(Setup::new().preset("nice").preset("cognigy")).block(&sink).start();
    for _ in 0..3 {
        assert_eq!(daemon.send(&Signer::of("nice").sign(event(&unique()))).status, 200);
        assert_eq!(daemon.send(&Signer::of("nice").shifted(-4000).sign(event(&unique()))).status, 401);
    }
    let mut client = Client::bearing(&daemon, TOKEN);
    eventually("dead letters and refused requests to ask about", || {
        let dead = client.json("/api/v1/dead")["dead"].as_array()?.len();
        let refused = client.json("/api/v1/quarantine")["refused"].as_array()?.len();
        (dead == 3 && refused == 3).then_some(())
    });
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .current_dir(folder.path())
        .env("NO_COLOR", "1")
        .args(["run", &format!("http://{}/api/v1/openapi.json", daemon.admin)])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .args(["--checks", "all", "--exclude-checks", NOT_CHECKED, "--seed", "1", "--max-examples", "25"])
        // Streams that do not end by themselves.
        .args(["--exclude-path-regex", "/(live|tail)$", "--warnings", "off", "--no-shrink"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(daemon.access().iter().all(|record| record["outcome"] != "failed"), "{told}");
}
