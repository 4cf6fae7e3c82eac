//! What stands before the page: other sites, other names for loopback, frames, markup of senders', guessing, roles.

use serde_json::{Value, json};

use super::client::{Client, TOKEN, VIEWER, guarded};
use crate::support::{Daemon, MARKER, Request, Setup, Signer, event, eventually, unique};

fn setup() -> Setup {
    Setup::new().preset("nice")
}

/// The number of the only request that was refused and kept.
fn refused(daemon: &Daemon, request: &Request) -> i64 {
    assert_eq!(daemon.send(request).status, 401);
    let mut client = Client::bearing(daemon, TOKEN);
    eventually("a kept request", || client.json("/api/v1/quarantine")["refused"][0]["id"].as_i64())
}

fn forged() -> Request {
    Signer::of("nice").secret("wrong-secret-0123456789").sign(event(&unique()))
}

/// What `operator` did, as the log says.
fn actions(daemon: &Daemon) -> Vec<Value> {
    daemon.audit().into_iter().filter(|record| record["event"] == "operator_action").collect()
}

#[test]
fn another_sites_page_cannot_act_on_a_session() {
    let daemon = guarded(setup()).start();
    let id = refused(&daemon, &forged());
    let mut client = Client::signed_in(&daemon, TOKEN);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let own = format!("Origin: http://{}\r\n", daemon.admin);
    for headers in [
        String::new(),
        "Origin: http://evil.example\r\n".to_owned(),
        "Origin: null\r\n".to_owned(),
        format!("{own}{own}"),
        format!("{own}Sec-Fetch-Site: cross-site\r\n"),
        format!("{own}Sec-Fetch-Site: same-site\r\n"),
    ] {
        for path in [format!("/refused/{id}/discard"), format!("/api/v1/quarantine/{id}/discard"), "/sign-out".into()] {
            let answer = client.ask("POST", &path, &format!("{form}{headers}"), "");
            assert_eq!(answer.status, 403, "{path} {headers:?}: {answer:?}");
            assert!(answer.header("access-control-allow-origin").is_none(), "{answer:?}");
        }
        assert_eq!(Client::new(&daemon).ask("POST", "/sign-in", &format!("{form}{headers}"), "token=x").status, 403);
    }
    assert_eq!(client.json(&format!("/api/v1/quarantine/{id}"))["id"], id, "it is still there");
    let preflight = "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n";
    let answer = client.ask("OPTIONS", "/api/v1/quarantine", preflight, "");
    assert!(answer.header("access-control-allow-origin").is_none() && answer.status == 405, "{answer:?}");
    assert_eq!(client.post(&format!("/refused/{id}/discard"), &[]).status, 303);
}

#[test]
fn without_a_token_only_loopback_names_and_own_pages_count() {
    let daemon = setup().start();
    let mut client = Client::new(&daemon);
    for host in ["evil.example", "evil.example:9090", "localhost.evil.example", "192.0.2.1"] {
        for path in ["/", "/events", "/metrics", "/api/v1/now", "/assets/style.css", "/nowhere"] {
            let answer = client.ask("GET", path, &format!("Host: {host}\r\n"), "");
            assert_eq!(answer.status, 403, "{host} {path}: {answer:?}");
        }
        assert_eq!(client.ask("GET", "/livez", &format!("Host: {host}\r\n"), "").status, 200);
    }
    for host in ["localhost", "127.0.0.1:1", "[::1]"] {
        assert_eq!(client.ask("GET", "/", &format!("Host: {host}\r\n"), "").status, 200, "{host}");
    }
    for headers in ["", "Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        assert_eq!(client.ask("POST", "/refused/1/discard", headers, "").status, 403, "{headers}");
    }
    assert_eq!(client.send("/api/v1/quarantine/1/discard", &json!({})).status, 404, "a program of this machine's may");
    // With a token the name says nothing: whoever is let in has shown it.
    let daemon = guarded(setup()).start();
    let mut client = Client::bearing(&daemon, TOKEN);
    assert_eq!(client.ask("GET", "/", "Host: ops.example\r\n", "").status, 200);
}

