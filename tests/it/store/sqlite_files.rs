//! The SQLite store's files, taken away, replaced and cut short while it is open, and files that are not ours.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gatepost::store::{EventFilter, Insertion, Store, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{accept, event, open, run, settings, sinks};

fn database(dir: &TempDir) -> PathBuf {
    dir.path().join("data/gatepost.db")
}

async fn opened(dir: &TempDir) -> Store {
    open(&settings(format!("sqlite:{}", database(dir).display()))).await.unwrap()
}

/// What an insert was refused with.
async fn refused(store: &Store, id: &str) -> String {
    match store.inbox.insert(event("a", id, "body"), sinks(&["x"])).await {
        Err(StoreError::Unavailable(words)) => words,
        other => panic!("{other:?}: an event was acknowledged that nobody will find"),
    }
}

async fn listed(store: &Store) -> usize {
    store.archive.list(&EventFilter::default()).await.unwrap().len()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

#[test]
fn a_file_that_is_moved_away_takes_nothing_until_it_is_back() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let store = opened(&dir).await;
        accept(&store, event("a", "1", "body"), &["x"]).await;
        let (path, away) = (database(&dir), dir.path().join("data/away.db"));
        fs::rename(&path, &away).unwrap();
        let words = refused(&store, "2").await;
        assert!(words.contains("gatepost.db is gone") && words.contains("put the same file back"), "{words}");
        assert!(store.maintenance.probe().await.is_err());
        assert!(store.archive.list(&EventFilter::default()).await.is_err(), "nor is anything read");
        assert!(!path.exists(), "no empty store takes its place");
        fs::rename(&away, &path).unwrap();
        store.maintenance.probe().await.unwrap();
        let again = store.inbox.insert(event("a", "2", "body"), sinks(&["x"])).await.unwrap();
        // The commit that was not believed is in the file that came back: never twice, whichever way.
        assert_eq!(again, Insertion::Duplicate);
        assert_eq!((listed(&store).await, store.outbox.backlog(&"x".into()).await.unwrap().pending), (2, 2));
    });
}

#[test]
fn a_directory_that_is_moved_away_takes_nothing_until_it_is_back() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let store = opened(&dir).await;
        fs::rename(dir.path().join("data"), dir.path().join("elsewhere")).unwrap();
        refused(&store, "1").await;
        refused(&store, "2").await;
        fs::rename(dir.path().join("elsewhere"), dir.path().join("data")).unwrap();
        accept(&store, event("a", "2", "body"), &["x"]).await;
    });
}

#[test]
fn another_file_under_the_same_name_is_not_ours() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let store = opened(&dir).await;
        accept(&store, event("a", "1", "body"), &["x"]).await;
        let (path, copy) = (database(&dir), dir.path().join("copy.db"));
        fs::copy(&path, &copy).unwrap();
        fs::rename(&copy, &path).unwrap();
        let words = refused(&store, "2").await;
        assert!(words.contains("was replaced by another file") && words.contains("restart gatepost"), "{words}");
        let inode = fs::metadata(&path).unwrap().ino();
        for _ in 0..3 {
            refused(&store, "2").await;
        }
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode, "what lies there is left alone");
    });
}

#[test]
fn a_symbolic_link_that_points_elsewhere_is_another_file() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link.db");
        for name in ["one.db", "two.db"] {
            let settings = settings(format!("sqlite:{}", dir.path().join(name).display()));
            open(&settings).await.unwrap().maintenance.close().await.unwrap();
        }
        std::os::unix::fs::symlink("one.db", &link).unwrap();
        let store = open(&settings(format!("sqlite:{}", link.display()))).await.unwrap();
        accept(&store, event("a", "1", "body"), &[]).await;
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink("two.db", &link).unwrap();
        refused(&store, "2").await;
    });
}

#[test]
fn a_log_that_is_taken_away_loses_nothing_that_was_acknowledged() {
    for suffix in ["-wal", "-shm"] {
        run(async {
            let dir = tempfile::tempdir().unwrap();
            let store = opened(&dir).await;
            accept(&store, event("a", "1", "body"), &["x"]).await;
            let path = database(&dir);
            fs::remove_file(with_suffix(&path, suffix)).unwrap();
            let words = refused(&store, "2").await;
            assert!(words.contains(suffix) && words.contains("SIGTERM"), "{words}");
            // As after a power cut: the database alone, without what the process still holds.
            let left = dir.path().join("left.db");
            fs::copy(&path, &left).unwrap();
            if suffix == "-wal" {
                let kept: i64 = Connection::open(&left)
                    .unwrap()
                    .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
                    .unwrap();
                assert!(kept >= 1, "what was acknowledged before is not in the database");
            }
            store.maintenance.close().await.unwrap();
            let store = opened(&dir).await;
            assert!(listed(&store).await >= 1);
            accept(&store, event("a", "3", "body"), &["x"]).await;
        });
    }
}

