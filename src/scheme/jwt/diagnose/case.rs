//! What the doctor is asked about.

use super::super::settings::Settings;
use crate::scheme::{Moment, settings};

/// A request to a source of tokens.
pub(super) type Case<'a> = settings::Case<'a, Settings>;

/// When the request of `case` was judged.
pub(super) const fn moment(case: &Case<'_>) -> Moment {
    Moment { now: case.at, leeway: case.window }
}
