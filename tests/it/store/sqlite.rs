//! What only the SQLite store has: a file, its mode, its version, and other processes on it.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use gatepost::event::Event;
use gatepost::store::{EventFilter, Insertion, Quarantined, Settled, Settlement, StoreError};
use tempfile::TempDir;

use super::{Subject, accept, at, event, event_at, open, run, settings, sinks};

pub(super) async fn subject() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    Subject::new(settings(url(&dir)), dir).await
}

fn url(dir: &TempDir) -> String {
    format!("sqlite:{}", dir.path().join("data/gatepost.db").display())
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn nobody_else_may_read_the_files_or_the_directory() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let subject = Subject::new(settings(url(&dir)), ()).await;
        accept(&subject.store, event("a", "1", "body"), &["x"]).await;
        let data = dir.path().join("data");
        assert_eq!(mode(&data), 0o700);
        for name in ["gatepost.db", "gatepost.db-wal", "gatepost.db-shm"] {
            assert_eq!(mode(&data.join(name)), 0o600, "{name}");
        }
    });
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(url(&dir));
        open(&settings).await.unwrap().maintenance.close().await.unwrap();
        let path = dir.path().join("data/gatepost.db");
        rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let refused = open(&settings).await;
        assert!(matches!(refused, Err(StoreError::TooNew { found: 99, .. })));
    });
}

#[test]
fn a_file_that_is_no_database_is_named_not_overwritten() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "these are notes, not a database: ".repeat(50)).unwrap();
        let refused = open(&settings(format!("sqlite:{}", path.display()))).await;
        assert!(matches!(refused, Err(StoreError::Corrupt(_))));
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("these are notes"));
    });
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        symlink("/dev/null", dir.path().join("data")).unwrap();
        let Err(StoreError::Unavailable(text)) = open(&settings(url(&dir))).await else { panic!("opened") };
        assert!(text.contains("data"), "{text}");
    });
}

#[test]
fn the_command_line_works_beside_the_daemon() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let daemon = Subject::new(settings(url(&dir)), ()).await;
        let command = Subject::new(settings(url(&dir)), ()).await;
        let tasks: tokio::task::JoinSet<Insertion> = (0..400)
            .map(|n: u32| {
                let inbox = if n.is_multiple_of(2) { daemon.store.inbox.clone() } else { command.store.inbox.clone() };
                async move { inbox.insert(event("a", &(n / 4).to_string(), "body"), sinks(&["x"])).await.unwrap() }
            })
            .collect();
        let outcomes = tasks.join_all().await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Insertion::Accepted).count(), 100);
        assert_eq!(daemon.store.outbox.backlog(&"x".into()).await.unwrap().pending, 100);
        let lease = std::time::Duration::from_secs(30);
        let sink = "x".into();
        let (mine, theirs) =
            tokio::join!(daemon.store.outbox.claim(&sink, 60, lease), command.store.outbox.claim(&sink, 60, lease),);
        assert_eq!(mine.unwrap().len() + theirs.unwrap().len(), 100);
        command.store.maintenance.close().await.unwrap();
        accept(&daemon.store, event("a", "after", "body"), &[]).await;
        assert_eq!(daemon.store.archive.list(&EventFilter::default()).await.unwrap().len(), 101);
    });
}

#[test]
fn retention_goes_in_steps_and_is_exact_to_the_minute_whatever_the_wall_clock_says() {
    run(async {
        let s = subject().await;
        let accept_many = async |range: std::ops::Range<u32>| {
            let tasks: tokio::task::JoinSet<()> = range
                .map(|n| {
                    let store = s.store.clone();
                    // Wall time says nothing: some came from the future, some from long ago.
                    let seconds = (i64::from(n % 3) - 1) * 1_000_000;
                    async move { accept(&store, event_at("a", &n.to_string(), seconds), &[]).await }
                })
                .collect();
            tasks.join_all().await;
        };
        let prune = async || s.store.maintenance.prune().await.unwrap();
        accept_many(0..600).await;
        assert_eq!(prune().await, 0);
        s.pass(90 * 3600).await;
        accept_many(600..700).await;
        assert_eq!(prune().await, 0);
        s.pass(6 * 3600).await;
        assert_eq!(prune().await, 0);
        s.clocks.wall.set(at(1_000_000_000));
        assert_eq!(prune().await, 0, "a wall clock that jumped");
        s.clocks.wall.set(at(-1_000_000_000));
        s.pass(60).await;
        assert_eq!(prune().await, 600);
        assert_eq!(s.store.archive.list(&EventFilter::default()).await.unwrap().len(), 100);
        s.pass(90 * 3600).await;
        assert_eq!(prune().await, 100);
        assert!(s.store.archive.list(&EventFilter::default()).await.unwrap().is_empty());
    });
}

