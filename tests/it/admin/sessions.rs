//! Signing in: cookies nobody can fix, read or carry elsewhere, guessing that is slow, sessions that end.

use super::client::{Client, TOKEN, VIEWER, guarded};
use crate::support::{Setup, eventually};

#[test]
fn a_session_is_begun_anew_at_sign_in_and_ends_at_sign_out() {
    let daemon = guarded(Setup::new().preset("nice")).start();
    let mut client = Client::new(&daemon);
    assert_eq!(client.get("/").status, 401);
    assert!(client.get("/").text().contains("action=\"/sign-in\""));
    // One that somebody else made up is worth nothing, before and after.
    let planted = format!("gatepost_session={}", "a".repeat(64));
    client.cookie = Some(planted.clone());
    assert_eq!(client.get("/").status, 401);
    let answer = client.post("/sign-in", &[("token", TOKEN), ("to", "/refused?source=nice")]);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/refused?source=nice")));
    let set = answer.header("set-cookie").unwrap();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(set.contains(attribute), "{set}");
    }
    assert!(!set.contains("Secure") && !set.contains("Domain") && !set.contains(&"a".repeat(64)), "{set}");
    let first = client.cookie.clone().unwrap();
    assert_eq!(first.len(), "gatepost_session=".len() + 64);
    assert_eq!(client.get("/").status, 200);
    // Signed in again, the session before is over.
    client.post("/sign-in", &[("token", VIEWER)]);
    let second = client.cookie.clone().unwrap();
    assert_ne!(first, second);
    let mut status = |cookie: &str| {
        client.cookie = Some(cookie.to_owned());
        client.get("/").status
    };
    assert_eq!((status(&planted), status(&first), status(&second)), (401, 401, 200));
    assert_eq!(client.post("/sign-out", &[]).status, 303);
    client.cookie = Some(second);
    assert_eq!(client.get("/").status, 401);
    for to in ["//evil.example", "https://evil.example/", "/\\evil.example"] {
        let answer = Client::new(&daemon).post("/sign-in", &[("token", TOKEN), ("to", to)]);
        assert_eq!(answer.header("location"), Some("/"), "{to}");
    }
}

#[test]
fn guessing_is_slow_and_holds_up_no_program() {
    let daemon = guarded(Setup::new().preset("nice")).start();
    let mut client = Client::new(&daemon);
    for n in 0..5 {
        let answer = client.post("/sign-in", &[("token", &format!("guess-{n}"))]);
        assert_eq!((answer.status, answer.header("set-cookie")), (401, None), "{answer:?}");
    }
    for token in ["guess-6", TOKEN] {
        let answer = client.post("/sign-in", &[("token", token)]);
        assert_eq!(answer.status, 429, "{answer:?}");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=61).contains(&wait), "{wait}");
    }
    assert_eq!(Client::bearing(&daemon, TOKEN).get("/").status, 200);
    assert_eq!(daemon.get("/readyz").status, 200);
    assert!(!daemon.out().contains("guess-"), "a guess was logged");
}

#[test]
fn behind_tls_the_cookie_is_for_tls_alone() {
    let setup = guarded(Setup::new().preset("nice")).set("listener", "trusted_proxies", "[\"127.0.0.1\"]");
    let daemon = setup.start();
    let mut client = Client::new(&daemon);
    client.headers = "X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.7\r\n".to_owned();
    let answer = client.post("/sign-in", &[("token", TOKEN)]);
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with("__Host-gatepost_session=") && set.contains("; Secure"), "{set}");
    assert_eq!(client.get("/").status, 200);
    let record = eventually("a record", || daemon.audit().into_iter().find(|record| record["action"] == "sign_in"));
    assert_eq!(record["client_ip"], "192.0.2.7", "{record}");
    // Nobody else is believed.
    let daemon = guarded(Setup::new().preset("nice")).start();
    let mut client = Client::new(&daemon);
    client.headers = "X-Forwarded-Proto: https\r\n".to_owned();
    let answer = client.post("/sign-in", &[("token", TOKEN)]);
    assert!(!answer.header("set-cookie").unwrap().contains("Secure"), "{answer:?}");
}

#[test]
fn a_token_that_changes_or_goes_ends_its_sessions_and_no_others() {
    let setup = guarded(Setup::new().preset("nice"));
    let token = setup.write("viewer", VIEWER);
    let setup = setup.replace("{ env = \"IT_VIEWER\" }", &format!("{{ file = {token} }}"));
    let daemon = setup.start();
    let (mut admin, mut viewer) = (Client::signed_in(&daemon, TOKEN), Client::signed_in(&daemon, VIEWER));
    assert_eq!((admin.get("/").status, viewer.get("/").status), (200, 200));
    setup.write("viewer", "another-viewer-token-0123456789");
    assert_eq!(daemon.reload(&setup), "secrets of [admin] changed");
    assert_eq!((admin.get("/").status, viewer.get("/").status), (200, 401));
    let page = admin.get("/configuration").text();
    assert!(page.contains("secrets of [admin] changed") && page.contains("[redacted]"), "{page}");
    for secret in [TOKEN, VIEWER, "another-viewer-token"] {
        assert!(!page.contains(secret), "a secret is shown");
    }
    let mut viewer = Client::signed_in(&daemon, "another-viewer-token-0123456789");
    daemon.reload(&setup.without_block("[[admin.access]]"));
    assert_eq!((admin.get("/").status, viewer.get("/").status), (200, 401));
}

#[test]
fn names_and_tokens_of_access_are_judged_with_the_rest() {
    let access = |name: &str, role: &str, token: &str| {
        format!("[[admin.access]]\nname = \"{name}\"\nrole = \"{role}\"\ntoken = {{ value = \"{token}\" }}\n")
    };
    let long = "a-token-of-sufficient-length";
    let setup = Setup::new().preset("nice");
    let (ann, other) = (access("ann", "viewer", long), access("bob", "operator", "another-token-of-some-length"));
    for (blocks, named) in [
        (vec![access("ann", "owner", long)], "role"),
        (vec![access("Ann", "viewer", long)], "name"),
        (vec![access("admin", "viewer", long)], "name"),
        (vec![ann.clone(), access("ann", "viewer", "another-token-of-some-length")], "name"),
        (vec![ann.clone(), access("bob", "viewer", long)], "token"),
        (vec!["[[admin.access]]\nname = \"ann\"\nrole = \"viewer\"\n".to_owned()], "token"),
        (vec![format!("{ann}more = 1\n")], "more"),
    ] {
        let setup = blocks.iter().fold(Setup::new().preset("nice"), |setup, block| setup.block(block));
        let output = setup.run(&["check"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{blocks:?}: {said}");
        assert!(said.contains("admin.access[") && said.contains(named), "{blocks:?}: {said}");
        assert!(!said.contains(long), "{said}");
    }
    let output = setup.block(&ann).block(&other).run(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
