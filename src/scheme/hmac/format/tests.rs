//! Signature formats: which there are, and what each reads from a header and writes into one.

use super::*;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B64: &str = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=";

fn nice() -> Format {
    Format::parse("v1={hex},t={timestamp}").unwrap()
}

fn count(format: &Format, value: &str) -> Result<usize, Refusal> {
    format.macs(value.as_bytes(), Algorithm::Sha256).map(|macs| macs.len())
}

#[test]
fn formats_are_told_apart() {
    assert!(matches!(Format::parse("{hex}"), Ok(Format::Whole { encoding: Encoding::Hex, .. })));
    assert!(matches!(Format::parse("sha256={base64}"), Ok(Format::Whole { encoding: Encoding::Base64, .. })));
    assert!(matches!(Format::parse("t={timestamp}, v1={hex}"), Ok(Format::Parameters { separator: ',', .. })));
    assert!(matches!(Format::parse("ts={timestamp};h1={hex}"), Ok(Format::Parameters { separator: ';', .. })));
    for list in
        ["v1={hex}", "v0={base64}", "sha256={hex},sha256={hex}", "v1={hex};v1={hex}", "v1={base64url},v1={base64url}"]
    {
        assert!(matches!(Format::parse(list), Ok(Format::Parameters { items, .. }) if items.len() == 1), "{list}");
    }
    for whole in ["sha256={hex}", "sha256={hex};", "{base64url}", "version={hex}", "v1:{hex}", "{hex};x=y"] {
        assert!(matches!(Format::parse(whole), Ok(Format::Whole { .. })), "{whole}");
    }
    assert!(matches!(Format::parse("v1,{base64}"), Ok(Format::Versions { .. })));
    assert_eq!(nice().timestamp_name(), Some("t"));
}

