//! The page in a real browser: headless Chromium through its driver. Where there is none the tests say so and pass.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::{Client as Browser, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use super::client::{TOKEN, guarded};
use crate::support::daemon::PATIENCE;
use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{Daemon, Setup, Signer, event, unique};

/// Where accessibility is judged by, where `.ci/setup` could have it.
const AXE: &str = "target/axe/axe.min.js";

/// The driver; ended when dropped.
struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    fn on_some_port() -> Option<Self> {
        let mut command = Command::new("chromedriver");
        let mut child = command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        match port {
            Some(port) => Some(Self { child, port }),
            None => child.wait().ok().and(None),
        }
    }

    /// `None` where Debian's chromium and its driver are not installed.
    fn start() -> Option<Self> {
        let found = |name: &str| ["/usr/bin", "/usr/local/bin"].iter().any(|dir| Path::new(dir).join(name).exists());
        if !found("chromedriver") || !found("chromium") {
            eprintln!("skipped: chromium and chromium-driver are not installed; .ci/setup installs them on Debian");
            return None;
        }
        // It takes a port that is free in one family of addresses, wants the same in the other, and ends where somebody
        // has that.
        let started = (0..20).find_map(|_| Self::on_some_port());
        Some(started.expect("the driver says its port"))
    }

    async fn open(&self, arguments: &[&str]) -> Browser {
        let own = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"];
        let arguments: Vec<&str> = own.iter().chain(arguments).copied().collect();
        let capabilities = json!({ "goog:chromeOptions": { "args": arguments, "binary": "/usr/bin/chromium" } });
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities.into_iter().collect());
        builder.connect(&format!("http://127.0.0.1:{}", self.port)).await.expect("a browser")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the page holds `text`.
