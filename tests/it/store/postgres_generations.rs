//! Generations of the PostgreSQL store: they come and go beside readers, replays and other replicas, and nobody who
//! inserts waits for them.

use std::time::{Duration, Instant};

use gatepost::event::EventId;
use gatepost::store::{EventRef, Insertion, Settled, Settlement, Store, StoreError};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use super::postgres::on_a_server;
use super::{Subject, accept, event, open, settings, sinks};

const HOUR: u64 = 3600;

/// A connection beside the store, and the task that moves its bytes.
async fn connect(url: &str) -> (Client, JoinSet<()>) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let _ = connection.await;
    });
    (client, task)
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

fn named(id: &str) -> EventRef {
    EventRef { source: Some("a".into()), id: EventId::new(id).unwrap() }
}

async fn insert(store: &Store, id: &str) -> Insertion {
    store.inbox.insert(event("a", id, "body"), sinks(&[])).await.unwrap()
}

/// Has all deliveries to `x` done.
async fn deliver_all(store: &Store) {
    loop {
        let claimed = store.outbox.claim(&"x".into(), 500, Duration::from_mins(1)).await.unwrap();
        if claimed.is_empty() {
            return;
        }
        let done = |claimed: &gatepost::store::Claimed| Settlement {
            id: claimed.id,
            lease: claimed.lease,
            outcome: Settled::Done { duplicate: false },
        };
        store.outbox.settle(claimed.iter().map(done).collect()).await.unwrap();
    }
}

