//! The headers that AWS Signature Version 4 has besides its date.

/// The token that comes with temporary keys.
pub(super) const SECURITY_TOKEN: &str = "x-amz-security-token";

/// The hash of the body.
pub(super) const CONTENT_SHA256: &str = "x-amz-content-sha256";
