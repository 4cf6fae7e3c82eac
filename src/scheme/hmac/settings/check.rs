//! What must hold between the keys of an HMAC source, and what is worth a warning.

use super::{
    ID_HEADER, PUBLIC_URL, SECRETS, SIGNATURE_FORMAT, SIGNATURE_HEADER, SIGNED_CONTENT, Settings, TIMESTAMP_HEADER,
    TIMESTAMP_UNIT,
};
use crate::scheme::mac::Algorithm;
use crate::secret::Secret;
use crate::settings::{ConfigError, Diagnostics, SecretVariables, Table};

/// The most headers a signature may be looked for in.
const MAX_HEADERS: usize = 8;

impl Settings {
    /// Records every error that was not one of a single key, unless it may follow from one that is.
    pub(super) fn tell(&self, variables: Option<SecretVariables>, table: &Table, diagnostics: &mut Diagnostics) {
        let broken = |key: &&str| table.is_faulty(key, diagnostics);
        let related = [
            SIGNATURE_HEADER,
            SIGNATURE_FORMAT,
            TIMESTAMP_HEADER,
            TIMESTAMP_UNIT,
            SIGNED_CONTENT,
            ID_HEADER,
            PUBLIC_URL,
        ];
        let mut errors = if related.iter().any(broken) { Vec::new() } else { self.check() };
        errors.extend(self.check_labels());
        // A faulty entry is missing from its list, so that positions in it say nothing any more.
        if !broken(&SECRETS) {
            errors.extend(self.keys().err().unwrap_or_default());
        }
        // Where a variable holds one secret, there is no first and second.
        let single = variables.is_some_and(|variables| table.place(SECRETS) == variables.single);
        for ConfigError { at, problem } in errors {
            let at = if single && at.starts_with(SECRETS) { SECRETS } else { &at };
            table.error(at, problem, diagnostics);
        }
    }

    /// What one key promises and another must keep.
    pub(in crate::scheme::hmac) fn check(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        self.check_signature(&mut errors);
        self.check_time(&mut errors);
        match &self.signed_content {
            None => error(&mut errors, SIGNED_CONTENT, "is missing: say what is signed, as in `{timestamp}.{body}`"),
            Some(content) if content.has_timestamp() && !self.has_timestamp() => error(
                &mut errors,
                SIGNED_CONTENT,
                "holds {timestamp}, which has no source: give timestamp_header, or {timestamp} in signature_format",
            ),
            Some(_) => {}
        }
        if self.signed_content.as_ref().is_some_and(|content| content.has_id()) && self.id_header.is_none() {
            let problem = "is missing: signed_content holds {id}; name the header that carries it";
            error(&mut errors, ID_HEADER, problem);
        }
        self.check_signed(&mut errors);
        errors
    }

    /// What the placeholders of `signed_content` stand for must be there, and not be the signature itself.
    fn check_signed(&self, errors: &mut Vec<ConfigError>) {
        let has_url = self.signed_content.as_ref().is_some_and(|content| content.has_url());
        match (&self.public_url, has_url) {
            (None, true) => {
                let problem = "is missing: signed_content holds {url}; say what the sender's URL begins with";
                error(errors, PUBLIC_URL, problem);
            }
            (Some(_), false) => error(errors, PUBLIC_URL, "does nothing: signed_content does not hold {url}"),
            (Some(_), true) | (None, false) => {}
        }
        for name in self.signed_content.iter().flat_map(|content| content.headers()) {
            if self.signature_headers.iter().any(|own| **own == *name) {
                error(errors, SIGNED_CONTENT, format!("holds {name}, which carries the signature itself"));
            } else if *name == http::header::HOST {
                // HTTP/2 has none, and a proxy may send its own.
                error(errors, SIGNED_CONTENT, "holds the host as a header: write {url} and public_url");
            }
        }
    }

    fn check_signature(&self, errors: &mut Vec<ConfigError>) {
        let names = &self.signature_headers;
        if names.is_empty() {
            error(errors, SIGNATURE_HEADER, "is missing: name the header that carries the signature");
        }
        for (position, name) in names.iter().enumerate() {
            if names.iter().take(position).any(|earlier| earlier == name) {
                error(errors, SIGNATURE_HEADER, format!("{name} stands twice"));
            }
        }
        if names.len() > MAX_HEADERS {
            error(errors, SIGNATURE_HEADER, format!("names more than {MAX_HEADERS} headers"));
        }
        if self.signature_format.is_none() {
            error(errors, SIGNATURE_FORMAT, "is missing: say how the signature is written, as in `sha256={hex}`");
        }
    }

    fn check_time(&self, errors: &mut Vec<ConfigError>) {
        match (self.has_timestamp(), self.timestamp_unit) {
            (true, None) => error(errors, TIMESTAMP_UNIT, "is missing: give `s`, `ms` or `rfc3339`"),
            (false, Some(_)) => error(
                errors,
                TIMESTAMP_UNIT,
                "there is no timestamp to read: give timestamp_header, or {timestamp} in signature_format",
            ),
            (true, Some(_)) | (false, None) => {}
        }
        if !self.format_has_timestamp() {
            return;
        }
        if self.timestamp_header.is_some() {
            let problem = "the timestamp comes from signature_format already; only one of the two can be believed";
            error(errors, TIMESTAMP_HEADER, problem);
        }
        if self.signature_headers.len() > 1 {
            let problem =
                "names several headers, while signature_format takes the timestamp from it: only one can be believed";
            error(errors, SIGNATURE_HEADER, problem);
        }
    }

    /// A label that stands twice names no key.
    pub(in crate::scheme::hmac) fn check_labels(&self) -> Vec<ConfigError> {
        let twice = crate::scheme::settings::repeated_labels(self.secrets.iter());
        twice.into_iter().map(|problem| ConfigError::new(SECRETS, problem)).collect()
    }

    /// What is allowed and worth a word at start, in words that follow the source's name.
    pub(in crate::scheme::hmac) fn warnings(&self) -> Vec<String> {
        let mut warnings = crate::scheme::settings::repeated_secrets(SECRETS, self.secrets.iter());
        if self.algorithm == Algorithm::Sha1 {
            warnings.push("algorithm is sha1, which is out of date: use sha256 as soon as the sender can".to_owned());
        }
        if let Some(content) =
            self.signed_content.as_ref().filter(|content| content.has_open_border() && !self.vendors_content)
        {
            warnings.push(format!(
                "signed_content is {:?}, in which nothing parts one value from the next, so that bytes can pass between them under the same signature: ask the sender for a separator",
                content.text()
            ));
        }
        warnings
    }

    /// What logs and metrics call the secrets, in their order.
    pub(in crate::scheme::hmac) fn labels(&self) -> Vec<String> {
        self.secrets.iter().map(Secret::name).collect()
    }
}

fn error(errors: &mut Vec<ConfigError>, key: &str, problem: impl Into<String>) {
    errors.push(ConfigError::new(key, problem));
}
