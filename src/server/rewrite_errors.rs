//! The byte stream that hyper writes HTTP/1.1 responses to: hyper's own error responses become the service's.
//!
//! hyper responds to a head that it cannot parse with a bare status, and the service hears nothing of it. There is no hook
//! for that, so such a response is recognised on its way out: none of the service's is as bare.

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

use super::service::{ConnectionService, Unreadable};
use super::socket::Io;

/// hyper's own responses are shorter: a status line, `content-length`, `connection`, `date`.
const BARE_MAX: usize = 256;
const LINE_END: &[u8] = b"\r\n";

/// See the head of this file.
pub(super) struct RewriteErrors<S> {
    io: Io,
    service: ConnectionService<S>,
    /// What goes out in place of a bare response, and how much of it has. It is the last of its connection.
    replacement: Option<(Vec<u8>, usize)>,
}

impl<S> RewriteErrors<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    pub(super) const fn new(io: Io, service: ConnectionService<S>) -> Self {
        Self { io, service, replacement: None }
    }

    /// The service's response in place of `bare`; `bare` itself where the service has none.
    fn replace(&self, what: Unreadable, bare: &[u8], cx: &mut Context<'_>) -> Vec<u8> {
        // To hyper a target longer than its buffer is a head too large.
        let is_target = what == Unreadable::HeadTooLarge && self.io.is_in_first_line();
        let what = if is_target { Unreadable::TargetTooLong } else { what };
        let with_status = is_target.then(|| replace_status(bare, b"414 URI Too Long"));
        let bare = with_status.as_deref().unwrap_or(bare);
        let response = self.service.unreadable(what, cx).and_then(|response| compose(response, bare, cx));
        let (mut head, text) = response.unwrap_or_else(|| (bare.to_vec(), Vec::new()));
        if !self.io.wants_no_body() {
            head.extend_from_slice(&text);
        }
        head
    }
}

// Nothing in it is pinned.
impl<S> Unpin for RewriteErrors<S> {}

impl<S> Read for RewriteErrors<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<S> Write for RewriteErrors<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.replacement.is_none() {
            let Some((at, what)) = bare_response(buf) else { return Pin::new(&mut this.io).poll_write(cx, buf) };
            if let Some(before @ [_, ..]) = buf.get(..at) {
                // The end of the response before comes first.
                return Pin::new(&mut this.io).poll_write(cx, before);
            }
            this.replacement = Some((this.replace(what, buf, cx), 0));
        }
        if let Some((replacement, sent)) = &mut this.replacement {
            while let Some(rest @ [_, ..]) = replacement.get(*sent..) {
                *sent += ready!(Pin::new(&mut this.io).poll_write(cx, rest))?;
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

/// Where in `buf`, at the end of it, a response of hyper's own begins, and what it is for. Any other response with a body
/// costs one look at its last four bytes.
fn bare_response(buf: &[u8]) -> Option<(usize, Unreadable)> {
    if !buf.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = buf.len().saturating_sub(BARE_MAX);
    let at = from + buf.get(from..)?.windows(7).rposition(|window| window == b"HTTP/1.")?;
    let mut lines = std::str::from_utf8(buf.get(at..)?).ok()?.trim_end().split("\r\n");
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
    fn only_a_response_of_hypers_own_is_as_bare() {
        let bare = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        assert_eq!(bare_response(bare.as_bytes()), Some((0, Unreadable::Malformed)));
        let behind = format!("{{}}{bare}");
        assert_eq!(bare_response(behind.as_bytes()), Some((2, Unreadable::Malformed)));
        assert_eq!(bare_response(bare.replace("400", "431").as_bytes()), Some((0, Unreadable::HeadTooLarge)));
        for other in [
            bare.replace("400", "405"),
            bare.replace("date: x", "content-type: x"),
            bare.replace("length: 0", "length: 10"),
            format!("{bare}x"),
            "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
            "\r\n\r\n".to_owned(),
        ] {
            assert_eq!(bare_response(other.as_bytes()), None, "{other}");
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
