//! From settings to an HMAC scheme: every fault found at once, each with its key. For [`crate::scheme::build`].

use base64::Engine as _;
use http::HeaderName;
use zeroize::Zeroizing;

use super::content::Content;
use super::format::{Encoding, Format};
use super::time::Unit;
use super::{Hmac, MAX_HEADERS};
use crate::scheme::Settings;
use crate::scheme::mac::{Algorithm, BASE64, BASE64_URL, Key};
use crate::scheme::preset::preset;
use crate::secret::{MIN_BYTES, Secret};
use crate::settings::ConfigError;

/// What a Standard Webhooks secret begins with (specification, section "Signature scheme").
const WHSEC: &str = "whsec_";

/// How the configured text of a secret becomes its key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SecretEncoding {
    /// Its bytes are the key, but for `whsec_` where that has a meaning.
    Text,
    /// Hex digits, any case.
    Hex,
    /// Base64 of either alphabet, padded or not, perhaps behind `whsec_`.
    Base64,
}

impl SecretEncoding {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "hex" => Some(Self::Hex),
            "base64" => Some(Self::Base64),
            _ => None,
        }
    }
}

/// Whether requests that `settings` describe carry a timestamp: in a header of its own or in the signature's.
pub(crate) fn has_timestamp(settings: &Settings) -> bool {
    let in_format = settings.signature_format.as_ref().is_some_and(|format| format.contains("{timestamp}"));
    settings.timestamp_header.is_some() || in_format
}

impl Hmac {
    /// The scheme that `settings` describe.
    ///
    /// # Errors
    /// Every fault, each with its key relative to the source.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let mut faults = Vec::new();
        let signature_headers = signature_headers(&mut faults, settings);
        let timestamp_header = header(&mut faults, "timestamp_header", settings.timestamp_header.as_deref());
        let id_header = header(&mut faults, "id_header", settings.id_header.as_deref());
        let format = parsed(&mut faults, "signature_format", settings.signature_format.as_deref(), Format::parse);
        let content = parsed(&mut faults, "signed_content", settings.signed_content.as_deref(), Content::parse);
        let unit = unit(&mut faults, settings);
        let algorithm = algorithm(&mut faults, settings);
        let keys = keys(&mut faults, settings, format.as_ref(), algorithm);
        require(&mut faults, settings);
        if let Some(content) = &content {
            cross_check(&mut faults, settings, content);
        }
        foreign(&mut faults, settings);
        let (Some(format), Some(content), []) = (format, content, faults.as_slice()) else { return Err(faults) };
        let labels = settings.secrets.iter().map(Secret::name).collect();
        Ok(Self { signature_headers, algorithm, format, timestamp_header, unit, content, id_header, keys, labels })
    }
}

/// What is allowed in `settings` and worth a word at start, in words that follow the source's name.
pub(crate) fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    if settings.algorithm.as_deref() == Some("sha1") {
        warnings.push("algorithm is sha1, which is out of date: use sha256 as soon as the sender can".to_owned());
    }
    let content = settings.signed_content.as_deref().and_then(|template| Content::parse(template).ok());
    if content.is_some_and(|content| content.has_open_border()) {
        warnings.push(format!(
            "signed_content is {:?}, in which nothing parts one value from the next, so that bytes can pass between them under the same signature: ask the sender for a separator",
            settings.signed_content.as_deref().unwrap_or_default()
        ));
    }
    warnings
}

/// The headers that may carry the signature.
fn signature_headers(faults: &mut Vec<ConfigError>, settings: &Settings) -> Vec<HeaderName> {
    const KEY: &str = "signature_header";
    let mut names: Vec<HeaderName> = Vec::new();
    for name in &settings.signature_headers {
        match header(faults, KEY, Some(name)) {
            Some(name) if names.contains(&name) => faults.push(ConfigError::new(KEY, format!("{name} stands twice"))),
            name => names.extend(name),
        }
    }
    if names.len() > MAX_HEADERS {
        faults.push(ConfigError::new(KEY, format!("names more than {MAX_HEADERS} headers")));
    }
    names
}

