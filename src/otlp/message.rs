//! Spans as the protobuf message that OTLP sends.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{self as wire, ResourceSpans, ScopeSpans, span::SpanKind};
use prost::Message as _;
use wire::status::StatusCode;

use crate::trace::{Kind, Span, Value};

/// The conventions that the names of our attributes follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

/// One request with `spans` of what `resource` describes.
pub(super) fn encode(spans: &[Span], resource: &[(String, String)]) -> Vec<u8> {
    let attributes = resource.iter().map(|(name, value)| pair(name, any_value::Value::StringValue(value.clone())));
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans =
        ScopeSpans { scope: Some(scope), spans: spans.iter().map(span).collect(), schema_url: SCHEMA.to_owned() };
    let resource = Resource { attributes: attributes.collect(), ..Resource::default() };
    let all = ResourceSpans { resource: Some(resource), scope_spans: vec![scope_spans], schema_url: SCHEMA.to_owned() };
    ExportTraceServiceRequest { resource_spans: vec![all] }.encode_to_vec()
}

fn span(span: &Span) -> wire::Span {
    let kind = match span.kind {
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
    };
    let status =
        span.failed.as_ref().map(|message| wire::Status { message: message.clone(), code: StatusCode::Error.into() });
    wire::Span {
        trace_id: span.context.trace_id().to_be_bytes().to_vec(),
        span_id: span.context.span_id().to_be_bytes().to_vec(),
        trace_state: span.state.as_deref().unwrap_or_default().to_owned(),
        parent_span_id: span.parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
        flags: u32::from(span.context.flags()),
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: span.start,
        end_time_unix_nano: span.end,
        attributes: span.attributes.iter().map(|(name, value)| pair(name, wire_value(value))).collect(),
        status,
        ..wire::Span::default()
    }
}

fn wire_value(value: &Value) -> any_value::Value {
    match value {
        Value::Text(text) => any_value::Value::StringValue(text.clone().into_owned()),
        Value::Number(number) => any_value::Value::IntValue(*number),
    }
}

fn pair(name: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
