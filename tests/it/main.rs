//! The integration tests: one binary, one link.

mod store;
