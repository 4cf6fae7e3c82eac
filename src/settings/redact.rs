//! What is shown of values that may hold a secret.

/// What stands where a secret stood.
pub(crate) const REDACTED: &str = "[redacted]";

/// `url` without its user's password and the values in its query, which often are credentials too.
///
/// Everything before the last `@` goes: a password that was not percent-encoded may hold `/` or `?` itself.
pub(crate) fn url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (format!("{REDACTED}@"), rest),
        None => (String::new(), rest),
    };
    let Some((place, query)) = rest.split_once('?') else { return format!("{scheme}://{user}{rest}") };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name @ "sslmode", value)) => format!("{name}={value}"),
        Some((name, _)) => format!("{name}={REDACTED}"),
        None => REDACTED.to_owned(),
    });
    format!("{scheme}://{user}{place}?{}", shown.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn passwords_and_query_values_are_left_out_of_urls() {
        for (whole, shown) in [
            ("sqlite:data/a@b.db", "sqlite:data/a@b.db"),
            ("https://host/path", "https://host/path"),
            ("postgres://u:hunter2@h:5432/d?sslmode=require", "postgres://[redacted]@h:5432/d?sslmode=require"),
            ("postgres://u:hun/te?r2@h/d", "postgres://[redacted]@h/d"),
            ("postgres://h/d?user=u&password=hunter2", "postgres://h/d?user=[redacted]&password=[redacted]"),
            ("https://h/hook?hunter2", "https://h/hook?[redacted]"),
        ] {
            assert_eq!(url(whole), shown);
        }
    }
}
