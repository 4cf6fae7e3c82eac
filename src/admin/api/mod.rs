//! The API under `/api/v1/`: JSON of fixed shapes, and the `OpenAPI` document that is made of the very handlers.

pub(super) mod configuration;
pub(super) mod dead;
pub(super) mod events;
mod extract;
pub(super) mod now;
pub(super) mod quarantine;
pub(super) mod sinks;

use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::live;
use super::state::Admin;

pub(super) use extract::{Operator, Problem};

const ROOT: &str = "/api/v1";

/// Every path of the API.
pub(super) fn routes() -> Router<Admin> {
    let (router, document) = described().split_for_parts();
    router.route("/api/v1/openapi.json", get(move || std::future::ready(Json(document.clone()))))
}

fn described() -> OpenApiRouter<Admin> {
    let api = OpenApiRouter::new()
        .routes(routes!(now::now))
        .routes(routes!(live::follow))
        .routes(routes!(events::list))
        .routes(routes!(events::replay_several))
        .routes(routes!(events::show))
        .routes(routes!(events::open))
        .routes(routes!(events::body))
        .routes(routes!(events::curl))
        .routes(routes!(events::erase))
        .routes(routes!(events::replay))
        .routes(routes!(dead::list))
        .routes(routes!(dead::replay))
        .routes(routes!(dead::discard))
        .routes(routes!(quarantine::list))
        .routes(routes!(quarantine::show))
        .routes(routes!(quarantine::explain))
        .routes(routes!(quarantine::open))
        .routes(routes!(quarantine::body))
        .routes(routes!(quarantine::release))
        .routes(routes!(quarantine::discard))
        .routes(routes!(sinks::list))
        .routes(routes!(sinks::pause))
        .routes(routes!(sinks::resume))
        .routes(routes!(sinks::rate))
        .routes(routes!(configuration::show));
    OpenApiRouter::with_openapi(head()).nest(ROOT, api)
}

fn head() -> OpenApi {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_says_what_it_is_and_what_it_answers() {
        let document = serde_json::to_value(described().split_for_parts().1).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert!(paths.len() >= 15, "{:?}", paths.keys());
        for (path, operations) in paths {
            assert!(path.starts_with("/api/v1/"), "{path}");
            for (method, operation) in operations.as_object().unwrap() {
                assert!(operation["summary"].as_str().is_some_and(|words| !words.is_empty()), "{method} {path}");
                assert!(operation["responses"]["200"].is_object(), "{method} {path}");
            }
        }
    }
}
