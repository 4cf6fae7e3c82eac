//! The sqs sink: what arrives, and whose credentials sign.
//!
//! Queues are those of moto's server (`pip install 'moto[server]'`; `GATEPOST_TEST_MOTO` names the program when it is not
//! on the path); who gives the credentials of a role is scripted, and then the queue is too.
#![cfg(feature = "sqs")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use gatepost::clock::Clock;
use gatepost::sink::{Attempt, Retry, Settings, build};
use serde_json::{Value, json};

use super::kept_headers::keeping;
use crate::support::dispatch_memory::{event, eventually};
use crate::support::sink_upstream::{Received, Reply, Upstream, attempt, post, settings_with};
use crate::support::{self, Daemon, Setup, Signer, unique};

const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";
const SESSION: &str = "IQoJb3JpZ2luX2VjEJrEXAMPLESESSION";
/// What whoever asks shows: the pod's token, the instance's, the web identity.
const SHOWN: [&str; 3] = ["eyJhbGciOi-the-first-token", "eyJhbGciOi-the-second-token", "AQAEAMq-instance-token"];

struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Moto {
    /// Nothing where moto is not installed, except on CI, where it must be.
    async fn start() -> Option<Self> {
        let program = std::env::var("GATEPOST_TEST_MOTO").unwrap_or_else(|_| "moto_server".to_owned());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let started = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match started {
            Ok(child) => child,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "{program}: {error}");
                return None;
            }
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let moto = Self { child, address };
        eventually("moto", || TcpStream::connect(address).is_ok()).await;
        Some(moto)
    }

    /// Calls SQS as nobody in particular; moto does not ask.
    fn call(&self, action: &str, body: &Value) -> Value {
        let headers = format!(
            "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: AmazonSQS.{action}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=x/20260102/{}/sqs/aws4_request, SignedHeaders=host, Signature=x\r\n",
            region()
        );
        let (status, text) = post(self.address, "/", &headers, &body.to_string());
        assert_eq!(status, 200, "{action}: {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    fn queue(&self, name: &str, attributes: &Value) -> String {
        let made = self.call("CreateQueue", &json!({"QueueName": name, "Attributes": attributes}));
        assert!(made["QueueUrl"].is_string());
        format!("http://{}/123456789012/{name}", self.address)
    }

    fn messages(&self, queue: &str) -> Vec<Value> {
        let request = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10, "AttributeNames": ["All"]});
        let messages = self.call("ReceiveMessage", &request);
        messages["Messages"].as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It is gone when it cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As the sink finds it for a queue on this machine.
fn region() -> String {
    let set = std::env::var("AWS_REGION").or_else(|_| std::env::var("AWS_DEFAULT_REGION"));
    set.unwrap_or_else(|_| "us-east-1".to_owned())
}

fn sqs(queue: &str) -> Settings {
    settings_with("sqs", queue, "token = { value = 'AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }")
}

