//! Who may see and do what: tokens, sessions, and what a browser must prove before anything is done on its word.

mod attempts;
mod caller;
mod credentials;
mod guard;
mod origin;
mod sessions;
mod sign_in;
mod surroundings;

pub(crate) use attempts::Attempts;
pub(crate) use caller::Caller;
pub(crate) use credentials::Credentials;
pub(super) use guard::guard;
pub(super) use guard::see_only;
pub(crate) use sessions::Sessions;
pub(super) use sign_in::{form, sign_in, sign_out};
