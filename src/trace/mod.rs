//! Spans: what a request or an attempt at a delivery belongs to, measured where it happens, handed over without waiting.
//!
//! Where they are sent is `otlp`'s. While nothing is traced there is no [`Tracer`], and nothing here runs.

mod b3;
mod context;
mod header;
mod parent;
mod sampler;
mod span;
mod tracer;

pub use self::context::TraceContext;
pub use self::sampler::Sampler;
pub use self::span::{Attribute, Kind, Span, Value};
pub use self::tracer::{Begun, LiveTracer, Tracer};
