//! A PostgreSQL server for one test: made in a temporary directory, on a free port, and stopped by the process that
//! started it when the test is over.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio_postgres::NoTls;

const MISSING: &str = "PostgreSQL is not installed: these tests need initdb and postgres, from the Debian package \
                       postgresql-15 (or newer), on PATH or under /usr/lib/postgresql";

/// Lines of its log that are kept for whoever asks; what comes beyond is dropped.
const LINES: usize = 1 << 16;

/// A running server; killed when dropped.
pub(crate) struct Server {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
    /// What the running server has logged and nobody has taken yet.
    log: Option<Receiver<String>>,
}

impl Server {
    /// Makes and starts one.
    pub(crate) fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("gatepost-pg").tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        copy(&initialised(), &dir.path().join("data"));
        certify(dir.path());
        let mut server = Self { dir, port: 0, child: None, log: None };
        loop {
            server.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            match server.launch() {
                Ok((child, log)) => (server.child, server.log) = (Some(child), Some(log)),
                // Somebody else was given the port before the server took it.
                Err(log) if log.contains("Address already in use") => continue,
                Err(log) => panic!("postgres ended:\n{log}"),
            }
            return server;
        }
    }

    /// Starts it again on the same data and port; returns when it takes connections.
    pub(crate) fn resume(&mut self) {
        let (child, log) = self.launch().unwrap_or_else(|log| panic!("postgres ended:\n{log}"));
        (self.child, self.log) = (Some(child), Some(log));
    }

    /// What it logs up to the line that contains `mark`, waiting for that.
    pub(crate) fn logged_until(&self, mark: &str) -> Vec<String> {
        let log = self.log.as_ref().unwrap();
        let mut lines = Vec::new();
        loop {
            let line = log.recv().unwrap();
            if line.contains(mark) {
                return lines;
            }
            lines.push(line);
        }
    }

    /// A server that takes connections and what it logs from then on, or what it said before it ended.
    fn launch(&self) -> Result<(Child, Receiver<String>), String> {
        let mut child = as_somebody("postgres")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-c", "unix_socket_directories="])
            // Processes crash here, not machines: without fsync the tests take seconds instead of a minute.
            .args(["-c", "log_min_messages=log", "-c", "max_connections=100", "-c", "fsync=off", "-c", "ssl=on"])
            .args(["-c", "ssl_cert_file=../server.pem", "-c", "ssl_key_file=../server.key", "-D"])
            .arg(self.dir.path().join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = String::new();
        loop {
            let Some(Ok(line)) = lines.next() else {
                child.wait().unwrap();
                return Err(log);
            };
            log.push_str(&line);
            log.push('\n');
            if line.contains("database system is ready to accept connections") {
                break;
            }
        }
        // The pipe is kept empty, or the server would stop at a full one.
        let (sender, log) = sync_channel(LINES);
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.try_send(line))));
        Ok((child, log))
    }

    /// Kills it with all its connections, as a crash does.
    pub(crate) fn crash(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // SIGQUIT: at once, without a shutdown checkpoint; the children end with it and let go of the port.
        let pid = child.id().to_string();
        let killed = Command::new("kill").args(["-QUIT", &pid]).status().unwrap();
        assert!(killed.success());
        child.wait().unwrap();
    }

    /// The URL of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://gatepost@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Where the certificate of its CA is.
    pub(crate) fn ca_file(&self) -> String {
        self.dir.path().join("ca.pem").display().to_string()
    }

    /// Its port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database and returns its URL.
    pub(crate) async fn database(&self, name: &str) -> String {
        let (client, connection) = tokio_postgres::connect(&self.url("postgres"), NoTls).await.unwrap();
        let statement = format!("CREATE DATABASE {name}");
        tokio::select! {
            ended = connection => panic!("the server hung up: {ended:?}"),
            made = client.batch_execute(&statement) => made.unwrap(),
        }
        self.url(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
    }
}

/// What `initdb` makes, made once for all tests: it takes longer than most of them.
fn initialised() -> PathBuf {
    let version = Command::new(find("postgres").expect(MISSING)).arg("--version").output().unwrap().stdout;
    let version: String = String::from_utf8(version).unwrap().split_whitespace().collect::<Vec<_>>().join("-");
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(version.replace('/', "-"));
    if kept.exists() {
        return kept;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let data = dir.path().join("data");
    let made = as_somebody("initdb")
        .args(["--auth=trust", "--username=gatepost", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
        .arg(&data)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success(), "initdb failed: {made}");
    // Whole or not at all, whoever makes it at the same time.
    let beside = tempfile::Builder::new().prefix("postgres-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let whole = beside.path().join("data");
    copy(&data, &whole);
    if std::fs::rename(&whole, &kept).is_err() {
        assert!(kept.exists(), "{} could not be made", kept.display());
    }
    kept
}

/// Copies a directory with owners and modes, both of which the server insists on.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "cp failed: {copied}");
}

/// Writes a CA and, from it, a certificate for 127.0.0.1 only.
fn certify(dir: &Path) {
    let mut of_ca = CertificateParams::default();
    of_ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(of_ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let of_server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(dir.join("server.pem"), of_server.signed_by(&key, &ca).unwrap().pem()).unwrap();
    let file = dir.join("server.key");
    std::fs::write(&file, key.serialize_pem()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    if is_root() {
        let owned = Command::new("chown").arg("nobody").arg(&file).status().unwrap();
        assert!(owned.success());
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

/// `program` of PostgreSQL; as user `nobody` when we are root, as whom it refuses to run.
fn as_somebody(program: &str) -> Command {
    let program = find(program).expect(MISSING);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]).arg(program).current_dir("/");
    command
}

fn find(program: &str) -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    let mut packaged: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    packaged.sort();
    places.extend(packaged.into_iter().rev());
    places.into_iter().map(|place| place.join(program)).find(|path| is_file(path))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}
