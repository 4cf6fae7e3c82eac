//! What every bench sends and expects: bodies, each different, and a POST of one as bytes.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::result::BenchResult;

/// The host of every request.
pub(crate) const HOST: &str = "localhost";

/// What an answer must hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// The status code.
    pub status: u16,
    /// Text that the body contains.
    pub contains: &'static str,
}

/// Makes bodies, no two alike as long as the process lives.
pub(crate) struct Bodies {
    next: u64,
    run: u64,
    filler: String,
    bytes: usize,
}

impl Bodies {
    /// Of `bytes` bytes (a little more where the fixed part alone is longer).
    pub(crate) fn new(bytes: usize) -> Self {
        let word = |_| format!("w{:06x} ", fastrand::u32(..0x0100_0000));
        Self { next: 0, run: fastrand::u64(..), filler: (0..=bytes / 8).map(word).collect(), bytes }
    }

    /// What a chat platform sends: a few fields that are read, and much data that is not.
    pub(crate) fn make(&mut self) -> Vec<u8> {
        let (run, n) = (self.run, self.next);
        self.next += 1;
        let mut body = format!(
            r#"{{"eventId":"{run:016x}-{n}","eventType":"conversation.updated","intent":"order_status","sessionId":"s-{n}","userId":"u-{n}","data":{{"text":""#
        );
        let rest = self.bytes.saturating_sub(body.len() + 3).min(self.filler.len());
        body.push_str(&self.filler[..rest]);
        body.push_str("\"}}");
        body.into_bytes()
    }
}

/// HMAC-SHA256 over `body`, as the vendors' one-liner writes it.
pub(crate) fn hmac_hex(secret: &str, body: &[u8]) -> BenchResult<String> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?.chain_update(body);
    Ok(hex::encode(mac.finalize().into_bytes()))
}

/// A request, complete as bytes; `headers` are whole lines.
pub(crate) fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}
