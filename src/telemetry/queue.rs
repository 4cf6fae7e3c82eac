//! The queue in front of stdout: bounded in bytes, never blocks whoever logs, counts what it had to drop.
//!
//! Lines gather in one buffer that a thread of its own writes out, at most every few milliseconds: under load one
//! wake-up and one write serve hundreds of lines.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait for a slow reader of stdout before further lines are dropped: some ten thousand of them.
const CAPACITY: usize = 8 * 1024 * 1024;
/// How long lines gather after each write; a reader sees a line this much later at most.
const GATHER: Duration = Duration::from_millis(5);
/// A buffer that a burst has made larger than this is given back.
const KEEP: usize = 256 * 1024;

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    dropped: u64,
    closed: bool,
}

/// Where lines are put; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Queue(Arc<(Mutex<State>, Condvar)>);

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Bytes and counters are whole whatever panicked while it held them.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lines dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// What has gathered, waiting for it; `None` once closed and empty.
    fn take(&self, mut buffer: Vec<u8>) -> Option<Vec<u8>> {
        let mut state = self.lock();
        while state.lines.is_empty() {
            if state.closed {
                return None;
            }
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut state.lines, &mut buffer);
        Some(buffer)
    }

    /// Lets lines gather; returns at once when closed.
    fn gather(&self) {
        let state = self.lock();
        if !state.closed {
            // Whatever wakes it, the next step looks again.
            drop(self.0.1.wait_timeout_while(state, GATHER, |state| !state.closed));
        }
    }
}

impl Write for &Queue {
    /// Takes one whole line, or drops it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.lock();
        if state.lines.len() + line.len() > CAPACITY {
            state.dropped += 1;
        } else {
            state.lines.extend_from_slice(line);
            // Only who makes it non-empty wakes the thread; while that gathers, the wake-up is not needed.
            let first = state.lines.len() == line.len();
            drop(state);
            if first {
                self.0.1.notify_one();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Queue {
    type Writer = &'w Self;

    fn make_writer(&'w self) -> &'w Self {
        self
    }
}

/// The thread that writes; when dropped, it writes what is left and is waited for.
pub(super) struct WriterThread {
    queue: Queue,
    thread: Option<JoinHandle<()>>,
}

impl WriterThread {
    /// Starts writing `queue` to `out`, which must not keep back what it could not write; what is lost is counted, and
    /// told `report_loss` the first time.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(super) fn start(
        queue: &Queue,
        out: impl Write + Send + 'static,
        report_loss: impl FnOnce(&io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        let lines = queue.clone();
        let work = move || {
            let mut out = Out { out, broken: false };
            let mut report_loss = Some(report_loss);
            let mut buffer = Vec::new();
            while let Some(taken) = lines.take(buffer) {
                buffer = taken;
                if let Err((lost, error)) = out.write(&buffer) {
                    lines.lock().dropped += lost;
                    if let Some(report_loss) = report_loss.take() {
                        report_loss(&error);
                    }
                }
                buffer.clear();
                buffer.shrink_to(KEEP);
                lines.gather();
            }
        };
        let thread = thread::Builder::new().name("log".into()).spawn(work)?;
        Ok(Self { queue: queue.clone(), thread: Some(thread) })
    }
}

/// Where lines end up.
struct Out<W> {
    out: W,
    /// Whether the last line written lacks its end.
    broken: bool,
}

impl<W: Write> Out<W> {
    /// Writes whole lines, or says how many of them were lost and why. The next write begins a line of its own.
    fn write(&mut self, mut lines: &[u8]) -> Result<(), (u64, io::Error)> {
        let ended = if self.broken { self.put(b"\n").map_err(|(_, error)| error) } else { Ok(()) };
        let outcome = ended.and_then(|()| {
            self.broken = false;
            self.put(lines).map_err(|(written, error)| {
                self.broken = written > 0 && lines.get(written - 1) != Some(&b'\n');
                // The line that broke off begins after the last line end that was written.
                let whole = lines.iter().take(written).rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                lines = lines.get(whole..).unwrap_or_default();
                error
            })
        });
        let count = |lines: &[u8]| lines.split(|byte| *byte == b'\n').skip(1).count() as u64;
        outcome.map_err(|error| (count(lines), error))
    }

    /// Writes all of `bytes`, or says how many were written.
    fn put(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.out.write(rest) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.0.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and if it did there is no log to say so.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A stdout whose reader has stopped reading until told otherwise.
    struct Stuck(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stops_costs_lines_and_never_the_writer() {
        let (go_on, stuck) = mpsc::sync_channel(1);
        let written = Arc::new(Mutex::new(Vec::new()));
        let queue = Queue::default();
        let writer = WriterThread::start(&queue, Stuck(stuck, Arc::clone(&written)), |_| ()).unwrap();
        let line = [b'x'; 1024];
        let sent = 3 * CAPACITY / line.len();
        for _ in 0..sent {
            (&queue).write_all(&line).unwrap();
        }
        let dropped = usize::try_from(queue.dropped()).unwrap();
        assert!(dropped >= sent / 3, "{dropped} of {sent}");
        drop(go_on);
        drop(writer);
        assert_eq!(written.lock().unwrap().len(), (sent - dropped) * line.len());
    }

    /// A disk with room for so many bytes, and what it took.
    struct Full(usize, Arc<Mutex<Vec<u8>>>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.0);
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= fits;
            self.1.lock().unwrap().extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_counted_and_the_next_line_stands_alone() {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let mut out = Out { out: Full(12, Arc::clone(&taken)), broken: false };
        let (lost, _) = out.write(b"line 1\nline 2\nline 3\n").unwrap_err();
        assert_eq!(lost, 2, "one that broke off and one that was not begun");
        assert_eq!(out.write(b"line 4\n").unwrap_err().0, 1);
        out.out.0 = 100;
        assert!(out.write(b"line 5\n").is_ok());
        assert_eq!(String::from_utf8_lossy(&taken.lock().unwrap()), "line 1\nline \nline 5\n");
    }

    #[test]
    fn a_loss_is_told_once() {
        let (told, tells) = mpsc::sync_channel(8);
        let queue = Queue::default();
        let full = Full(0, Arc::default());
        let writer = WriterThread::start(&queue, full, move |error| told.send(error.kind()).unwrap()).unwrap();
        for lost in 1..=3 {
            (&queue).write_all(b"line\n").unwrap();
            while queue.dropped() < lost {
                thread::yield_now();
            }
        }
        drop(writer);
        assert_eq!(tells.iter().collect::<Vec<_>>(), [io::ErrorKind::StorageFull]);
    }

    #[test]
    fn what_is_queued_at_the_end_is_written() {
        let (go_on, stuck) = mpsc::sync_channel(1);
        drop(go_on);
        let written = Arc::new(Mutex::new(Vec::new()));
        let queue = Queue::default();
        let writer = WriterThread::start(&queue, Stuck(stuck, Arc::clone(&written)), |_| ()).unwrap();
        for _ in 0..100 {
            (&queue).write_all(b"line\n").unwrap();
        }
        drop(writer);
        assert_eq!(written.lock().unwrap().len(), 500);
        assert_eq!(queue.dropped(), 0);
    }
}
