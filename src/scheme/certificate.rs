//! The scheme of senders that sign nothing: their client certificate says who they are, and whoever lets a request come
//! this far has looked at that.

use std::sync::Arc;

use http::request::Parts;
use jiff::Timestamp;

use super::diagnose::{Case, Diagnosis};
use super::settings::{self, Identity, Row};
use super::starter::{Random, Starter};
use super::{Claims, KeyIndex, Refusal, Scheme};
use crate::clock::UnixSeconds;
use crate::event::Payload;
use crate::secret::{Secret, WeakSecret};
use crate::settings::{ConfigError, Diagnostics, Table};

/// A vendor that signs nothing.
pub(super) struct Vendor;

/// There is nothing to say.
#[derive(Clone, Copy)]
struct Settings;

/// Has no keys: nothing in a request is proven by it.
struct Unsigned;

impl Row for Vendor {
    fn scheme(&self) -> &'static str {
        "a client certificate"
    }

    fn read(&self, _: &Identity<'_>, _: &mut Table, _: &mut Diagnostics) -> Arc<dyn settings::Settings> {
        Arc::new(Settings)
    }

    fn enabled_by(&self, _: &mut Diagnostics) -> Option<&'static str> {
        None
    }

    fn how_to_enable(&self) -> Option<String> {
        None
    }

    fn starter(&self, _: &str, _: Random<'_>) -> Starter {
        Starter::default()
    }
}

impl settings::Settings for Settings {
    fn build(&self) -> Result<Arc<dyn Scheme>, Vec<ConfigError>> {
        Ok(Arc::new(Unsigned))
    }

    fn has_timestamp(&self) -> bool {
        false
    }

    fn proves_sender(&self) -> bool {
        false
    }

    fn signature_headers(&self) -> Vec<String> {
        Vec::new()
    }

    fn timestamp_header(&self) -> Option<String> {
        None
    }

    fn signs_query(&self) -> bool {
        false
    }

    fn secrets(&self) -> Vec<&Secret> {
        Vec::new()
    }

    fn estranged(&self, _: &mut dyn FnMut() -> [u8; 32]) -> Result<Arc<dyn settings::Settings>, WeakSecret> {
        Ok(Arc::new(*self))
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    fn diagnose(&self, _: &Case<'_>) -> Diagnosis {
        Diagnosis::default()
    }

    fn changes(&self, _: &dyn settings::Settings) -> Vec<(&'static str, Option<String>)> {
        Vec::new()
    }
}

impl Scheme for Unsigned {
    fn timestamp(&self, _: &Parts) -> Result<Option<UnixSeconds>, Refusal> {
        Ok(None)
    }

    fn read(&self, _: &Parts) -> Result<Claims, Refusal> {
        Ok(Claims::of(()))
    }

    fn verify(&self, _: &Parts, _: &Claims, _: &Payload) -> Result<KeyIndex, Refusal> {
        Ok(KeyIndex(0))
    }

    fn keys(&self) -> &[String] {
        &[]
    }

    // Nothing is signed: a header is trusted as much as the body is.
    fn covers_header(&self, _: &str) -> bool {
        true
    }

    fn sign(&self, _: &mut Parts, _: &[u8], _: Timestamp) {}
}
