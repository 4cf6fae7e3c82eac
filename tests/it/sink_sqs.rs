//! The sqs sink against moto's server (`pip install 'moto[server]'`; `GATEPOST_TEST_MOTO` names the program when it is not on the path).
#![cfg(feature = "sqs")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use gatepost::secret::Secret;
use gatepost::sink::{Retry, Settings, build};
use serde_json::{Value, json};

use crate::dispatch_memory::{event, eventually};
use crate::sink_upstream::{post, settings};

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
    let mut settings = settings("sqs", queue);
    settings.token = Secret::token("AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY").ok();
    settings
}

#[tokio::test]
async fn events_arrive_as_structured_cloud_events() {
    let Some(moto) = Moto::start().await else { return };
    let queue = moto.queue("orders", &json!({}));
    let sink = build(&sqs(&queue)).ok().unwrap();
    sink.deliver(&event("e 1", b"{ \"n\": 1.0 }"), 1).await.unwrap();
    let messages = moto.messages(&queue);
    assert_eq!(messages.len(), 1);
    let body = messages[0]["Body"].as_str().unwrap();
    assert!(body.contains("\"data\":{ \"n\": 1.0 }"), "{body}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["specversion"], &body["id"]), (&json!("1.0"), &json!("bot-a:e 1")));
    assert_eq!((&body["source"], &body["type"]), (&json!("/gatepost/bot-a"), &json!("order.created")));

    let mut xml = event("e2", b"<a/>");
    xml.content_type = "text/xml".into();
    sink.deliver(&xml, 1).await.unwrap();
    let body: Value = serde_json::from_str(moto.messages(&queue)[0]["Body"].as_str().unwrap()).unwrap();
    assert_eq!(body["data_base64"], "PGEvPg==");
    let missing = build(&sqs(&format!("http://{}/123456789012/missing", moto.address))).ok().unwrap();
    let error = missing.deliver(&event("e", b"{}"), 1).await.unwrap_err();
    assert_eq!(error.retry, Retry::Never, "{error}");
    assert!(error.message.contains("QueueDoesNotExist") || error.message.contains("NonExistentQueue"), "{error}");
}

#[tokio::test]
async fn fifo_queues_take_an_event_once() {
    let Some(moto) = Moto::start().await else { return };
    let queue = moto.queue("orders.fifo", &json!({"FifoQueue": "true"}));
    let sink = build(&sqs(&queue)).ok().unwrap();
    sink.deliver(&event("e1", b"{}"), 1).await.unwrap();
    sink.deliver(&event("e1", b"{}"), 2).await.unwrap();
    sink.deliver(&event("e2", b"{}"), 1).await.unwrap();
    let waiting = moto.call("GetQueueAttributes", &json!({"QueueUrl": queue, "AttributeNames": ["All"]}));
    assert_eq!(waiting["Attributes"]["ApproximateNumberOfMessages"], "2");
    assert_eq!(moto.messages(&queue)[0]["Attributes"]["MessageGroupId"], "bot-a");
}