/// Takes the step from schema 8 to 9 back.
macro_rules! schema_8 {
    () => {
        "
DROP INDEX deliveries_claimed; DROP INDEX deliveries_due; DROP INDEX deliveries_queued;
CREATE INDEX deliveries_due ON deliveries (sink, due_at) WHERE state = 0;
CREATE INDEX deliveries_queued ON deliveries (sink, queued_at) WHERE state = 0;
PRAGMA user_version = 8;"
    };
}

#[test]
fn a_store_in_which_claims_lay_among_what_waits_delivers_both_once() {
    run(async {
        let mut s = subject().await;
        let sink = "x".into();
        for id in ["claimed", "waiting", "later"] {
            accept(&s.store, event("a", id, "body"), &["x"]).await;
        }
        let minute = std::time::Duration::from_mins(1);
        let held = s.store.outbox.claim(&sink, 1, minute).await.unwrap();
        let tried = s.store.outbox.claim(&sink, 1, minute).await.unwrap();
        let outcome = Settled::Retry { after: 2 * minute, error: "no".into() };
        let settlement = Settlement { id: tried[0].id, lease: tried[0].lease, outcome };
        s.store.outbox.settle(vec![settlement]).await.unwrap();
        s.pass(30).await;
        s.store.maintenance.close().await.unwrap();
        s.sql(schema_8!()).await;
        s.store = super::open_by(&s.settings, &s.clocks).await.unwrap();
        let claim = async |s: &Subject| {
            let claimed = s.store.outbox.claim(&sink, 9, minute).await.unwrap();
            claimed.into_iter().map(|one| (one.id, one.lease)).collect::<Vec<_>>()
        };
        let backlog = s.store.outbox.backlog(&sink).await.unwrap();
        assert_eq!((backlog.pending, backlog.oldest_age.unwrap().as_secs()), (3, 30));
        assert_eq!(claim(&s).await.len(), 1, "what nobody has");
        s.pass(31).await;
        assert_eq!(claim(&s).await, [(held[0].id, held[0].lease + 1)], "whose lease has ended");
        s.pass(62).await;
        assert_eq!(claim(&s).await.len(), 3, "the one that was tried, and both again");
    });
}

