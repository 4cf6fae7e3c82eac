//! What HMAC settings can do for everybody who knows them only as a scheme's.

use std::any::Any;
use std::sync::Arc;

use super::Settings;
use crate::scheme::diagnose::{Case, Diagnosis};
use crate::scheme::hmac::{Hmac, diagnose};
use crate::scheme::{Scheme, settings};
use crate::secret::{Secret, WeakSecret};
use crate::settings::ConfigError;

impl settings::Settings for Settings {
    fn build(&self) -> Result<Arc<dyn Scheme>, Vec<ConfigError>> {
        Ok(Arc::new(Hmac::new(self)?))
    }

    fn has_timestamp(&self) -> bool {
        self.has_timestamp()
    }

    fn signature_headers(&self) -> Vec<String> {
        self.signature_headers.iter().map(ToString::to_string).collect()
    }

    fn timestamp_header(&self) -> Option<String> {
        self.timestamp_header.as_ref().map(ToString::to_string)
    }

    fn signature_prefixes(&self) -> Vec<(String, String)> {
        let format = self.signature_format.as_ref().map_or("", |format| format.text());
        let prefix = format.split('{').next().unwrap_or_default().to_ascii_lowercase();
        self.signature_headers.iter().map(|name| (name.as_str().to_owned(), prefix.clone())).collect()
    }

    fn signs(&self) -> bool {
        true
    }

    fn signs_query(&self) -> bool {
        self.signed_content.as_ref().is_some_and(|content| content.has_url())
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.secrets.iter().collect()
    }

    fn estranged(&self, random: &mut dyn FnMut() -> [u8; 32]) -> Result<Arc<dyn settings::Settings>, WeakSecret> {
        let secrets = self.secrets.iter().map(|_| self.secret_encoding.secret(random())).collect::<Result<_, _>>()?;
        Ok(Arc::new(Self { secrets, ..self.clone() }))
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings()
    }

    fn body_marks(&self) -> Vec<[u8; 32]> {
        Hmac::new(self).map(|scheme| scheme.body_marks()).unwrap_or_default()
    }

    fn diagnose(&self, case: &Case<'_>) -> Diagnosis {
        diagnose::diagnose(&case.narrowed(self, &case.others_of()))
    }

    fn changes(&self, to: &dyn settings::Settings) -> Vec<(&'static str, Option<String>)> {
        (to as &dyn Any).downcast_ref().map(|to| self.changes(to)).unwrap_or_default()
    }
}
