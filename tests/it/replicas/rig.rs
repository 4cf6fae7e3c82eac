//! Several gatepost processes on one PostgreSQL: the server, the senders, and what the store holds in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustls::ClientConfig;
use serde_json::Value;

use crate::store;
use crate::store::postgres_server::Server;
use crate::support::sink_upstream::Upstream;
use crate::support::{Conn, Request, Setup, Signer, event, unique};

/// A server and the URL of an empty database on it.
pub(super) fn database() -> (Server, String) {
    let server = Server::start();
    let mut url = String::new();
    store::run(async { url = server.database("replicas").await });
    (server, url)
}

/// A setup on that database with the source `nice`.
pub(super) fn setup(url: &str) -> Setup {
    Setup::new().set("store", "url", &format!("\"{url}\"")).preset("nice")
}

/// An `http` sink, written as TOML.
pub(super) fn sink(upstream: &Upstream) -> String {
    format!(
        "[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{}\"\ntimeout = \"5s\"\nconcurrency = 8\n",
        upstream.url()
    )
}

/// `count` signed events by their ids.
pub(super) fn events(count: usize) -> Arc<Vec<(String, Request)>> {
    let signer = Signer::of("nice");
    let one = |_| {
        let id = unique();
        let request = signer.sign(event(&id));
        (id, request)
    };
    Arc::new((0..count).map(one).collect())
}

/// What senders were told.
#[derive(Default)]
pub(super) struct Told {
    /// For every acknowledged id, how often it was new and how often it was known.
    pub acknowledged: Mutex<BTreeMap<String, (usize, usize)>>,
    /// How many 200 there were.
    pub count: AtomicUsize,
}

impl Told {
    /// Notes a 200.
    pub(super) fn note(&self, id: &str, answer: &Value) {
        assert_eq!(answer["id"], *id, "{answer}");
        let mut told = self.acknowledged.lock().unwrap();
        let (new, known) = told.entry(id.to_owned()).or_default();
        let duplicate = answer["duplicate"].as_bool().expect("a verdict");
        *(if duplicate { known } else { new }) += 1;
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    /// How many ids have been told `new` and `known` times.
    pub(super) fn count_of(&self, new: usize, known: usize) -> usize {
        self.acknowledged.lock().unwrap().values().filter(|told| **told == (new, known)).count()
    }

    /// That no id was told to be new twice.
    pub(super) fn assert_none_twice(&self) {
        let told = self.acknowledged.lock().unwrap();
        let twice: Vec<_> = told.iter().filter(|(_, (new, _))| *new > 1).collect();
        assert!(twice.is_empty(), "accepted more than once: {twice:?}");
    }
}

/// Sends every `of`th event from the `first` on, over one connection, until all are sent or the connection breaks.
pub(super) fn sender(
    to: SocketAddr,
    config: Arc<ClientConfig>,
    events: &Arc<Vec<(String, Request)>>,
    (first, of): (usize, usize),
    told: &Arc<Told>,
) -> JoinHandle<usize> {
    let (events, told) = (Arc::clone(events), Arc::clone(told));
    std::thread::spawn(move || {
        let mut sent = 0;
        let Ok(mut conn) = Conn::open(to, config) else { return sent };
        for (id, request) in events.iter().skip(first).step_by(of) {
            let Some(response) = conn.try_ask(request) else { break };
            assert_eq!(response.status, 200, "{response:?}");
            told.note(id, &response.json());
            sent += 1;
        }
        sent
    })
}

/// The ids in `events list`, each of which must stand there once.
pub(super) fn listed(setup: &Setup) -> BTreeSet<String> {
    let output = setup.run(&["events", "list", "--json", "--limit", "1000000"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).expect("one JSON array");
    let id = |row: &Value| row["event_id"].as_str().or(row["id"].as_str()).expect("an id").to_owned();
    let ids: Vec<String> =
        rows.iter().map(id).map(|id| id.strip_prefix("nice:").map_or(id.clone(), str::to_owned)).collect();
    let set: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(set.len(), ids.len(), "an event is listed twice");
    set
}

/// How often each id arrived at the sink.
pub(super) fn arrivals(upstream: &Upstream) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in upstream.seen() {
        let id = request.header("ce-id").expect("ce-id").to_owned();
        *counts.entry(id.strip_prefix("nice:").map_or(id.clone(), str::to_owned)).or_default() += 1;
    }
    counts
}