/// Takes the step from schema 7 to 8 back as well: of the keys that are recent the even ones have moved by half, and all before an
/// event `n5` have moved for good.
const SCHEMA_7: &str = concat!(
    schema_8!(),
    "
CREATE TABLE recent (seq INTEGER PRIMARY KEY, key BLOB NOT NULL);
INSERT INTO recent SELECT seq, key FROM arrivals WHERE key IS NOT NULL
    AND seq >= coalesce((SELECT seq FROM events WHERE id = 'n5'), 0);
CREATE TABLE whole (key BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO whole SELECT key, seq FROM ids UNION SELECT key, seq FROM arrivals
    WHERE key IS NOT NULL AND (seq % 2 = 0 OR seq NOT IN (SELECT seq FROM recent));
DROP TABLE ids; ALTER TABLE whole RENAME TO ids;
DROP TABLE arrivals; DELETE FROM counters WHERE name = 'moved_to';
CREATE INDEX events_listed ON events (seq, source, kind, received_at);
PRAGMA user_version = 7;"
);

#[test]
fn a_store_from_before_arrivals_knows_each_id_and_finds_each_event() {
    run(async {
        let mut s = subject().await;
        for n in 0..10 {
            let event = Event { kind: format!("t{}", n % 3), ..event("a", &format!("n{n}"), "body") };
            accept(&s.store, event, &[]).await;
        }
        s.store.maintenance.close().await.unwrap();
        s.sql(SCHEMA_7).await;
        // In a later part of the index: what is pruned goes by its part.
        for table in ["events", "recent", "ids"] {
            s.sql(&format!("UPDATE {table} SET seq = seq + 5000000")).await;
        }
        s.store = super::open_by(&s.settings, &s.clocks).await.unwrap();
        assert_eq!(s.store.maintenance.stats().await.unwrap().ids, 10);
        for n in 0..12 {
            let again = s.store.inbox.insert(event("a", &format!("n{n}"), "body"), [].into()).await.unwrap();
            assert_eq!(again, if n < 10 { Insertion::Duplicate } else { Insertion::Accepted }, "{n}");
        }
        let filter = EventFilter { kind: Some("t1".into()), ..EventFilter::default() };
        let found = s.store.archive.list(&filter).await.unwrap();
        assert_eq!(found.iter().map(|found| found.event.id.as_str()).collect::<Vec<_>>(), ["n7", "n4", "n1"]);
        assert_eq!(s.store.maintenance.prune().await.unwrap(), 0);
        s.pass(96 * 3600 + 60).await;
        assert_eq!(s.store.maintenance.prune().await.unwrap(), 12);
        let stats = s.store.maintenance.stats().await.unwrap();
        assert_eq!((stats.events, stats.ids), (0, 0));
    });
}

#[test]
fn a_store_of_the_first_schema_counts_its_events_from_the_migration_on() {
    run(async {
        let mut s = subject().await;
        for id in ["old", "young", "pending"] {
            accept(&s.store, event_at("a", id, -1_000_000_000), if id == "pending" { &["x"] } else { &[] }).await;
        }
        s.store.maintenance.close().await.unwrap();
        // As the first schema left it, by a wall clock that had been set back: `young` behind the walk, loose.
        s.sql(&format!(
            "{SCHEMA_7}
             DROP TABLE clock; DROP TABLE ticks; ALTER TABLE loose DROP COLUMN at;
             DROP INDEX quarantine_shares; DROP INDEX quarantine_events; ALTER TABLE quarantine DROP COLUMN bytes;
             ALTER TABLE deliveries DROP COLUMN replays; ALTER TABLE deliveries DROP COLUMN duplicate;
             DROP INDEX events_listed; ALTER TABLE events DROP COLUMN erased; DROP TABLE pauses; DROP TABLE rates;
             DROP TABLE blocks; DELETE FROM counters WHERE name = 'blocks';
             ALTER TABLE events DROP COLUMN headers;
             PRAGMA application_id = 0; PRAGMA user_version = 1;
             INSERT INTO loose VALUES (2); UPDATE counters SET value = 2 WHERE name = 'pruned_to';
             UPDATE deliveries SET due_at = due_at + 864000000000",
        ))
        .await;
        s.store = super::open_by(&s.settings, &s.clocks).await.unwrap();
        assert_eq!(s.store.maintenance.prune().await.unwrap(), 0);
        let claimed = s.store.outbox.claim(&"x".into(), 9, std::time::Duration::from_secs(9)).await.unwrap();
        assert_eq!(claimed.len(), 1, "a due time that a wrong clock wrote");
        s.pass(96 * 3600).await;
        assert_eq!(s.store.maintenance.prune().await.unwrap(), 0);
        s.pass(60).await;
        assert_eq!(
            s.store.maintenance.prune().await.unwrap(),
            1,
            "the young one; the old one lies behind the walk as before"
        );
    });
}

#[test]
fn a_store_from_before_kept_headers_migrates() {
    run(async {
        let previous = format!(
            "{SCHEMA_7}
            DROP INDEX events_listed; ALTER TABLE events DROP COLUMN headers; ALTER TABLE events DROP COLUMN erased;
            DROP TABLE pauses; DROP TABLE rates; DROP TABLE blocks; DELETE FROM counters WHERE name = 'blocks';
            PRAGMA user_version = 4"
        );
        super::kept_headers::an_older_store_keeps_them_from_the_migration_on(subject().await, &previous).await;
    });
}

/// Before and after what was there is summed up, which retention does beside it.
#[test]
fn a_store_from_before_blocks_is_searched_as_any_other() {
    run(async {
        let mut s = subject().await;
        for n in 0..3000 {
            let kind = if n == 1500 { "rare" } else { "often" };
            accept(&s.store, Event { kind: kind.into(), ..event("a", &n.to_string(), "body") }, &[]).await;
        }
        s.store.maintenance.close().await.unwrap();
        s.sql(&format!(
            "{SCHEMA_7}
             DROP TABLE blocks; DELETE FROM counters WHERE name = 'blocks'; DROP INDEX deliveries_dead;
             CREATE INDEX deliveries_dead ON deliveries (due_at) WHERE state = 2; PRAGMA user_version = 6",
        ))
        .await;
        s.store = super::open_by(&s.settings, &s.clocks).await.unwrap();
        let find = async |s: &Subject, kind: &str| {
            let filter = EventFilter { kind: Some(kind.to_owned()), ..EventFilter::default() };
            s.store.archive.list(&filter).await.unwrap()
        };
        for summed in [false, true] {
            if summed {
                assert_eq!(s.store.maintenance.prune().await.unwrap(), 0);
            }
            let rare = find(&s, "rare").await;
            assert_eq!(rare.iter().map(|found| found.event.id.as_str()).collect::<Vec<_>>(), ["1500"]);
            assert_eq!(find(&s, "often").await.len(), 2999);
            assert!(find(&s, "never").await.is_empty());
        }
    });
}

/// How often `marker` stands in the files of the store, whatever they are called.
fn in_the_files(s: &Subject, marker: &str) -> usize {
    let path = std::path::Path::new(s.settings.url.strip_prefix("sqlite:").unwrap());
    let mut found = 0;
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        found += bytes.windows(marker.len()).filter(|part| *part == marker.as_bytes()).count();
    }
    found
}

