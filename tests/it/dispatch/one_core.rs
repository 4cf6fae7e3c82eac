//! On one core the runtime has one thread: what is received, delivered, read and reloaded there holds nothing else up.

use rustix::process::Signal;

use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{Setup, Signer, accepted, event, eventually, unique};

const CONNECTIONS: usize = 8;
const EVENTS: usize = 40;

#[test]
fn on_one_core_everything_goes_on_beside_everything_else() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let sink = format!("[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{}\"\n", upstream.url());
    let setup = Setup::new().one_core().preset("nice").block(&sink);
    let mut daemon = setup.start();
    let shared = &daemon;
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut conn = shared.connect();
                for _ in 0..EVENTS {
                    let request = Signer::of("nice").sign(event(&unique()));
                    assert_eq!(accepted(&conn.ask(&request))["duplicate"], false);
                    assert_eq!(accepted(&conn.ask(&request))["duplicate"], true);
                }
            });
        }
        for path in ["/", "/metrics", "/readyz"] {
            assert_eq!(shared.get(path).status, 200, "{path}");
        }
    });
    let all = CONNECTIONS * EVENTS;
    eventually("every delivery", || (upstream.count() == all).then_some(()));
    daemon.reload(&setup.set("limits", "idle_timeout", "\"50s\""));
    assert_eq!(daemon.connect().ask(&Signer::of("nice").sign(event(&unique()))).status, 200);
    eventually("one more", || (upstream.count() == all + 1).then_some(()));
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());
}
