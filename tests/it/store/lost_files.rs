//! The store's file is taken away under the running daemon: 503, not ready, said in words, and back by itself.

use crate::support::{Daemon, Setup, Signer, accepted, assert_refusal, event, eventually, unique};

fn not_ready(daemon: &Daemon) {
    eventually("not ready", || (daemon.get("/readyz").status == 503).then_some(()));
    let told = |record: &serde_json::Value| record["message"].as_str().is_some_and(|text| text.contains("not ready"));
    let record = eventually("a record", || daemon.logs().into_iter().find(told));
    assert_eq!(record["level"], "ERROR", "{record}");
    let error = record["error"].as_str().unwrap();
    assert!(error.contains("gatepost.db is gone") && error.contains("put the same file back"), "{error}");
}

#[test]
fn an_event_after_the_file_is_gone_is_never_acknowledged() {
    let setup = Setup::new().preset("nice");
    let daemon = setup.start();
    let mut conn = daemon.connect();
    let sign = |id: &str| Signer::of("nice").sign(event(id));
    let (first, second) = (unique(), unique());
    accepted(&conn.ask(&sign(&first)));
    let (path, away) = (setup.path("gatepost.db"), setup.path("away.db"));
    std::fs::rename(&path, &away).unwrap();
    // At once: the probe comes only every two seconds.
    assert_refusal(&conn.ask(&sign(&second)), 503, "store_unavailable");
    not_ready(&daemon);
    assert_refusal(&conn.ask(&sign(&second)), 503, "store_unavailable");
    assert!(!path.exists(), "no empty store takes its place");

    std::fs::rename(&away, &path).unwrap();
    eventually("ready again", || (daemon.get("/readyz").status == 200).then_some(()));
    accepted(&conn.ask(&sign(&second)));
    assert_eq!(accepted(&conn.ask(&sign(&first)))["duplicate"], true);
}

#[test]
fn a_file_that_is_gone_for_good_stays_said_until_a_restart() {
    let setup = Setup::new().preset("nice");
    let mut daemon = setup.start();
    accepted(&daemon.send(&Signer::of("nice").sign(event(&unique()))));
    for suffix in ["", "-wal", "-shm"] {
        std::fs::remove_file(setup.path(&format!("gatepost.db{suffix}"))).unwrap();
    }
    for _ in 0..3 {
        assert_refusal(&daemon.send(&Signer::of("nice").sign(event(&unique()))), 503, "store_unavailable");
    }
    not_ready(&daemon);
    daemon.signal(rustix::process::Signal::TERM);
    daemon.ended();
    drop(daemon);
    let daemon = setup.start();
    let made = daemon.logs().into_iter().find(|record| record["message"] == "made a new, empty store");
    assert!(made.is_some(), "a new store is no secret");
    accepted(&daemon.send(&Signer::of("nice").sign(event(&unique()))));
}

#[test]
fn a_foreign_database_fails_the_check() {
    let setup = Setup::new().preset("nice");
    let path = setup.path("gatepost.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE moz_places (id)").unwrap();
    for command in [&["check"][..], &["serve"], &["events", "list"]] {
        let output = setup.run(command);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_ne!(output.status.code(), Some(0), "{command:?}: {words}");
        let all = format!("{words}{}", String::from_utf8_lossy(&output.stdout));
        assert!(all.contains("database of another program") && all.contains("moz_places"), "{command:?}: {all}");
    }
}
