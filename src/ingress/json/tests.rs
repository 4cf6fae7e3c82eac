//! What is accepted, what is refused, and what is picked out, against `serde_json` where that has an opinion.

use super::*;
use proptest::prelude::*;

fn found<'a>(body: &'a str, pointer: &str) -> Found<'a> {
    scan(body.as_bytes(), &[Pointer::new(pointer)]).unwrap()[0]
}

#[test]
fn finds_what_stands_at_a_pointer() {
    let body = r#" {"a":{"id":"x\u0041"},"b~/c":[{"n":-1.5e3},null],"\u0069d":7} "#;
    assert_eq!(found(body, "/a/id").value.unwrap().text().unwrap(), "xA");
    assert_eq!(found(body, "/b~0~1c/0/n").value, Some(Value::Number("-1.5e3")));
    assert_eq!(found(body, "/b~0~1c/1").value, Some(Value::Null));
    assert_eq!(found(body, "/id").value, Some(Value::Number("7")));
    assert_eq!(found(body, "/a").value, Some(Value::Other));
    assert_eq!(found(body, "/a/id/x"), Found::default());
    assert_eq!(found(body, "/nope"), Found::default());
}

#[test]
fn says_when_a_name_on_the_way_stands_twice() {
    assert!(found(r#"{"id":1,"id":1}"#, "/id").twice);
    assert!(found(r#"{"id":1,"\u0069d":2}"#, "/id").twice);
    assert!(found(r#"{"a":{},"a":{"id":2}}"#, "/a/id").twice);
    assert!(!found(r#"{"x":1,"x":2,"a":{"id":1},"id":2}"#, "/id").twice);
}

#[test]
fn refuses_what_parsers_disagree_about() {
    for body in [
        "",
        "[]",
        "1",
        "\u{feff}{}",
        "{} x",
        "{}{}",
        "{",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":[1,]}"#,
        r"{a:1}",
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":-}"#,
        r#"{"a":+1}"#,
        r#"{"a":1e}"#,
        r#"{"a":tru}"#,
        r#"{"a":NaN}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12g4"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\udc00"}"#,
        r#"{"a":"\ud800\u0041"}"#,
        r#"{"\ud800":1}"#,
        "{\"a\":\"\n\"}",
        "{\"a\":\"\u{1}\"}",
        "{\"a\":'b'}",
        "{\"a\":1 /* */}",
        "{\"a\":\"unfinished",
        "{\"a\":1\u{a0}}",
    ] {
        assert!(scan(body.as_bytes(), &[]).is_err(), "{body}");
    }
    assert!(scan(b"{\"a\":\"\xff\"}", &[]).is_err());
}

#[test]
fn takes_a_hundred_and_twenty_eight_levels_and_no_more() {
    let nested = |levels: usize| format!("{}{{}}{}", "{\"a\":".repeat(levels - 1), "}".repeat(levels - 1));
    assert!(scan(nested(MAX_DEPTH).as_bytes(), &[]).is_ok());
    assert!(scan(nested(MAX_DEPTH + 1).as_bytes(), &[]).is_err());
    let arrays = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    assert!(scan(arrays(MAX_DEPTH).as_bytes(), &[]).is_ok());
    assert!(scan(arrays(MAX_DEPTH + 1).as_bytes(), &[]).is_err());
    assert!(scan("[".repeat(1_000_000).as_bytes(), &[]).is_err());
    assert!(scan(format!("{{\"a\":{}", "[".repeat(1_000_000)).as_bytes(), &[]).is_err());
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,20}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::btree_map(".{0,8}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn takes_all_that_serde_json_writes(id in ".{0,40}", rest in value()) {
        let object = serde_json::json!({ "id": id, "rest": rest });
        for body in [serde_json::to_string(&object).unwrap(), serde_json::to_string_pretty(&object).unwrap()] {
            prop_assert_eq!(found(&body, "/id").value.unwrap().text().unwrap(), id.clone());
        }
    }

    #[test]
    fn never_takes_what_serde_json_refuses(body in r#"[\{\}\[\]",:0-9a-z\\ueE+\-. ]{0,40}"#) {
        let ours = scan(body.as_bytes(), &[]).is_ok();
        let theirs = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&body);
        // serde_json also refuses numbers that overflow an f64.
        let overflow = theirs.as_ref().err().is_some_and(|error| error.to_string().contains("out of range"));
        prop_assert_eq!(ours, theirs.is_ok() || overflow, "{}", body);
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = scan(&body, &[Pointer::new("/id")]);
    }
}

#[test]
fn any_number_of_pointers_is_followed() {
    for count in [0, 1, 63, 64, 65, 128, 129, 500] {
        let members: Vec<String> = (0..count).map(|n| format!("\"m{n}\":{n}")).collect();
        let body = format!("{{{}}}", members.join(","));
        let pointers: Vec<Pointer> = (0..count).map(|n| Pointer::new(&format!("/m{n}"))).collect();
        let found = scan(body.as_bytes(), &pointers).unwrap();
        assert_eq!(found.len(), count);
        for (n, found) in found.iter().enumerate() {
            assert_eq!(found.value, Some(Value::Number(&n.to_string())), "{n} of {count}");
        }
    }
    let pointers = vec![Pointer::new("/a"); 100];
    assert!(scan(br#"{"a":1,"a":2}"#, &pointers).unwrap().iter().all(|found| found.twice));
    assert!(scan(b"{} x", &pointers).is_err());
}
