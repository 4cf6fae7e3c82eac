//! The store as a whole, by the API and the page: what it holds, and a copy that is restored by putting it in place.

use serde_json::json;

use super::client::{Client, TOKEN, VIEWER, guarded};
use crate::store::postgres_server::Server;
use crate::support::{Setup, Signer, accepted, event, eventually, unique};

fn setup() -> Setup {
    guarded(Setup::new().preset("nice"))
}

#[test]
fn what_the_store_holds_is_told_as_the_command_line_tells_it() {
    let setup = setup();
    let daemon = setup.start();
    accepted(&daemon.send(&Signer::of("nice").sign(event(&unique()))));
    let told = Client::bearing(&daemon, VIEWER).json("/api/v1/store");
    assert_eq!((&told["events"], &told["ids"]), (&json!(1), &json!(1)), "{told}");
    assert_eq!(told["sources"], json!([{ "source": "nice", "events": 1 }]));
    let output = setup.run(&["store", "stats", "--json"]);
    let mut told_there: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut told = told;
    for told in [&mut told, &mut told_there] {
        // What goes on meanwhile.
        for moving in ["bytes", "reusable_bytes", "free_bytes"] {
            assert!(told.as_object_mut().unwrap().remove(moving).unwrap().is_u64(), "{moving}");
        }
    }
    assert_eq!(told, told_there);
}

#[test]
fn a_copy_is_sent_whole_and_an_event_of_it_counts_after_it_was_put_in_place() {
    let setup = setup();
    let daemon = setup.start();
    let id = unique();
    let request = Signer::of("nice").sign(event(&id));
    accepted(&daemon.send(&request));
    let answer = Client::bearing(&daemon, TOKEN).ask("POST", "/api/v1/store/backup", "", "");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/vnd.sqlite3")), "{answer:?}");
    let by_page = Client::signed_in(&daemon, TOKEN).post("/store/backup", &[]);
    assert!(by_page.header("content-disposition").unwrap().contains("gatepost-"), "{by_page:?}");
    let backups = || daemon.audit().into_iter().filter(|record| record["action"] == "store_backup");
    eventually("a record of each", || (backups().count() == 2).then_some(()));
    assert!(backups().all(|record| record["operator"] == "admin"));
    for (name, copy) in [("api.db", &answer.body), ("page.db", &by_page.body)] {
        let path = setup.path(name);
        std::fs::write(&path, copy).unwrap();
        let listed =
            setup.run_with(&[("GATEPOST_STORE", &format!("sqlite:{}", path.display()))], &["events", "list", "--json"]);
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(listed[0]["id"], id);
    }
    let left = std::fs::read_dir(setup.directory().path()).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(!left.iter().any(|name| name.ends_with("-copy")), "{left:?}");
}

#[test]
fn no_viewer_and_no_other_site_is_sent_a_copy() {
    let daemon = setup().start();
    assert_eq!(Client::bearing(&daemon, VIEWER).ask("POST", "/api/v1/store/backup", "", "").status, 403);
    assert!(!Client::signed_in(&daemon, VIEWER).get("/").text().contains("/store/backup"));
    assert_eq!(Client::signed_in(&daemon, VIEWER).post("/store/backup", &[]).status, 403);
    let mut operator = Client::signed_in(&daemon, TOKEN);
    assert!(operator.get("/").text().contains("/store/backup"));
    let foreign = "Origin: http://evil.example\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(operator.ask("POST", "/store/backup", foreign, "").status, 403);
}

#[test]
fn a_server_copies_itself() {
    let server = Server::start();
    let daemon = setup().set("store", "url", &format!("\"{}\"", server.url("postgres"))).start();
    let answer = Client::bearing(&daemon, TOKEN).ask("POST", "/api/v1/store/backup", "", "");
    assert!(answer.status == 409 && answer.text().contains("pg_dump"), "{answer:?}");
    assert!(!Client::signed_in(&daemon, TOKEN).get("/").text().contains("/store/backup"));
    let told = Client::bearing(&daemon, VIEWER).json("/api/v1/store");
    assert!(told["bytes"].as_u64() > Some(0) && told["free_bytes"].is_null(), "{told}");
}
