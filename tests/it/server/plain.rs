//! The listener without TLS: room for one more whoever holds the rest, deadlines, and stopping at once.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use gatepost::lifecycle::Lifecycle;
use gatepost::server::{Limits, PlainServer};
use http::{Request, Response};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::rig::{LONG, SHORT, Wish, exchange, one_answer, soon, until_closed};

const CLOSE: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const KEEP: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const HALF: &[u8] = b"GET / HTTP/1.1\r\nhost";
const WAIT: &[u8] = b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n";
const BIG: &[u8] = b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n";

/// Longer than a loaded machine keeps a request that was sent from being read: that one is not idle.
const IDLE: Duration = Duration::from_secs(2);

struct Plain {
    address: SocketAddr,
    lifecycle: Lifecycle,
    arrived: Arc<Semaphore>,
    task: JoinHandle<()>,
}

type Answer = std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Plain {
    /// `/wait` never answers, `/big` answers with more than any socket takes, the rest at once.
    async fn start(limits: Limits) -> Self {
        let arrived = Arc::new(Semaphore::new(0));
        let note = Arc::clone(&arrived);
        let service = tower::service_fn(move |request: Request<Body>| -> Answer {
            let note = Arc::clone(&note);
            Box::pin(async move {
                note.add_permits(1);
                Ok(Response::new(match request.uri().path() {
                    "/wait" => std::future::pending().await,
                    "/big" => Body::from(vec![b'x'; 64 << 20]),
                    _ => Body::from("here"),
                }))
            })
        });
        let lifecycle = Lifecycle::default();
        let limits = Arc::new(ArcSwap::from_pointee(limits));
        let server = PlainServer { limits, tls: Arc::default(), lifecycle: lifecycle.clone() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = lifecycle.spawn(server.serve(listener, service));
        Self { address, lifecycle, arrived, task }
    }

    async fn open(&self, sent: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        stream
    }

    async fn in_flight(&self) {
        soon(self.arrived.acquire()).await.unwrap().forget();
    }

    async fn answers(&self) {
        let answer = exchange(&mut self.open(b"").await, CLOSE).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
    }
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits { max_connections: 3, ..Wish::default().limits };
    change(&mut limits);
    limits
}

#[tokio::test]
async fn the_longest_idle_makes_way_for_one_more() {
    let plain = Plain::start(limits(|_| ())).await;
    let mut served = Vec::new();
    for _ in 0..3 {
        let mut stream = plain.open(KEEP).await;
        assert!(one_answer(&mut stream).await.ends_with("here"));
        served.push(stream);
    }
    // The first has been idle for the shortest time now.
    served[0].write_all(KEEP).await.unwrap();
    one_answer(&mut served[0]).await;
    let mut more = Vec::new();
    for longest in [1, 2] {
        let mut stream = plain.open(KEEP).await;
        assert!(one_answer(&mut stream).await.ends_with("here"));
        assert_eq!(until_closed(&mut served[longest]).await, "");
        more.push(stream);
    }
    served[0].write_all(KEEP).await.unwrap();
    assert!(one_answer(&mut served[0]).await.ends_with("here"), "the last to go");
}

#[tokio::test]
async fn a_request_in_flight_is_the_last_to_make_way_and_does() {
    let plain = Plain::start(limits(|_| ())).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        busy.push(plain.open(WAIT).await);
        plain.in_flight().await;
    }
    let mut idle = plain.open(b"").await;
    plain.answers().await;
    assert_eq!(until_closed(&mut idle).await, "");
    busy.push(plain.open(WAIT).await);
    plain.in_flight().await;
    plain.in_flight().await;
    plain.answers().await;
    assert_eq!(until_closed(&mut busy[0]).await, "", "all busy: the oldest goes");
}

#[tokio::test]
async fn a_crowd_never_keeps_one_out() {
    let plain = Plain::start(limits(|_| ())).await;
    let mut crowd = Vec::new();
    for round in 0..60 {
        crowd.push(plain.open(if round % 2 == 0 { HALF } else { b"" }).await);
        plain.answers().await;
    }
    for mut stream in crowd.drain(..57) {
        assert_eq!(until_closed(&mut stream).await, "");
    }
}

#[tokio::test]
async fn heads_and_idleness_have_deadlines() {
    let plain = Plain::start(limits(|limits| limits.header_timeout = SHORT)).await;
    assert_eq!(until_closed(&mut plain.open(HALF).await).await, "");
    let plain = Plain::start(limits(|limits| limits.idle_timeout = IDLE)).await;
    assert_eq!(until_closed(&mut plain.open(b"").await).await, "");
    let mut kept = plain.open(KEEP).await;
    assert!(one_answer(&mut kept).await.ends_with("here"));
    assert_eq!(until_closed(&mut kept).await, "");
    let unread = plain.open(BIG).await;
    plain.in_flight().await;
    let lifecycle = plain.lifecycle.clone();
    plain.answers().await;
    lifecycle.stop_accepting().cancel();
    soon(plain.task).await.unwrap();
    drop(unread);
}

#[tokio::test]
async fn stopping_waits_for_nobodys_head_and_for_no_reader() {
    let plain = Plain::start(limits(|limits| limits.max_connections = 10)).await;
    assert_eq!(plain.lifecycle.phase(), gatepost::lifecycle::Phase::Starting);
    let mut kept = plain.open(KEEP).await;
    one_answer(&mut kept).await;
    plain.in_flight().await;
    let mut crowd = vec![plain.open(HALF).await, plain.open(b"").await, kept];
    let unread = [plain.open(BIG).await, plain.open(WAIT).await];
    plain.in_flight().await;
    plain.in_flight().await;
    // Every deadline is ten minutes away.
    assert!(limits(|_| ()).header_timeout == LONG);
    plain.lifecycle.stop_accepting().cancel();
    for stream in &mut crowd {
        assert_eq!(until_closed(stream).await, "");
    }
    soon(plain.task).await.unwrap();
    soon(plain.lifecycle.tasks_done()).await;
    drop(unread);
}
