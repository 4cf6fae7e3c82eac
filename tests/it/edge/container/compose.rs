//! `deploy/compose.yaml` as it is shipped, with HAProxy and PostgreSQL: it comes up, and two gateposts are exchanged one
//! after the other under load without a request that fails.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use tempfile::TempDir;

use super::super::fronts::{Front, cognigy};
use super::super::rolling::Load;
use super::{IMAGE, becomes_healthy, inspect, log, readable, stored, wanted, within_patience};
use crate::support::certs::Ca;
use crate::support::sign::secret_of;
use crate::support::wire::client_config;
use crate::support::{Conn, accepted, unique};

const SERVICES: [&str; 4] = ["haproxy", "gatepost-1", "gatepost-2", "postgres"];

/// The whole of `deploy/compose.yaml`, running; gone with its volumes when dropped.
struct Stack {
    project: String,
    files: TempDir,
    address: SocketAddr,
    ca: Arc<Ca>,
}

impl Stack {
    /// Lays beside copies of the shipped files what they ask for, and brings everything up.
    fn up() -> Self {
        let files = tempfile::tempdir().unwrap();
        let (deploy, ca) = (files.path().join("deploy"), Arc::new(Ca::new()));
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        furnish(&deploy, &ca, address.port());
        // docker-compose's first version allows letters and digits only.
        let project = format!("gatepostit{}", unique().replace('-', ""));
        let stack = Self { project, files, address, ca };
        stack.compose(&["up", "--detach", "--no-build"]);
        becomes_healthy(&stack.container("gatepost-1"));
        becomes_healthy(&stack.container("gatepost-2"));
        stack
    }

    fn try_compose(&self, arguments: &[&str]) -> Output {
        // The plugin where it is there, else the program of old.
        let plugin = Command::new("docker").args(["compose", "version"]).output().is_ok_and(|o| o.status.success());
        let mut command = Command::new(if plugin { "docker" } else { "docker-compose" });
        command.args(plugin.then_some("compose"));
        let file = self.files.path().join("deploy/compose.yaml");
        command.arg("--project-name").arg(&self.project).arg("--file").arg(file).args(arguments);
        command.current_dir(self.files.path().join("deploy")).output().expect("Docker's compose is installed")
    }

    #[track_caller]
    fn compose(&self, arguments: &[&str]) -> String {
        let output = self.try_compose(arguments);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "compose {arguments:?}: {words}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The id of a service's one container.
    #[track_caller]
    fn container(&self, service: &str) -> String {
        let found = self.compose(&["ps", "--quiet", service]);
        assert_eq!(found.lines().count(), 1, "{service}: {found}");
        found
    }

    /// Exchanges one gatepost as the file says, and waits until the new one is healthy.
    fn exchange(&self, service: &str) {
        let before = self.container(service);
        self.compose(&["up", "--detach", "--no-deps", "--no-build", "--force-recreate", service]);
        let after = self.container(service);
        assert_ne!(before, after, "it is another container");
        becomes_healthy(&after);
    }
}

impl Front for Stack {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn ca(&self) -> &Arc<Ca> {
        &self.ca
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", String::from_utf8_lossy(&self.try_compose(&["logs", "--tail", "20"]).stdout));
        }
        self.try_compose(&["down", "--volumes", "--timeout", "1"]);
    }
}

/// What the head of `compose.yaml` asks for, and the names of the images that `.ci/images` made.
fn furnish(deploy: &Path, ca: &Ca, port: u16) {
    let shipped = |name: &str| {
        let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
        fs::read_to_string(from).unwrap()
    };
    for name in ["compose.yaml", "haproxy.cfg"] {
        readable(&deploy.join(name), &shipped(name));
    }
    let leaf = ca.leaf(1);
    let password = format!("p{}", unique().replace('-', ""));
    let images = "HAPROXY_IMAGE=gatepost-it/haproxy\nPOSTGRES_IMAGE=gatepost-it/postgres";
    // This machine reaches HAProxy by way of Docker's proxy, which comes from the network's gateway.
    let senders = "GATEPOST_ALLOWED_IPS=172.30.17.1";
    for (file, text) in BTreeMap::from([
        (".env", format!("{senders}\nGATEPOST_PORT={port}\nGATEPOST_IMAGE={IMAGE}\n{images}\n")),
        ("tls/tls.crt", leaf.chain.clone()),
        ("tls/tls.key", leaf.key.clone()),
        ("tls/ca.crt", ca.pem().to_owned()),
        ("secrets/cognigy", secret_of("cognigy")),
        ("secrets/postgres-password", password.clone()),
        ("secrets/store-url", format!("postgres://gatepost:{password}@postgres/gatepost")),
    ]) {
        readable(&deploy.join(file), &text);
    }
}

#[test]
fn the_shipped_compose_file_comes_up_and_two_gateposts_are_exchanged_under_load_unnoticed() {
    if !wanted() {
        return;
    }
    let stack = Stack::up();
    let config = client_config(&stack.ca, &["http/1.1"]);
    within_patience("HAProxy has found them", &stack.container("haproxy"), || {
        let conn = Conn::open(stack.address, Arc::clone(&config)).ok();
        conn.and_then(|mut conn| conn.try_ask(&cognigy())).is_some_and(|answer| answer.status == 200)
    });
    for service in SERVICES {
        let confined = inspect(&stack.container(service), "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}");
        assert_eq!(confined, "true [ALL]", "{service}");
    }
    let before = stored(&stack.container("gatepost-1")).len();
    let load = Load::start(&stack, cognigy);
    load.goes_on(50);
    for service in ["gatepost-1", "gatepost-2"] {
        stack.exchange(service);
        load.goes_on(50);
    }
    let sent = load.end();
    let both = stored(&stack.container("gatepost-1"));
    assert_eq!(both.len(), before + usize::try_from(sent).unwrap(), "each is in the store that they share, once");
    for service in ["gatepost-1", "gatepost-2"] {
        let log = log(&stack.container(service));
        assert!(log.contains("\"outcome\":\"accepted\""), "{service} had its share: {log}");
    }
    accepted(&Conn::open(stack.address, config).unwrap().ask(&cognigy()));
}
