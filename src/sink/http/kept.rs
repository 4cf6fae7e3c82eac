//! The sender's headers that its source keeps, as headers of the request.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::headers::{Headers, is_reserved};
use crate::event::KeptHeaders;

/// Adds `kept` to the headers of a request, each under its own name and byte for byte, but for those whose name is ours, the
/// connection's, or the operator's in `own`: a sender never speaks for any of them.
pub(super) fn add_to(kept: &KeptHeaders, own: &Headers, headers: &mut HeaderMap) {
    for (name, value) in kept.iter() {
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) else {
            continue;
        };
        let taken = is_reserved(&name) || name == AUTHORIZATION || own.contain(&name);
        // Whatever else describes a body (RFC 9110 8) would describe ours, which need not be the sender's.
        if !taken && !name.as_str().starts_with("content-") {
            headers.append(name, value);
        }
    }
}
