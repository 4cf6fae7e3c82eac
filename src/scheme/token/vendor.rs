//! What a preset's row says of a vendor that sends a token.

use crate::scheme::token_place::{AUTHORIZATION, BEARER};
use crate::settings::Variables;

/// How a vendor sends its token.
pub(in crate::scheme) struct Vendor {
    /// The header that holds it.
    pub(in crate::scheme) header: &'static str,
    /// How it stands there.
    pub(in crate::scheme) format: &'static str,
    /// The variable that holds its tokens.
    pub(in crate::scheme) variables: Option<Variables>,
}

impl Vendor {
    /// What stands in most senders' forms.
    pub(in crate::scheme) const BEARER: Self = Self { header: AUTHORIZATION, format: BEARER, variables: None };
}
