//! Integration tests: one binary, one module for each thing that is promised.

mod cli;
mod cli_dev;
mod dispatch;
mod dispatch_memory;
mod hmac;
mod siem;
mod sigv4;
mod sink_http;
mod sink_nats;
mod sink_sqs;
mod sink_upstream;
mod store;
