//! The `OpenAPI` document around the operations: what it is about, who may ask, and the refusals that all of them share.

use utoipa::PartialSchema as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, RefOr, Response, ResponseBuilder,
    SecurityRequirement,
};

use crate::admin::answer::Refusal;

/// Without any operation.
pub(super) fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("gatepost")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "What the command line can do to a running daemon. Refusals are JSON: error, code, message. Unknown parameters \
             are refused. Bodies and kept headers are shown to operators alone, and each opening is an audit record.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").build()));
    let token = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    OpenApiBuilder::new()
        .info(info.build())
        .components(Some(ComponentsBuilder::new().security_scheme("token", token).build()))
        .security(Some([SecurityRequirement::new("token", Vec::<String>::new())]))
        .build()
}

/// Adds to every operation the refusals that what stands around the handlers may answer, or what reads their parameters.
pub(super) fn add_refusals(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        let acts = item.post.is_some();
        let operations = [item.get.as_mut(), item.post.as_mut()];
        for operation in operations.into_iter().flatten() {
            for (status, words) in shared(operation, acts) {
                operation.responses.responses.entry(status.to_owned()).or_insert_with(|| refusal(words));
            }
        }
    }
}

fn shared(operation: &Operation, acts: bool) -> Vec<(&'static str, &'static str)> {
    let mut refusals = vec![("401", "without the token"), ("503", "the store does not answer, or not in time")];
    let reads_body = operation.request_body.is_some();
    if reads_body || operation.parameters.is_some() {
        refusals.push(("400", "a parameter or the body says what cannot be"));
    }
    if acts {
        refusals.push(("403", "takes the role operator, and comes from no other site"));
    }
    if reads_body {
        refusals.push(("413", "a body of more than 64 KiB"));
        refusals.push(("415", "the body is not said to be JSON"));
        refusals.push(("422", "JSON of another shape, or with an unknown member"));
    }
    refusals
}

fn refusal(words: &str) -> RefOr<Response> {
    let content = Content::new(Some(Refusal::schema()));
    ResponseBuilder::new().description(words).content("application/json", content).build().into()
}