/// Whether it is small, spans pages, or stood in the quarantine only.
#[test]
fn of_an_erased_event_no_byte_is_left_in_the_files() {
    const MARKER: &str = "a-name-that-must-not-stay";
    run(async {
        let s = subject().await;
        let (small, large) = (format!("{{\"who\":\"{MARKER}\"}}"), format!("{MARKER} ").repeat(3000));
        for n in 0..50 {
            accept(&s.store, event("a", &format!("before-{n}"), &"x".repeat(n * 50)), &["x"]).await;
        }
        for (id, body) in [("small", &small), ("large", &large)] {
            let event = gatepost::event::Event {
                headers: [("x-who", MARKER.as_bytes())].into_iter().collect(),
                traceparent: Some(MARKER.into()),
                ..event("a", id, body)
            };
            accept(&s.store, event, &["x", "y"]).await;
        }
        let refused = Quarantined {
            id: 0,
            source: "b".into(),
            reason: "signature_mismatch".into(),
            received_at: at(0),
            request_id: "r".into(),
            client_ip: None,
            target: "POST /".into(),
            headers: format!("[[\"x-who\",\"{MARKER}\"]]"),
            event_id: None,
            body: bytes::Bytes::from(small.clone()),
        };
        s.store.quarantine.put(refused).await.unwrap();
        for n in 0..50 {
            accept(&s.store, event("a", &format!("after-{n}"), &"y".repeat(n * 50)), &["x"]).await;
        }
        // One copy in the database, later ones in the log.
        s.store.maintenance.overwrite().await.unwrap();
        accept(&s.store, event("a", "last", &format!("other {MARKER}")), &[]).await;
        assert!(in_the_files(&s, MARKER) > 2500, "what spans a page's end is not counted");
        let erasure = gatepost::store::Erasure { at: at(1), by: "ann".into() };
        for id in ["small", "large", "last"] {
            assert!(s.store.archive.erase(&super::deliveries::named(id), &erasure).await.unwrap().is_some(), "{id}");
        }
        assert!(s.store.maintenance.overwrite().await.unwrap());
        assert_eq!(in_the_files(&s, MARKER), 0);
        assert_eq!(s.store.archive.list(&EventFilter::default()).await.unwrap().len(), 103);
    });
}

