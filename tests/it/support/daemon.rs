//! A running `gatepost serve`: where it listens, what it logs; ended and looked over when dropped.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::certs::Ca;
use super::scrape::Scrape;
use super::setup::Setup;
use super::wire::{self, Conn, Request, Response};
use super::{MARKER, sign};

/// How long a test waits for what must come before it gives up: generous, because test machines are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const RELOADED: &str = "reloaded configuration, secrets and certificates";
const REFUSED: &str = "reload refused";
const NOTHING_NEW: &str = "nothing had changed";

/// Looks again and again until `look` finds something; panics with `what` when it never does.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "gave up waiting: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The running program.
pub(crate) struct Daemon {
    child: Child,
    /// Where webhooks go.
    pub webhook: SocketAddr,
    /// Where `/readyz` and `/metrics` are.
    pub admin: SocketAddr,
    /// Whose certificate it shows.
    pub ca: Arc<Ca>,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
    secrets: Vec<String>,
    _directory: Arc<tempfile::TempDir>,
}

impl Daemon {
    /// Runs `serve` on `setup` and waits until `/readyz` says 200.
    pub(crate) fn start(setup: &Setup) -> Self {
        let daemon = Self::start_unready(setup);
        eventually("/readyz", || (daemon.get("/readyz").status == 200).then_some(()));
        daemon
    }

    /// Runs `serve` on `setup` and waits only until it says where it listens.
    pub(crate) fn start_unready(setup: &Setup) -> Self {
        let mut command = setup.command();
        let mut child = command.arg("serve").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let readers = vec![
            collect(child.stdout.take().unwrap(), Arc::clone(&stdout)),
            collect(child.stderr.take().unwrap(), Arc::clone(&stderr)),
        ];
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut daemon = Self {
            child,
            webhook: nowhere,
            admin: nowhere,
            ca: Arc::clone(&setup.ca),
            stdout,
            stderr,
            readers,
            secrets: setup.secrets(),
            _directory: setup.directory(),
        };
        let listening = eventually("the start-up record", || {
            assert!(daemon.child.try_wait().unwrap().is_none(), "serve ended: {}{}", daemon.out(), daemon.err());
            daemon.logs().into_iter().find(|record| record["message"] == "listening")
        });
        let address = |name: &str| listening[name].as_str().and_then(|text| text.parse().ok());
        daemon.webhook = address("webhook").expect("webhook address");
        daemon.admin = address("admin").expect("admin address");
        daemon
    }

    /// A new TLS connection speaking HTTP/1.1.
    pub(crate) fn connect(&self) -> Conn {
        Conn::open(self.webhook, wire::client_config(&self.ca, &["http/1.1"])).expect("a TLS connection")
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn send(&self, request: &Request) -> Response {
        self.connect().ask(request)
    }

    /// Raw bytes on a connection of their own; the answers until it closes or nothing more comes for a while.
    pub(crate) fn send_raw(&self, bytes: &[u8]) -> Vec<Response> {
        let mut conn = self.connect();
        conn.send(bytes);
        conn.all_responses()
    }

    /// A GET of the admin listener.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.get_with(path, "")
    }

    /// A GET of the admin listener with further header lines, each ending in CRLF.
    pub(crate) fn get_with(&self, path: &str, headers: &str) -> Response {
        let Ok(mut stream) = TcpStream::connect(self.admin) else { return Response::closed() };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n");
        let mut answer = Vec::new();
        // What arrived before a reset is still an answer.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.read_to_end(&mut answer).map(drop));
        wire::parse(&answer, true).map_or_else(Response::closed, |(response, _)| response)
    }

    /// The metrics now.
    pub(crate) fn scrape(&self) -> Scrape {
        let response = self.get("/metrics");
        assert_eq!(response.status, 200, "{response:?}");
        Scrape::parse(&response.text())
    }

