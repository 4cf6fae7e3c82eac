//! Both sides of an HTTP/2 connection, frame by frame: whether the client owes the rest of something, and which requests
//! h2 refuses by itself.
//!
//! h2 waits without limit for the preface, for the rest of a frame and for the end of a header block, and says nothing
//! of requests that it refuses. So the bytes are looked at on their way: only the nine bytes in front of each frame are
//! understood (RFC 9113 section 4.1), and the error code of a `RST_STREAM`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};

use h2::Reason;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::server::activity::Activity;
use crate::server::service::Unreadable;
use crate::server::socket::Io;

/// Bytes of the connection preface: `PRI * HTTP/2.0`, two empty lines, `SM`.
const PREFACE: usize = 24;
/// Bytes in front of a frame's payload.
const HEADER: usize = 9;
/// Bytes of the error code that is the payload of `RST_STREAM`.
const ERROR_CODE: usize = 4;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;

/// The byte stream that h2 reads and writes.
pub(super) struct Frames {
    io: TokioIo<Io>,
    incoming: Incoming,
    outgoing: Outgoing,
    activity: Arc<Activity>,
    counts: Arc<FrameCounts>,
}

/// What was seen of a connection. Shared by two parts of one task, so no order of memory is needed.
#[derive(Default)]
pub(super) struct FrameCounts {
    heads: AtomicU64,
    blocked: AtomicBool,
    /// The latest stream that h2 has handed over.
    last_served: AtomicU32,
    /// Refusals that h2 has written and nobody has taken yet, by why.
    too_large: AtomicU64,
    too_many: AtomicU64,
}

impl FrameCounts {
    /// Requests whose head has come whole, whatever h2 thinks of it.
    pub(super) fn heads(&self) -> u64 {
        self.heads.load(Ordering::Relaxed)
    }

    /// Whether the client takes no bytes: h2 then reads no further, either.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// h2 has handed the request on `stream` over.
    pub(super) fn handed_over(&self, stream: u32) {
        self.last_served.store(stream, Ordering::Relaxed);
    }

    /// Why h2 has refused one more request.
    pub(super) fn take_refusal(&self) -> Unreadable {
        let take = |count: &AtomicU64| {
            let left = count.load(Ordering::Relaxed).checked_sub(1);
            left.map(|left| count.store(left, Ordering::Relaxed)).is_some()
        };
        if take(&self.too_large) {
            Unreadable::HeadTooLarge
        } else if take(&self.too_many) {
            Unreadable::TooManyStreams
        } else {
            Unreadable::Http2
        }
    }

    fn written(&self, frame: Written) {
        match frame {
            // A response to a request that was never handed over: 431, the only one that h2 makes.
            Written::Response(stream) if stream > self.last_served.load(Ordering::Relaxed) => {
                self.too_large.fetch_add(1, Ordering::Relaxed);
            }
            // None of ours: the stream was one too many.
            Written::Reset(Reason::REFUSED_STREAM) => {
                self.too_many.fetch_add(1, Ordering::Relaxed);
            }
            Written::Response(_) | Written::Reset(_) => {}
        }
    }
}

impl Frames {
    pub(super) fn new(io: Io, activity: Arc<Activity>) -> (Self, Arc<FrameCounts>) {
        let counts = Arc::new(FrameCounts::default());
        let (incoming, outgoing) = (Incoming::new(), Outgoing::default());
        (Self { io: TokioIo::new(io), incoming, outgoing, activity, counts: Arc::clone(&counts) }, counts)
    }
}

impl AsyncRead for Frames {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        if let Some(read) = buf.filled().get(before..)
            && !read.is_empty()
        {
            let (was_open, heads) = (self.incoming.is_open(), self.incoming.heads);
            let passed = self.incoming.feed(read);
            if was_open || self.incoming.is_open() {
                self.activity.framing(self.incoming.is_open(), passed, Instant::now());
            }
            if self.incoming.heads > heads {
                self.counts.heads.store(self.incoming.heads, Ordering::Relaxed);
            }
        }
        result
    }
}

