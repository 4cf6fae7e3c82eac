//! The byte streams under and over TLS, which report to [`Activity`] and close so that the last answer arrives.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use super::activity::Activity;
use super::head_budget::HeadReservation;

/// Most bytes thrown away after closing: the rest of a body at the default limit, and what was in flight behind it.
const DISCARD_MAX: usize = 2 * 1024 * 1024;
/// Thrown away at a time.
const DISCARD_CHUNK: usize = 4096;

/// The TCP stream under TLS: sees every byte, so also one that drips a TLS record, and every byte not taken.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    activity: Arc<Activity>,
    stalled: bool,
    /// Bytes that may still be read; `None`: any number.
    bound: Option<usize>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream, activity, stalled: false, bound: None }
    }

    /// Reading more than `most` bytes is an error, until that is lifted.
    pub(super) fn with_bound(self, most: usize) -> Self {
        Self { bound: Some(most), ..self }
    }

    pub(super) const fn lift_bound(&mut self) {
        self.bound = None;
    }

    fn record_write<T>(&mut self, result: &Poll<io::Result<T>>) {
        let stalled = result.is_pending();
        if stalled != self.stalled {
            self.stalled = stalled;
            if stalled { self.activity.stalled(Instant::now()) } else { self.activity.unstalled() }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        if read > 0 {
            self.activity.received(Instant::now());
            if let Some(bound) = &mut self.bound {
                *bound = bound.checked_sub(read).ok_or(io::ErrorKind::InvalidData)?;
            }
        }
        result
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.record_write(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.record_write(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What HTTP is spoken over.
pub(super) enum Stream {
    /// A socket, as it is.
    Plain(Socket),
    /// A session over one; boxed, because it is many times as large.
    Tls(Box<TlsStream<Socket>>),
}

impl Stream {
    /// The TCP stream at the bottom.
    fn raw(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => &mut socket.stream,
            Self::Tls(tls) => &mut tls.get_mut().0.stream,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// A [`Stream`] that counts.
struct Counted {
    stream: Stream,
    /// Bytes read in all.
    read: usize,
    /// Whether what comes next may be a head: bodies are not searched for line ends.
    watches: bool,
    /// Bytes since the last end of a line, of what was watched last without a break.
    since_line: usize,
    /// Whether what was read last begins like a request whose answer has no body.
    begins_head: bool,
}

impl Counted {
    const fn new(stream: Stream) -> Self {
        Self { stream, read: 0, watches: true, since_line: 0, begins_head: false }
    }

    fn count(&mut self, new: &[u8]) {
        self.read = self.read.wrapping_add(new.len());
        if !self.watches {
            (self.since_line, self.begins_head) = (0, false);
            return;
        }
        self.begins_head = new.starts_with(b"HEAD ");
        self.since_line = match memchr::memrchr(b'\n', new) {
            Some(at) => new.len() - at - 1,
            None => self.since_line.saturating_add(new.len()),
        };
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.count(buf.filled().get(before..).unwrap_or_default());
        result
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The plain text of a connection, as hyper wants it.
pub(super) struct Io {
    stream: TokioIo<Counted>,
    activity: Arc<Activity>,
    /// Bytes of the head that is arriving, and what it holds.
    head: usize,
    reservation: HeadReservation,
    /// Whether its method is HEAD, as far as its first bytes tell.
    wants_no_body: bool,
    /// Bytes still to be thrown away; `None` while open.
    discard: Option<usize>,
}

impl Io {
    pub(super) fn new(stream: Stream, activity: Arc<Activity>, reservation: HeadReservation) -> Self {
        let stream = TokioIo::new(Counted::new(stream));
        Self { stream, activity, head: 0, reservation, wants_no_body: false, discard: None }
    }

    /// Whether of the head that is arriving not even the first line is there whole.
    pub(super) fn is_in_first_line(&self) -> bool {
        self.stream.inner().since_line >= self.head
    }

    /// Whether the answer to the head that is arriving has no body (RFC 9110 section 9.3.2).
    pub(super) const fn wants_no_body(&self) -> bool {
        self.wants_no_body
    }

    /// Bytes of a head came, or others: a head holds memory as it grows, and no longer once it is there.
    fn account(&mut self, is_head: bool, read: usize) -> io::Result<()> {
        self.stream.inner_mut().watches = is_head;
        if !is_head {
            self.head = 0;
            self.reservation.release();
            return Ok(());
        }
        if self.head == 0 {
            self.wants_no_body = self.stream.inner().begins_head;
        }
        self.head += read;
        if self.reservation.grow_to(self.head) {
            Ok(())
        } else {
            Err(io::Error::other("unfinished heads hold too much"))
        }
    }
}

impl hyper::rt::Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<Result<(), io::Error>> {
        let before = self.stream.inner().read;
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        // The end of the stream counts as text, too; nothing is lost by that.
        let is_head = self.activity.received_text();
        let read = self.stream.inner().read.wrapping_sub(before);
        Poll::Ready(self.account(is_head, read))
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize, io::Error>> {
        // An answer: the head has been read, and what comes next is another.
        self.head = 0;
        self.reservation.release();
        self.stream.inner_mut().watches = true;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// `close_notify`, end of the write side, then what still arrives is thrown away within bounds: the number here,
    /// the time in [`Activity::look`].
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        let Self { stream, activity, discard, .. } = &mut *self;
        if discard.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
        }
        let left = discard.get_or_insert_with(|| if activity.closing(Instant::now()) { DISCARD_MAX } else { 0 });
        let raw = stream.inner_mut().stream.raw();
        let mut chunk = [0; DISCARD_CHUNK];
        while *left > 0 {
            let mut buf = ReadBuf::new(&mut chunk);
            match ready!(Pin::new(&mut *raw).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => *left = left.saturating_sub(buf.filled().len()),
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
