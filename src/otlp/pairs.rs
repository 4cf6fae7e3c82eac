//! `name=value` pairs separated by commas, values percent-encoded, as OpenTelemetry's variables hold lists.
//!
//! Source: OpenTelemetry, resource SDK and OTLP exporter: the form of W3C Baggage without its properties.

use percent_encoding::percent_decode_str;

/// Reads them; `None` where one is none. Empty ones are left out, blanks around names and values dropped.
pub(super) fn parse(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs.map(pair).collect()
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    let (name, value) = (decoded(name)?, decoded(value)?);
    (!name.is_empty()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_what_is_none_is_not() {
        let read =
            |text| parse(text).map(|pairs| pairs.into_iter().map(|(a, b)| format!("{a}:{b}")).collect::<Vec<_>>());
        assert_eq!(read("a=1, b = x%20y%2Cz ,,c=d=e,"), Some(vec!["a:1".into(), "b:x y,z".into(), "c:d=e".into()]));
        assert_eq!(read(" "), Some(vec![]));
        for wrong in ["a", "a=1,b", "=1", "a=%ff"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
