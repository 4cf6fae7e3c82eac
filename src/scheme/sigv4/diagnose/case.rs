//! What the doctor is asked, with AWS settings.

use crate::scheme::diagnose;
use crate::scheme::sigv4::settings::Settings;

/// A request that was refused by a source with such settings.
pub(super) type Case<'a> = diagnose::Case<'a, Settings>;
