//! From settings to an HMAC scheme: every fault found at once, each with its key. For [`crate::scheme::build`].

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderName;
use zeroize::Zeroizing;

use super::Hmac;
use super::content::Content;
use super::format::{Encoding, Format};
use super::time::Unit;
use crate::fault::Fault;
use crate::scheme::Settings;
use crate::scheme::mac::Key;
use crate::scheme::preset::preset;
use crate::secret::{MIN_BYTES, Secret};

/// What a Standard Webhooks secret begins with (specification, section "Signature scheme").
const WHSEC: &str = "whsec_";

/// Vendors print secrets with and without padding.
const SECRET_BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether requests that `settings` describe carry a timestamp: in a header of its own or in the signature's.
pub fn has_timestamp(settings: &Settings) -> bool {
    let in_format = settings.signature_format.as_ref().is_some_and(|format| format.contains("{timestamp}"));
    settings.timestamp_header.is_some() || in_format
}

impl Hmac {
    /// The scheme that `settings` describe.
    ///
    /// # Errors
    /// Every fault, each with its key relative to the source.
    pub fn new(settings: &Settings) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let signature_header = header(&mut faults, "signature_header", settings.signature_header.as_deref());
        let timestamp_header = header(&mut faults, "timestamp_header", settings.timestamp_header.as_deref());
        let id_header = header(&mut faults, "id_header", settings.id_header.as_deref());
        let format = parsed(&mut faults, "signature_format", settings.signature_format.as_deref(), Format::parse);
        let content = parsed(&mut faults, "signed_content", settings.signed_content.as_deref(), Content::parse);
        let unit = unit(&mut faults, settings);
        let keys = keys(&mut faults, settings, format.as_ref());
        require(&mut faults, settings);
        if let Some(content) = &content {
            cross_check(&mut faults, settings, content);
        }
        foreign(&mut faults, settings);
        let (Some(signature_header), Some(format), Some(content)) = (signature_header, format, content) else {
            return Err(faults);
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        let labels = (0..keys.len()).map(|position| position.to_string()).collect();
        Ok(Self { signature_header, format, timestamp_header, unit, content, id_header, keys, labels })
    }
}

/// Parses `text` where it is given, and notes what is wrong with it.
fn parsed<T>(
    faults: &mut Vec<Fault>,
    key: &str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    parse(text?).map_err(|problem| faults.push(Fault::new(key, problem))).ok()
}

fn header(faults: &mut Vec<Fault>, key: &str, name: Option<&str>) -> Option<HeaderName> {
    let parse = |name: &str| name.parse().map_err(|_| format!("`{name}` is not a header name"));
    parsed(faults, key, name, parse)
}

fn unit(faults: &mut Vec<Fault>, settings: &Settings) -> Option<Unit> {
    let parse = |name: &str| Unit::parse(name).ok_or_else(|| format!("`{name}` is not `s`, `ms` or `rfc3339`"));
    let unit = parsed(faults, "timestamp_unit", settings.timestamp_unit.as_deref(), parse);
    match (has_timestamp(settings), &settings.timestamp_unit) {
        (true, None) => faults.push(Fault::new("timestamp_unit", "is missing: give `s`, `ms` or `rfc3339`")),
        (false, Some(_)) => faults.push(Fault::new(
            "timestamp_unit",
            "there is no timestamp to read: give timestamp_header, or {timestamp} in signature_format",
        )),
        _ => {}
    }
    unit
}

/// What a source cannot do without.
fn require(faults: &mut Vec<Fault>, settings: &Settings) {
    if settings.signature_header.is_none() {
        faults.push(Fault::new("signature_header", "is missing: name the header that carries the signature"));
    }
    if settings.signature_format.is_none() {
        faults
            .push(Fault::new("signature_format", "is missing: say how the signature is written, as in `sha256={hex}`"));
    }
    if settings.signed_content.is_none() {
        faults.push(Fault::new("signed_content", "is missing: say what is signed, as in `{timestamp}.{body}`"));
    }
}

/// What one key promises and another must keep.
fn cross_check(faults: &mut Vec<Fault>, settings: &Settings, content: &Content) {
    let in_format = settings.signature_format.as_ref().is_some_and(|format| format.contains("{timestamp}"));
    if in_format && settings.timestamp_header.is_some() {
        let problem = "the timestamp comes from signature_format already; only one of the two can be believed";
        faults.push(Fault::new("timestamp_header", problem));
    }
    if content.has_timestamp() && !has_timestamp(settings) {
        let problem =
            "holds {timestamp}, which has no source: give timestamp_header, or {timestamp} in signature_format";
        faults.push(Fault::new("signed_content", problem));
    }
    if content.has_id() && settings.id_header.is_none() {
        faults.push(Fault::new("id_header", "is missing: signed_content holds {id}; name the header that carries it"));
    }
}

/// Keys of the other family can do nothing here, so they are faults rather than ignored.
fn foreign(faults: &mut Vec<Fault>, settings: &Settings) {
    let given = [
        ("region", settings.region.is_some()),
        ("service", settings.service.is_some()),
        ("keys", !settings.keys.is_empty()),
    ];
    for (key, _) in given.into_iter().filter(|(_, given)| *given) {
        faults.push(Fault::new(key, "belongs to AWS Signature Version 4; this source is verified by its `secrets`"));
    }
}

/// One key for each secret, in order.
fn keys(faults: &mut Vec<Fault>, settings: &Settings, format: Option<&Format>) -> Vec<Key> {
    if settings.secrets.is_empty() {
        faults.push(Fault::new("secrets", "is empty: without a secret nothing can be verified"));
    }
    let mut keys = Vec::with_capacity(settings.secrets.len());
    for (position, secret) in settings.secrets.iter().enumerate() {
        match key(secret, settings, format) {
            Ok(key) => keys.push(key),
            Err(problem) => faults.push(Fault::new(format!("secrets[{position}]"), problem)),
        }
    }
    keys
}

/// The key of one secret. Where signatures are a list `v1,{base64}`, a secret that begins with `whsec_` is decoded;
/// settings that are the `standard-webhooks` preset's must have one. Any other secret is taken literally.
fn key(secret: &Secret, settings: &Settings, format: Option<&Format>) -> Result<Key, String> {
    let versions = matches!(format, Some(Format::Versions { encoding: Encoding::Base64, .. }));
    match secret.expose().strip_prefix(WHSEC.as_bytes()) {
        Some(encoded) if versions => {
            let decoded = SECRET_BASE64.decode(encoded).map_err(|_| format!("what follows `{WHSEC}` is not base64"))?;
            let decoded = Zeroizing::new(decoded);
            if decoded.len() < MIN_BYTES {
                return Err(format!("what follows `{WHSEC}` is shorter than {MIN_BYTES} bytes when decoded"));
            }
            Ok(Key::new(&decoded))
        }
        None if is_standard_webhooks(settings) => {
            Err(format!("is not a Standard Webhooks secret: `{WHSEC}` followed by base64 is expected"))
        }
        _ => Ok(Key::new(secret.expose())),
    }
}

/// Whether these are the `standard-webhooks` preset's signature header, format and content, by whatever name.
fn is_standard_webhooks(settings: &Settings) -> bool {
    preset("standard-webhooks").is_some_and(|row| {
        let header = settings.signature_header.as_deref().zip(row.signature_header);
        header.is_some_and(|(own, standard)| own.eq_ignore_ascii_case(standard))
            && settings.signature_format.as_deref() == row.signature_format
            && settings.signed_content.as_deref() == row.signed_content
    })
}
