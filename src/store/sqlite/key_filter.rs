//! Keys that are certainly not in the index, without looking: a Bloom filter of those that are, made beside the commits.
//!
//! Where the index is large, looking a new key up means reading a page that no cache holds, for every event. The filter
//! is a guess that only errs towards looking: the table stays the judge.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

use rusqlite::Connection;

use crate::event::EventKey;
use crate::store::error::StoreError;

const UNREAD: &str = "the ids of the store cannot be read beside it: each is looked up";

/// Keys read in one snapshot: no checkpoint waits for all of them.
const AT_ONCE: i64 = 16_384;

/// Opens a connection to read the index by.
pub(super) type Connect = Arc<dyn Fn() -> Result<Connection, StoreError> + Send + Sync>;

/// The filter. Where there is none, every key is looked up.
pub(super) struct KeyFilter {
    connect: Connect,
    known: Option<Bloom>,
    making: Option<Making>,
}

/// A filter in the making.
struct Making {
    /// Keys that went into the index since it was begun.
    since: Vec<EventKey>,
    made: Receiver<Bloom>,
    _stop: StopOnDrop,
}

/// Ends the making thread, for whom nobody waits any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl KeyFilter {
    /// None yet.
    pub(super) fn new(connect: Connect) -> Self {
        Self { connect, known: None, making: None }
    }

    /// Forgets what is known, which holds no more, and has it made afresh, for an index that may come to hold some `expected`
    /// keys. Keys that the caller puts into the index from now on are told to [`KeyFilter::add`].
    pub(super) fn renew(&mut self, expected: usize) {
        self.known = None;
        self.grow(expected);
    }

    /// The same for a filter that is full: until there is another it is asked further.
    pub(super) fn grow(&mut self, expected: usize) {
        match self.making(expected) {
            Ok(making) => self.making = Some(making),
            Err(error) => {
                tracing::warn!(%error, "{UNREAD}");
                (self.known, self.making) = (None, None);
            }
        }
    }

    fn making(&self, expected: usize) -> Result<Making, StoreError> {
        let stopped = Arc::new(AtomicBool::new(false));
        let (send, made) = sync_channel(1);
        // Opened before anybody is answered, not some time later by the thread: whoever opens a database whose log has just
        // been taken away makes a new one, and then what the old one holds could not be saved any more (`open_files.rs`).
        let (conn, stop) = ((self.connect)()?, Arc::clone(&stopped));
        let work = move || match read_all(&conn, expected, &stop) {
            Ok(bloom) => drop(send.send(bloom)),
            Err(error) => tracing::warn!(%error, "{UNREAD}"),
        };
        let thread = thread::Builder::new().name("store-keys".into()).spawn(work);
        thread.map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Making { since: Vec::new(), made, _stop: StopOnDrop(stopped) })
    }

    /// Whether `key` is certainly not in the index.
    pub(super) fn excludes(&mut self, key: &EventKey) -> bool {
        self.settle();
        self.known.as_ref().is_some_and(|bloom| !bloom.may_hold(key))
    }

    /// `key` goes into the index, as far as the caller can tell. Whether the filter has room for more of them.
    pub(super) fn add(&mut self, key: EventKey) -> bool {
        if let Some(bloom) = &mut self.known {
            bloom.add(&key);
        }
        if let Some(making) = &mut self.making {
            making.since.push(key);
        }
        self.making.is_some() || self.known.as_ref().is_none_or(Bloom::has_room)
    }

    /// Waits until it is made.
    #[cfg(test)]
    pub(super) fn wait(&mut self) {
        while self.making.is_some() {
            self.settle();
            thread::yield_now();
        }
    }

    fn settle(&mut self) {
        let Some(Making { since, made, .. }) = &mut self.making else { return };
        self.known = match made.try_recv() {
            Ok(mut bloom) => {
                for key in since {
                    bloom.add(key);
                }
                Some(bloom)
            }
            Err(TryRecvError::Empty) => return,
            // It could not be read, which was said.
            Err(TryRecvError::Disconnected) => None,
        };
        self.making = None;
    }
}

/// Reads all keys of the index, little by little: what is added meanwhile the owner adds, what is deleted does no harm.
fn read_all(conn: &Connection, expected: usize, stop: &AtomicBool) -> Result<Bloom, StoreError> {
    let mut bloom = Bloom::with_room_for(expected);
    let sql = "SELECT part, key FROM ids WHERE (part, key) > (?1, ?2) ORDER BY part, key LIMIT ?3";
    let mut sql = conn.prepare(sql)?;
    let mut last = (i64::MIN, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let mut read = 0;
        let mut rows = sql.query((last.0, &last.1, AT_ONCE))?;
        let mut next = None;
        while let Some(row) = rows.next()? {
            let key = row.get(1)?;
            bloom.add(&EventKey(key));
            (next, read) = (Some((row.get(0)?, key)), read + 1);
        }
        match next {
            Some((part, key)) if read == AT_ONCE => last = (part, key.to_vec()),
            _ => break,
        }
    }
    Ok(bloom.made())
}

/// A blocked Bloom filter: all bits of a key lie in one line of the processor's cache. Keys are digests, so their own bits
/// say where.
struct Bloom {
    blocks: Vec<[u64; WORDS]>,
    keys: usize,
    /// Keys from which it is to be made afresh.
    room: usize,
}

