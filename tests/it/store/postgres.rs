//! What only the PostgreSQL store has: replicas on one database, generations, and a server that comes and goes.

use std::time::Duration;

use gatepost::clock::Clock;
use gatepost::store::{
    Claimed, Clocks, DeadLetterFilter, EventFilter, EventRef, Handover, Insertion, Report, Settled, Settlement, Store,
    StoreError, migrate,
};
use tokio::task::JoinSet;
use tokio_postgres::{AsyncMessage, NoTls};

use super::postgres_server::Server;
use super::{Subject, accept, assert_seconds, event, open, open_by, run, settings, sinks};

/// An empty store on a server of its own.
pub(super) async fn subject() -> Subject {
    let server = Server::start();
    let url = server.database("subject").await;
    Subject::new(settings(url), server).await
}

/// Runs `test` with a server of its own.
pub(super) fn on_a_server(test: impl AsyncFnOnce(&mut Server)) {
    let mut server = Server::start();
    run(test(&mut server));
}

/// Makes all that the server was told to be so much longer ago.
pub(super) async fn go_back(url: &str, seconds: u64) {
    let by = seconds * 1_000_000;
    let statement = format!(
        "UPDATE gatepost_deliveries SET due_at = due_at - {by}, queued_at = queued_at - {by}, claimed_at = claimed_at - {by};
         UPDATE gatepost_audit SET due_at = due_at - {by};
         UPDATE gatepost_pauses SET began = began - {by}, ended = ended - {by};
         UPDATE gatepost_generations SET opened_at = opened_at - {by}, closed_at = closed_at - {by}"
    );
    sql(url, &statement).await;
}

/// Runs SQL beside the store.
pub(super) async fn sql(url: &str, statement: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::select! {
        _ = connection => panic!("the server hung up"),
        done = client.batch_execute(statement) => done.unwrap(),
    }
}

/// Inserts until the store answers, as a sender that repeats does; whether one of the answers was "accepted".
async fn insist(store: &Store, id: String) -> bool {
    loop {
        match store.inbox.insert(event("a", &id, "body"), sinks(&["x"])).await {
            Ok(insertion) => return insertion == Insertion::Accepted,
            Err(StoreError::Unavailable(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn starting_together_migrates_once() {
    on_a_server(async |server| {
        let settings = settings(server.database("together").await);
        let (one, two, three) = tokio::join!(open(&settings), open(&settings), open(&settings));
        accept(&one.unwrap(), event("a", "1", "body"), &[]).await;
        let again = two.unwrap().inbox.insert(event("a", "1", "body"), sinks(&[])).await.unwrap();
        assert_eq!(again, Insertion::Duplicate);
        three.unwrap().maintenance.probe().await.unwrap();
    });
}

#[test]
fn a_newer_schema_is_refused() {
    on_a_server(async |server| {
        let settings = settings(server.database("newer").await);
        open(&settings).await.unwrap().maintenance.close().await.unwrap();
        sql(&settings.url, "INSERT INTO gatepost_schema VALUES (99)").await;
        assert!(matches!(open(&settings).await, Err(StoreError::TooNew { found: 99, .. })));
    });
}

#[test]
fn a_store_from_before_kept_headers_migrates() {
    run(async {
        let previous = "ALTER TABLE gatepost_events DROP COLUMN headers, DROP COLUMN erased;
            DROP TABLE gatepost_pauses, gatepost_rates; UPDATE gatepost_schema SET version = 3";
        super::kept_headers::an_older_store_keeps_them_from_the_migration_on(subject().await, previous).await;
    });
}

#[test]
fn a_backup_is_left_to_the_server() {
    run(async {
        let s = subject().await;
        let refused = s.store.maintenance.backup(std::path::Path::new("copy.db")).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Unsupported(why) if why.contains("pg_dump")), "{refused}");
    });
}

#[test]
fn a_commit_that_hands_over_all_of_its_deliveries_wakes_no_replica() {
    run(async {
        let s = subject().await;
        let (client, mut connection) = tokio_postgres::connect(&s.settings.url, NoTls).await.unwrap();
        let (heard, mut told) = tokio::sync::mpsc::channel(64);
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notification(notification) = message {
                    heard.send(notification.payload().to_owned()).await.unwrap();
                }
            }
        });
        client.batch_execute("LISTEN gatepost_queued").await.unwrap();
        // They come in the order of the commits: what was told before the mark is all that was.
        let mut wakes = async || {
            client.batch_execute("NOTIFY gatepost_queued, 'mark'").await.unwrap();
            let mut wakes = 0;
            while told.recv().await.unwrap() != "mark" {
                wakes += 1;
            }
            wakes
        };
        let handover = Handover::new(Duration::from_secs(40));
        s.store.outbox.hand_over(&"x".into(), &handover);
        handover.offer(2);
        accept(&s.store, event("a", "1", "body"), &["x"]).await;
        assert_eq!((wakes().await, handover.outstanding()), (0, 1));
        accept(&s.store, event("a", "2", "body"), &["x", "y"]).await;
        assert_eq!(wakes().await, 1, "y has nobody here");
        accept(&s.store, event("a", "3", "body"), &["x"]).await;
        assert_eq!(wakes().await, 1, "there was no more room");
    });
}

