//! Tokens beside a signature: both must hold, the token first.

use std::any::Any;
use std::sync::Arc;

use http::request::Parts;
use jiff::Timestamp;

use super::settings::{KEYS, Settings, TOKENS};
use super::tokens::Tokens;
use super::vendor::Vendor;
use super::{diagnose, redact};
use crate::clock::UnixSeconds;
use crate::event::{Digest, Payload};
use crate::scheme::diagnose::{Case, Diagnosis};
use crate::scheme::settings::{self, TokenForm};
use crate::scheme::token_place::{TOKEN_FORMAT, TOKEN_HEADER};
use crate::scheme::{Admission, Claims, KeyIndex, Moment, Refusal, Scheme};
use crate::secret::{Secret, WeakSecret};
use crate::settings::{ConfigError, Diagnostics, Table, secrets};

/// Settings of a source that is signed, with those of its tokens.
struct Beside {
    tokens: Settings,
    signature: Arc<dyn settings::Settings>,
}

/// Reads the tokens that a source may have beside the signature that it is configured with.
pub(in crate::scheme) fn beside(
    signature: Arc<dyn settings::Settings>,
    table: &mut Table,
    diagnostics: &mut Diagnostics,
) -> Arc<dyn settings::Settings> {
    let given = KEYS.map(|key| table.holds(key));
    let tokens = secrets(
        TOKENS,
        "Tokens, of which one must come in a header besides; all are tried. Their labels or fingerprints stand beside \
         the key that signed.",
    )
    .maybe(table, diagnostics);
    let tokens = Settings::read(&Vendor::BEARER, tokens, table, diagnostics);
    let [any, others @ ..] = given;
    if !any {
        for (key, _) in [TOKEN_HEADER, TOKEN_FORMAT].into_iter().zip(others).filter(|(_, given)| *given) {
            table.error(key, "says how tokens arrive, and there are no tokens: add some, or remove it", diagnostics);
        }
        table.hide(TOKEN_HEADER);
        table.hide(TOKEN_FORMAT);
        return signature;
    }
    tokens.tell(None, table, diagnostics);
    let both = Beside { tokens, signature };
    if !KEYS.iter().any(|key| table.is_faulty(key, diagnostics)) {
        both.check().into_iter().for_each(|ConfigError { at, problem }| table.error(&at, problem, diagnostics));
    }
    Arc::new(both)
}

impl Beside {
    /// What must hold between the two.
    fn check(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let (header, signature) = (self.tokens.header.as_ref(), &self.signature);
        let taken = signature.signature_headers().into_iter().chain(signature.timestamp_header());
        if let Some(header) = header
            && taken.into_iter().any(|taken| taken.eq_ignore_ascii_case(header.name().as_str()))
        {
            let problem = format!("{header} belongs to the signature, and stands once: name another header");
            errors.push(ConfigError::new(TOKEN_HEADER, problem));
        }
        let secrets = signature.secrets();
        for label in self.tokens.tokens.iter().filter_map(Secret::label) {
            if secrets.iter().any(|secret| secret.label() == Some(label)) {
                let problem = format!("a secret has the label {label} too: logs and metrics could not tell them apart");
                errors.push(ConfigError::new(TOKENS, problem));
            }
        }
        errors
    }
}

impl settings::Settings for Beside {
    fn build(&self) -> Result<Arc<dyn Scheme>, Vec<ConfigError>> {
        let (tokens, signature) = match (Tokens::new(&self.tokens), self.signature.build()) {
            (Ok(tokens), Ok(signature)) => (tokens, signature),
            (tokens, signature) => {
                return Err([tokens.err(), signature.err()].into_iter().flatten().flatten().collect());
            }
        };
        let errors = self.check();
        if !errors.is_empty() {
            return Err(errors);
        }
        let keys = [signature.keys(), &tokens.labels].concat();
        Ok(Arc::new(Both { tokens, signature, keys }))
    }

    fn has_timestamp(&self) -> bool {
        self.signature.has_timestamp()
    }

    fn signature_headers(&self) -> Vec<String> {
        self.signature.signature_headers()
    }

    fn timestamp_header(&self) -> Option<String> {
        self.signature.timestamp_header()
    }

    fn signature_prefixes(&self) -> Vec<(String, String)> {
        self.signature.signature_prefixes()
    }

    fn token(&self) -> Option<TokenForm> {
        self.tokens.form()
    }

    fn proves_only_the_sender(&self) -> bool {
        self.signature.proves_only_the_sender()
    }

    fn beside_tokens(&self) -> Option<&dyn settings::Settings> {
        Some(&*self.signature)
    }