impl AsyncWrite for Frames {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let result = Pin::new(&mut this.io).poll_write(cx, buf);
        this.counts.blocked.store(result.is_pending(), Ordering::Relaxed);
        if let Poll::Ready(Ok(written)) = &result {
            this.outgoing.feed(buf.get(..*written).unwrap_or_default(), |frame| this.counts.written(frame));
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_flush(cx);
        self.counts.blocked.store(result.is_pending(), Ordering::Relaxed);
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The first `most` of `bytes`, or all where they are fewer; `bytes` is what follows.
fn take<'a>(bytes: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at_checked(most).unwrap_or((bytes, &[]));
    *bytes = rest;
    taken
}

/// `N` bytes that come in pieces.
struct Gathered<const N: usize> {
    bytes: [u8; N],
    have: usize,
}

impl<const N: usize> Gathered<N> {
    const NONE: Self = Self { bytes: [0; N], have: 0 };

    /// Takes what is missing off `bytes`, as far as it is there; all of them once they are whole.
    fn take_from(&mut self, bytes: &mut &[u8]) -> Option<[u8; N]> {
        let free = self.bytes.get_mut(self.have..).unwrap_or_default();
        let taken = take(bytes, free.len());
        free.iter_mut().zip(taken).for_each(|(to, from)| *to = *from);
        self.have += taken.len();
        (self.have == N).then_some(self.bytes)
    }
}

/// The nine bytes in front of a frame.
struct FrameHeader {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl From<[u8; HEADER]> for FrameHeader {
    fn from([a, b, c, kind, flags, s0, s1, s2, s3]: [u8; HEADER]) -> Self {
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        // The highest bit is reserved.
        Self { length, kind, flags, stream: u32::from_be_bytes([s0, s1, s2, s3]) & (u32::MAX >> 1) }
    }
}

/// Where in its frames a client is.
struct Incoming {
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
    Header(Gathered<HEADER>),
    Payload { left: usize, kind: u8 },
}

impl Incoming {
    const fn new() -> Self {
        let at = At::Preface { left: PREFACE };
        Self { at, settled: false, in_block: false, is_head: false, last_stream: 0, heads: 0 }
    }

    /// Whether the client owes the rest of something: the preface and its SETTINGS, a header block, or any frame but
    /// DATA, which is a body's and has the body's deadline.
    const fn is_open(&self) -> bool {
        let half = match &self.at {
            At::Preface { .. } => true,
            At::Header(header) => header.have > 0,
            At::Payload { kind, .. } => *kind != DATA,
        };
        half || !self.settled || self.in_block
    }

    /// Looks at more bytes; whether something that was owed has come whole by them.
    fn feed(&mut self, mut bytes: &[u8]) -> bool {
        let mut passed = false;
        while !bytes.is_empty() {
            match &mut self.at {
                At::Preface { left } => {
                    *left -= take(&mut bytes, *left).len();
                    if *left == 0 {
                        self.at = At::Header(Gathered::NONE);
                    }
                }
                At::Header(header) => {
                    if let Some(header) = header.take_from(&mut bytes) {
                        passed |= self.begin(&header.into());
                    }
                }
                At::Payload { left, .. } => {
                    *left -= take(&mut bytes, *left).len();
                    if *left == 0 {
                        passed |= self.end();
                    }
                }
            }
        }
        passed
    }

    /// A frame begins; whether it is whole already.
    fn begin(&mut self, header: &FrameHeader) -> bool {
        if header.kind == HEADERS {
            self.is_head = header.stream > self.last_stream;
            self.last_stream = self.last_stream.max(header.stream);
        }
        if header.kind == HEADERS || header.kind == CONTINUATION {
            self.in_block = header.flags & END_HEADERS == 0;
        }
        self.at = At::Payload { left: header.length, kind: header.kind };
        header.length == 0 && self.end()
    }

