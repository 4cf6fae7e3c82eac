//! Integration tests: one binary, one module for each thing that is promised.
//! The integration tests: one binary, one link.

mod cli;
mod cli_dev;
mod hmac;
mod sigv4;
mod store;
