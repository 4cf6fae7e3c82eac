//! HMAC signatures that come in a list: `nice` among its parameters, Standard Webhooks among versions over its id.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gatepost::scheme::Refusal;

use super::hmac::{BODY, MISMATCH, NEW, NOW, OLD, hex_mac, valid, verdict};

#[test]
fn nice_takes_a_list_of_parameters() {
    let (good, old) = (hex_mac(NEW, &[BODY]), hex_mac(OLD, &[BODY]));
    let other = "ab".repeat(32);
    let nice = |value: &str| verdict("nice", &[("x-nice-signature", value)]);
    for right in [
        format!("v1={good},t={NOW}"),
        format!("t={NOW},v1={good}"),
        format!(" t={NOW} , v1={good}"),
        format!("v1={},t={NOW}", good.to_uppercase()),
        format!("v1={other},v1={good},t={NOW}"),
        format!("v1={good},v1={other},t={NOW}"),
        format!("{}v1={good},t={NOW}", format!("v1={other},").repeat(7)),
        format!("v0={other},v1={good},v2=whatever,t={NOW},scheme=x=y"),
    ] {
        assert_eq!(nice(&right), Ok(0), "{right}");
    }
    assert_eq!(nice(&format!("v1={old},t={NOW}")), Ok(1));
    for wrong in [
        format!("{}v1={good},t={NOW}", format!("v1={other},").repeat(8)),
        format!("v1={other},t={NOW}"),
        format!("v1={good},t={NOW},"),
        format!("v1={good},,t={NOW}"),
        format!("v1={good},t={NOW},junk"),
        format!("v1={good}{good},t={NOW}"),
        format!("v1=,t={NOW}"),
        format!("v1={good},v1=zz,t={NOW}"),
        format!("v1={good} ;,t={NOW}"),
    ] {
        assert_eq!(nice(&wrong), MISMATCH, "{wrong}");
    }
    for missing in [
        format!("t={NOW}"),
        format!("v0={good},t={NOW}"),
        format!("v2={good},t={NOW}"),
        format!("V1={good},t={NOW}"),
        format!("v0={good},V1={good},v2={good},t={NOW}"),
        format!("v11={good},t={NOW}"),
        format!("{good},t={NOW}"),
    ] {
        assert_eq!(nice(&missing), Err(Refusal::MissingSignature), "{missing}");
    }
    for timeless in [String::new(), good.clone(), format!("v1={good}"), format!("v1={good};t={NOW}")] {
        assert_eq!(nice(&timeless), Err(Refusal::MissingTimestamp), "{timeless}");
    }
    for wrong in [format!("v1={good},t={NOW},t={NOW}"), format!("t=1,v1={good},t={NOW}"), format!("v1={good},t=")] {
        assert_eq!(nice(&wrong), Err(Refusal::InvalidTimestamp), "{wrong}");
    }
    assert_eq!(nice(&"v1,".repeat(5000)), Err(Refusal::MissingTimestamp));
    assert_eq!(nice(&format!("t={NOW},{}", "v1=0,".repeat(3000))), MISMATCH);
}

#[test]
fn standard_webhooks_takes_a_list_of_versions_over_its_id() {
    let headers = valid("standard-webhooks", NEW);
    let good = headers[2].1.as_str();
    let other = format!("v1,{}", STANDARD.encode([7; 32]));
    let send = |id: &str, signature: &str| {
        verdict(
            "standard-webhooks",
            &[("webhook-id", id), ("webhook-timestamp", NOW), ("webhook-signature", signature)],
        )
    };
    for right in [
        good.into(),
        format!("{other} {good}"),
        format!("v1a,xyz {good} {other}"),
        format!("v2,a {good}"),
        good.trim_end_matches('=').into(),
    ] {
        assert_eq!(send("msg_1", &right), Ok(0), "{right}");
    }
    for wrong in [
        other.clone(),
        good.replace("v1,", ""),
        good.replace(',', "="),
        format!("{good},{good}"),
        format!("{good} {good}x"),
        format!("{good} junk"),
        format!("{good}="),
        format!("v1,{}", hex_mac(NEW, &[b"msg_1.", NOW.as_bytes(), b".", BODY])),
        format!("{} {good}", vec![other; 8].join(" ")),
    ] {
        assert_eq!(send("msg_1", &wrong), MISMATCH, "{wrong}");
    }
    for missing in ["v2,AAAA", "v0,AAAA v1a,AAAA", &good.replace("v1,", "V1,")] {
        assert_eq!(send("msg_1", missing), Err(Refusal::MissingSignature), "{missing}");
    }
    assert_eq!(send("msg_2", good), MISMATCH);
    assert_eq!(send("", good), MISMATCH);
    let idless = [("webhook-timestamp", NOW), ("webhook-signature", good)];
    assert_eq!(verdict("standard-webhooks", &idless), MISMATCH);
    let twice = [("webhook-id", "msg_1"), ("webhook-id", "msg_1"), idless[0], idless[1]];
    assert_eq!(verdict("standard-webhooks", &twice), MISMATCH);
}
