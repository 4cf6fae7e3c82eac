//! The model of a canonical request against the one that verifies, and the bounds of the search.

use http::{HeaderValue, Request};
use proptest::prelude::*;

use super::model::Model;
use super::parts::hash;
use crate::scheme::sigv4::canonical;
use crate::scheme::sigv4::query::Plus;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Taken apart and put together again it is the text that is verified.
    #[test]
    fn the_model_is_the_canonical_request(
        target in "/[a-z%2F./]{0,20}(\\?[a-z=&+%2f]{0,20})?",
        lines in proptest::collection::vec(("[a-c]", "[ -~]{0,12}"), 0..5),
        plus in prop_oneof![Just(Plus::Blank), Just(Plus::Sign)],
    ) {
        let mut head = Request::post(target).header("host", "h:1").body(()).unwrap().into_parts().0;
        for (name, value) in &lines {
            let name: http::HeaderName = name.parse().unwrap();
            head.headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let payload = hash(b"x");
        for signed in ["host", "a;host", "a;b;c;host", "missing"] {
            let verified = canonical::request(&head, signed, &payload, plus).text;
            prop_assert_eq!(Model::of(&head, signed, &payload, plus).text(), verified);
        }
    }
}
