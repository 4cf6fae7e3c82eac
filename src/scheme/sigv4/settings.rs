//! From settings to an AWS Signature Version 4 scheme: every fault found at once, each with its key.

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderName, HeaderValue};

use super::signing_key::{Scope, SigningKeys};
use super::{SECURITY_TOKEN, SigV4, SignerKey, date};
use crate::scheme::{AccessKey, Settings};
use crate::settings::ConfigError;

/// Keys the secret that stands in for those of unknown access keys; it need not be secret, for it verifies nothing.
const STRANGER: &[u8] = b"an access key that nobody configured";

impl SigV4 {
    /// The scheme that `settings` describe.
    ///
    /// # Errors
    /// Every fault, each with its key relative to the source.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let mut faults = Vec::new();
        let region = scope_part(&mut faults, "region", settings.region.as_deref());
        let service = scope_part(&mut faults, "service", settings.service.as_deref());
        if settings.keys.is_empty() {
            faults.push(ConfigError::new("keys", "is empty: without an access key nothing can be verified"));
        }
        for (position, key) in settings.keys.iter().enumerate() {
            let earlier = settings.keys.iter().take(position).any(|other| other.access_key_id == key.access_key_id);
            check_key(&mut faults, &format!("keys[{position}]"), key, earlier);
        }
        check_unsigned(&mut faults, &settings.unsigned_headers);
        foreign(&mut faults, settings);
        let (Some(region), Some(service), []) = (region, service, faults.as_slice()) else { return Err(faults) };
        let keys = settings.keys.iter().map(|key| SignerKey {
            access_key_id: key.access_key_id.clone(),
            signing: SigningKeys::new(key.secret.expose()),
            session_token: key.session_token.clone(),
        });
        Ok(Self {
            scope: Scope { region, service },
            keys: keys.collect(),
            labels: settings.keys.iter().map(AccessKey::name).collect(),
            unsigned_headers: settings.unsigned_headers.clone(),
            stranger: SigningKeys::new(STRANGER),
        })
    }
}

/// Whether `text` can stand between the slashes of a credential.
fn fits_credential(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b','))
}

fn scope_part(faults: &mut Vec<ConfigError>, key: &str, value: Option<&str>) -> Option<String> {
    let problem = match value {
        None => "is missing: it is part of every signature's scope".to_owned(),
        Some(value) if fits_credential(value) => return Some(value.to_owned()),
        Some(value) => format!("`{value}` cannot stand in a scope: no blanks, slashes or commas, and not empty"),
    };
    faults.push(ConfigError::new(key, problem));
    None
}

fn check_key(faults: &mut Vec<ConfigError>, at: &str, key: &AccessKey, earlier: bool) {
    let id = format!("{at}.access_key_id");
    if !fits_credential(&key.access_key_id) {
        faults.push(ConfigError::new(id, "is not an access key id: no blanks, slashes or commas, and not empty"));
    } else if earlier {
        faults.push(ConfigError::new(id, "stands twice: an access key id has one secret"));
    }
    let unsendable = |token: &[u8]| HeaderValue::from_bytes(token).is_err() || token.trim_ascii() != token;
    if key.session_token.as_ref().is_some_and(|token| unsendable(token.expose())) {
        let problem = "cannot be sent in a header: it holds line breaks or control characters, or blanks around it";
        faults.push(ConfigError::new(format!("{at}.session_token"), problem));
    }
}

/// What an operator lets arrive unsigned: no header that the signature rests on, and none that may anyway.
fn check_unsigned(faults: &mut Vec<ConfigError>, names: &[String]) {
    for (index, name) in names.iter().enumerate() {
        let problem = if [HOST.as_str(), AUTHORIZATION.as_str(), date::HEADER, SECURITY_TOKEN].contains(&name.as_str())
        {
            format!("{name} can never be left unsigned: the signature rests on it")
        } else if name.parse::<HeaderName>().is_err() || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            format!("`{name}` is not a header name in lower case")
        } else if !name.starts_with("x-amz-") {
            format!("{name} has no effect: only x-amz-* headers have to be signed")
        } else {
            continue;
        };
        faults.push(ConfigError::new(format!("unsigned_headers[{index}]"), problem));
    }
}

/// Keys of the other family can do nothing here, so they are faults rather than ignored.
fn foreign(faults: &mut Vec<ConfigError>, settings: &Settings) {
    let given = [
        ("secrets", !settings.secrets.is_empty()),
        ("secret_encoding", settings.secret_encoding.is_some()),
        ("algorithm", settings.algorithm.is_some()),
        ("signature_header", !settings.signature_headers.is_empty()),
        ("signature_format", settings.signature_format.is_some()),
        ("timestamp_header", settings.timestamp_header.is_some()),
        ("timestamp_unit", settings.timestamp_unit.is_some()),
        ("signed_content", settings.signed_content.is_some()),
        ("id_header", settings.id_header.is_some()),
    ];
    for (key, _) in given.into_iter().filter(|(_, given)| *given) {
        faults.push(ConfigError::new(
            key,
            "does not belong to AWS Signature Version 4; this source is verified by its `keys`",
        ));
    }
}
