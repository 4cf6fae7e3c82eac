//! Blocks are summed up once they are full, lead to all that lies in them, and go with their events.

use std::sync::Arc;

use rusqlite::params;

use super::*;
use crate::store::archive::EventFilter;
use crate::store::handover::Handovers;
use crate::store::sqlite::clock::StoreClock;
use crate::store::sqlite::rows::Names;
use crate::store::sqlite::testing::{empty, plan};
use crate::store::sqlite::{file, selection, transaction};

fn store() -> Connection {
    let conn = empty();
    conn.execute_batch("INSERT INTO sources (name) VALUES ('a'), ('b')").unwrap();
    conn
}

fn insert(conn: &Connection, seqs: impl Iterator<Item = i64>, kind: impl Fn(i64) -> String) {
    conn.execute_batch("BEGIN").unwrap();
    let sql = "INSERT INTO events (seq, source, id, kind, received_at, content_type, key, request_id, body)
               VALUES (?1, 1, ?1, ?2, ?1, '', '', '', x'')";
    for seq in seqs {
        conn.execute(sql, params![seq, kind(seq)]).unwrap();
        let sql = "INSERT INTO arrivals (seq, source, kind, received_at) VALUES (?1, 1, ?2, ?1)";
        conn.execute(sql, params![seq, kind(seq)]).unwrap();
    }
    conn.execute_batch("COMMIT").unwrap();
}

fn sum_up_all(conn: &Connection) -> usize {
    let mut remembered = transaction::Remembered::new(
        Arc::new(|| Err(StoreError::Unavailable("not read".into()))),
        Handovers::default(),
    );
    let mut steps = 0;
    while sum_up(&mut Tx::new(conn, &mut remembered, tokio::time::Instant::now(), 0)).unwrap() {
        steps += 1;
    }
    steps
}

fn blocks_of(conn: &Connection, filter: &EventFilter) -> Vec<i64> {
    let conditions = selection::blocks(filter, &Names::sources(conn).unwrap()).unwrap();
    let mut blocks = Blocks::below(conn, i64::MAX, conditions).unwrap();
    let mut found = Vec::new();
    while let Some((first, end)) = blocks.next().unwrap() {
        assert!(end <= first + BLOCK);
        found.push(first / BLOCK);
    }
    found
}

fn of_kind(kind: &str) -> EventFilter {
    EventFilter { kind: Some(kind.to_owned()), ..EventFilter::default() }
}

#[test]
fn only_blocks_that_may_have_something_are_looked_through() {
    let conn = store();
    insert(&conn, 1..BLOCK * 6 + 10, |seq| if seq == BLOCK * 2 + 5 { "rare".into() } else { "t".into() });
    assert_eq!(blocks_of(&conn, &of_kind("rare")), [6, 5, 4, 3, 2, 1, 0], "none is summed up yet");
    assert_eq!(sum_up_all(&conn), 6);
    assert_eq!(blocks_of(&conn, &of_kind("rare")), [6, 2], "the last one is not full");
    assert_eq!(blocks_of(&conn, &of_kind("t")), [6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(blocks_of(&conn, &EventFilter { source: Some("b".into()), ..of_kind("t") }), [6]);
    let time = |at| Some(jiff::Timestamp::from_microsecond(at).unwrap());
    let window = EventFilter { since: time(BLOCK * 3), until: time(BLOCK * 4), ..EventFilter::default() };
    assert_eq!(blocks_of(&conn, &window), [6, 3]);
}

#[test]
fn a_block_of_too_many_kinds_may_have_any() {
    let conn = store();
    insert(&conn, 1..BLOCK * 2, |seq| format!("kind-{seq}"));
    assert_eq!(sum_up_all(&conn), 2);
    let rows: i64 = conn.query_row("SELECT count(*) FROM blocks", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2);
    assert_eq!(blocks_of(&conn, &of_kind("kind-7")), [1, 0]);
}

#[test]
fn what_lies_far_apart_is_summed_up_without_what_is_between() {
    let conn = store();
    insert(&conn, [5, BLOCK * 1_000_000].into_iter(), |_| "t".into());
    insert(&conn, std::iter::once(BLOCK * 1_000_001), |_| "t".into());
    assert_eq!(sum_up_all(&conn), 2);
    assert_eq!(blocks_of(&conn, &of_kind("t")), [1_000_001, 1_000_000, 0]);
}

#[test]
fn blocks_are_read_in_the_order_in_which_they_lie() {
    let conn = store();
    let filter = EventFilter { source: Some("a".into()), since: Some(jiff::Timestamp::UNIX_EPOCH), ..of_kind("t") };
    let conditions = selection::blocks(&filter, &Names::sources(&conn).unwrap()).unwrap();
    let values = conditions.values.iter().cloned().chain([9.into()]);
    assert_eq!(
        plan(&conn, &find(&conditions), params_from_iter(values)),
        ["SEARCH blocks USING PRIMARY KEY (block<?)"]
    );
}

#[tokio::test]
async fn blocks_go_with_the_last_of_their_events() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    file::create(&path, &mut |_| Ok(())).unwrap();
    let files = Arc::new(crate::store::sqlite::open_files::OpenFiles::open(path.clone()).unwrap());
    let mut conn = files.connect(file::Role::Writer).unwrap();
    let clock = StoreClock::open(&mut conn, &crate::store::backend::Clocks::default()).unwrap();
    let beside = files.connect(file::Role::Writer).unwrap();
    insert(&beside, 1..=BLOCK * 3, |_| "t".into());
    let metrics = Arc::new(crate::metrics::Metrics::new());
    let writer = Writer::start(files, conn, metrics, Arc::default(), Handovers::default(), clock).unwrap();
    keep(&writer).await.unwrap();
    let rows = || -> i64 { beside.query_row("SELECT count(*) FROM blocks", [], |row| row.get(0)).unwrap() };
    assert_eq!(rows(), 3);
    beside.execute("DELETE FROM events WHERE seq < ?1 AND seq <> 5", [BLOCK * 2]).unwrap();
    beside.execute("UPDATE counters SET value = ?1 WHERE name = 'pruned_to'", [BLOCK * 2]).unwrap();
    keep(&writer).await.unwrap();
    assert_eq!(rows(), 2, "one event is left in the first");
    writer.close().unwrap().join().unwrap();
}
