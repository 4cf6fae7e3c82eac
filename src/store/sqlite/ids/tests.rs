//! Keys against a plain map, with two connections, moves, retention and rollbacks in a random order, the filter of the
//! index made or in the making.

use std::collections::BTreeMap;

use super::*;
use crate::store::sqlite::file::{self, Role};
use crate::store::sqlite::schema;

struct Side {
    conn: Connection,
    recent: Recent,
}

fn new_store() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    file::create(&path, &mut file::sync).unwrap();
    schema::migrate(&mut file::connect(&path, Role::Writer).unwrap()).unwrap();
    (dir, path)
}

fn side(path: &std::path::Path) -> Side {
    Side { conn: file::connect(path, Role::Writer).unwrap(), recent: recent(path) }
}

fn recent(path: &std::path::Path) -> Recent {
    let path = path.to_owned();
    Recent::moving_at(50, std::sync::Arc::new(move || file::connect(&path, Role::Reader)))
}

fn key(number: u64) -> EventKey {
    EventKey(fastrand::Rng::with_seed(number).u128(..).to_be_bytes())
}

#[test]
fn a_key_is_found_until_it_is_forgotten_whoever_added_it_and_wherever_it_lies() {
    let (_dir, path) = new_store();
    let mut sides = [side(&path), side(&path)];
    let mut model: BTreeMap<u64, i64> = BTreeMap::new();
    let (mut random, mut waits) = (fastrand::Rng::with_seed(7), fastrand::Rng::with_seed(8));
    let mut next = 1;
    for _ in 0..2_000 {
        let Side { conn, recent } = &mut sides[usize::from(random.u8(..10) == 0)];
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        recent.refresh(conn).unwrap();
        if waits.u8(..4) == 0 {
            recent.index.wait();
        }
        let mut after = model.clone();
        for _ in 0..random.usize(..8) {
            let number = random.u64(..4_000);
            let found = recent.find(conn, &key(number)).unwrap();
            assert_eq!(found, after.get(&number).copied());
            if let Some(seq) = found.filter(|_| random.u8(..4) == 0) {
                recent.forget(conn, &key(number), seq).unwrap();
                after.remove(&number);
            } else if found.is_none() {
                let arrival = Arrival { seq: next, source: 1, kind: "t", received_at: 0 };
                recent.add(&mut Kept::default(), conn, key(number), &arrival).unwrap();
                after.insert(number, next);
                next += random.i64(1..PART / 100);
            }
        }
        recent.move_on(conn).unwrap();
        if random.u8(..20) == 0 {
            conn.execute_batch("ROLLBACK").unwrap();
            recent.forget_copy();
        } else {
            conn.execute_batch("COMMIT").unwrap();
            model = after;
        }
    }
    let conn = &sides[0].conn;
    for number in 0..4_000 {
        assert_eq!(find(conn, &key(number)).unwrap(), model.get(&number).copied());
    }
    for seq in model.values() {
        assert_eq!(of_event(conn, *seq).unwrap().len(), 1);
    }
    assert_eq!(super::count(conn).unwrap(), i64::try_from(model.len()).unwrap());
    let in_index: i64 = conn.query_row("SELECT count(*) FROM ids", [], |row| row.get(0)).unwrap();
    let recent = super::count(conn).unwrap() - in_index;
    assert!(in_index > recent && recent < 400, "{in_index} in the index, {recent} only recent: keys move");
    assert!(parts(conn).unwrap().len() > 2, "it is in parts");
}
