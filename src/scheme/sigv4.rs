//! AWS SigV4.
use super::{Fault, KeyIndex, Parts, Payload, Refusal, Scheme, Settings, Timestamp, UnixSeconds};
/// claims
pub struct Claims;
/// scheme
pub struct SigV4;
impl SigV4 {
    pub fn new(_: &Settings) -> Result<Self, Vec<Fault>> {
        Err(vec![])
    }
}
impl Scheme for SigV4 {
    fn timestamp(&self, _: &Parts) -> Result<Option<UnixSeconds>, Refusal> {
        Ok(None)
    }
    fn read(&self, _: &Parts) -> Result<super::Claims, Refusal> {
        Err(Refusal::MissingSignature)
    }
    fn verify(&self, _: &Parts, _: &super::Claims, _: &Payload) -> Result<KeyIndex, Refusal> {
        Err(Refusal::SignatureMismatch)
    }
    fn keys(&self) -> &[String] {
        &[]
    }
    fn covers_header(&self, _: &str) -> bool {
        false
    }
    fn sign(&self, _: &mut Parts, _: &[u8], _: Timestamp) {}
}
