//! URLs that nothing can be sent to: `check` refuses them, whoever they are for, and repeats nothing of them.

use crate::support::Setup;

/// What `check` says of `setup`, which must fail.
#[track_caller]
fn refused(setup: &Setup) -> String {
    let output = setup.run(&["check"]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    said
}

/// Wrong wherever a URL stands: what follows the scheme, and a word of what is said.
const WRONG: [(&str, &str); 8] = [
    ("h.internal:0/1/q", "1 to 65535"),
    ("h.internal:99999/1/q", "1 to 65535"),
    ("h.internal:/1/q", "1 to 65535"),
    ("h.internal/1/q#hunter2", "fragment"),
    ("h.internal/1/q hunter2", "blanks"),
    (" h.internal/1/q", "blanks"),
    ("/1/q", "host"),
    (":443/1/q", "host"),
];

#[test]
fn sinks_of_every_kind() {
    let mut setup = Setup::new().preset("nice");
    let mut expected = Vec::new();
    let user = ("us:hunter2@h.internal/1/q", "password");
    for (kind, scheme) in [("http", "https"), ("http", "http"), ("sqs", "https"), ("nats", "nats"), ("nats", "tls")] {
        if kind != "http" && !cfg!(all(feature = "nats", feature = "sqs")) {
            continue;
        }
        for (rest, word) in WRONG.iter().copied().chain((kind != "nats").then_some(user)) {
            let index = expected.len();
            let rest = if kind == "nats" { rest.replace("/1/q", "") } else { rest.to_owned() };
            let more = if kind == "sqs" { "token = { value = \"AKID:secret\" }\n" } else { "" };
            setup = setup.block(&format!(
                "[[sink]]\nname = \"s{index}\"\ntype = \"{kind}\"\nurl = \"{scheme}://{rest}\"\n{more}"
            ));
            expected.push((format!("sink[{index}].url: "), word));
        }
    }
    let said = refused(&setup);
    for (place, word) in expected {
        let line = said.lines().find(|line| line.contains(&place));
        assert!(line.is_some_and(|line| line.contains(word)), "{place}{word}: {line:?}\n{said}");
    }
}

#[test]
fn the_siem_and_the_sink_of_the_environment() {
    for (rest, word) in WRONG.into_iter().chain([("us:hunter2@h.internal/", "password")]) {
        let url = format!("https://{rest}");
        let said = refused(&Setup::new().preset("nice").set("siem", "url", &format!("{url:?}")));
        assert!(said.lines().any(|line| line.starts_with("siem.url: ") && line.contains(word)), "{url}: {said}");
        for variable in ["GATEPOST_FORWARD_URL", "GATEPOST_SIEM_URL"] {
            let said = refused(&Setup::new().preset("nice").env(variable, &url));
            let place = format!("{variable}: ");
            assert!(said.lines().any(|line| line.starts_with(&place) && line.contains(word)), "{url}: {said}");
        }
    }
    let setup =
        Setup::new().preset("nice").set("siem", "url", "\"https://h/\"").set("siem", "ca_file", "\"/none.pem\"");
    assert!(refused(&setup).contains("siem.ca_file: /none.pem"), "what would end `serve` fails `check`");
}