fn algorithm(faults: &mut Vec<ConfigError>, settings: &Settings) -> Algorithm {
    let parse = |name: &str| {
        Algorithm::parse(name).ok_or_else(|| format!("`{name}` is not `sha1`, `sha256`, `sha384` or `sha512`"))
    };
    parsed(faults, "algorithm", settings.algorithm.as_deref(), parse).unwrap_or(Algorithm::Sha256)
}

/// Parses `text` where it is given, and notes what is wrong with it.
fn parsed<T>(
    faults: &mut Vec<ConfigError>,
    key: &str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    parse(text?).map_err(|problem| faults.push(ConfigError::new(key, problem))).ok()
}

fn header(faults: &mut Vec<ConfigError>, key: &str, name: Option<&str>) -> Option<HeaderName> {
    let parse = |name: &str| name.parse().map_err(|_| format!("`{name}` is not a header name"));
    parsed(faults, key, name, parse)
}

fn unit(faults: &mut Vec<ConfigError>, settings: &Settings) -> Option<Unit> {
    let parse = |name: &str| Unit::parse(name).ok_or_else(|| format!("`{name}` is not `s`, `ms` or `rfc3339`"));
    let unit = parsed(faults, "timestamp_unit", settings.timestamp_unit.as_deref(), parse);
    match (has_timestamp(settings), &settings.timestamp_unit) {
        (true, None) => faults.push(ConfigError::new("timestamp_unit", "is missing: give `s`, `ms` or `rfc3339`")),
        (false, Some(_)) => faults.push(ConfigError::new(
            "timestamp_unit",
            "there is no timestamp to read: give timestamp_header, or {timestamp} in signature_format",
        )),
        _ => {}
    }
    unit
}

/// What a source cannot do without.
fn require(faults: &mut Vec<ConfigError>, settings: &Settings) {
    if settings.signature_headers.is_empty() {
        faults.push(ConfigError::new("signature_header", "is missing: name the header that carries the signature"));
    }
    if settings.signature_format.is_none() {
        faults.push(ConfigError::new(
            "signature_format",
            "is missing: say how the signature is written, as in `sha256={hex}`",
        ));
    }
    if settings.signed_content.is_none() {
        faults.push(ConfigError::new("signed_content", "is missing: say what is signed, as in `{timestamp}.{body}`"));
    }
}

/// What one key promises and another must keep.
fn cross_check(faults: &mut Vec<ConfigError>, settings: &Settings, content: &Content) {
    let in_format = settings.signature_format.as_ref().is_some_and(|format| format.contains("{timestamp}"));
    if in_format && settings.timestamp_header.is_some() {
        let problem = "the timestamp comes from signature_format already; only one of the two can be believed";
        faults.push(ConfigError::new("timestamp_header", problem));
    }
    if in_format && settings.signature_headers.len() > 1 {
        let problem =
            "names several headers, while signature_format takes the timestamp from it: only one can be believed";
        faults.push(ConfigError::new("signature_header", problem));
    }
    if content.has_timestamp() && !has_timestamp(settings) {
        let problem =
            "holds {timestamp}, which has no source: give timestamp_header, or {timestamp} in signature_format";
        faults.push(ConfigError::new("signed_content", problem));
    }
    if content.has_id() && settings.id_header.is_none() {
        faults.push(ConfigError::new(
            "id_header",
            "is missing: signed_content holds {id}; name the header that carries it",
        ));
    }
}

/// Keys of the other family can do nothing here, so they are faults rather than ignored.
fn foreign(faults: &mut Vec<ConfigError>, settings: &Settings) {
    let given = [
        ("region", settings.region.is_some()),
        ("service", settings.service.is_some()),
        ("keys", !settings.keys.is_empty()),
        ("unsigned_headers", !settings.unsigned_headers.is_empty()),
    ];
    for (key, _) in given.into_iter().filter(|(_, given)| *given) {
        faults.push(ConfigError::new(
            key,
            "belongs to AWS Signature Version 4; this source is verified by its `secrets`",
        ));
    }
}

