//! What a preset's row says of a vendor that signs with HMAC.

use http::HeaderName;

use crate::scheme::hmac::content::Content;
use crate::scheme::hmac::format::Format;
use crate::scheme::hmac::spelled::{Spelled, content, format, header};
use crate::scheme::hmac::time::Unit;
use crate::scheme::mac::Algorithm;
use crate::scheme::secret_encoding::SecretEncoding;
use crate::settings::SecretVariables;

/// How a vendor signs. `None` means the operator must or may say.
pub(in crate::scheme) struct Vendor {
    /// Header with the signature.
    pub(in crate::scheme) signature_header: Option<&'static str>,
    /// How the signature stands in that header.
    pub(in crate::scheme) signature_format: Option<&'static str>,
    /// Header with the timestamp, where the format has none.
    pub(in crate::scheme) timestamp_header: Option<&'static str>,
    /// How the timestamp is written.
    pub(in crate::scheme) timestamp_unit: Option<Unit>,
    /// What the MAC covers.
    pub(in crate::scheme) signed_content: Option<&'static str>,
    /// The hash below the HMAC.
    pub(in crate::scheme) algorithm: Algorithm,
    /// How the text of a secret becomes the key.
    pub(in crate::scheme) secret_encoding: SecretEncoding,
    /// Header with the id, where the MAC covers it.
    pub(in crate::scheme) id_header: Option<&'static str>,
    /// The variables that hold its secrets.
    pub(in crate::scheme) variables: Option<SecretVariables>,
}

impl Vendor {
    /// Nothing is known.
    pub(in crate::scheme) const BLANK: Self = Self {
        signature_header: None,
        signature_format: None,
        timestamp_header: None,
        timestamp_unit: None,
        signed_content: None,
        algorithm: Algorithm::Sha256,
        secret_encoding: SecretEncoding::Text,
        id_header: None,
        variables: None,
    };

    /// The specification's own (standardwebhooks.com). Its secrets have a form of their own, by whatever name a source
    /// signs so.
    pub(in crate::scheme) const STANDARD_WEBHOOKS: Self = Self {
        signature_header: Some("webhook-signature"),
        signature_format: Some("v1,{base64}"),
        timestamp_header: Some("webhook-timestamp"),
        timestamp_unit: Some(Unit::Seconds),
        signed_content: Some("{id}.{timestamp}.{body}"),
        id_header: Some("webhook-id"),
        ..Self::BLANK
    };

    /// Whether its secrets must have the form of Standard Webhooks.
    pub(super) fn wants_whsec(&self) -> bool {
        let row = &Self::STANDARD_WEBHOOKS;
        (self.signature_header, self.signature_format, self.signed_content)
            == (row.signature_header, row.signature_format, row.signed_content)
    }

    // What a row spells is well spelled: a test reads every row.
    pub(super) fn header(name: Option<&str>) -> Option<Spelled<HeaderName>> {
        name.and_then(|name| header(name).ok())
    }

    pub(super) fn signature_format(&self) -> Option<Spelled<Format>> {
        self.signature_format.and_then(|text| format(text).ok())
    }

    pub(super) fn signed_content(&self) -> Option<Spelled<Content>> {
        self.signed_content.and_then(|text| content(text).ok())
    }
}