/// Of 64 bits, in a block.
const WORDS: usize = 8;
/// Keys that share a block, once the filter is full: 8 bits each, of which a key sets four, are wrong about one in
/// forty.
const KEYS_A_BLOCK: usize = 64;
/// Blocks at least and at most: 128 KiB to 16 MiB. A filter that cannot grow any more is just wrong more often.
const BLOCKS: (usize, usize) = (2_048, 262_144);

impl Bloom {
    /// Half full with `keys`.
    fn with_room_for(keys: usize) -> Self {
        let blocks = (keys / KEYS_A_BLOCK).saturating_mul(2).clamp(BLOCKS.0, BLOCKS.1);
        Self { blocks: vec![[0; WORDS]; blocks], keys: 0, room: blocks * KEYS_A_BLOCK }
    }

    /// As it stands with all keys of the index: made afresh when it is full, but not before as many keys have come again.
    /// Then retention has taken some that it still knows.
    fn made(self) -> Self {
        Self { room: self.room.max(self.keys.saturating_mul(2)), ..self }
    }

    const fn has_room(&self) -> bool {
        self.keys < self.room
    }

    fn add(&mut self, key: &EventKey) {
        let (block, bits) = self.place(key);
        if let Some(block) = self.blocks.get_mut(block) {
            block.iter_mut().zip(bits).for_each(|(word, bits)| *word |= bits);
            self.keys += 1;
        }
    }

    fn may_hold(&self, key: &EventKey) -> bool {
        let (block, bits) = self.place(key);
        self.blocks.get(block).is_none_or(|block| block.iter().zip(bits).all(|(word, bits)| word & bits == bits))
    }

    /// Which block, and which bits of it.
    fn place(&self, key: &EventKey) -> (usize, [u64; WORDS]) {
        let key = u128::from_be_bytes(key.0);
        // The upper half as a fraction, of so many blocks.
        let block = ((key >> 64) * self.blocks.len() as u128) >> 64;
        let mut bits = [0; WORDS];
        for four in 0..4 {
            let at = (key >> (four * 9)) as usize & 0x1ff;
            if let Some(word) = bits.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
        }
        // There are no more blocks than fit in memory.
        (usize::try_from(block).unwrap_or_default(), bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(seed: u64, many: usize) -> Vec<EventKey> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..many).map(|_| EventKey(random.u128(..).to_be_bytes())).collect()
    }

    fn add(bloom: &mut Bloom, keys: &[EventKey]) {
        for key in keys {
            bloom.add(key);
        }
    }

    #[test]
    fn what_was_added_is_never_excluded_and_few_others_are_not() {
        for many in [0, 1_000, 300_000] {
            let mut bloom = Bloom::with_room_for(many);
            add(&mut bloom, &keys(1, many));
            assert!(keys(1, many).iter().all(|key| bloom.may_hold(key)));
            let wrong = keys(2, 100_000).iter().filter(|key| bloom.may_hold(key)).count();
            assert!(wrong < 1_000, "{wrong} of 100,000 with {many}");
        }
    }

    #[test]
    fn a_filter_that_is_full_says_so_once_as_many_keys_came_as_it_was_made_with() {
        let mut bloom = Bloom::with_room_for(0);
        let room = BLOCKS.0 * KEYS_A_BLOCK;
        add(&mut bloom, &keys(1, room - 1));
        assert!(bloom.has_room());
        add(&mut bloom, &keys(2, 1));
        assert!(!bloom.has_room());
        let most = BLOCKS.1 * KEYS_A_BLOCK;
        let largest = |keys| Bloom { keys, ..Bloom::with_room_for(usize::MAX) }.made();
        assert!(!Bloom { keys: most, ..largest(0) }.has_room(), "it may be full of what is gone");
        assert!(Bloom { keys: 2 * most - 1, ..largest(most) }.has_room(), "or of what is there");
        assert!(!Bloom { keys: 2 * most, ..largest(most) }.has_room());
    }

    #[test]
    fn keys_that_come_while_it_is_made_are_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let conn = Connection::open(&path).unwrap();
        let table = "CREATE TABLE ids (part, key BLOB, seq INTEGER, PRIMARY KEY (part, key)) WITHOUT ROWID";
        conn.execute_batch(table).unwrap();
        let before = keys(1, 40_000);
        let mut put = conn.prepare("INSERT INTO ids VALUES (?1, ?2, 1)").unwrap();
        conn.execute_batch("BEGIN").unwrap();
        for (part, key) in (0..3).cycle().zip(&before) {
            put.execute((part, &key.0[..])).unwrap();
        }
        conn.execute_batch("COMMIT").unwrap();
        let mut filter = KeyFilter::new(Arc::new(move || Ok(Connection::open(&path)?)));
        let (new, other) = (keys(2, 100), keys(3, 100));
        assert!(!filter.excludes(&other[0]), "not known yet");
        filter.renew(before.len());
        assert!(new.iter().all(|key| filter.add(*key)));
        filter.wait();
        assert!(!before.iter().chain(&new).any(|key| filter.excludes(key)));
        assert!(other.iter().any(|key| filter.excludes(key)));
        filter.grow(before.len());
        let newest = keys(4, 100);
        assert!(newest.iter().all(|key| filter.add(*key)), "another is under way");
        let all = || before.iter().chain(&new).chain(&newest);
        assert!(
            filter.known.as_ref().is_some_and(|known| all().all(|key| known.may_hold(key))),
            "it is asked until then"
        );
        filter.wait();
        // Those that were only told to it are not in the table.
        assert!(!before.iter().chain(&newest).any(|key| filter.excludes(key)));
        assert!(new.iter().any(|key| filter.excludes(key)), "and then the other one");
    }
}
