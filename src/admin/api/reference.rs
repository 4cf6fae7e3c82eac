//! The page of every path of the API, made of its `OpenAPI` document.

use std::fmt::Write as _;

use utoipa::openapi::RefOr;
use utoipa::openapi::path::Operation;

const HEAD: &str = "\
# The API

Written by `gatepost reference api` from the OpenAPI document, which the handlers themselves make and every daemon serves at
`/api/v1/openapi.json`: parameters, bodies and answers stand there. How to sign in, and examples:
[the page and its API](admin.md#the-api). What a POST does takes the role `operator`; so does what opens a body.

| method | path | what it does | parameters |
|---|---|---|---|
";

/// The page, as Markdown.
pub(crate) fn page() -> String {
    let document = super::described().split_for_parts().1;
    let mut text = HEAD.to_owned();
    for (path, item) in &document.paths.paths {
        for (method, operation) in [("GET", &item.get), ("POST", &item.post)] {
            if let Some(operation) = operation {
                row(method, path, operation, &mut text);
            }
        }
    }
    text
}

fn row(method: &str, path: &str, operation: &Operation, text: &mut String) {
    let summary =
        operation.summary.as_deref().unwrap_or_default().trim_end_matches('.').replace('|', "\\|").replace('\n', " ");
    // Handlers declare their parameters in place: nothing refers elsewhere.
    let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(format!("`{}`", parameter.name)),
        RefOr::Ref(_) => None,
    });
    let mut names: Vec<String> = parameters.collect();
    if operation.request_body.is_some() {
        names.push("a JSON body".to_owned());
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "| {method} | `{path}` | {summary} | {} |", names.join(", "));
}