/// One key for each secret, in order.
fn keys(faults: &mut Vec<ConfigError>, settings: &Settings, format: Option<&Format>, algorithm: Algorithm) -> Vec<Key> {
    let parse =
        |name: &str| SecretEncoding::parse(name).ok_or_else(|| format!("`{name}` is not `text`, `hex` or `base64`"));
    let given = settings.secret_encoding.as_deref();
    let encoding = parsed(faults, "secret_encoding", given, parse).unwrap_or(SecretEncoding::Text);
    if settings.secrets.is_empty() {
        faults.push(ConfigError::new("secrets", "is empty: without a secret nothing can be verified"));
    }
    let mut keys = Vec::with_capacity(settings.secrets.len());
    for (position, secret) in settings.secrets.iter().enumerate() {
        match key_bytes(secret, encoding, settings, format) {
            Ok(bytes) => keys.push(Key::new(&bytes, algorithm)),
            Err(problem) => faults.push(ConfigError::new(format!("secrets[{position}]"), problem)),
        }
    }
    keys
}

/// The key of one secret, which may hold any byte once it is decoded.
fn key_bytes(
    secret: &Secret,
    encoding: SecretEncoding,
    settings: &Settings,
    format: Option<&Format>,
) -> Result<Zeroizing<Vec<u8>>, String> {
    let text = secret.expose();
    let odd = || secret.oddity().map(|oddity| format!("; it {oddity}")).unwrap_or_default();
    match encoding {
        SecretEncoding::Text => text_key(text, settings, format),
        SecretEncoding::Hex => {
            long_enough(hex::decode(text).map_err(|_| format!("is not hex, as secret_encoding says it is{}", odd()))?)
        }
        SecretEncoding::Base64 => {
            let encoded = text.strip_prefix(WHSEC.as_bytes()).unwrap_or(text);
            let decoded = BASE64.decode(encoded).or_else(|_| BASE64_URL.decode(encoded));
            long_enough(decoded.map_err(|_| format!("is not base64, as secret_encoding says it is{}", odd()))?)
        }
    }
}

/// The key that text is. Where signatures are a list `v1,{base64}`, text that begins with `whsec_` is decoded; settings
/// that are the `standard-webhooks` preset's must have such. Any other text is taken literally.
fn text_key(text: &[u8], settings: &Settings, format: Option<&Format>) -> Result<Zeroizing<Vec<u8>>, String> {
    let versions = matches!(format, Some(Format::Versions { encoding: Encoding::Base64 | Encoding::Base64Url, .. }));
    match text.strip_prefix(WHSEC.as_bytes()) {
        Some(encoded) if versions => {
            long_enough(BASE64.decode(encoded).map_err(|_| format!("what follows `{WHSEC}` is not base64"))?)
        }
        None if is_standard_webhooks(settings) => {
            Err(format!("is not a Standard Webhooks secret: `{WHSEC}` followed by base64 is expected"))
        }
        _ => Ok(Zeroizing::new(text.to_vec())),
    }
}

/// A key that was decoded, unless too little was behind its text.
fn long_enough(key: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, String> {
    let key = Zeroizing::new(key);
    if key.len() < MIN_BYTES { Err(format!("is shorter than {MIN_BYTES} bytes when decoded")) } else { Ok(key) }
}

/// Whether these are the `standard-webhooks` preset's signature header, format and content, by whatever name.
fn is_standard_webhooks(settings: &Settings) -> bool {
    preset("standard-webhooks").is_some_and(|row| {
        let header = settings.signature_headers.first().map(String::as_str).zip(row.signature_header);
        header.is_some_and(|(own, standard)| own.eq_ignore_ascii_case(standard))
            && settings.signature_format.as_deref() == row.signature_format
            && settings.signed_content.as_deref() == row.signed_content
    })
}
