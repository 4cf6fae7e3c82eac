//! What a sender is promised, asked of the running program and of the schemes: answers, ids, limits, signatures.

mod answers;
mod config;
mod env_config;
mod fuzz;
mod hmac;
mod hmac_lists;
mod http1;
mod http2;
mod ids;
mod json;
mod limits;
mod order;
mod quarantine;
mod reasons;
mod reject;
mod reject_sigv4;
mod schemes_hmac;
mod schemes_ids;
mod schemes_secrets;
mod schemes_sigv4;
mod sigv4;
mod smuggling;
mod tls;
mod waiting;
