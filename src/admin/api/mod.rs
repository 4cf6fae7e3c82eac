//! The API under `/api/v1/`: JSON of fixed shapes, and the `OpenAPI` document that is made of the very handlers.

pub(super) mod configuration;
pub(super) mod dead;
mod document;
pub(super) mod events;
mod extract;
pub(super) mod now;
pub(super) mod quarantine;
pub(super) mod reference;
pub(super) mod several;
pub(super) mod sinks;
pub(super) mod store;

use axum::routing::get;
use axum::{Json, Router};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::Admin;
use super::{live, tail};

pub(super) use extract::{Asked, Operator, Problem};

const ROOT: &str = "/api/v1";

/// Every path of the API.
pub(super) fn routes() -> Router<Admin> {
    let (router, mut document) = described().split_for_parts();
    document::add_refusals(&mut document);
    router.route("/api/v1/openapi.json", get(move || std::future::ready(Json(document.clone()))))
}

fn described() -> OpenApiRouter<Admin> {
    let api = OpenApiRouter::new()
        .routes(routes!(now::now))
        .routes(routes!(live::follow))
        .routes(routes!(tail::tail))
        .routes(routes!(events::list))
        .routes(routes!(several::replay))
        .routes(routes!(several::erase))
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
        .routes(routes!(quarantine::near_misses))
        .routes(routes!(quarantine::show))
        .routes(routes!(quarantine::explain))
        .routes(routes!(quarantine::open))
        .routes(routes!(quarantine::body))
        .routes(routes!(quarantine::release))
        .routes(routes!(quarantine::discard))
        .routes(routes!(quarantine::release_several))
        .routes(routes!(quarantine::discard_several))
        .routes(routes!(sinks::list))
        .routes(routes!(sinks::pause))
        .routes(routes!(sinks::resume))
        .routes(routes!(sinks::rate))
        .routes(routes!(store::stats))
        .routes(routes!(store::backup))
        .routes(routes!(configuration::show));
    OpenApiRouter::with_openapi(document::head()).nest(ROOT, api)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_says_what_it_is_and_what_it_answers() {
        let mut document = described().split_for_parts().1;
        document::add_refusals(&mut document);
        let document = serde_json::to_value(document).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert!(paths.len() >= 15, "{:?}", paths.keys());
        for (path, operations) in paths {
            assert!(path.starts_with("/api/v1/"), "{path}");
            for (method, operation) in operations.as_object().unwrap() {
                assert!(operation["summary"].as_str().is_some_and(|words| !words.is_empty()), "{method} {path}");
                assert!(operation["responses"]["200"].is_object(), "{method} {path}");
                assert!(operation["responses"]["401"].is_object(), "{method} {path}");
                assert!(operation["responses"]["403"].is_object() || method == "get", "{method} {path}");
            }
        }
    }
}
