//! A collector's stand-in: takes OTLP over HTTP and decodes it, by the messages of the protocol's own definition.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use super::eventually;
use super::sink_upstream::{Received, Reply, Upstream};

/// A collector.
pub(crate) struct Collector(pub Upstream);

/// A span as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub span: Span,
    /// What is said of the program that sent it.
    pub resource: BTreeMap<String, String>,
    pub attributes: BTreeMap<String, String>,
}

impl Seen {
    pub(crate) fn trace_id(&self) -> String {
        hex::encode(&self.span.trace_id)
    }

    pub(crate) fn span_id(&self) -> String {
        hex::encode(&self.span.span_id)
    }

    pub(crate) fn parent_id(&self) -> String {
        hex::encode(&self.span.parent_span_id)
    }

    /// What names it to whoever is called.
    pub(crate) fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace_id(), self.span_id(), self.span.flags)
    }

    /// The attribute `name`; empty where there is none.
    pub(crate) fn says(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    pub(crate) fn is_error(&self) -> bool {
        self.span.status.as_ref().is_some_and(|status| status.code == 2)
    }

    pub(crate) fn is_server(&self) -> bool {
        self.span.kind == 2
    }

    pub(crate) fn is_client(&self) -> bool {
        self.span.kind == 3
    }
}

impl Collector {
    /// Takes everything.
    pub(crate) fn start() -> Self {
        Self::answering(|_, _| Reply::status(200))
    }

    /// Answers the nth request (from 0) as `script` says.
    pub(crate) fn answering(script: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Self {
        Self(Upstream::start(script))
    }

    /// Its endpoint, as TOML.
    pub(crate) fn endpoint(&self) -> String {
        format!("\"http://{}\"", self.0.address)
    }

    /// The spans of every request so far, those of one that was refused too.
    pub(crate) fn spans(&self) -> Vec<Seen> {
        self.0.seen().iter().flat_map(spans).collect()
    }

    /// Waits until `count` spans `fit`, and gives them in the order in which they arrived.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize, fits: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        eventually("the spans", || {
            let found: Vec<Seen> = self.spans().into_iter().filter(&fits).collect();
            (found.len() >= count).then_some(found)
        })
    }
}

/// The spans of one request.
pub(crate) fn spans(request: &Received) -> Vec<Seen> {
    let decoded = ExportTraceServiceRequest::decode(&*request.body).unwrap();
    let mut found = Vec::new();
    for of_resource in decoded.resource_spans {
        let resource = named(&of_resource.resource.unwrap().attributes);
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            found.push(Seen { attributes: named(&span.attributes), resource: resource.clone(), span });
        }
    }
    found
}

fn named(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    pairs.iter().map(|pair| (pair.key.clone(), written(pair.value.as_ref()))).collect()
}

fn written(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => panic!("neither text nor number: {other:?}"),
    }
}
