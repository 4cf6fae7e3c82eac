//! The page without JavaScript: everything can be read and done by links and forms, within the weight of a page.

use super::client::{Client, TOKEN, guarded};
use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{Setup, Signer, event, eventually, unique};

/// The most that one page may transfer, with all it is made of.
const PAGE_MAX: usize = 80 * 1024;

#[test]
fn a_refusal_is_found_explained_released_and_replayed_by_forms_alone() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let sink = format!("[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{}\"\n", upstream.url());
    let daemon = guarded(Setup::new().preset("nice")).block(&sink).start();
    let mut client = Client::new(&daemon);
    let form = client.get("/refused");
    assert_eq!(form.status, 401);
    assert!(form.text().contains("name=\"to\" value=\"/refused\""), "{}", form.text());
    let answer = client.post("/sign-in", &[("token", TOKEN), ("to", "/refused")]);
    let list = client.follow(&answer);
    assert!(list.text().contains("No refused request is kept"), "{}", list.text());

    assert_eq!(daemon.send(&Signer::of("nice").shifted(-4000).sign(event(&unique()))).status, 401);
    let list = eventually("the refusal", || {
        Some(client.get("/refused?source=nice&reason=timestamp_expired"))
            .filter(|page| page.text().contains("/refused/1"))
    });
    let one = client.click(&list, "/refused/1");
    let text = one.text();
    assert!(text.contains("timestamp_expired") && text.contains("Cause: time"), "{text}");
    assert!(text.contains("the signature holds: the sender made this request"), "{text}");
    let answer = client.submit(&one, "/refused/1/release");
    let event = client.follow(&answer);
    assert!(event.text().contains("Released: it is accepted") && event.text().contains("released:admin"));
    eventually("delivered", || (upstream.count() == 1).then_some(()));
    let answer = client.submit(&event, "/event/replay");
    assert!(client.follow(&answer).text().contains("Queued again"));
    eventually("delivered again", || (upstream.count() == 2).then_some(()));
    let home = client.get("/");
    let answer = client.submit(&home, "/sign-out");
    assert_eq!((answer.status, client.get("/").status), (303, 401));
}

#[test]
fn every_page_is_light_and_asks_nobody_else() {
    let daemon = guarded(Setup::every_preset()).start();
    for n in 0..60 {
        assert_eq!(daemon.send(&Signer::of("nice").sign(event(&format!("{n}-{}", "x".repeat(200))))).status, 200);
    }
    for _ in 0..20 {
        daemon.send(&Signer::of("nice").secret("wrong-secret-0123456789").sign(event(&unique())));
    }
    let mut client = Client::signed_in(&daemon, TOKEN);
    eventually("kept requests", || client.get("/refused").text().contains("/refused/1").then_some(()));
    // As a browser transfers them that has none of them yet.
    let assets =
        ["/assets/style.css", "/assets/live.js", "/assets/htmx-2.0.10.min.js", "/assets/icon.svg"].map(|path| {
            let answer = client.ask("GET", path, "Accept-Encoding: gzip\r\n", "");
            assert_eq!(answer.status, 200, "{path}");
            answer.body.len()
        });
    let assets: usize = assets.iter().sum();
    for path in ["/", "/events", "/refused", "/refused/1", "/deliveries", "/configuration"] {
        let page = client.get(path);
        assert_eq!(page.status, 200, "{path}");
        let weight = page.body.len() + assets;
        assert!(weight <= PAGE_MAX, "{path} weighs {weight}");
        let text = page.text();
        assert!(!text.contains("http://") && !text.contains("https://") || path == "/configuration", "{text}");
        for landmark in ["<main id=\"main\"", "<nav aria-label=", "class=\"skip\" href=\"#main\"", "lang=\"en\""] {
            assert!(text.contains(landmark), "{path}: {landmark}");
        }
        assert_eq!(text.matches("<table").count(), text.matches("<caption>").count(), "{path}");
        assert_eq!(text.matches("<h1>").count() + text.matches("<h1 ").count(), 1, "{path}");
    }
    let older = client.get("/events");
    assert!(client.click(&older, "/events?cursor=").text().contains("Accepted events"));
}

#[test]
fn fields_left_empty_say_nothing_and_unknown_ones_are_refused() {
    let daemon = guarded(Setup::new().preset("nice")).start();
    let id = unique();
    assert_eq!(daemon.send(&Signer::of("nice").sign(event(&id))).status, 200);
    let mut client = Client::signed_in(&daemon, TOKEN);
    let page = client.get("/events?id=&source=&type=&state=&since=&until=&header=");
    assert!(page.text().contains(&id[..8]), "{page:?}");
    for bad in ["/events?colour=red", "/?x=y", "/refused?id=1", "/events?state=lost", "/events?since=sometime"] {
        assert_eq!(client.get(bad).status, 400, "{bad}");
    }
    assert_eq!(client.get("/event?source=nice&id=none").status, 404);
    assert_eq!(client.get("/refused/999").status, 404);
}
