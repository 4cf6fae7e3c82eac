//! Integration tests: one binary, one module for each thing that is promised.

mod hmac;
mod sigv4;