    fn signs(&self) -> bool {
        self.signature.signs()
    }

    fn signs_query(&self) -> bool {
        self.signature.signs_query()
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.signature.secrets()
    }

    fn credentials(&self) -> Vec<&Secret> {
        self.signature.credentials().into_iter().chain(&self.tokens.tokens).collect()
    }

    /// The tokens stay: it is the signature that somebody else makes.
    fn estranged(&self, random: &mut dyn FnMut() -> [u8; 32]) -> Result<Arc<dyn settings::Settings>, WeakSecret> {
        Ok(Arc::new(Self { tokens: self.tokens.clone(), signature: self.signature.estranged(random)? }))
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.signature.warnings();
        warnings.extend(settings::repeated_secrets(TOKENS, self.tokens.tokens.iter()));
        warnings
    }

    fn body_marks(&self) -> Vec<[u8; 32]> {
        self.signature.body_marks()
    }

    fn diagnose(&self, case: &Case<'_>) -> Diagnosis {
        let admitted = Tokens::new(&self.tokens).is_ok_and(|tokens| tokens.admit(case.head).is_ok());
        let (mut findings, tokens) = if admitted {
            (Vec::new(), Some(self.tokens.clone()))
        } else {
            diagnose::diagnose(&self.tokens, &diagnose::others(case), case.head)
        };
        if !admitted && verifies(&*self.signature, case) {
            let both = |tokens| Arc::new(Self { tokens, signature: Arc::clone(&self.signature) }) as Arc<_>;
            return Diagnosis { findings, settings: tokens.map(both) };
        }
        let signature = self.signature.diagnose(&Case { settings: &*self.signature, ..*case });
        findings.extend(signature.findings);
        let both = tokens.zip(signature.settings);
        let both = both.map(|(tokens, signature)| Arc::new(Self { tokens, signature }) as Arc<_>);
        Diagnosis { findings, settings: both }
    }

    fn changes(&self, to: &dyn settings::Settings) -> Vec<(&'static str, Option<String>)> {
        let Some(to) = (to as &dyn Any).downcast_ref::<Self>() else { return Vec::new() };
        let mut changes = self.tokens.changes(&to.tokens);
        changes.extend(self.signature.changes(&*to.signature));
        changes
    }

    fn kept(&self, name: &str, value: &str, grants: bool) -> Option<String> {
        redact::kept(&self.tokens, name, value, grants)
    }

    fn restore(&self, head: &mut Parts) {
        redact::restore(&self.tokens, head);
        self.signature.restore(head);
    }

    fn canonical_request(&self, head: &Parts, body: &Payload) -> Option<Vec<u8>> {
        self.signature.canonical_request(head, body)
    }
}

fn verifies(signature: &dyn settings::Settings, case: &Case<'_>) -> bool {
    let body = case.body.clone().into();
    signature.build().is_ok_and(|scheme| {
        scheme.timestamp(case.head).is_ok()
            && scheme.read(case.head).and_then(|claims| scheme.verify(case.head, &claims, &body)).is_ok()
    })
}

/// A token and a signature.
struct Both {
    tokens: Tokens,
    signature: Arc<dyn Scheme>,
    /// Those of the signature, then the tokens.
    keys: Vec<String>,
}

impl Scheme for Both {
    fn admit(&self, head: &Parts, _: Moment) -> Result<Option<Admission>, Refusal> {
        let first = self.signature.keys().len();
        self.tokens.admit(head).map(|index| Some(KeyIndex(first + index).into()))
    }

    fn timestamp(&self, head: &Parts) -> Result<Option<UnixSeconds>, Refusal> {
        self.signature.timestamp(head)
    }

    fn read(&self, head: &Parts) -> Result<Claims, Refusal> {
        self.signature.read(head)
    }

    fn verify(&self, head: &Parts, claims: &Claims, body: &Payload) -> Result<KeyIndex, Refusal> {
        self.signature.verify(head, claims, body)
    }

    fn prove(&self, key: KeyIndex, text: &[u8]) -> Option<String> {
        self.signature.prove(key, text)
    }

    fn keys(&self) -> &[String] {
        &self.keys
    }

    fn covers_header(&self, name: &str) -> bool {
        self.signature.covers_header(name)
    }

    fn signed(&self, head: &Parts, body: &Payload) -> Option<Digest> {
        self.signature.signed(head, body)
    }

    fn sign(&self, head: &mut Parts, body: &[u8], at: Timestamp) {
        self.signature.sign(head, body, at);
        self.tokens.write(head);
    }
}
