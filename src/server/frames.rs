//! The client's side of an HTTP/2 connection, frame by frame: whether something is half sent, and how many requests
//! have begun.
//!
//! h2 waits without limit for the preface, for the rest of a frame and for the end of a header block, and says nothing
//! of heads that it refuses. So the bytes are looked at on their way to it; only the nine bytes in front of each frame
//! are understood (RFC 9113 section 4.1).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::activity::Activity;
use super::socket::Io;

/// Bytes of the connection preface: `PRI * HTTP/2.0`, two empty lines, `SM`.
const PREFACE: usize = 24;
/// Bytes in front of a frame's payload.
const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;

/// The byte stream that h2 reads.
pub(super) struct Frames {
    io: TokioIo<Io>,
    scan: Scan,
    activity: Arc<Activity>,
    seen: Arc<Seen>,
}

/// What was seen of a connection.
#[derive(Default)]
pub(super) struct Seen {
    heads: AtomicU64,
    blocked: AtomicBool,
}

impl Seen {
    /// Requests whose head has come whole, whatever h2 thinks of it; `None` while the client takes no bytes, for then
    /// h2 reads no further, either.
    pub(super) fn heads(&self) -> Option<u64> {
        (!self.blocked.load(Ordering::Relaxed)).then(|| self.heads.load(Ordering::Relaxed))
    }
}

impl Frames {
    pub(super) fn new(io: Io, activity: Arc<Activity>) -> (Self, Arc<Seen>) {
        let seen = Arc::new(Seen::default());
        (Self { io: TokioIo::new(io), scan: Scan::new(), activity, seen: Arc::clone(&seen) }, seen)
    }
}

impl AsyncRead for Frames {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        if let Some(read) = buf.filled().get(before..)
            && !read.is_empty()
        {
            let (was_open, heads) = (self.scan.is_open(), self.scan.heads);
            let passed = self.scan.feed(read);
            if was_open || self.scan.is_open() {
                self.activity.framing(self.scan.is_open(), passed, Instant::now());
            }
            if self.scan.heads > heads {
                self.seen.heads.store(self.scan.heads, Ordering::Relaxed);
            }
        }
        result
    }
}

impl AsyncWrite for Frames {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, buf);
        self.seen.blocked.store(result.is_pending(), Ordering::Relaxed);
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_flush(cx);
        self.seen.blocked.store(result.is_pending(), Ordering::Relaxed);
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Where in its frames a client is.
struct Scan {
    at: At,
    /// The client's first frame, its SETTINGS, has come whole.
    settled: bool,
    /// A header block has begun and not ended; nothing else may come meanwhile (RFC 9113 section 4.3).
    in_block: bool,
    /// That block is the head of a new stream, not trailers.
    is_head: bool,
    last_stream: u32,
    heads: u64,
}

enum At {
    Preface { left: usize },
    Header { bytes: [u8; HEADER], have: usize },
    Payload { left: usize, kind: u8 },
}

const NEXT: At = At::Header { bytes: [0; HEADER], have: 0 };

impl Scan {
    const fn new() -> Self {
        let at = At::Preface { left: PREFACE };
        Self { at, settled: false, in_block: false, is_head: false, last_stream: 0, heads: 0 }
    }

    /// Whether the client owes the rest of something: the preface and its SETTINGS, a header block, or any frame but
    /// DATA, which is a body's and has the body's deadline.
    const fn is_open(&self) -> bool {
        let half = match self.at {
            At::Preface { .. } => true,
            At::Header { have, .. } => have > 0,
            At::Payload { kind, .. } => kind != DATA,
        };
        half || !self.settled || self.in_block
    }

