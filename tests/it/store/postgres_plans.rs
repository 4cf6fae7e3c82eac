//! How PostgreSQL goes about the listings: the plans of the very statements that a listing sends, with the rows that each of
//! their scans has read, as the server itself logs them. No page reads more than it looks at, whatever is asked for.

use std::time::Duration;

use gatepost::store::{DeadLetterFilter, EventFilter, QuarantineFilter, State, Store};

use super::postgres::{on_a_server, sql};
use super::postgres_server::Server;
use super::{at, open, settings};

/// Events in the store; a scan of them would read as many rows.
const EVENTS: u64 = 40_000;
/// Rows that a scan may read for one page: those that it looks at, with some that are read beside them.
const MOST: u64 = 8192 + 808;

/// Two generations of events: most delivered, some dead, a few waiting.
async fn fill(url: &str) {
    let first = at(0).as_microsecond();
    sql(
        url,
        &format!(
            "INSERT INTO gatepost_sources VALUES ('a'), ('b');
             INSERT INTO gatepost_events (seq, gen, source, id, kind, received_at, content_type, key, request_id, body)
             SELECT n, n % 2, CASE WHEN n % 1000 = 0 THEN 'b' ELSE 'a' END, n::text,
                 CASE WHEN n % 7000 = 0 THEN 'rare' ELSE 'often' END, {first} + n::bigint * 1000000, '', '', '',
                 repeat('x', 500)::bytea FROM generate_series(1, {EVENTS}) n;
             INSERT INTO gatepost_deliveries (gen, seq, sink, state, attempts, due_at, queued_at, lease, error)
             SELECT n % 2, n, 'x', CASE WHEN n % 500 = 1 THEN 2 WHEN n % 500 = 2 THEN 0 ELSE 1 END, 1, n, n, 0,
                 'refused' FROM generate_series(1, {EVENTS}) n;
             ANALYZE gatepost_events, gatepost_deliveries;
             ALTER DATABASE plans SET session_preload_libraries = 'auto_explain';
             ALTER DATABASE plans SET auto_explain.log_min_duration = 0;
             ALTER DATABASE plans SET auto_explain.log_analyze = on;
             ALTER DATABASE plans SET auto_explain.log_timing = off"
        ),
    )
    .await;
}

/// Every part of a filter alone and every two of them.
fn filters() -> Vec<EventFilter> {
    let part = |n: u32, filter: &mut EventFilter| match n {
        0 => filter.source = Some("b".into()),
        1 => filter.kind = Some("rare".into()),
        2 => filter.since = Some(at(1000)),
        3 => filter.until = Some(at(2000)),
        4 => filter.header = Some([("x-a", &b"1"[..])].into_iter().collect()),
        5 => filter.sink = Some("y".into()),
        6 => filter.error = Some("never".into()),
        7 => filter.state = Some(State::Delivered),
        8 => filter.state = Some(State::Pending),
        _ => filter.state = Some(State::Dead),
    };
    (0..1_u32 << 10)
        .filter(|bits| bits.count_ones() <= 2)
        .map(|bits| {
            let mut filter = EventFilter { limit: Some(50), ..EventFilter::default() };
            (0..10).filter(|n| bits >> n & 1 == 1).for_each(|n| part(n, &mut filter));
            filter
        })
        .collect()
}

/// The plans that are logged until `mark` is asked for.
async fn plans(server: &Server, url: &str, mark: &str) -> Vec<String> {
    sql(url, &format!("SELECT '{mark}'")).await;
    let (mut plans, mut plan) = (Vec::new(), None);
    // A plan's lines begin with a tab, all others with a time.
    for line in server.logged_until(mark) {
        if line.contains("plan:") {
            plans.extend(plan.replace(String::new()));
        } else if let (true, Some(plan)) = (line.starts_with('\t'), &mut plan) {
            *plan += &line;
            plan.push('\n');
        } else {
            plans.extend(plan.take());
        }
    }
    plans.extend(plan);
    plans
}

