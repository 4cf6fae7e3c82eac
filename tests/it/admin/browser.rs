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

    /// A browser whose `chromeOptions` hold `more` beside what every one has.
    async fn open(&self, more: Value) -> Browser {
        let mut arguments =
            json!(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]);
        let mut options = more;
        if let Some(own) = options["args"].as_array().cloned() {
            arguments.as_array_mut().unwrap().extend(own);
        }
        (options["args"], options["binary"]) = (arguments, json!("/usr/bin/chromium"));
        let Value::Object(capabilities) = json!({ "goog:chromeOptions": options }) else { unreachable!() };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities.into_iter().collect());
        builder.connect(&format!("http://127.0.0.1:{}", self.port)).await.expect("a browser")
    }
}

/// A telephone with a screen that is so many CSS pixels wide.
fn phone(width: u32) -> Value {
    json!({ "mobileEmulation": { "deviceMetrics": { "width": width, "height": 844, "pixelRatio": 2.0, "touch": true } } })
}

fn desktop(arguments: &[&str]) -> Value {
    let arguments = [&["--window-size=1280,1100"], arguments].concat();
    json!({ "args": arguments })
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the page holds `text`.
async fn shows(browser: &Browser, text: &str) {
    let begun = Instant::now();
    loop {
        let body = browser.find(Locator::Css("body")).await;
        let shown = match body {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        };
        if shown.contains(text) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{text:?} does not come: {shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
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

/// From a refusal to its explanation, its release and replay; a sink paused and resumed; an event erased.
async fn works_through(browser: &Browser, daemon: &Daemon) {
    send(daemon, &Signer::of("nice").shifted(-4000), 401);
    click(browser, "nav a[href='/refused']").await;
    until_there(browser, "a[href='/refused/1']").await;
    click(browser, "a[href='/refused/1']").await;
    shows(browser, "the signature holds: the sender made this request").await;
    click(browser, ".acts details:first-child summary").await;
    click(browser, "form[action='/refused/1/release'] button").await;
    shows(browser, "Released: it is accepted").await;
    click(browser, "form[action='/event/replay'] button").await;
    shows(browser, "Queued again").await;
    click(browser, "form[action='/event/open'] button").await;
    shows(browser, "SHA-256").await;
    click(browser, "nav a[href='/deliveries']").await;
    click(browser, "summary[aria-label='Pause orders…']").await;
    browser.find(Locator::Css("#reason-orders")).await.unwrap().send_keys("night work").await.unwrap();
    click(browser, "form[action='/deliveries/pause'] button").await;
    shows(browser, "by admin: night work").await;
    click(browser, "form[action='/deliveries/resume'] button").await;
    shows(browser, "Resumed:").await;
    click(browser, "nav a[href='/events']").await;
    click(browser, "tbody a").await;
    click(browser, ".acts summary").await;
    click(browser, "form[action='/event/erase'] button").await;
    shows(browser, "nothing is left of what the sender said").await;
}

/// Loads the page again until it has what `selector` names.
async fn until_there(browser: &Browser, selector: &str) {
    let begun = Instant::now();
    while browser.find(Locator::Css(selector)).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "{selector} does not come");
        browser.refresh().await.unwrap();
    }
}

#[test]
fn an_operator_signs_in_watches_finds_understands_releases_pauses_and_erases() {
    let Some(driver) = Driver::start() else { return };
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let daemon = setup(&upstream).start();
    run(async {
        let browser = driver.open(desktop(&[])).await;
        sign_in(&browser, &daemon, "/events").await;
        shows(&browser, "No event matches.").await;
        shows(&browser, "live").await;
        // Nobody loads the page again.
        browser.execute("window.stays = true", vec![]).await.unwrap();
        for _ in 0..2 {
            let id = send(&daemon, &Signer::of("nice"), 200);
            shows(&browser, &id[..8]).await;
        }
        assert_eq!(browser.execute("return window.stays", vec![]).await.unwrap(), json!(true));
        let errors = browser.execute("return performance.getEntriesByType('resource').map(e => e.name)", vec![]).await;
        let own = format!("http://{}/", daemon.admin);
        assert!(errors.unwrap().as_array().unwrap().iter().all(|name| name.as_str().unwrap().starts_with(&own)));
        works_through(&browser, &daemon).await;
        browser.close().await.unwrap();
    });
    crate::support::eventually("both deliveries of the released event, and the others'", || {
        (upstream.count() == 4).then_some(())
    });
}

#[test]
fn an_operator_does_the_same_where_no_script_may_run() {
    let Some(driver) = Driver::start() else { return };
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let daemon = setup(&upstream).start();
    run(async {
        let options = json!({ "prefs": { "profile.managed_default_content_settings.javascript": 2 } });
        let browser = driver.open(options).await;
        sign_in(&browser, &daemon, "/events").await;
        shows(&browser, "No event matches.").await;
        send(&daemon, &Signer::of("nice"), 200);
        assert!(browser.find(Locator::Css(".live")).await.is_err(), "the script made nothing");
        works_through(&browser, &daemon).await;
        browser.close().await.unwrap();
    });
    crate::support::eventually("all deliveries", || (upstream.count() == 3).then_some(()));
}

#[test]
fn every_page_can_be_read_in_light_dark_and_on_a_phone() {
    let Some(driver) = Driver::start() else { return };
    let upstream = Upstream::start(|n, _| Reply::status(if n % 3 == 0 { 400 } else { 200 }));
    let daemon = setup(&upstream).start();
    run(async {
        let mut id = String::new();
        for _ in 0..8 {
            id = send(&daemon, &Signer::of("nice"), 200);
        }
        for signer in [Signer::of("nice").secret("wrong-secret-0123456789"), Signer::of("nice").shifted(-4000)] {
            send(&daemon, &signer, 401);
        }
        for (name, width, options) in [
            ("light", 1280, desktop(&[])),
            ("dark", 1280, desktop(&["--blink-settings=preferredColorScheme=0"])),
            ("phone", 390, phone(390)),
            ("narrow", 320, phone(320)),
        ] {
            let browser = driver.open(options).await;
            sign_in(&browser, &daemon, "/").await;
            shows(&browser, "What goes out").await;
            for (page, path) in [
                ("now", "/".to_owned()),
                ("events", "/events".to_owned()),
                ("event", format!("/event?source=nice&id={id}")),
                ("matching", "/events/matching?source=nice".to_owned()),
                ("refused", "/refused?source=nice".to_owned()),
                ("refusal", "/refused/1".to_owned()),
                ("deliveries", "/deliveries".to_owned()),
                ("configuration", "/configuration".to_owned()),
            ] {
                browser.goto(&format!("http://{}{path}", daemon.admin)).await.unwrap();
                shows(&browser, "gatepost").await;
                assert_accessible(&browser, &format!("{page} {name}")).await;
                let wide = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]";
                let wide = browser.execute(wide, vec![]).await.unwrap();
                assert_eq!(wide, json!([width, width]), "{page} {name} scrolls sideways, or has another width");
                screenshot(&browser, &format!("{page}-{name}.png")).await;
            }
            browser.close().await.unwrap();
        }
    });
}
