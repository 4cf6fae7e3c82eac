//! The byte stream that hyper writes HTTP/1.1 answers to: what hyper says by itself is said in the service's words.
//!
//! A head that cannot be read hyper answers with a bare status, and tells the service nothing. It offers no way to
//! change that, so the answer is recognised on its way out: no answer of the service's is as bare as that.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{Request, Response};
use http_body::Body as _;
use hyper::rt::{Read, ReadBufCursor, Write};
use tower::Service;

use super::answer::{Adapted, Unreadable};
use super::socket::Io;

/// hyper's own answers are shorter: a status line, `content-length`, `connection`, `date`.
const BARE_MAX: usize = 256;
const LINE_END: &[u8] = b"\r\n";

/// See the head of this file.
pub(super) struct Worded<S> {
    io: Io,
    service: Adapted<S>,
    /// What goes out in place of a bare answer, and how much of it has. It is the last that is said.
    reply: Option<(Vec<u8>, usize)>,
}

impl<S> Worded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    pub(super) const fn new(io: Io, service: Adapted<S>) -> Self {
        Self { io, service, reply: None }
    }

    /// The service's words for `bare`, which stay hyper's where the service has none.
    fn reply(&self, what: Unreadable, bare: &[u8], cx: &mut Context<'_>) -> Vec<u8> {
        // To hyper a target longer than its buffer is a head too large.
        let is_target = what == Unreadable::HeadTooLarge && self.io.is_in_first_line();
        let what = if is_target { Unreadable::TargetTooLong } else { what };
        let bare = if is_target { &replace_status(bare, b"414 URI Too Long")[..] } else { bare };
        let worded = self.service.unreadable(what, cx).and_then(|response| compose(response, bare, cx));
        let (mut head, text) = worded.unwrap_or_else(|| (bare.to_vec(), Vec::new()));
        if !self.io.wants_no_body() {
            head.extend_from_slice(&text);
        }
        head
    }
}

// Nothing in it is pinned.
impl<S> Unpin for Worded<S> {}

impl<S> Read for Worded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<S> Write for Worded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.reply.is_none() {
            let Some((at, what)) = bare_answer(buf) else { return Pin::new(&mut this.io).poll_write(cx, buf) };
            if at > 0 {
                // The end of the answer before comes first.
                return Pin::new(&mut this.io).poll_write(cx, &buf[..at]);
            }
            this.reply = Some((this.reply(what, buf, cx), 0));
        }
        if let Some((reply, sent)) = &mut this.reply {
            while *sent < reply.len() {
                *sent += ready!(Pin::new(&mut this.io).poll_write(cx, &reply[*sent..]))?;
            }
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Where in `buf`, at the end of it, an answer of hyper's own begins, and what it is for. Any other answer with a body
/// costs one look at its last four bytes.
fn bare_answer(buf: &[u8]) -> Option<(usize, Unreadable)> {
    if !buf.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = buf.len().saturating_sub(BARE_MAX);
    let at = from + buf[from..].windows(7).rposition(|window| window == b"HTTP/1.")?;
    let mut lines = std::str::from_utf8(&buf[at..]).ok()?.trim_end().split("\r\n");
    let what = match lines.next()?.split(' ').nth(1)? {
        "400" => Unreadable::Malformed,
        "414" => Unreadable::TargetTooLong,
        "431" => Unreadable::HeadTooLarge,
        _ => return None,
    };
    let is_bare = |line: &str| line == "content-length: 0" || line == "connection: close" || line.starts_with("date: ");
    lines.all(is_bare).then_some((at, what))
}

/// `bare` with another status and phrase behind `HTTP/1.1 `.
fn replace_status(bare: &[u8], status: &[u8]) -> Vec<u8> {
    let end = bare.iter().position(|byte| *byte == b'\r').unwrap_or(bare.len());
    [b"HTTP/1.1 ", status, bare.get(end..).unwrap_or_default()].concat()
}

/// `response` as HTTP/1.1, head and body, with the status line and the date of `bare`; `None` where its body is not there
/// at once.
fn compose(response: Response<Body>, bare: &[u8], cx: &mut Context<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let (head, mut body) = response.into_parts();
    let mut text = Vec::new();
    while let Poll::Ready(frame) = Pin::new(&mut body).poll_frame(cx) {
        let Some(frame) = frame else {
            return Some((written(&head.headers, bare, text.len()), text));
        };
        text.extend_from_slice(&frame.ok()?.into_data().unwrap_or_default());
    }
    None
}

fn written(headers: &http::HeaderMap, bare: &[u8], length: usize) -> Vec<u8> {
    let lines = || bare.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let status = lines().take(1);
    let date = lines().filter(|line| line.starts_with(b"date: "));
    let mut bytes = Vec::new();
    for line in status.chain(date) {
        bytes.extend_from_slice(&[line, LINE_END].concat());
    }
    for (name, value) in headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH && *name != CONNECTION) {
        bytes.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), LINE_END].concat());
    }
    bytes.extend_from_slice(format!("content-length: {length}\r\nconnection: close\r\n\r\n").as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_hypers_own_is_as_bare() {
        let bare = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        assert_eq!(bare_answer(bare.as_bytes()), Some((0, Unreadable::Malformed)));
        let behind = format!("{{}}{bare}");
        assert_eq!(bare_answer(behind.as_bytes()), Some((2, Unreadable::Malformed)));
        assert_eq!(bare_answer(bare.replace("400", "431").as_bytes()), Some((0, Unreadable::HeadTooLarge)));
        for other in [
            bare.replace("400", "405"),
            bare.replace("date: x", "content-type: x"),
            bare.replace("length: 0", "length: 10"),
            format!("{bare}x"),
            "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
            "\r\n\r\n".to_owned(),
        ] {
            assert_eq!(bare_answer(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_service_has_the_last_word_and_hyper_the_first() {
        let headers = http::HeaderMap::from_iter([(CONTENT_LENGTH, 9.into()), (http::header::AGE, 1.into())]);
        let text = written(&headers, b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\ndate: x\r\n\r\n", 2);
        let expected =
            "HTTP/1.1 400 Bad Request\r\ndate: x\r\nage: 1\r\ncontent-length: 2\r\nconnection: close\r\n\r\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