    /// Every complete line on stdout so far that is JSON.
    pub(crate) fn logs(&self) -> Vec<Value> {
        self.out().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The access records so far.
    pub(crate) fn access(&self) -> Vec<Value> {
        self.logs().into_iter().filter(|record| record["target"] == "gatepost::access").collect()
    }

    /// The audit records so far.
    pub(crate) fn audit(&self) -> Vec<Value> {
        self.logs().into_iter().filter(|record| record["target"] == "gatepost::audit").collect()
    }

    /// Waits for an access record that `fits`.
    #[track_caller]
    pub(crate) fn access_where(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("access record: {what}"), || self.access().into_iter().find(&fits))
    }

    /// What stands on stdout, whole lines only: the end of a killed program's output may be cut.
    pub(crate) fn out(&self) -> String {
        let bytes = self.stdout.lock().unwrap();
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        String::from_utf8(bytes[..end].to_vec()).expect("stdout is UTF-8")
    }

    /// What stands on stderr.
    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned()
    }

    /// Sends `signal` to it.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// How many records so far say `message`.
    pub(crate) fn told(&self, message: &str) -> usize {
        self.logs()
            .iter()
            .filter(|record| record["message"].as_str().is_some_and(|said| said.contains(message)))
            .count()
    }

    /// Saves `setup` and has it read; waits until that is done and gives the words about what changed.
    #[track_caller]
    pub(crate) fn reload(&self, setup: &Setup) -> String {
        // The daemon may see the file before the signal comes: then the signal's own reload follows and finds nothing.
        self.save_and_reload(setup, |changes| changes != NOTHING_NEW)
    }

    /// Saves `setup`, which changes nothing, and has it read; waits until that is done and gives the words about it.
    #[track_caller]
    pub(crate) fn idle_reload(&self, setup: &Setup) -> String {
        self.save_and_reload(setup, |_| true)
    }

    #[track_caller]
    fn save_and_reload(&self, setup: &Setup, wanted: impl Fn(&str) -> bool) -> String {
        let before = self.told(RELOADED);
        setup.save();
        self.signal(Signal::HUP);
        eventually("the reload", || {
            let told = self.logs().into_iter().filter(|record| record["message"] == RELOADED).skip(before);
            told.map(|record| record["changes"].as_str().unwrap().to_owned()).find(|changes| wanted(changes))
        })
    }

    /// Saves `setup` and has it read; waits until that is refused and gives the faults.
    #[track_caller]
    pub(crate) fn refused_reload(&self, setup: &Setup) -> String {
        let before = self.told(REFUSED);
        setup.save();
        self.signal(Signal::HUP);
        eventually("the refusal", || (self.told(REFUSED) > before).then_some(()));
        let said = |record: &Value| record["message"].as_str().is_some_and(|said| said.contains(REFUSED));
        self.logs().into_iter().rfind(said).unwrap()["faults"].as_str().unwrap().to_owned()
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the program ends", || child.try_wait().unwrap())
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }

    fn look_over(&self) {
        let (out, err) = (self.out(), self.err());
        for line in out.lines() {
            let record = serde_json::from_str::<Value>(line);
            assert!(record.is_ok_and(|value| value.is_object()), "not a JSON object on stdout: {line}");
        }
        for text in [&out, &err] {
            assert!(!text.contains("panicked"), "the program panicked: {text}");
            assert!(!text.contains(MARKER), "a body was logged: {}", line_with(text, MARKER));
            for secret in &self.secrets {
                assert!(!text.contains(secret.as_str()), "a secret was logged: {}", line_with(text, secret));
            }
            for signature in sign::used() {
                assert!(!text.contains(&signature), "a signature was logged: {}", line_with(text, &signature));
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let (out, err) = (self.out(), self.err());
            let tail: Vec<&str> = out.lines().rev().take(15).collect();
            let _ = writeln!(std::io::stderr(), "--- last records\n{}\n--- stderr\n{err}", tail.join("\n"));
        } else {
            self.look_over();
        }
    }
}

fn line_with<'a>(text: &'a str, needle: &str) -> &'a str {
    text.lines().find(|line| line.contains(needle)).unwrap_or(text)
}

fn collect(from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(from);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            into.lock().unwrap().append(&mut line);
        }
    })
}