#[test]
fn replicas_share_ids_and_deliveries() {
    on_a_server(async |server| {
        let settings = settings(server.database("replicas").await);
        let (one, two) = (open(&settings).await.unwrap(), open(&settings).await.unwrap());
        let queued = two.outbox.queued();
        let told = queued.notified();
        let tasks: JoinSet<bool> = (0..400)
            .map(|n: u32| {
                let store = if n.is_multiple_of(2) { one.clone() } else { two.clone() };
                async move { insist(&store, (n / 4).to_string()).await }
            })
            .collect();
        assert_eq!(tasks.join_all().await.into_iter().filter(|accepted| *accepted).count(), 100);
        told.await;
        let (lease, sink) = (Duration::from_secs(30), "x".into());
        let (mine, theirs) = tokio::join!(one.outbox.claim(&sink, 60, lease), two.outbox.claim(&sink, 60, lease));
        let (mine, theirs) = (mine.unwrap(), theirs.unwrap());
        let ids: std::collections::HashSet<_> = mine.iter().chain(&theirs).map(|claimed| claimed.id).collect();
        assert_eq!((mine.len() + theirs.len(), ids.len()), (100, 100));
        // Whoever dies, its leases end.
        go_back(&settings.url, 31).await;
        assert_eq!(two.outbox.claim(&sink, 200, lease).await.unwrap().len(), 100);
        // The other is told of what this one queued.
        let told = queued.notified();
        accept(&one, event("a", "new", "body"), &["x"]).await;
        told.await;
    });
}

#[test]
fn an_id_is_unique_while_generations_change() {
    on_a_server(async |server| {
        let settings = settings(server.database("generations").await);
        let (one, two) = (open(&settings).await.unwrap(), open(&settings).await.unwrap());
        let tasks: JoinSet<bool> = (0..3000)
            .map(|n: u32| {
                let store = if n.is_multiple_of(2) { one.clone() } else { two.clone() };
                async move { insist(&store, (n / 6).to_string()).await }
            })
            .collect();
        let turning = async {
            for _ in 0..4 {
                one.maintenance.prune().await.unwrap();
                go_back(&settings.url, 25 * 3600).await;
            }
        };
        let (accepted, ()) = tokio::join!(tasks.join_all(), turning);
        assert_eq!(accepted.into_iter().filter(|accepted| *accepted).count(), 500);
        // Long after, in another generation, they are still known.
        for n in [0, 250, 499] {
            assert!(!insist(&two, n.to_string()).await);
        }
    });
}

