//! What AWS settings can do for everybody who knows them only as a scheme's.

use std::any::Any;
use std::sync::Arc;

use http::request::Parts;

use super::{AccessKey, Settings};
use crate::event::Payload;
use crate::scheme::diagnose::{Case, Diagnosis};
use crate::scheme::sigv4::{SigV4, canonical_request, diagnose};
use crate::scheme::{Scheme, settings};
use crate::secret::{Secret, WeakSecret};
use crate::settings::ConfigError;

impl settings::Settings for Settings {
    fn build(&self) -> Result<Arc<dyn Scheme>, Vec<ConfigError>> {
        Ok(Arc::new(SigV4::new(self)?))
    }

    fn has_timestamp(&self) -> bool {
        true
    }

    fn signature_headers(&self) -> Vec<String> {
        vec!["Authorization".to_owned()]
    }

    fn timestamp_header(&self) -> Option<String> {
        Some("X-Amz-Date".to_owned())
    }

    fn signs(&self) -> bool {
        true
    }

    fn signs_query(&self) -> bool {
        true
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.keys.iter().map(|key| &key.secret).collect()
    }

    fn credentials(&self) -> Vec<&Secret> {
        self.keys.iter().flat_map(|key| std::iter::once(&key.secret).chain(&key.session_token)).collect()
    }

    fn estranged(&self, random: &mut dyn FnMut() -> [u8; 32]) -> Result<Arc<dyn settings::Settings>, WeakSecret> {
        let stranger = |key: &AccessKey| Ok(AccessKey { secret: Secret::new(hex::encode(random()))?, ..key.clone() });
        let keys = self.keys.iter().map(stranger).collect::<Result<_, WeakSecret>>()?;
        Ok(Arc::new(Self { keys, ..self.clone() }))
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings()
    }

    fn diagnose(&self, case: &Case<'_>) -> Diagnosis {
        diagnose::diagnose(&case.narrowed(self, &case.others_of()))
    }

    fn changes(&self, to: &dyn settings::Settings) -> Vec<(&'static str, Option<String>)> {
        (to as &dyn Any).downcast_ref().map(|to| self.changes(to)).unwrap_or_default()
    }

    fn restore(&self, head: &mut Parts) {
        diagnose::restore_token(head, self);
    }

    fn canonical_request(&self, head: &Parts, body: &Payload) -> Option<Vec<u8>> {
        canonical_request(head, body)
    }
}
