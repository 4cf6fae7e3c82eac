//! Content type and coding: only what the source takes, and nothing compressed, ever.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method};

use super::reject::Reject;
use super::source::Source;

/// Refuses what `source` does not take, before anything about the sender is looked at. What is not POSTed has no content.
pub(super) fn content(source: Arc<Source>) -> impl Fn(&Parts) -> Result<(), Reject> + Clone {
    move |head| match head.method {
        Method::POST => {
            check_content(&head.headers, &source.config.content_types).map_err(Reject::UnsupportedMediaType)
        }
        _ => Ok(()),
    }
}

/// Checks the media type and the content codings.
///
/// # Errors
/// What is wrong, for the sender.
pub fn check_content(headers: &HeaderMap, taken: &[String]) -> Result<(), &'static str> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else {
        return Err("exactly one Content-Type is needed");
    };
    let essence = content_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if !taken.iter().any(|known| essence.eq_ignore_ascii_case(known.as_bytes())) {
        return Err("this Content-Type is not taken here");
    }
    let identity =
        |coding: &[u8]| coding.trim_ascii().is_empty() || coding.trim_ascii().eq_ignore_ascii_case(b"identity");
    let mut codings = headers.get_all(CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    if codings.all(identity) { Ok(()) } else { Err("Content-Encoding must be absent or identity") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(lines: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, http::HeaderValue::from_static(value));
        }
        check_content(&headers, &["application/json".to_owned()]).is_ok()
    }

    #[test]
    fn one_known_type_with_any_parameters_and_no_coding() {
        assert!(taken(&[("content-type", "application/json")]));
        assert!(taken(&[("content-type", "Application/JSON ; charset=utf-8")]));
        assert!(taken(&[("content-type", "application/json"), ("content-encoding", "identity")]));
        assert!(!taken(&[]));
        assert!(!taken(&[("content-type", "application/jsonp")]));
        assert!(!taken(&[("content-type", "application/json"), ("content-type", "application/json")]));
        assert!(!taken(&[("content-type", "application/json"), ("content-encoding", "gzip")]));
        assert!(!taken(&[("content-type", "application/json"), ("content-encoding", "identity, aws-chunked")]));
    }
}