#[test]
fn no_answer_may_be_framed_sniffed_stored_or_told_of() {
    let daemon = guarded(setup()).start();
    let mut client = Client::signed_in(&daemon, TOKEN);
    let mut answers: Vec<_> = ["/", "/events", "/refused", "/deliveries", "/configuration", "/nowhere", "/event?id=x"]
        .iter()
        .chain(&["/api/v1/now", "/api/v1/nowhere", "/api/v1/events?x=y", "/assets/live.js", "/metrics", "/refused/999"])
        .map(|path| client.get(path))
        .collect();
    answers.push(Client::new(&daemon).get("/"));
    answers.push(Client::new(&daemon).get("/sign-in"));
    answers.push(Client::new(&daemon).ask("GET", "/api/v1/now", "", ""));
    for answer in answers {
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'none';"), "{answer:?}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{answer:?}");
        }
        let text = answer.text();
        assert!(!text.contains(" style=") && !text.contains("<style") && !text.contains("<script>"), "{text}");
        assert!(!text.contains("//cdn") && !text.contains("src=\"http"), "{text}");
    }
}

#[test]
fn markup_of_a_senders_is_text_wherever_it_is_shown() {
    let daemon = guarded(setup()).start();
    let markup = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}";
    let id = format!("{}{markup}", unique());
    let body = json!({ "eventId": id, "eventType": markup, "note": markup }).to_string();
    assert_eq!(daemon.send(&Signer::of("nice").sign(&body)).status, 200);
    let bad = forged().set("User-Agent", "<script>alert(1)</script>");
    let number = refused(&daemon, &bad.header("X-Evil", "</pre><img src=x onerror=alert(1)>"));
    let mut client = Client::signed_in(&daemon, TOKEN);
    let list = client.get("/events");
    let one = client.click(&list, "/event?source=nice&#38;id=");
    let opened = client.submit(&one, "/event/open");
    assert!(opened.text().contains("&#60;script&#62;alert(1)"), "{opened:?}");
    let refused_one = client.get(&format!("/refused/{number}"));
    let refused_open = client.submit(&refused_one, &format!("/refused/{number}/open"));
    let wrong = client.get("/events?since=%3Cscript%3Ealert(1)%3C/script%3E");
    assert_eq!(wrong.status, 400);
    let kept = client.get("/events?id=%3Cscript%3Ealert(1)%3C/script%3E");
    let unknown = client.get("/?%3Cscript%3E=1");
    let pages = [list, one, opened, client.get("/refused"), refused_one, refused_open, wrong, kept, unknown];
    for page in pages {
        let text = page.text();
        assert!(!text.contains("<script>") && !text.contains("<img"), "{text}");
        // A field that is sent back has to hold the id as it is.
        let shown = text.split("<input").map(|part| part.split_once('>').map_or(part, |(_, behind)| behind));
        assert!(shown.skip(1).all(|text| !text.contains('\u{202e}')), "{text}");
    }
}