#[test]
fn formats_that_cannot_work_are_faults() {
    for wrong in [
        "",
        "hex",
        "{HEX}",
        "{sha256}",
        "{hex}{hex}",
        "{hex}.{base64}",
        "{timestamp}",
        "v1={hex}.{timestamp}",
        "t={timestamp},u={timestamp},v1={hex}",
        "v1={hex},v1={base64}",
        "v1={hex};v2={hex}",
        "t={timestamp};t={timestamp};v1={hex}",
        "v1={hex}x",
        "v1={hex};t={timestamp},x={timestamp}",
        "v1={hex},v2={base64}",
        "t={timestamp},x={timestamp}",
        "v1={hex},",
        "v1={hex},t",
        "v1={hex},t=5",
        "v1=a{hex},t={timestamp}",
        "v1,{timestamp}",
        "v1,{hex},{base64}",
        "v1,v1",
        "v1={hex},t={id}",
        "{hex",
    ] {
        assert!(Format::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn parameter_lists_take_any_order_and_blanks() {
    for value in [
        format!("v1={A},t=5"),
        format!("t=5,v1={A}"),
        format!("  t=5 ,\t v1={A} "),
        format!("v0={A},t=5,v1={A},scheme=x=y,key.id=,_="),
    ] {
        assert_eq!(count(&nice(), &value), Ok(1), "{value}");
        assert_eq!(nice().timestamp(value.as_bytes()), Ok(b"5".as_slice()), "{value}");
    }
}

#[test]
fn parameter_lists_hold_one_timestamp() {
    let timestamp = |value: &str| nice().timestamp(value.as_bytes()).map(<[u8]>::to_vec);
    assert_eq!(timestamp(""), Err(Refusal::MissingTimestamp));
    assert_eq!(timestamp(&format!("v1={A}")), Err(Refusal::MissingTimestamp));
    assert_eq!(timestamp(&format!("v1={A},T=5")), Err(Refusal::MissingTimestamp));
    assert_eq!(timestamp(&format!("v1={A};t=5")), Err(Refusal::MissingTimestamp));
    assert_eq!(timestamp(&format!("t=5,v1={A},t=5")), Err(Refusal::InvalidTimestamp));
    assert_eq!(timestamp(&format!("t=,v1={A}")), Ok(vec![]), "empty, which no unit takes");
}

#[test]
fn parameter_lists_hold_one_to_eight_macs() {
    let list = |n: usize| format!("{}t=5", format!("v1={A},").repeat(n));
    assert_eq!(count(&nice(), &list(0)), Err(Refusal::MissingSignature));
    assert_eq!(count(&nice(), &list(1)), Ok(1));
    assert_eq!(count(&nice(), &list(8)), Ok(8));
    assert_eq!(count(&nice(), &list(9)), Ok(0));
    assert_eq!(count(&nice(), &list(200)), Ok(0));
}

#[test]
fn other_versions_alone_are_missing_signatures() {
    for others in [format!("v0={A}"), format!("v2={A}"), format!("V1={A}"), format!("v2={A},v1=zz"), A.into()] {
        assert_eq!(count(&nice(), &format!("t=5,{others}")), Err(Refusal::MissingSignature), "{others}");
    }
}

#[test]
fn anything_else_in_a_parameter_list_offers_nothing() {
    for wrong in [
        format!("v1={A},t=5,"),
        format!("v1={A},,t=5"),
        format!("v1={A},t=5,junk"),
        format!("v1={A},t=5,=x"),
        format!("v1={A},t=5,a b=c"),
        format!("v1={A}0,t=5"),
        format!("v1={A}{A},t=5"),
        format!("v1={A},v1=,t=5"),
        "v1=,t=5".into(),
        format!("v1= {A},t=5"),
        format!("v1=\"{A}\",t=5"),
    ] {
        assert_eq!(count(&nice(), &wrong), Ok(0), "{wrong}");
    }
}

#[test]
fn version_lists_are_separated_by_single_spaces() {
    let format = Format::parse("v1,{base64}").unwrap();
    assert_eq!(count(&format, &format!("v1,{B64}")), Ok(1));
    assert_eq!(count(&format, &format!("v1a,xyz v1,{B64} v2,{B64} v1,{B64}")), Ok(2));
    assert_eq!(count(&format, &format!("v2,{B64}")), Err(Refusal::MissingSignature));
    for wrong in [
        String::new(),
        B64.into(),
        format!("v1={B64}"),
        format!("v1,{B64} "),
        format!("v1,{B64}  v1,{B64}"),
        format!("v1,{B64},v1,{B64}"),
        format!("v1,{B64} junk"),
        format!("v1,{A}"),
    ] {
        assert_eq!(count(&format, &wrong), Ok(0), "{wrong}");
    }
}

#[test]
fn what_is_written_is_read() {
    let mac = Mac::from_hex(A.as_bytes(), Algorithm::Sha256).unwrap();
    for text in [
        "{hex}",
        "{base64url}",
        "sha256={base64};",
        "v1={hex},t={timestamp}",
        "ts={timestamp};h1={hex}",
        "v1={base64url}",
        "v1,{base64}",
        "v1,{base64url}",
        "t={timestamp},s={base64}",
    ] {
        let format = Format::parse(text).unwrap();
        let macs = format.macs(format.write(&mac, "5").as_bytes(), Algorithm::Sha256).unwrap();
        assert_eq!(macs.len(), 1, "{text}");
        assert!(bool::from(macs[0].matches(&mac)), "{text}");
    }
}

#[test]
fn a_list_of_one_name_is_a_rotation() {
    for text in ["v1={hex}", "v1={hex},v1={hex}"] {
        let format = Format::parse(text).unwrap();
        for (value, macs) in [
            (format!("v1={A}"), 1),
            (format!("v1={A},v1={A}"), 2),
            (format!(" v1={A} , v1={A}"), 2),
            (format!("v0=x,v1={A}"), 1),
            (format!("{}v1={A}", format!("v1={A},").repeat(7)), 8),
            (format!("{}v1={A}", format!("v1={A},").repeat(8)), 0),
            (format!("v1={A},v1=zz"), 0),
            (format!("v1={A},"), 0),
            (format!("v1={A};v1={A}"), 0),
        ] {
            assert_eq!(count(&format, &value), Ok(macs), "{text} {value}");
        }
        assert_eq!(count(&format, &format!("v2={A}")), Err(Refusal::MissingSignature));
        assert_eq!(format.write(&Mac::from_hex(A.as_bytes(), Algorithm::Sha256).unwrap(), ""), format!("v1={A}"));
    }
    let strict = Format::parse("sha256={hex}").unwrap();
    assert_eq!(count(&strict, &format!("sha256={A},sha256={A}")), Ok(0), "a doubled MAC is none");
}

#[test]
fn a_list_has_the_separator_it_was_given() {
    let format = Format::parse("ts={timestamp};h1={hex}").unwrap();
    assert_eq!(count(&format, &format!("ts=5;h1={A}")), Ok(1));
    assert_eq!(count(&format, &format!("h1={A}; h1={A};ts=5")), Ok(2));
    assert_eq!(format.timestamp(format!("ts=5;h1={A}").as_bytes()), Ok(b"5".as_slice()));
    assert_eq!(count(&format, &format!("ts=5,h1={A}")), Err(Refusal::MissingSignature));
    assert_eq!(format.timestamp(format!("ts=5;ts=5;h1={A}").as_bytes()), Err(Refusal::InvalidTimestamp));
}

#[test]
fn base64_is_read_in_either_alphabet_whatever_is_written() {
    let bytes = "+/////////////////////////////////////////8=";
    for text in ["{base64}", "{base64url}"] {
        let format = Format::parse(text).unwrap();
        for value in [bytes.to_owned(), bytes.replace('=', ""), bytes.replace('+', "-").replace('/', "_")] {
            assert_eq!(count(&format, &value), Ok(1), "{text} {value}");
        }
    }
    let url = Format::parse("{base64url}").unwrap();
    let written = url.write(&Mac::from_base64(bytes.as_bytes(), Algorithm::Sha256).unwrap(), "");
    assert_eq!(written, "-_________________________________________8");
}
