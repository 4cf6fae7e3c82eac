//! The floor's store: one file that only grows, one thread that writes it, and the ids in memory.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use axum::body::Bytes;
use tokio::sync::oneshot;

/// More than there are connections.
const WAITING: usize = 4096;

/// An event on its way to the disk.
struct Record {
    id: String,
    body: Bytes,
    /// Told whether the id was known, once the event is durable.
    done: oneshot::Sender<bool>,
}

/// Where events are handed to the writer.
pub(crate) struct AppendLog {
    records: SyncSender<Record>,
}

impl AppendLog {
    /// Begins the file at `path`, and its writer.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().append(true).create_new(true).open(path)?;
        let (records, waiting) = sync_channel(WAITING);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write(file, &waiting))?;
        Ok(Self { records })
    }

    /// Writes an event unless its id is known; whether it was, or `None` where nothing can be promised.
    pub(crate) async fn append(&self, id: String, body: Bytes) -> Option<bool> {
        let (done, durable) = oneshot::channel();
        self.records.try_send(Record { id, body, done }).ok()?;
        durable.await.ok()
    }
}

/// Takes whatever waits, writes it in one piece, and answers only after fdatasync. An error ends it, for good: after a
/// failed fdatasync nobody knows what is on the disk. Those who wait see their channel closed.
fn write(mut file: File, waiting: &Receiver<Record>) -> io::Result<()> {
    let (mut known, mut piece, mut told) = (HashSet::new(), Vec::new(), Vec::new());
    while let Ok(first) = waiting.recv() {
        for Record { id, body, done } in std::iter::once(first).chain(waiting.try_iter()).take(WAITING) {
            let duplicate = !known.insert(id);
            if !duplicate {
                // The length before each body is what a reader needs to find the next.
                piece.extend_from_slice(&u64::try_from(body.len()).unwrap_or(u64::MAX).to_le_bytes());
                piece.extend_from_slice(&body);
            }
            told.push((done, duplicate));
        }
        file.write_all(&piece)?;
        // Where nothing was written, the first of two equal events is durable since an earlier turn.
        if !piece.is_empty() {
            file.sync_data()?;
        }
        piece.clear();
        for (done, duplicate) in told.drain(..) {
            // A sender that went away is told by its next attempt.
            let _ = done.send(duplicate);
        }
    }
    Ok(())
}