#[tokio::test]
async fn events_arrive_as_structured_cloud_events() {
    let Some(moto) = Moto::start().await else { return };
    let queue = moto.queue("orders", &json!({}));
    let sink = build(&sqs(&queue)).ok().unwrap();
    sink.deliver(&event("e 1", b"{ \"n\": 1.0 }"), attempt(1)).await.unwrap();
    let messages = moto.messages(&queue);
    assert_eq!(messages.len(), 1);
    let body = messages[0]["Body"].as_str().unwrap();
    assert!(body.contains("\"data\":{ \"n\": 1.0 }"), "{body}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["specversion"], &body["id"]), (&json!("1.0"), &json!("bot-a:e 1")));
    assert_eq!((&body["source"], &body["type"]), (&json!("/gatepost/bot-a"), &json!("order.created")));

    let text = "a \u{7f}\u{ffff}\u{85} \u{1f600}".as_bytes();
    sink.deliver(&keeping(&[("x-type", b"page:update"), ("x-a", text), ("x-a", b"\xff")]), attempt(1)).await.unwrap();
    let body: Value = serde_json::from_str(moto.messages(&queue)[0]["Body"].as_str().unwrap()).unwrap();
    let kept: Value = serde_json::from_str(body["gatepostheaders"].as_str().unwrap()).unwrap();
    let text = str::from_utf8(text).unwrap();
    assert_eq!(kept, json!([["x-type", "page:update"], ["x-a", text], ["x-a", "\u{ff}"]]));
    assert_eq!(body["gatepostkey"], "0");

    let mut xml = event("e2", b"<a/>");
    xml.content_type = "text/xml".into();
    sink.deliver(&xml, attempt(1)).await.unwrap();
    let body: Value = serde_json::from_str(moto.messages(&queue)[0]["Body"].as_str().unwrap()).unwrap();
    assert_eq!(body["data_base64"], "PGEvPg==");
    let missing = build(&sqs(&format!("http://{}/123456789012/missing", moto.address))).ok().unwrap();
    let error = missing.deliver(&event("e", b"{}"), attempt(1)).await.unwrap_err();
    assert_eq!(error.retry, Retry::Never, "{error}");
    assert!(error.message.contains("QueueDoesNotExist") || error.message.contains("NonExistentQueue"), "{error}");
}

#[tokio::test]
async fn fifo_queues_take_an_event_once() {
    let Some(moto) = Moto::start().await else { return };
    let queue = moto.queue("orders.fifo", &json!({"FifoQueue": "true"}));
    let sink = build(&sqs(&queue)).ok().unwrap();
    sink.deliver(&event("e1", b"{}"), attempt(1)).await.unwrap();
    sink.deliver(&event("e1", b"{}"), attempt(2)).await.unwrap();
    sink.deliver(&event("e2", b"{}"), attempt(1)).await.unwrap();
    let waiting = || {
        let waiting = moto.call("GetQueueAttributes", &json!({"QueueUrl": queue, "AttributeNames": ["All"]}));
        waiting["Attributes"]["ApproximateNumberOfMessages"].as_str().unwrap().to_owned()
    };
    assert_eq!(waiting(), "2");
    for _ in 0..2 {
        sink.deliver(&event("e1", b"{}"), Attempt { number: 1, replay: 1 }).await.unwrap();
    }
    assert_eq!(waiting(), "3", "a replay arrives, once");
    assert_eq!(moto.messages(&queue)[0]["Attributes"]["MessageGroupId"], "bot-a");
}

/// A queue that takes everything.
fn queue() -> Upstream {
    Upstream::start(|_, _| Reply::Status(200, "", b"{}".to_vec()))
}

/// A program that delivers to `queue` and has nothing for it but `environment`; it logs all that can be logged.
fn setup(queue: &Upstream, environment: &[(&str, &str)]) -> Setup {
    let sink = format!("[[sink]]\nname = \"orders\"\ntype = \"sqs\"\nurl = \"http://{}/1/orders\"\n", queue.address);
    let setup = Setup::new().preset("nice").block(&sink).set("log", "filter", "\"trace\"");
    environment.iter().fold(setup, |setup, (name, value)| setup.env(name, value))
}

fn send(daemon: &Daemon) {
    assert_eq!(daemon.send(&Signer::of("nice").sign(support::event(&unique()))).status, 200);
}

#[tokio::test]
async fn a_clock_that_aws_does_not_believe_is_tried_again_and_said() {
    let body = r#"{"__type":"com.amazon.coral.service#InvalidSignatureException","message":"Signature expired: …"}"#;
    let queue =
        Upstream::start(|_, _| Reply::Status(403, "Date: Fri, 02 Jan 2026 03:04:05 GMT\r\n", body.as_bytes().to_vec()));
    let sink = build(&sqs(&format!("http://{}/1/orders", queue.address))).ok().unwrap();
    let error = sink.deliver(&event("e", b"{}"), attempt(1)).await.unwrap_err();
    assert_eq!(error.retry, Retry::Backoff);
    let told = "the clock of this machine differs from AWS's: here 20";
    assert!(error.message.contains(told) && error.message.contains("there 2026-01-02T03:04:05Z"), "{error}");
}

/// Whose credentials signed, as `KEY` of `Credential=KEY/…`.
fn signers(queue: &Upstream) -> Vec<String> {
    let key = |request: &Received| {
        assert_eq!(request.header("x-amz-security-token"), Some(SESSION));
        let (_, credential) = request.header("authorization")?.split_once("Credential=")?;
        credential.split_once('/').map(|(key, _)| key.to_owned())
    };
    queue.seen().iter().map(|request| key(request).expect("a signature")).collect()
}

/// Sends until `key` signs.
fn send_until(daemon: &Daemon, queue: &Upstream, key: &str) {
    support::eventually(key, || {
        send(daemon);
        signers(queue).iter().any(|signer| signer == key).then_some(())
    });
}

fn credentials(key: &str, lasting: Duration) -> Reply {
    let expires = Clock::system().now() + lasting;
    let body = json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": key,
        "SecretAccessKey": SECRET,
        "Token": SESSION,
        "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    });
    Reply::Status(200, "Content-Type: application/json\r\n", body.to_string().into_bytes())
}

#[track_caller]
fn assert_kept_secret(daemon: &Daemon) {
    let said = format!("{}{}", daemon.out(), daemon.err());
    for secret in [SECRET, SESSION].iter().chain(&SHOWN) {
        let line = said.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} in {line:?}");
    }
}

