//! What a token must claim: that it is valid now, of whom it is and for whom (RFC 7519, section 4.1).

use super::fault::Fault;
use super::object::{Object, Value};
use crate::clock::UnixSeconds;
use crate::scheme::Moment;

/// Whose tokens are taken, and for whom. Empty: whoever, and those that are for nobody in particular.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) issuers: Vec<String>,
    pub(super) audiences: Vec<String>,
}

impl Wanted {
    /// Everything that is wrong with `claims` at `moment`.
    pub(super) fn faults(&self, claims: &Object<'_>, moment: Moment) -> Vec<Fault> {
        let mut faults = times(claims, moment);
        let issuer = claims.get("iss");
        let named = issuer.and_then(Value::text);
        let fits = |name: &String| self.issuers.is_empty() || self.issuers.contains(name);
        if !named.as_ref().map_or(issuer.is_none() && self.issuers.is_empty(), fits) {
            faults.push(Fault::Issuer(named.or_else(|| issuer.map(|value| value.spelled().to_owned()))));
        }
        // A token that names its audience is for nobody else (RFC 7519, section 4.1.3), also where none is configured.
        match claims.get("aud") {
            None if self.audiences.is_empty() => {}
            None => faults.push(Fault::Audience(Vec::new())),
            Some(value) => {
                let named = value.texts().unwrap_or_default();
                if !named.iter().any(|name| self.audiences.contains(name)) {
                    faults.push(Fault::Audience(named));
                }
            }
        }
        faults
    }
}

/// What is wrong with the times in `claims` at `moment`.
fn times(claims: &Object<'_>, moment: Moment) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut time = |name: &'static str| {
        let value = claims.get(name)?;
        let time = value.time();
        if time.is_none() {
            faults.push(Fault::NotATime(name, value.spelled().to_owned()));
        }
        time
    };
    let (exp, nbf, iat) = (time("exp"), time("nbf"), time("iat"));
    let now = moment.now.0;
    let leeway = i64::try_from(moment.leeway).unwrap_or(i64::MAX);
    let ahead = |time: i64| time > now.saturating_add(leeway);
    if claims.get("exp").is_none() {
        faults.push(Fault::Endless);
    }
    if let Some(exp) = exp.filter(|exp| exp.saturating_add(leeway) <= now) {
        faults.push(Fault::Expired(UnixSeconds(exp)));
    }
    if let Some(nbf) = nbf.filter(|nbf| ahead(*nbf)) {
        faults.push(Fault::NotYet(UnixSeconds(nbf)));
    }
    if let Some(iat) = iat.filter(|iat| ahead(*iat)) {
        faults.push(Fault::Future(UnixSeconds(iat)));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn faults(claims: &str) -> Vec<Fault> {
        let wanted = Wanted { issuers: vec!["a".into(), "b".into()], audiences: vec!["x".into()] };
        let moment = Moment { now: UnixSeconds(NOW), leeway: 300 };
        wanted.faults(&Object::read(claims.as_bytes()).unwrap(), moment)
    }

    fn timed(claims: &str) -> Vec<Fault> {
        faults(&format!(r#"{{"iss":"a","aud":"x"{claims}}}"#))
    }

    #[test]
    fn the_leeway_ends_to_the_second() {
        let at = UnixSeconds;
        for (claims, wanted) in [
            (format!(r#","exp":{}"#, NOW - 299), vec![]),
            (format!(r#","exp":{}"#, NOW - 300), vec![Fault::Expired(at(NOW - 300))]),
            (format!(r#","exp":{NOW},"nbf":{}"#, NOW + 300), vec![]),
            (format!(r#","exp":{NOW},"nbf":{}"#, NOW + 301), vec![Fault::NotYet(at(NOW + 301))]),
            (format!(r#","exp":{NOW},"iat":{}"#, NOW + 300), vec![]),
            (format!(r#","exp":{NOW},"iat":{}"#, NOW + 301), vec![Fault::Future(at(NOW + 301))]),
            (format!(r#","exp":{NOW},"iat":0,"nbf":0"#), vec![]),
            (r#","exp":253402300799"#.to_owned(), vec![]),
            (r#","exp":0"#.to_owned(), vec![Fault::Expired(at(0))]),
            (String::new(), vec![Fault::Endless]),
            (r#","exp":"9""#.to_owned(), vec![Fault::NotATime("exp", "\"9\"".into())]),
            (r#","exp":-9"#.to_owned(), vec![Fault::NotATime("exp", "-9".into())]),
            (format!(r#","exp":{NOW},"nbf":null"#), vec![Fault::NotATime("nbf", "null".into())]),
            (format!(r#","exp":{NOW},"iat":"1""#), vec![Fault::NotATime("iat", "\"1\"".into())]),
        ] {
            assert_eq!(timed(&claims), wanted, "{claims}");
        }
    }

    #[test]
    fn nothing_overflows() {
        let wanted = Wanted::default();
        let object = Object::read(br#"{"exp":253402300799,"nbf":0,"iat":0}"#).unwrap();
        for now in [i64::MIN, -1, 0, i64::MAX] {
            for leeway in [0, u64::MAX] {
                drop(wanted.faults(&object, Moment { now: UnixSeconds(now), leeway }));
            }
        }
    }

    #[test]
    fn of_whom_and_for_whom() {
        let other = |iss: &str, aud: &str| faults(&format!(r#"{{"exp":{NOW}{iss}{aud}}}"#));
        assert_eq!(other(r#","iss":"b""#, r#","aud":["y","x"]"#), []);
        for (iss, found) in [(r#","iss":"A""#, Some("A")), ("", None), (r#","iss":["a"]"#, Some(r#"["a"]"#))] {
            assert_eq!(other(iss, r#","aud":"x""#), [Fault::Issuer(found.map(str::to_owned))]);
        }
        for (aud, found) in [
            (r#","aud":"X""#, &["X"][..]),
            ("", &[]),
            (r#","aud":[]"#, &[]),
            (r#","aud":["y","z"]"#, &["y", "z"]),
            (r#","aud":["x",1]"#, &[]),
            (r#","aud":{"x":"x"}"#, &[]),
        ] {
            assert_eq!(
                other(r#","iss":"a""#, aud),
                [Fault::Audience(found.iter().map(|it| (*it).to_owned()).collect())]
            );
        }
        let nobody = Wanted::default();
        let moment = Moment { now: UnixSeconds(NOW), leeway: 0 };
        let faults = |claims: &str| nobody.faults(&Object::read(claims.as_bytes()).unwrap(), moment);
        assert_eq!(faults(r#"{"exp":1000001,"iss":"whoever"}"#), []);
        assert_eq!(faults(r#"{"exp":1000001,"aud":"somebody"}"#), [Fault::Audience(vec!["somebody".into()])]);
    }
}