/// A dump, or a transaction that somebody forgot, has read the tables and stays open.
#[test]
fn beside_a_reader_nobody_waits() {
    on_a_server(async |server| {
        let s = Subject::new(settings(server.database("beside_a_reader").await), ()).await;
        let url = s.settings.url.clone();
        assert_eq!(insert(&s.store, "old").await, Insertion::Accepted);
        s.store.maintenance.prune().await.unwrap();
        let (reader, _reading) = connect(&url).await;
        reader
            .batch_execute("BEGIN; SELECT count(*) FROM gatepost_ids; SELECT count(*) FROM gatepost_events")
            .await
            .unwrap();

        let (watcher, _watching) = connect(&url).await;
        let waiting = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                   WHERE NOT l.granted AND l.mode IN ('AccessShareLock', 'RowExclusiveLock') AND c.relname LIKE 'gatepost%'";
        // What the daemon does every minute for nearly a week, with somebody sending all the while.
        let store = s.store.clone();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut sending = JoinSet::new();
        sending.spawn(async move {
            let (mut sent, mut longest) = (0_u32, Duration::ZERO);
            while !*stopped.borrow() {
                let begun = Instant::now();
                assert_eq!(insert(&store, &format!("new-{sent}")).await, Insertion::Accepted);
                longest = longest.max(begun.elapsed());
                sent += 1;
            }
            (sent, longest)
        });
        let turning = async {
            for _ in 0..6 {
                s.pass(25 * HOUR).await;
                s.store.maintenance.prune().await.unwrap();
            }
        };
        let watching = async {
            loop {
                assert_eq!(number(&watcher, waiting).await, 0, "somebody waits for the change of a generation");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = turning => {}
            () = watching => {}
        }
        stop.send(true).unwrap();
        let (sent, longest) = sending.join_next().await.unwrap().unwrap();
        assert!(sent > 10, "nothing was tried");
        // It was four seconds, the time after which a lock is given up.
        assert!(longest < Duration::from_secs(3), "an insert took {longest:?}");

        assert!(number(&watcher, "SELECT gen::bigint FROM gatepost_generations WHERE closed_at IS NULL").await > 4);
        assert_eq!(insert(&s.store, "old").await, Insertion::Accepted, "forgotten, though it is still being read");
        let first = "SELECT count(*) FROM pg_class WHERE relname IN ('gatepost_ids_1', 'gatepost_events_1')";
        assert_eq!(number(&watcher, first).await, 2, "read by somebody");
        reader.batch_execute("COMMIT").await.unwrap();
        s.store.maintenance.prune().await.unwrap();
        assert_eq!(number(&watcher, first).await, 0, "gone with its last reader");
        let old = "SELECT count(*) FROM gatepost_generations WHERE leaving";
        assert_eq!(number(&watcher, old).await, 0);
    });
}

#[test]
fn many_events_go_in_steps_and_what_is_open_stays() {
    on_a_server(async |server| {
        let s = Subject::new(settings(server.database("in_steps").await), ()).await;
        s.store.maintenance.prune().await.unwrap();
        accept(&s.store, event("a", "first", "body"), &["x"]).await;
        let (client, _task) = connect(&s.settings.url).await;
        // More than one step, with gaps; ids and keys do not matter to what goes.
        client
            .batch_execute(
                "INSERT INTO gatepost_events SELECT e.seq + n * 3, e.gen, e.source, 'n' || n, e.kind, e.received_at,
                 e.content_type, e.key, e.request_id, e.client_ip, e.traceparent, e.body
             FROM gatepost_events e, generate_series(1, 6000) AS n WHERE e.id = 'first';
             INSERT INTO gatepost_deliveries (gen, seq, sink, state, attempts, due_at, queued_at, lease)
             SELECT gen, seq, 'x', 1, 1, 0, 0, 0 FROM gatepost_events WHERE id <> 'first';
             SELECT setval('gatepost_event_seq', 30000)",
            )
            .await
            .unwrap();
        // Bodies of more than one step of moving.
        let large = "x".repeat(3 << 20);
        for n in 0..7 {
            accept(&s.store, event("a", &format!("large-{n}"), &large), &["x"]).await;
        }
        s.pass(25 * HOUR).await;
        s.store.maintenance.prune().await.unwrap();
        s.pass(100 * HOUR).await;
        assert_eq!(s.store.maintenance.prune().await.unwrap(), 6000);
        assert_eq!(number(&client, "SELECT count(*) FROM gatepost_events_0").await, 8);
        assert_eq!(number(&client, "SELECT count(*) FROM gatepost_ids_0").await, 8);
        assert_eq!(number(&client, "SELECT count(*) FROM gatepost_deliveries WHERE gen = 0").await, 8);
        assert_eq!(number(&client, "SELECT count(*) FROM gatepost_deliveries").await, 8, "those of what went are gone");
        let again = s.store.inbox.insert(event("a", "large-3", &large), sinks(&["x"])).await.unwrap();
        assert_eq!(again, Insertion::Duplicate, "an id lives as long as its event");
        let claimed = s.store.outbox.claim(&"x".into(), 100, Duration::from_mins(1)).await.unwrap();
        assert_eq!(claimed.iter().filter(|claimed| claimed.event.is_ok()).count(), 8);
    });
}

#[test]
fn what_is_queued_again_is_not_swept_away() {
    on_a_server(async |server| {
        let s = Subject::new(settings(server.database("queued_again").await), ()).await;
        s.store.maintenance.prune().await.unwrap();
        for id in ["kept", "over"] {
            accept(&s.store, event("a", id, "body"), &["x"]).await;
        }
        s.pass(25 * HOUR).await;
        s.store.maintenance.prune().await.unwrap();
        s.pass(100 * HOUR).await;
        assert_eq!(s.store.maintenance.prune().await.unwrap(), 0, "both are still to be delivered");
        deliver_all(&s.store).await;
        // Another replica is about to queue one of them again, and has not committed yet.
        let (replica, _task) = connect(&s.settings.url).await;
        replica
            .batch_execute(
                "BEGIN; SELECT i.key FROM gatepost_ids i JOIN gatepost_events e USING (gen, seq) WHERE e.id = 'kept'
                 FOR KEY SHARE OF i;
             UPDATE gatepost_deliveries d SET state = 0, attempts = 0, due_at = 0 FROM gatepost_events e
                 WHERE e.seq = d.seq AND e.id = 'kept'",
            )
            .await
            .unwrap();
        assert_eq!(s.store.maintenance.prune().await.unwrap(), 1, "only the other one, and nobody is waited for");
        replica.batch_execute("COMMIT").await.unwrap();
        assert_eq!(s.store.maintenance.prune().await.unwrap(), 0);
        let shown = s.store.archive.get(&named("kept")).await.unwrap();
        assert_eq!(&shown[0].event.payload.bytes()[..], b"body");
        let claimed = s.store.outbox.claim(&"x".into(), 9, Duration::from_secs(9)).await.unwrap();
        assert_eq!(claimed[0].event.as_ref().unwrap().id.as_str(), "kept");
        // The other way round: what is gone is not queued again.
        assert_eq!(s.store.archive.replay(&[named("over")], None, &[]).await.unwrap(), 0);
    });
}

#[test]
fn what_is_about_to_be_forgotten_is_not_queued_again() {
    on_a_server(async |server| {
        let s = Subject::new(settings(server.database("leaving").await), ()).await;
        accept(&s.store, event("a", "1", "body"), &["x"]).await;
        deliver_all(&s.store).await;
        let (client, _task) = connect(&s.settings.url).await;
        client.batch_execute("UPDATE gatepost_generations SET leaving = true").await.unwrap();
        assert_eq!(s.store.archive.replay(&[named("1")], None, &[]).await.unwrap(), 0);
        assert_eq!(s.store.outbox.backlog(&"x".into()).await.unwrap().pending, 0);
        client.batch_execute("UPDATE gatepost_generations SET leaving = false").await.unwrap();
        assert_eq!(s.store.archive.replay(&[named("1")], None, &[]).await.unwrap(), 1);
    });
}

#[test]
fn one_replica_turns_at_a_time() {
    on_a_server(async |server| {
        let s = Subject::new(settings(server.database("one_at_a_time").await), ()).await;
        s.store.maintenance.prune().await.unwrap();
        let (other, _task) = connect(&s.settings.url).await;
        let open = "SELECT gen::bigint FROM gatepost_generations WHERE closed_at IS NULL";
        s.pass(25 * HOUR).await;
        // The lock of whoever turns, as `schema.rs` names it.
        let turning = 0x6761_7465_0004_i64;
        other.batch_execute(&format!("SELECT pg_advisory_lock({turning})")).await.unwrap();
        assert_eq!(s.store.maintenance.prune().await.unwrap(), 0);
        assert_eq!(number(&other, open).await, 1, "another one is at it");
        other.batch_execute(&format!("SELECT pg_advisory_unlock({turning})")).await.unwrap();
        s.store.maintenance.prune().await.unwrap();
        assert_eq!(number(&other, open).await, 2);
    });
}

#[test]
fn defaults_of_the_server_change_nothing() {
    on_a_server(async |server| {
        let url = server.database("defaults").await;
        let (client, _task) = connect(&url).await;
        client
            .batch_execute(
                "ALTER DATABASE defaults SET default_transaction_isolation = 'serializable';
             ALTER DATABASE defaults SET default_transaction_read_only = on;
             ALTER DATABASE defaults SET default_transaction_deferrable = on;
             ALTER DATABASE defaults SET statement_timeout = '2s';
             ALTER DATABASE defaults SET lock_timeout = '1ms';
             ALTER DATABASE defaults SET idle_session_timeout = '1s';
             ALTER DATABASE defaults SET synchronous_commit = off",
            )
            .await
            .unwrap();
        let settings = settings(url);
        let (one, two) = (open(&settings).await.unwrap(), open(&settings).await.unwrap());
        // Serializable, some of these would be refused for what the others do.
        let tasks: JoinSet<Insertion> = (0..400)
            .map(|n: u32| {
                let store = if n.is_multiple_of(2) { one.clone() } else { two.clone() };
                async move { insert(&store, &(n / 4).to_string()).await }
            })
            .collect();
        let accepted = tasks.join_all().await.iter().filter(|outcome| **outcome == Insertion::Accepted).count();
        assert_eq!(accepted, 100);
        let (watcher, _watching) = connect(&server.url("postgres")).await;
        let sessions =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = 'defaults' AND application_name = 'gatepost'";
        let before = number(&watcher, sessions).await;
        // The default is that long because it holds from connecting until the session is set up, on a busy machine too.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(number(&watcher, sessions).await, before, "idle sessions were ended");
        one.maintenance.prune().await.unwrap();
        one.maintenance.probe().await.unwrap();
    });
}

#[test]
fn an_encoding_that_cannot_hold_every_event_is_refused() {
    on_a_server(async |server| {
        let (client, _task) = connect(&server.url("postgres")).await;
        client.batch_execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0").await.unwrap();
        let Err(StoreError::Unavailable(words)) = open(&settings(server.url("latin"))).await else { panic!("opened") };
        assert!(words.contains("LATIN1") && words.contains("UTF8"), "{words}");
        let (client, _task) = connect(&server.database("homeless").await).await;
        client.batch_execute("DROP SCHEMA public").await.unwrap();
        let Err(StoreError::Unavailable(words)) = open(&settings(server.url("homeless"))).await else {
            panic!("opened")
        };
        assert!(words.contains("search_path"), "{words}");
    });
}