    /// A frame is whole; whether nothing is owed after it.
    fn end(&mut self) -> bool {
        if !self.in_block && std::mem::take(&mut self.is_head) {
            self.heads += 1;
        }
        self.settled = true;
        self.at = At::Header(Gathered::NONE);
        !self.in_block
    }
}

/// A frame of ours that tells what became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Written {
    Response(u32),
    Reset(Reason),
}

/// Where in its frames h2 is.
enum Outgoing {
    Header(Gathered<HEADER>),
    ErrorCode(Gathered<ERROR_CODE>),
    Payload { left: usize },
}

impl Default for Outgoing {
    fn default() -> Self {
        Self::Header(Gathered::NONE)
    }
}

impl Outgoing {
    /// Looks at more bytes; `written` is told of what they tell.
    fn feed(&mut self, mut bytes: &[u8], mut written: impl FnMut(Written)) {
        while !bytes.is_empty() {
            match self {
                Self::Header(header) => {
                    let Some(header) = header.take_from(&mut bytes).map(FrameHeader::from) else { return };
                    if header.kind == HEADERS {
                        written(Written::Response(header.stream));
                    }
                    *self = match header.length {
                        0 => Self::default(),
                        ERROR_CODE if header.kind == RST_STREAM => Self::ErrorCode(Gathered::NONE),
                        left => Self::Payload { left },
                    };
                }
                Self::ErrorCode(code) => {
                    if let Some(code) = code.take_from(&mut bytes) {
                        written(Written::Reset(u32::from_be_bytes(code).into()));
                        *self = Self::default();
                    }
                }
                Self::Payload { left } => {
                    *left -= take(&mut bytes, *left).len();
                    if *left == 0 {
                        *self = Self::default();
                    }
                }
            }
        }
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

    fn opened() -> Incoming {
        let mut scan = Incoming::new();
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
            let mut scan = Incoming::new();
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

    #[test]
    fn what_we_write_tells_responses_and_resets_however_it_is_cut() {
        let reset = |stream, reason: Reason| {
            [&frame(RST_STREAM, 0, stream, 4)[..HEADER], &u32::from(reason).to_be_bytes()].concat()
        };
        let whole = [
            frame(4, 0, 0, 12),
            frame(HEADERS, 4, 1, 10),
            frame(DATA, 1, 1, 300),
            frame(4, 1, 0, 0),
            reset(3, Reason::REFUSED_STREAM),
            frame(HEADERS, 5, 5, 1),
            reset(5, Reason::PROTOCOL_ERROR),
        ]
        .concat();
        for size in [1, 2, 4, 8, 9, 10, 50, whole.len()] {
            let (mut outgoing, mut told) = (Outgoing::default(), Vec::new());
            whole.chunks(size).for_each(|piece| outgoing.feed(piece, |frame| told.push(frame)));
            let expected = [
                Written::Response(1),
                Written::Reset(Reason::REFUSED_STREAM),
                Written::Response(5),
                Written::Reset(Reason::PROTOCOL_ERROR),
            ];
            assert_eq!(told, expected, "{size}");
        }
    }

    #[test]
    fn refusals_of_h2_are_told_from_responses_of_the_service() {
        let counts = FrameCounts::default();
        counts.handed_over(3);
        for frame in [Written::Response(1), Written::Response(3), Written::Reset(Reason::CANCEL)] {
            counts.written(frame);
        }
        assert_eq!(counts.take_refusal(), Unreadable::Http2, "h2 has said nothing else");
        counts.written(Written::Reset(Reason::REFUSED_STREAM));
        counts.written(Written::Response(5));
        let why = [Unreadable::HeadTooLarge, Unreadable::TooManyStreams, Unreadable::Http2];
        assert_eq!([(); 3].map(|()| counts.take_refusal()), why);
    }
}