/// Rows that each scan of a plan has read, those it threw away included.
fn rows_read(plan: &str) -> Vec<(String, u64)> {
    let number = |line: &str, before: &str| -> Option<u64> {
        let digits: String = line.split(before).nth(1)?.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let mut scans: Vec<(String, u64, u64)> = Vec::new();
    for line in plan.lines() {
        let counted =
            line.split("(actual").nth(1).and_then(|actual| Some((number(actual, "rows=")?, number(actual, "loops=")?)));
        match (line.contains("Scan"), counted) {
            (true, Some((rows, loops))) => scans.push((line.trim().to_owned(), rows * loops, loops)),
            (false, Some(_)) => scans.push((String::new(), 0, 0)),
            _ => {
                let removed = ["Rows Removed by Filter: ", "Rows Removed by Index Recheck: "];
                let removed: u64 = removed.iter().filter_map(|before| number(line, before)).sum();
                if let Some(scan) = scans.last_mut() {
                    scan.1 += removed * scan.2;
                }
            }
        }
    }
    scans.into_iter().map(|(line, rows, _)| (line, rows)).collect()
}

#[track_caller]
fn assert_bounded(plans: &[String], asked: &str) {
    assert!(plans.iter().any(|plan| plan.contains("gatepost_")), "no plan was logged for {asked}");
    for plan in plans {
        for (scan, rows) in rows_read(plan) {
            assert!(rows <= MOST, "{asked}: {rows} rows of\n{scan}\n{plan}");
        }
    }
}

#[test]
fn a_scan_of_everything_is_seen() {
    on_a_server(async |server| {
        let url = server.database("plans").await;
        open(&settings(url.clone())).await.unwrap().maintenance.close().await.unwrap();
        fill(&url).await;
        sql(&url, "SELECT count(*) FROM gatepost_events WHERE request_id = 'never'").await;
        let seen: Vec<_> = plans(server, &url, "all-of-it").await.iter().flat_map(|plan| rows_read(plan)).collect();
        assert!(seen.iter().any(|(_, rows)| *rows > MOST), "{seen:?}");
    });
}

#[test]
fn no_page_of_events_reads_more_than_it_looks_at() {
    on_a_server(async |server| {
        let url = server.database("plans").await;
        open(&settings(url.clone())).await.unwrap().maintenance.close().await.unwrap();
        fill(&url).await;
        let store = open(&settings(url.clone())).await.unwrap();
        for filter in filters() {
            let first = store.archive.page(&filter, None).await.unwrap();
            if let Some(next) = first.next {
                store.archive.page(&filter, Some(next)).await.unwrap();
            }
            assert_bounded(&plans(server, &url, "events-listed").await, &format!("{filter:?}"));
        }
        store.maintenance.close().await.unwrap();
    });
}

#[test]
fn no_page_of_dead_letters_or_of_the_quarantine_reads_all_deliveries_or_events() {
    on_a_server(async |server| {
        let url = server.database("plans").await;
        open(&settings(url.clone())).await.unwrap().maintenance.close().await.unwrap();
        fill(&url).await;
        let store = open(&settings(url.clone())).await.unwrap();
        let all = DeadLetterFilter::default;
        for filter in [
            all(),
            DeadLetterFilter { sink: Some("x".into()), ..all() },
            DeadLetterFilter { sink: Some("y".into()), ..all() },
            DeadLetterFilter { error: Some("never".into()), ..all() },
            DeadLetterFilter { gone: vec!["x".into(), "y".into()], ..all() },
            DeadLetterFilter { gone: vec!["x".into()], sink: Some("x".into()), kind: Some("rare".into()), ..all() },
            DeadLetterFilter { source: Some("b".into()), since: Some(at(0)), ..all() },
        ] {
            let filter = DeadLetterFilter { limit: Some(50), ..filter };
            let first = store.dead_letters.page(&filter, None).await.unwrap();
            if let Some(next) = first.next {
                store.dead_letters.page(&filter, Some(next)).await.unwrap();
            }
            assert_bounded(&plans(server, &url, "dead-listed").await, &format!("{filter:?}"));
        }
        store.quarantine.page(&QuarantineFilter::default(), None).await.unwrap();
        assert_bounded(&plans(server, &url, "refused-listed").await, "the quarantine");
        everything_else(&store).await;
        assert_bounded(&plans(server, &url, "sinks-listed").await, "the sinks");
        store.maintenance.close().await.unwrap();
    });
}

/// What else pages and gauges ask for.
async fn everything_else(store: &Store) {
    store.outbox.sinks().await.unwrap();
    store.outbox.backlog(&"x".into()).await.unwrap();
    store.outbox.claim(&"x".into(), 10, Duration::from_secs(9)).await.unwrap();
}

/// Generations from before the indexes get them, beside readers; what they replace goes.
#[test]
fn generations_of_an_older_store_are_given_their_indexes() {
    on_a_server(async |server| {
        let url = server.database("older").await;
        open(&settings(url.clone())).await.unwrap().maintenance.close().await.unwrap();
        sql(
            &url,
            "DROP INDEX gatepost_events_0_by_source, gatepost_events_0_by_kind, gatepost_events_1_by_source,
                 gatepost_events_1_by_kind;
             CREATE INDEX gatepost_events_1_listed ON gatepost_events_1 (seq) INCLUDE (gen, source, kind, received_at);
             INSERT INTO gatepost_sources VALUES ('a');
             INSERT INTO gatepost_events (seq, gen, source, id, kind, received_at, content_type, key, request_id, body)
             SELECT n, n % 2, 'a', n::text, 'often', n, '', '', '', '' FROM generate_series(1, 1000) n",
        )
        .await;
        let store = open(&settings(url.clone())).await.unwrap();
        let filter = EventFilter { kind: Some("often".into()), ..EventFilter::default() };
        assert_eq!(store.archive.list(&filter).await.unwrap().len(), 1000, "without them, too");
        store.maintenance.prune().await.unwrap();
        sql(
            &url,
            "DO $$ BEGIN
                 ASSERT (SELECT count(*) FROM pg_inherits WHERE inhparent = 'gatepost_events'::regclass) = 3;
                 ASSERT (SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                     WHERE i.indisvalid AND c.relname ~ '^gatepost_events_[012]_by_(source|kind)$') = 6;
                 ASSERT to_regclass('gatepost_events_1_listed') IS NULL;
             END $$",
        )
        .await;
        assert_eq!(store.archive.list(&filter).await.unwrap().len(), 1000);
        store.maintenance.close().await.unwrap();
    });
}