    /// Looks at more bytes; whether something that was owed has come whole by them.
    fn feed(&mut self, mut bytes: &[u8]) -> bool {
        let mut passed = false;
        while !bytes.is_empty() {
            match &mut self.at {
                At::Preface { left } => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    bytes = &bytes[taken..];
                    if *left == 0 {
                        self.at = NEXT;
                    }
                }
                At::Header { bytes: header, have } => {
                    let taken = bytes.len().min(HEADER - *have);
                    header[*have..*have + taken].copy_from_slice(&bytes[..taken]);
                    *have += taken;
                    bytes = &bytes[taken..];
                    if *have == HEADER {
                        let header = *header;
                        passed |= self.begin(header);
                    }
                }
                At::Payload { left, .. } => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    bytes = &bytes[taken..];
                    if *left == 0 {
                        passed |= self.end();
                    }
                }
            }
        }
        passed
    }

    /// A frame begins; whether it is whole already.
    fn begin(&mut self, [a, b, c, kind, flags, stream @ ..]: [u8; HEADER]) -> bool {
        let [s0, s1, s2, s3, ..] = stream;
        // The highest bit is reserved.
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & (u32::MAX >> 1);
        if kind == HEADERS {
            self.is_head = stream > self.last_stream;
            self.last_stream = self.last_stream.max(stream);
        }
        if kind == HEADERS || kind == CONTINUATION {
            self.in_block = flags & END_HEADERS == 0;
        }
        let left = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        self.at = At::Payload { left, kind };
        left == 0 && self.end()
    }

    /// A frame is whole; whether nothing is owed after it.
    fn end(&mut self) -> bool {
        if !self.in_block && std::mem::take(&mut self.is_head) {
            self.heads += 1;
        }
        self.settled = true;
        self.at = NEXT;
        !self.in_block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, length: u32) -> Vec<u8> {
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.resize(HEADER + usize::try_from(length).unwrap(), 0);
        bytes
    }

    fn opened() -> Scan {
        let mut scan = Scan::new();
        scan.feed(&[0; PREFACE]);
        assert!(scan.is_open(), "the SETTINGS are owed");
        assert!(scan.feed(&frame(4, 0, 0, 6)));
        assert!(!scan.is_open());
        scan
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_are_cut() {
        let whole = [vec![0; PREFACE], frame(4, 0, 0, 12), frame(HEADERS, 4, 1, 10), frame(DATA, 1, 1, 300)].concat();
        for size in [1, 2, 8, 9, 10, 50, whole.len()] {
            let mut scan = Scan::new();
            for piece in whole.chunks(size) {
                scan.feed(piece);
            }
            assert!(!scan.is_open() && scan.heads == 1, "{size}");
        }
    }

    #[test]
    fn half_a_frame_is_owed_unless_it_is_data() {
        for (kind, owed) in [(HEADERS, true), (4, true), (6, true), (DATA, false)] {
            let mut scan = opened();
            let bytes = frame(kind, END_HEADERS, 1, 20);
            assert!(!scan.feed(&bytes[..1]) && scan.is_open(), "{kind}: a byte of what may become a head");
            scan.feed(&bytes[1..15]);
            assert_eq!(scan.is_open(), owed, "{kind}");
            assert!(scan.feed(&bytes[15..]) && !scan.is_open(), "{kind}");
        }
    }

    #[test]
    fn a_block_is_owed_until_its_end_and_only_a_new_streams_is_a_request() {
        let mut scan = opened();
        assert!(!scan.feed(&frame(HEADERS, 0, 1, 5)));
        for _ in 0..3 {
            assert!(!scan.feed(&frame(CONTINUATION, 0, 1, 0)));
            assert!(scan.is_open() && scan.heads == 0);
        }
        assert!(scan.feed(&frame(CONTINUATION, END_HEADERS, 1, 5)));
        assert!(!scan.is_open() && scan.heads == 1);
        scan.feed(&frame(HEADERS, END_HEADERS, 1, 5));
        assert_eq!(scan.heads, 1, "trailers");
        scan.feed(&frame(HEADERS, END_HEADERS, 3, 0));
        assert_eq!(scan.heads, 2);
    }
}
