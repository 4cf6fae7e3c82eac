//! What settings of tokens can do for everybody who knows them only as a scheme's.

use std::any::Any;
use std::sync::Arc;

use http::request::Parts;

use super::super::compact::Compact;
use super::super::{diagnose, redact};
use super::{ALGORITHMS, AUDIENCE, BODY_HASH, ISSUER, Settings, name};
use crate::event::Payload;
use crate::scheme::diagnose::{Case, Diagnosis};
use crate::scheme::secret_encoding::{ENCODINGS, SECRET_ENCODING};
use crate::scheme::token_place::{TOKEN_FORMAT, TOKEN_HEADER, given};
use crate::scheme::{ClaimValue, Moment, Remembered, Scheme, TokenForm, settings};
use crate::secret::{Secret, WeakSecret};
use crate::settings::kind::{choice, text};
use crate::settings::lists::{list, one_or_more};
use crate::settings::{ConfigError, Kind as _};

impl settings::Settings for Settings {
    fn build(&self) -> Result<Arc<dyn Scheme>, Vec<ConfigError>> {
        Ok(Arc::new(self.verifier()?))
    }

    fn has_timestamp(&self) -> bool {
        false
    }

    fn uses_drift(&self) -> bool {
        true
    }

    fn has_claims(&self) -> bool {
        true
    }

    fn claim(&self, head: &Parts, name: &str) -> ClaimValue {
        let (Some(header), Some(format)) = (&self.place.header, &self.place.format) else { return ClaimValue::Absent };
        let Ok(token) = given(head, header.name(), format) else { return ClaimValue::Absent };
        let token = String::from_utf8_lossy(&token);
        let claimed = Compact::unsigned(&token).and_then(|token| {
            Ok(token.claims()?.get(name).map(|value| value.name().map_or(ClaimValue::Other, ClaimValue::Text)))
        });
        claimed.ok().flatten().unwrap_or(ClaimValue::Absent)
    }

    fn cannot_sign(&self) -> Option<String> {
        let (file, _) = self.jwks.as_ref()?;
        Some(format!(
            "verifies with the public keys in {}, and nobody can sign with those: have the sender post an event, or try \
             the source with an algorithm of the family HS and a secret",
            file.display()
        ))
    }

    fn remembered(&self, head: &Parts, body: &Payload, moment: Moment) -> Option<Remembered> {
        redact::remembered(self, head, body, moment)
    }

    fn signature_headers(&self) -> Vec<String> {
        Vec::new()
    }

    fn timestamp_header(&self) -> Option<String> {
        None
    }

    fn token(&self) -> Option<TokenForm> {
        let (header, format) = (self.place.header.as_ref()?, self.place.format.as_ref()?);
        Some(TokenForm {
            header: header.to_string(),
            word: format.word().map(str::to_owned),
            coded: None,
            basic: false,
            challenge: format.challenge(),
        })
    }

    fn proves_only_the_sender(&self) -> bool {
        self.body_hash.is_none()
    }

    fn signs_query(&self) -> bool {
        false
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.secrets.iter().collect()
    }

    fn estranged(&self, random: &mut dyn FnMut() -> [u8; 32]) -> Result<Arc<dyn settings::Settings>, WeakSecret> {
        let secrets = self.secrets.iter().map(|_| self.secret_encoding.secret(random())).collect::<Result<_, _>>()?;
        Ok(Arc::new(Self { secrets, ..self.clone() }))
    }

    fn warnings(&self) -> Vec<String> {
        self.warned()
    }

    fn diagnose(&self, case: &Case<'_>) -> Diagnosis {
        diagnose::diagnose(&case.narrowed(self, &case.others_of()))
    }

    fn changes(&self, to: &dyn settings::Settings) -> Vec<(&'static str, Option<String>)> {
        let Some(to) = (to as &dyn Any).downcast_ref::<Self>() else { return Vec::new() };
        let names = |names: &Vec<String>| {
            let kind = one_or_more(text(name, ""), "");
            (!names.is_empty()).then(|| kind.show(names))
        };
        let quoted = |text: Option<String>| text.map(|text| format!("{text:?}"));
        let header = |it: &Self| it.place.header.as_ref().map(|header| header.name().clone());
        let keys = [
            (
                ALGORITHMS,
                self.algorithms == to.algorithms,
                Some(list(choice(super::Algorithm::ALL)).show(&to.algorithms)),
            ),
            (ISSUER, self.wanted.issuers == to.wanted.issuers, names(&to.wanted.issuers)),
            (AUDIENCE, self.wanted.audiences == to.wanted.audiences, names(&to.wanted.audiences)),
            (
                SECRET_ENCODING,
                self.secret_encoding == to.secret_encoding,
                Some(choice(ENCODINGS).show(&to.secret_encoding)),
            ),
            (BODY_HASH, self.body_hash == to.body_hash, quoted(to.body_hash.clone())),
            (TOKEN_HEADER, header(self) == header(to), quoted(to.place.header.as_ref().map(ToString::to_string))),
            (
                TOKEN_FORMAT,
                self.place.format == to.place.format,
                quoted(to.place.format.as_ref().map(ToString::to_string)),
            ),
        ];
        keys.into_iter().filter(|(_, same, _)| !same).map(|(key, _, value)| (key, value)).collect()
    }

    fn kept(&self, name: &str, value: &str, grants: bool) -> Option<String> {
        redact::kept(self, name, value, grants)
    }
}