#[test]
fn a_backup_is_a_whole_store_of_its_own_that_only_its_owner_reads() {
    run(async {
        let s = subject().await;
        for n in 0..20 {
            accept(&s.store, event("a", &n.to_string(), "body"), &["x"]).await;
        }
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.db");
        s.store.maintenance.backup(&copy).await.unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&copy).unwrap().permissions()) & 0o777;
        assert_eq!(mode, 0o600);
        // What comes after is not in it, and a second one does not take its place.
        accept(&s.store, event("a", "later", "body"), &["x"]).await;
        let before = std::fs::read(&copy).unwrap();
        let refused = s.store.maintenance.backup(&copy).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Unsupported(why) if why.contains("is there already")), "{refused}");
        assert_eq!(std::fs::read(&copy).unwrap(), before);
        let nowhere = s.store.maintenance.backup(&folder.path().join("no/where.db")).await.unwrap_err();
        assert!(matches!(nowhere, StoreError::Unavailable(_)), "{nowhere}");
        let settings = settings(format!("sqlite:{}", copy.display()));
        let restored = super::open_by(&settings, &s.clocks).await.unwrap();
        assert_eq!(restored.archive.list(&EventFilter::default()).await.unwrap().len(), 20);
        assert_eq!(restored.inbox.insert(event("a", "3", "body"), sinks(&["x"])).await.unwrap(), Insertion::Duplicate);
        assert_eq!(super::deliveries::claim(&restored, "x").await.len(), 20);
    });
}

#[test]
fn a_wall_clock_that_moves_is_skew_until_it_is_right_again() {
    run(async {
        let s = subject().await;
        let skew = async || s.store.maintenance.skew().await.unwrap().as_secs();
        assert_eq!(skew().await, 0);
        s.clocks.wall.set(at(100));
        assert_eq!(skew().await, 100);
        s.clocks.wall.set(at(-7200));
        assert_eq!(skew().await, -7200);
        s.pass(50).await;
        s.clocks.wall.set(at(50));
        assert_eq!(skew().await, 0);
    });
}

/// Set for the process that runs under a limit.
const LIMITED: &str = "GATEPOST_TEST_LIMITED";

/// The disk is full in the way that needs no disk of our own: a limit on the size of files, in a process of its own.
#[test]
fn a_full_disk_is_unavailable_until_there_is_room() {
    if std::env::var_os(LIMITED).is_some() {
        return run(fill_the_disk());
    }
    let name = "store::sqlite::a_full_disk_is_unavailable_until_there_is_room";
    let ended = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 8000; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(LIMITED, "1")
        .output()
        .unwrap();
    assert!(
        ended.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
}

async fn fill_the_disk() {
    let s = subject().await;
    let body = "x".repeat(60_000);
    let (mut accepted, mut refused_in_a_row) = (0, 0);
    // The log and the database fill up separately: full is when nothing helps any more.
    while refused_in_a_row < 5 {
        match s.store.inbox.insert(event("a", &accepted.to_string(), &body), sinks(&["x"])).await {
            Ok(insertion) => {
                assert_eq!(insertion, Insertion::Accepted, "what was refused was not kept");
                (accepted, refused_in_a_row) = (accepted + 1, 0);
            }
            Err(StoreError::Unavailable(_)) => refused_in_a_row += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(accepted < 1000, "the limit has no effect");
    }
    assert!(accepted > 10);
    let pid = std::process::id().to_string();
    let lifted = Command::new("prlimit").args(["--fsize=unlimited", "--pid", &pid]).status().unwrap();
    assert!(lifted.success());
    accept(&s.store, event("a", &accepted.to_string(), &body), &["x"]).await;
    s.store.maintenance.probe().await.unwrap();
    assert_eq!(s.store.outbox.backlog(&"x".into()).await.unwrap().pending, accepted + 1);
    assert_eq!(s.store.archive.list(&EventFilter::default()).await.unwrap().len() as u64, accepted + 1);
}