#[track_caller]
fn shows(browser: &Browser, text: &str) -> impl Future<Output = ()> {
    let (browser, text) = (browser.clone(), text.to_owned());
    async move {
        let begun = Instant::now();
        loop {
            let script = "return document.body ? document.body.innerText : ''";
            let shown = browser.execute(script, vec![]).await.unwrap_or_default();
            if shown.as_str().is_some_and(|shown| shown.contains(&text)) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{text:?} does not come: {shown}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Clicks what `selector` names; a page that is live may exchange it between the look and the click.
async fn click(browser: &Browser, selector: &str) {
    let begun = Instant::now();
    loop {
        let element = browser.wait().at_most(PATIENCE).for_element(Locator::Css(selector)).await.unwrap();
        match element.click().await {
            Ok(()) => return,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{selector}: {error}"),
        }
    }
}

async fn sign_in(browser: &Browser, daemon: &Daemon, path: &str) {
    browser.goto(&format!("http://{}{path}", daemon.admin)).await.unwrap();
    let token = browser.wait().at_most(PATIENCE).for_element(Locator::Css("#token")).await.unwrap();
    token.send_keys(TOKEN).await.unwrap();
    click(browser, "button.primary").await;
}

async fn screenshot(browser: &Browser, name: &str) {
    let folder = PathBuf::from("target/screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), browser.screenshot().await.unwrap()).unwrap();
}

/// Everything that WCAG 2.2 AA finds, where axe can be had.
async fn assert_accessible(browser: &Browser, page: &str) {
    let Ok(axe) = std::fs::read_to_string(AXE) else {
        return eprintln!("{page}: not judged by axe, which is not at {AXE}; .ci/setup puts it there");
    };
    browser.execute(&axe, vec![]).await.unwrap();
    let run = "const done = arguments[arguments.length - 1];
        axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
            .then(found => done(found.violations.map(v => [v.id, v.nodes.map(n => n.html + ' ' + n.failureSummary)])));";
    let found = browser.execute_async(run, vec![]).await.unwrap();
    assert_eq!(found, json!([]), "{page}");
}

fn setup(upstream: &Upstream) -> Setup {
    let sink = format!("[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{}\"\n", upstream.url());
    guarded(Setup::new().preset("nice")).block(&sink)
}

/// Sends without holding up the browser's runtime.
fn send(daemon: &Daemon, signer: &Signer, status: u16) -> String {
    let id = unique();
    let answer = tokio::task::block_in_place(|| daemon.send(&signer.sign(event(&id))));
    assert_eq!(answer.status, status, "{answer:?}");
    id
}

fn run<F: Future<Output = ()>>(test: F) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}

#[test]
fn an_operator_signs_in_watches_finds_understands_releases_and_replays() {
    let Some(driver) = Driver::start() else { return };
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let daemon = setup(&upstream).start();
    run(async {
        let browser = driver.open(&["--window-size=1280,900"]).await;
        sign_in(&browser, &daemon, "/events").await;
        shows(&browser, "No event matches.").await;
        shows(&browser, "live").await;
        // Nobody loads the page again.
        browser.execute("window.stays = true", vec![]).await.unwrap();
        let id = send(&daemon, &Signer::of("nice"), 200);
        shows(&browser, &id[..8]).await;
        assert_eq!(browser.execute("return window.stays", vec![]).await.unwrap(), json!(true));

        send(&daemon, &Signer::of("nice").shifted(-4000), 401);
        click(&browser, "nav a[href='/refused']").await;
        click(&browser, "a[href='/refused/1']").await;
        shows(&browser, "the signature holds: the sender made this request").await;
        assert_accessible(&browser, "a refusal").await;
        click(&browser, ".acts details:first-child summary").await;
        click(&browser, "form[action='/refused/1/release'] button").await;
        shows(&browser, "Released: it is accepted").await;
        click(&browser, "form[action='/event/replay'] button").await;
        shows(&browser, "Queued again").await;
        click(&browser, "form[action='/event/open'] button").await;
        shows(&browser, "SHA-256").await;
        let errors = browser.execute("return performance.getEntriesByType('resource').map(e => e.name)", vec![]).await;
        let own = format!("http://{}/", daemon.admin);
        assert!(errors.unwrap().as_array().unwrap().iter().all(|name| name.as_str().unwrap().starts_with(&own)));
        browser.close().await.unwrap();
    });
    crate::support::eventually("both deliveries of the released event, and the other's", || {
        (upstream.count() == 3).then_some(())
    });
}

#[test]
fn every_page_can_be_read_in_light_dark_and_on_a_phone() {
    let Some(driver) = Driver::start() else { return };
    let upstream = Upstream::start(|n, _| Reply::status(if n % 3 == 0 { 400 } else { 200 }));
    let daemon = setup(&upstream).start();
    run(async {
        for _ in 0..8 {
            send(&daemon, &Signer::of("nice"), 200);
        }
        for signer in [Signer::of("nice").secret("wrong-secret-0123456789"), Signer::of("nice").shifted(-4000)] {
            send(&daemon, &signer, 401);
        }
        for (name, arguments) in [
            ("light", &["--window-size=1280,1100"][..]),
            ("dark", &["--window-size=1280,1100", "--blink-settings=preferredColorScheme=0"]),
            ("phone", &["--window-size=390,844"]),
        ] {
            let browser = driver.open(arguments).await;
            sign_in(&browser, &daemon, "/").await;
            shows(&browser, "What goes out").await;
            for (page, path) in [
                ("now", "/"),
                ("events", "/events"),
                ("refused", "/refused"),
                ("refusal", "/refused/1"),
                ("deliveries", "/deliveries"),
                ("configuration", "/configuration"),
            ] {
                browser.goto(&format!("http://{}{path}", daemon.admin)).await.unwrap();
                shows(&browser, "gatepost").await;
                assert_accessible(&browser, &format!("{page} {name}")).await;
                let wide = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth";
                assert_eq!(browser.execute(wide, vec![]).await.unwrap(), json!(true), "{page} {name} scrolls sideways");
                screenshot(&browser, &format!("{page}-{name}.png")).await;
            }
            browser.close().await.unwrap();
        }
    });
}