#[test]
fn connections_cut_at_any_time_lose_and_double_nothing() {
    on_a_server(async |server| {
        let settings = settings(server.database("cut").await);
        let subject = Subject::new(settings.clone(), ()).await;
        let tasks: JoinSet<bool> = (0..2000)
            .map(|n: u32| {
                let store = subject.store.clone();
                async move { insist(&store, n.to_string()).await }
            })
            .collect();
        let cutting = async {
            for _ in 0..20 {
                sql(
                    &settings.url,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
                )
                .await;
            }
        };
        let (accepted, ()) = tokio::join!(tasks.join_all(), cutting);
        // A commit whose answer was cut off is answered as a duplicate the second time: never more, perhaps fewer.
        assert!(accepted.into_iter().filter(|accepted| *accepted).count() <= 2000);
        let events = loop {
            if let Ok(events) = subject.store.archive.list(&EventFilter::default()).await {
                break events.len();
            }
        };
        assert_eq!(events, 2000);
        assert_eq!(subject.store.outbox.backlog(&"x".into()).await.unwrap().pending, 2000);
    });
}

#[test]
fn certificates_are_checked_as_sslmode_says() {
    on_a_server(async |server| {
        server.database("tls").await;
        let opens = async |host: &str, query: &str| {
            let url = format!("postgres://gatepost@{host}:{}/tls?{query}", server.port());
            open(&settings(url)).await.map(drop)
        };
        let ca = format!("sslrootcert={}", server.ca_file());
        let other = tempfile::NamedTempFile::new().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(&other, rcgen::CertificateParams::default().self_signed(&key).unwrap().pem()).unwrap();
        let other = format!("sslrootcert={}", other.path().display());

        opens("127.0.0.1", "sslmode=require").await.unwrap();
        opens("127.0.0.1", &format!("sslmode=verify-full&{ca}")).await.unwrap();
        opens("localhost", &format!("sslmode=verify-ca&{ca}")).await.unwrap();
        for (host, query) in [
            ("localhost", format!("sslmode=verify-full&{ca}")),
            ("127.0.0.1", format!("sslmode=verify-full&{other}")),
            ("127.0.0.1", format!("sslmode=verify-ca&{other}")),
            ("127.0.0.1", format!("sslmode=require&{other}")),
        ] {
            let refused = opens(host, &query).await;
            assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{host} {query}: {refused:?}");
        }
    });
}

#[test]
fn a_nul_in_a_text_refuses_nothing() {
    on_a_server(async |server| {
        let subject = Subject::new(settings(server.database("nul").await), ()).await;
        let mut hostile = event("a", "1", "body\0");
        hostile.kind = "a\0b".into();
        accept(&subject.store, hostile, &[]).await;
    });
}

#[test]
fn the_servers_clock_counts_and_ours_is_compared_with_it() {
    on_a_server(async |server| {
        let settings = settings(server.database("clock").await);
        let ahead = Clock::system().now() + Duration::from_hours(100);
        let clocks = Clocks { wall: Clock::manual(ahead), ..Clocks::default() };
        let (wrong, right) = (open_by(&settings, &clocks).await.unwrap(), open(&settings).await.unwrap());
        assert_seconds(wrong.maintenance.skew().await.unwrap().unsigned_abs(), 360_000);
        assert_seconds(right.maintenance.skew().await.unwrap().unsigned_abs(), 0);
        accept(&wrong, event("a", "1", "body"), &["x"]).await;
        let lease = Duration::from_secs(30);
        let claimed = right.outbox.claim(&"x".into(), 9, lease).await.unwrap();
        assert_seconds(claimed[0].age, 0);
        assert!(wrong.outbox.claim(&"x".into(), 9, lease).await.unwrap().is_empty());
        assert_eq!(wrong.maintenance.prune().await.unwrap(), 0);
        assert!(!insist(&right, "1".into()).await);
    });
}

