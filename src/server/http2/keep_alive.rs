//! PINGs that find out whether an HTTP/2 client is still there.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep};

const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long a client may take to answer one.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct KeepAlive {
    pings: PingPong,
    timer: Pin<Box<Sleep>>,
    asked: bool,
}

impl KeepAlive {
    pub(super) fn new(pings: PingPong) -> Self {
        Self { pings, timer: Box::pin(sleep(PING_INTERVAL)), asked: false }
    }

    /// Ready where the client has not answered in time.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.asked && matches!(self.pings.poll_pong(cx), Poll::Ready(Ok(_))) {
                self.asked = false;
                self.timer.as_mut().reset(Instant::now() + PING_INTERVAL);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.asked {
                return Poll::Ready(());
            }
            // Fails only where the connection has ended, which shows by itself.
            let _ = self.pings.send_ping(Ping::opaque());
            self.asked = true;
            self.timer.as_mut().reset(Instant::now() + PING_TIMEOUT);
        }
    }
}
