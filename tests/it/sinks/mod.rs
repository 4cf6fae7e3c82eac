//! What each sink, the SIEM and the collector are sent, through which proxies, and what they make of the answers.

mod address;
mod http;
mod http_content;
mod http_credentials;
mod kept_headers;
mod nats;
mod oauth2;
mod proxy;
mod registry;
mod reload_outlets;
mod siem;
mod sqs;
mod traces;
