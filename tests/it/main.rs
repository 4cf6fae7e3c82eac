//! Integration tests: one binary, one module for each thing that is promised.

mod cli;
mod cli_dev;
mod hmac;
mod sigv4;