#[test]
fn a_containers_credentials_are_renewed_ahead_of_time_while_the_old_ones_sign() {
    let queue = queue();
    let (release, released) = mpsc::sync_channel::<()>(0);
    let released = Mutex::new(released);
    let endpoint = Upstream::start(move |number, _| {
        if number == 0 {
            return credentials("ASIAFIRST", Duration::from_mins(4));
        }
        // An error is the other end gone: released for good.
        let _ = released.lock().unwrap().recv();
        credentials("ASIASECOND", Duration::from_hours(6))
    });
    let uri = format!("http://{}/v1/credentials", endpoint.address);
    let setup = setup(&queue, &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri)]);
    setup.write("token", SHOWN[0]);
    let file = setup.path("token").display().to_string();
    let setup = setup.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file);
    let daemon = setup.start();
    assert_eq!(endpoint.count(), 0, "nobody has asked yet");
    send(&daemon);
    support::eventually("a message", || (queue.count() == 1).then_some(()));
    assert_eq!(endpoint.seen()[0].line, "GET /v1/credentials HTTP/1.1");
    assert_eq!(endpoint.seen()[0].header("authorization"), Some(SHOWN[0]));

    setup.write("token", SHOWN[1]);
    send(&daemon);
    support::eventually("a message that does not wait", || (queue.count() == 2).then_some(()));
    assert_eq!(signers(&queue), ["ASIAFIRST", "ASIAFIRST"]);
    support::eventually("a renewal", || (endpoint.count() >= 2).then_some(()));
    assert_eq!(endpoint.seen()[1].header("authorization"), Some(SHOWN[1]));
    drop(release);
    send_until(&daemon, &queue, "ASIASECOND");
    let asked = endpoint.count();
    send(&daemon);
    let before = queue.count();
    send_until(&daemon, &queue, "ASIASECOND");
    support::eventually("another message", || (queue.count() > before).then_some(()));
    assert_eq!(endpoint.count(), asked, "good for hours: nobody asks again");
    assert_kept_secret(&daemon);
}

/// Version 2 of the instance's metadata service; says 500 until it is `up`.
fn instance(up: &Arc<AtomicBool>) -> Upstream {
    let up = Arc::clone(up);
    Upstream::start(move |_, request| {
        let shows = request.header("x-aws-ec2-metadata-token") == Some(SHOWN[2]);
        match request.line.as_str() {
            _ if !up.load(Ordering::SeqCst) => Reply::status(500),
            "PUT /latest/api/token HTTP/1.1" => {
                let ttl = "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n";
                Reply::Status(200, ttl, SHOWN[2].as_bytes().to_vec())
            }
            _ if !shows => Reply::status(401),
            "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1" => Reply::Status(200, "", b"deliverer".to_vec()),
            "GET /latest/meta-data/iam/security-credentials/deliverer HTTP/1.1" => {
                credentials("ASIAINSTANCE", Duration::from_hours(6))
            }
            _ => Reply::status(404),
        }
    })
}

#[test]
fn a_delivery_waits_for_an_instance_that_gives_no_credentials_yet() {
    let (queue, up) = (queue(), Arc::new(AtomicBool::new(false)));
    let instance = instance(&up);
    let endpoint = format!("http://{}", instance.address);
    let daemon = setup(&queue, &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint)]).start();
    send(&daemon);
    let said = support::eventually("a failed delivery", || {
        let records = daemon.logs();
        records.iter().map(ToString::to_string).find(|record| record.contains("no credentials from the instance"))
    });
    assert!(said.contains("give the instance a role, or set `token`"), "{said}");
    assert_eq!(queue.count(), 0);
    up.store(true, Ordering::SeqCst);
    support::eventually("the message", || (queue.count() == 1).then_some(()));
    assert_eq!(signers(&queue), ["ASIAINSTANCE"]);
    assert_kept_secret(&daemon);
}

#[test]
fn a_web_identity_is_exchanged_for_a_role() {
    let queue = queue();
    let sts = Upstream::start(|_, _| {
        let credentials = format!(
            "<Credentials><AccessKeyId>ASIAIRSA</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
             <SessionToken>{SESSION}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
        );
        let body = format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult>{credentials}</AssumeRoleWithWebIdentityResult>\
             </AssumeRoleWithWebIdentityResponse>"
        );
        Reply::Status(200, "Content-Type: text/xml\r\n", body.into_bytes())
    });
    let endpoint = format!("http://{}", sts.address);
    let setup = setup(&queue, &[("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"), ("AWS_ENDPOINT_URL_STS", &endpoint)]);
    // Authorities that are there on every machine; nobody is asked over TLS.
    let authorities = format!("ca_file = \"{}\"\n", setup.path("tls.crt").display());
    setup.write("identity", SHOWN[0]);
    let file = setup.path("identity").display().to_string();
    let daemon = setup.block(&authorities).env("AWS_WEB_IDENTITY_TOKEN_FILE", &file).start();
    send(&daemon);
    support::eventually("the message", || (queue.count() == 1).then_some(()));
    assert_eq!(signers(&queue), ["ASIAIRSA"]);
    let asked = String::from_utf8(sts.seen().remove(0).body).unwrap();
    assert!(asked.contains("Action=AssumeRoleWithWebIdentity") && asked.contains(SHOWN[0]), "{asked}");
    assert_kept_secret(&daemon);
}

#[test]
fn check_asks_nobody_and_names_what_could_not_give_credentials() {
    let (queue, up) = (queue(), Arc::new(AtomicBool::new(true)));
    let instance = instance(&up);
    let endpoint = format!("http://{}", instance.address);
    assert!(setup(&queue, &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint)]).run(&["check"]).status.success());
    assert_eq!(instance.count(), 0);
    for (name, value) in [
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/credentials"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ] {
        let output = setup(&queue, &[(name, value)]).run(&["check"]);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!output.status.success() && said.contains("token: ") && said.contains(name), "{name}: {said}");
    }
}