#[test]
fn a_viewer_sees_everything_but_bodies_and_acts_on_nothing() {
    let daemon = guarded(setup()).start();
    let name = unique();
    assert_eq!(daemon.send(&Signer::of("nice").sign(event(&name))).status, 200);
    let number = refused(&daemon, &forged());
    let (mut page, mut program) = (Client::signed_in(&daemon, VIEWER), Client::bearing(&daemon, VIEWER));
    let one = format!("/event?source=nice&id={name}");
    for path in ["/", "/events", &one, "/refused", &format!("/refused/{number}"), "/deliveries", "/configuration"] {
        let answer = page.get(path);
        assert_eq!(answer.status, 200, "{path}");
        let forms = answer.text().matches("method=\"post\"").count();
        assert_eq!(forms, 1, "only the one to sign out: {path}");
        assert!(!answer.text().contains(MARKER), "{path}");
    }
    for path in
        ["/events", "/quarantine", "/dead", "/sinks", "/now", "/config", &format!("/quarantine/{number}/explain")]
    {
        drop(program.json(&format!("/api/v1{path}")));
    }
    let fields = [("source", "nice"), ("id", name.as_str())];
    for path in ["/event/open", "/event/replay"] {
        assert_eq!(page.post(path, &fields).status, 403, "{path}");
    }
    for act in ["open", "release", "discard"] {
        assert_eq!(page.post(&format!("/refused/{number}/{act}"), &[]).status, 403, "{act}");
        let answer = program.send(&format!("/api/v1/quarantine/{number}/{act}"), &json!({}));
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!(403)), "{act}");
    }
    for act in ["open", "body", "replay"] {
        assert_eq!(program.send(&format!("/api/v1/events/nice/{name}/{act}"), &json!({})).status, 403, "{act}");
    }
    for act in ["replay", "discard"] {
        assert_eq!(page.post(&format!("/deliveries/{act}"), &[("id", "1")]).status, 403, "{act}");
        assert_eq!(program.send(&format!("/api/v1/dead/{act}"), &json!({ "ids": [1] })).status, 403, "{act}");
    }
    assert!(actions(&daemon).iter().all(|record| record["action"] == "sign_in"), "{:?}", actions(&daemon));
}

#[test]
fn bodies_and_kept_headers_are_hidden_until_opened_and_every_act_is_recorded() {
    let source = "path = \"/webhooks/nice\"\nkeep_headers = [\"X-Tenant\"]\nsecrets = [{ env = \"IT_NICE\" }]";
    let setup = Setup::new().source("nice", "nice", source);
    let daemon = guarded(setup.env("IT_NICE", &crate::support::sign::secret_of("nice"))).start();
    let name = unique();
    let request = Signer::of("nice").sign(event(&name)).header("X-Tenant", "a-tenant-nobody-need-see");
    assert_eq!(daemon.send(&request).status, 200);
    let number = refused(&daemon, &forged());
    let mut client = Client::signed_in(&daemon, TOKEN);
    let hidden = |text: &str| !text.contains(MARKER) && !text.contains("a-tenant-nobody-need-see");
    let one = client.get(&format!("/event?source=nice&id={name}"));
    let listed = client.json("/api/v1/events").to_string();
    let shown = client.json(&format!("/api/v1/events/nice/{name}")).to_string();
    let kept = client.get(&format!("/refused/{number}"));
    for text in
        [one.text(), listed, shown, kept.text(), client.json(&format!("/api/v1/quarantine/{number}")).to_string()]
    {
        assert!(hidden(&text), "{text}");
    }
    let opened = client.submit(&one, "/event/open").text();
    assert!(opened.contains(MARKER) && opened.contains("x-tenant: a-tenant-nobody-need-see"), "{opened}");
    assert!(client.submit(&kept, &format!("/refused/{number}/open")).text().contains(MARKER));
    let mut program = Client::bearing(&daemon, TOKEN);
    let raw = program.send(&format!("/api/v1/events/nice/{name}/body"), &json!({}));
    assert_eq!(raw.body, event(&name));
    assert_eq!(raw.header("content-type"), Some("application/octet-stream"));
    assert_eq!(program.send(&format!("/api/v1/quarantine/{number}/release"), &json!({})).status, 200);
    let told: Vec<Value> = eventually("a record each", || Some(actions(&daemon)).filter(|all| all.len() >= 5));
    let told: Vec<(&str, &str, &str)> = told
        .iter()
        .map(|record| {
            assert!(record["timestamp"].is_string() && record["client_ip"] == "127.0.0.1", "{record}");
            let text = |key: &str| record[key].as_str().unwrap();
            (text("operator"), text("action"), text("subject"))
        })
        .collect();
    let (subject, number) = (format!("nice:{name}"), number.to_string());
    let begin = [("admin", "sign_in", ""), ("admin", "event_open", &*subject), ("admin", "quarantine_open", &*number)];
    assert_eq!(told[..3], begin);
    assert_eq!(told[3], ("admin", "event_open", &*subject));
    assert!(told[4].1 == "quarantine_release" && told[4].2.starts_with(&number), "{told:?}");
}
