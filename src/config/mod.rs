//! Configuration with a meaning: defaults < file < environment, every fault at once. Knows names and sizes only.
//!
//! Plain data: nothing here is connected, bound or built; `app` does that.

mod boot;
mod changes;
mod configuration;
mod declared;
mod describe;
mod load;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod tests;

pub use crate::settings::Watched;
pub use configuration::{Boot, Config, Live};
pub(crate) use declared::{FILE, document};
pub use load::{Draft, draft, load};