#[test]
fn a_file_that_is_cut_short_takes_nothing_any_more() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let store = opened(&dir).await;
        for id in 0..20 {
            accept(&store, event("a", &id.to_string(), &"x".repeat(20_000)), &[]).await;
        }
        let path = database(&dir);
        Connection::open(&path).unwrap().query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(())).unwrap();
        // It has been seen at its full length.
        accept(&store, event("a", "full", "body"), &[]).await;
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(65_536).unwrap();
        let words = refused(&store, "2").await;
        assert!(words.contains("became shorter"), "{words}");
        refused(&store, "2").await;
    });
}

#[test]
fn an_operators_vacuum_beside_the_daemon_is_fine() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let store = opened(&dir).await;
        accept(&store, event("a", "1", "body"), &[]).await;
        let shell = Connection::open(database(&dir)).unwrap();
        shell.busy_timeout(Duration::from_secs(4)).unwrap();
        shell
            .execute_batch(
                "CREATE TABLE big (a); INSERT INTO big VALUES (zeroblob(2000000)); PRAGMA wal_checkpoint(FULL)",
            )
            .unwrap();
        accept(&store, event("a", "2", "body"), &[]).await;
        let before = fs::metadata(database(&dir)).unwrap().len();
        shell.execute_batch("DROP TABLE big; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        assert!(fs::metadata(database(&dir)).unwrap().len() < before, "nothing was tried");
        accept(&store, event("a", "3", "body"), &[]).await;
        accept(&store, event("a", "4", "body"), &[]).await;
    });
}

#[test]
fn the_log_does_not_keep_its_largest_size() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let store = opened(&dir).await;
        let path = database(&dir);
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM events").unwrap();
        let body = "x".repeat(1_000_000);
        for id in 0..100 {
            accept(&store, event("a", &id.to_string(), &body), &[]).await;
        }
        let log = || fs::metadata(with_suffix(&path, "-wal")).unwrap().len();
        assert!(log() > 90_000_000, "nothing was tried: {}", log());
        reader.execute_batch("COMMIT").unwrap();
        // As the daemon does every two seconds.
        for _ in 0..2000 {
            store.maintenance.probe().await.unwrap();
            if log() <= 64 * 1024 * 1024 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the log still has {} bytes", log());
    });
}

#[test]
fn another_programs_database_is_refused_and_left_as_it_is() {
    run(async {
        for (name, sql, word) in [
            ("places.sqlite", "CREATE TABLE moz_places (id); PRAGMA user_version = 77", "moz_places"),
            ("plain.db", "CREATE TABLE events (id); CREATE TABLE ids (id)", "events, ids"),
            ("marked.db", "PRAGMA application_id = 1196444487", "1196444487"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(name);
            Connection::open(&path).unwrap().execute_batch(sql).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            let before = fs::read(&path).unwrap();
            let Err(StoreError::Foreign(words)) = open(&settings(format!("sqlite:{}", path.display()))).await else {
                panic!("{name} was opened");
            };
            assert!(words.contains("another program") && words.contains(word) && words.contains(name), "{words}");
            assert_eq!(fs::read(&path).unwrap(), before, "{name}");
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644, "{name}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was made beside it");
        }
    });
}

#[test]
fn a_store_from_before_the_mark_opens() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let store = opened(&dir).await;
        accept(&store, event("a", "1", "body"), &[]).await;
        store.maintenance.close().await.unwrap();
        let shell = Connection::open(database(&dir)).unwrap();
        let mark: i64 = shell.pragma_query_value(None, "application_id", |row| row.get(0)).unwrap();
        assert_eq!(mark, i64::from(u32::from_be_bytes(*b"gate")));
        shell.pragma_update(None, "application_id", 0).unwrap();
        drop(shell);
        assert_eq!(listed(&opened(&dir).await).await, 1);
    });
}