#[test]
fn a_sqlite_store_moves_in_and_may_do_so_again() {
    on_a_server(async |server| {
        let from = super::sqlite::subject().await;
        for id in 0..600 {
            accept(&from.store, event("a", &id.to_string(), "body"), &["x", "y"]).await;
        }
        from.pass(3600).await;
        let lease = Duration::from_secs(30);
        let claimed = from.store.outbox.claim(&"x".into(), 3, lease).await.unwrap();
        let retry = Settled::Retry { after: Duration::from_secs(99), error: "503".into() };
        let outcomes = [Settled::Done { duplicate: true }, Settled::Dead { error: "400".into() }, retry];
        let settle =
            |(claimed, outcome): (&Claimed, Settled)| Settlement { id: claimed.id, lease: claimed.lease, outcome };
        from.store.outbox.settle(claimed.iter().zip(outcomes).map(settle).collect()).await.unwrap();
        let taken = EventRef { source: Some("a".into()), id: claimed[0].event.as_ref().unwrap().id.clone() };
        assert_eq!(from.store.archive.replay(std::slice::from_ref(&taken), Some(&["z".into()]), &[]).await.unwrap(), 1);
        from.store.maintenance.probe().await.unwrap();
        from.store.audit_queue.push(vec!["1".into(), "1".into(), "2".into()], 9).await.unwrap();
        from.store.quarantine.put(super::waiting_rooms::refused("a", 1, 10)).await.unwrap();
        from.store.maintenance.close().await.unwrap();

        let settings = settings(server.database("moved").await);
        let expected = Report { events: 600, known: 0, quarantined: 1, audit: 3 };
        assert_eq!(migrate(&from.settings, &settings, &|_, _| {}).await.unwrap(), expected);
        let again = Report { events: 0, known: 600, quarantined: 0, audit: 0 };
        assert_eq!(migrate(&from.settings, &settings, &|_, _| {}).await.unwrap(), again);

        let to = Subject::new(settings.clone(), ()).await.store;
        assert!(!insist(&to, "599".into()).await, "its id came along");
        let x = to.outbox.backlog(&"x".into()).await.unwrap();
        assert_eq!((x.pending, x.dead), (598, 1));
        assert_seconds(x.oldest_age.unwrap(), 3600);
        let shown =
            to.archive.list(&EventFilter { error: Some("503".into()), ..EventFilter::default() }).await.unwrap();
        let next = shown[0].deliveries[0].next_attempt_at.unwrap();
        assert_seconds(next.duration_since(Clock::system().now()).unsigned_abs(), 99);
        assert_eq!(to.outbox.backlog(&"y".into()).await.unwrap().pending, 600);
        let dead = to.dead_letters.list(&[], &DeadLetterFilter::default(), true).await.unwrap();
        assert_eq!((dead.len(), dead[0].error.as_str(), &dead[0].event.payload.bytes()[..]), (1, "400", &b"body"[..]));
        assert_eq!(dead[0].event.headers, event("a", "1", "body").headers);
        let taken = to.archive.get(&taken).await.unwrap().remove(0).deliveries;
        let told: Vec<_> = taken.iter().map(|to| (to.sink.as_str(), to.duplicate, to.replays)).collect();
        assert_eq!(told, [("x", true, 0), ("y", false, 0), ("z", false, 1)]);
        assert_eq!(to.audit_queue.count().await.unwrap(), 3);
        assert_eq!(to.quarantine.count().await.unwrap(), 1);
    });
}

#[test]
fn a_crashed_server_is_unavailable_until_it_is_back() {
    on_a_server(async |server| {
        let subject = Subject::new(settings(server.database("crash").await), ()).await;
        let store = &subject.store;
        accept(store, event("a", "1", "body"), &["x"]).await;
        server.crash();
        let refused = store.inbox.insert(event("a", "2", "body"), sinks(&["x"])).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(matches!(store.maintenance.probe().await, Err(StoreError::Unavailable(_))));
        server.resume();
        assert!(!insist(store, "1".into()).await, "what was acknowledged is there");
        assert!(insist(store, "2".into()).await);
        store.maintenance.probe().await.unwrap();
        assert_eq!(store.outbox.backlog(&"x".into()).await.unwrap().pending, 2);
    });
}
