//! Parts of a canonical request, as the verifier makes them.

use http::request::Parts;
use sha2::{Digest as _, Sha256};

use crate::scheme::sigv4::canonical::{self, HASH_LEN};
use crate::scheme::sigv4::hex_of;
use crate::scheme::sigv4::query::{self, Plus};

/// The canonical query, a raw `+` read as AWS reads it.
pub(super) fn put_query(out: &mut Vec<u8>, text: &[u8]) {
    query::put_canonical(out, text, Plus::Blank);
}

/// The canonical value of header `name`; empty where it did not arrive.
pub(super) fn value(head: &Parts, name: &str) -> Vec<u8> {
    let mut line = Vec::new();
    canonical::put_headers(&mut line, head, name);
    line.get(name.len() + 1..line.len().saturating_sub(1)).unwrap_or_default().to_vec()
}

/// SHA-256 in hex.
pub(super) fn hash(text: &[u8]) -> [u8; HASH_LEN] {
    hex_of(&Sha256::digest(text).into())
}
