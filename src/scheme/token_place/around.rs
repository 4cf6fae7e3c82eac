//! What people write around a token and should not.

use super::format::Format;
use super::shape::Shape;
use crate::scheme::diagnose::{Cause, Diagnosis};

/// Says what stands around a token otherwise than `format` has it.
pub(in crate::scheme) fn around(format: Option<&Format>, shape: &Shape<'_>, told: &mut Diagnosis) {
    let wanted = format.and_then(Format::word);
    let is_wanted = |word: &&&str| wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case(word));
    let words = shape.words.join(" ");
    if shape.words.len() > 1 && shape.words.iter().filter(is_wanted).count() > 1 {
        told.add(Cause::CredentialWordTwice, format!("{words} stands before it"));
    } else if shape.words.len() != usize::from(wanted.is_some()) || !shape.words.iter().all(|word| is_wanted(&word)) {
        let found = if words.is_empty() { "no word".to_owned() } else { words };
        let wanted = wanted.unwrap_or("none");
        told.add(Cause::CredentialWord, format!("{found} stands before it, and token_format has {wanted}"));
    }
    if !shape.quotes.0.is_empty() {
        told.add(Cause::CredentialQuoted, format!("{} stands on both sides", shape.quotes.0));
    }
}
