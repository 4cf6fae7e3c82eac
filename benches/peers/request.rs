//! The requests that every row gets: signed with HMAC-SHA256 over the body, each different.

pub(crate) use crate::message::Expected;
use crate::message::{Bodies, hmac_hex, post};
use crate::result::BenchResult;

/// What senders and receivers share.
pub(crate) const SECRET: &str = "bench-secret-of-enough-length";
/// Where all of them listen; Debian's webhook has no choice but `/hooks/`.
pub(crate) const PATH: &str = "/hooks/measure";
/// The header of the signature, in hex.
pub(crate) const HEADER: &str = "X-Signature";
/// What a bad signature must be answered with.
pub(crate) const REFUSED: Expected = Expected { status: 401, contains: "" };
/// The length of a body.
const BYTES: usize = 2048;

/// Makes requests, no two alike as long as the process lives.
pub(crate) struct Maker(Bodies);

impl Maker {
    /// Of new bodies.
    pub(crate) fn new() -> Self {
        Self(Bodies::new(BYTES))
    }

    /// `count` good requests.
    pub(crate) fn make(&mut self, count: usize) -> BenchResult<Vec<Vec<u8>>> {
        (0..count).map(|_| self.signed(SECRET)).collect()
    }

    /// A request signed with another secret.
    pub(crate) fn forged(&mut self) -> BenchResult<Vec<u8>> {
        self.signed("quite-another-secret")
    }

    fn signed(&mut self, secret: &str) -> BenchResult<Vec<u8>> {
        let body = self.0.make();
        Ok(post(PATH, &format!("{HEADER}: {}\r\n", hmac_hex(secret, &body)?), &body))
    }
}
