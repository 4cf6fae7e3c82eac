//! `tail`: follows a running daemon by its admin listener, line by line, until it is stopped or nobody reads any more.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::failure::{Failure, Status};
use super::healthcheck::reachable;
use super::invocation::{Invocation, source};
use super::{any_certificate, output, table};

/// Time to connect and be answered.
const ANSWER: Duration = Duration::from_secs(10);
/// The daemon says something at least every 15 s; a connection that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(40);
/// Between two attempts.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest line taken; the daemon's are far shorter.
const LINE_BYTES: usize = 64 * 1024;

/// What to follow.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only with this outcome: accepted, duplicate, quarantined, handshake, refused, shed, failed, delivered, retry, dead
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Only deliveries to this sink
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// How following ended.
enum End {
    /// Nobody reads any more.
    Closed,
    /// The daemon went away, or could not be reached: again, and why.
    Lost(String),
}

/// Follows until Ctrl-C or a closed pipe.
pub(super) async fn run(args: Args, invocation: Invocation) -> Result<Status, Failure> {
    let config = invocation.load()?;
    if let Some(name) = &args.source {
        source(&config, name)?;
    }
    let token = config.live.admin_access.bearer().map(|token| String::from_utf8_lossy(token.expose()).into_owned());
    let certificate = config.live.admin_certificate.as_ref().map(|files| files.cert_file.clone());
    let address = reachable(config.boot.admin_address);
    let tail = Tail { address, certificate, token, path: path(&args), json: args.json };
    tokio::select! {
        ended = tail.follow() => ended,
        _ = tokio::signal::ctrl_c() => Ok(Status::Done),
    }
}

/// The target of the request: filters are the daemon's to apply.
fn path(args: &Args) -> String {
    let mut path = "/api/v1/tail".to_owned();
    let mut separator = '?';
    for (name, value) in [("source", &args.source), ("outcome", &args.outcome), ("sink", &args.sink)] {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(path, "{separator}{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
            separator = '&';
        }
    }
    path
}

/// TLS to `address`, which has to have the certificate in `file`: the token is for nobody else. Read anew each time, as
/// the daemon does.
async fn encrypted(tcp: TcpStream, address: SocketAddr, file: &Path) -> Result<TlsStream<TcpStream>, String> {
    let unreadable = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let leaf = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))?.next();
    let leaf = leaf.ok_or_else(|| unreadable(&"holds no certificate"))?.map_err(|error| unreadable(&error))?;
    let client = any_certificate::client(Some(leaf)).map_err(|error| error.to_string())?;
    let connected = TlsConnector::from(client).connect(ServerName::from(address.ip()), tcp).await;
    connected.map_err(|error| error.to_string())
}

struct Tail {
    address: SocketAddr,
    /// Of the daemon, where it speaks TLS.
    certificate: Option<PathBuf>,
    token: Option<String>,
    path: String,
    json: bool,
}

impl Tail {
    /// Connects again whenever the daemon went away; one that was never there is a failure.
    async fn follow(&self) -> Result<Status, Failure> {
        let (mut was_there, mut told) = (false, false);
        loop {
            let ended = match self.connect().await {
                Ok((body, _connection)) => {
                    if was_there {
                        output::tell("connected again; what happened meanwhile is not shown");
                    }
                    (was_there, told) = (true, false);
                    self.print(body).await?
                }
                Err(End::Lost(why)) if was_there => End::Lost(why),
                Err(End::Lost(why)) => return Err(Failure::Runtime(why)),
                Err(End::Closed) => End::Closed,
            };
            match ended {
                End::Closed => return Ok(Status::Done),
                End::Lost(why) if !told => {
                    output::tell(&format!("{why}: trying again"));
                    told = true;
                }
                End::Lost(_) => {}
            }
            sleep(AGAIN).await;
        }
    }

    /// The stream, and what moves its bytes until it is dropped.
    async fn connect(&self) -> Result<(Incoming, JoinSet<()>), End> {
        let answer = async {
            let tcp = TcpStream::connect(self.address).await.map_err(|error| self.lost(&error))?;
            match &self.certificate {
                None => self.ask(tcp).await,
                Some(file) => {
                    let tls = encrypted(tcp, self.address, file).await.map_err(|error| self.lost(&error))?;
                    self.ask(tls).await
                }
            }
        };
        timeout(ANSWER, answer).await.unwrap_or_else(|_| Err(self.lost(&"no answer within 10 s")))
    }

    fn lost(&self, why: &dyn std::fmt::Display) -> End {
        End::Lost(format!("cannot follow {}: {why}", self.address))
    }

    async fn ask(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<(Incoming, JoinSet<()>), End> {
        let stream = TokioIo::new(stream);
        let (mut sender, connection) = http1::handshake(stream).await.map_err(|error| self.lost(&error))?;
        let mut task = JoinSet::new();
        task.spawn(async move { drop(connection.await) });
        let mut request =
            Request::get(&self.path).header(HOST, self.address.to_string()).header(ACCEPT, "text/event-stream");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| self.lost(&error))?;
        let response = sender.send_request(request).await.map_err(|error| self.lost(&error))?;
        let why = match response.status() {
            StatusCode::OK => return Ok((response.into_body(), task)),
            StatusCode::UNAUTHORIZED => "it does not take the admin token of this configuration".to_owned(),
            StatusCode::SERVICE_UNAVAILABLE => "20 follow it already".to_owned(),
            StatusCode::NOT_FOUND => "it is of an older version, which cannot be followed".to_owned(),
            StatusCode::BAD_REQUEST => "it does not know one of the filters".to_owned(),
            status => format!("it answered {status}"),
        };
        Err(self.lost(&why))
    }

    /// Prints what comes.
    async fn print(&self, mut body: Incoming) -> Result<End, Failure> {
        let lost = |why: &str| Ok(End::Lost(format!("{} {why}", self.address)));
        let mut line = Vec::new();
        loop {
            let frame = match timeout(SILENCE, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_)) | None) => return lost("went away"),
                Err(_) => return lost("is silent"),
            };
            for &byte in frame.data_ref().map(Bytes::as_ref).unwrap_or_default() {
                if byte != b'\n' {
                    line.push(byte);
                } else if !self.line(&std::mem::take(&mut line))? {
                    return Ok(End::Closed);
                }
            }
            if line.len() > LINE_BYTES {
                return lost("sends what is no feed");
            }
        }
    }

    /// Prints one line of the stream where it is an event's; whether anybody still reads.
    fn line(&self, line: &[u8]) -> Result<bool, Failure> {
        let Some(data) = line.strip_prefix(b"data: ") else { return Ok(true) };
        let text = String::from_utf8_lossy(data);
        if self.json {
            return output::write(format!("{text}\n").as_bytes());
        }
        let event: Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(missed) = event.get("missed").and_then(Value::as_u64) {
            output::tell(&format!("{missed} events came too fast and are not shown"));
            return Ok(true);
        }
        output::write(format!("{}\n", table::visible(&words(&event), false)).as_bytes())
    }
}

/// An event on one line: time, outcome, what it was about, why.
fn words(event: &Value) -> String {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let number = |name: &str| event.get(name).and_then(Value::as_u64);
    let time = text("time").and_then(|time| time.parse::<jiff::Timestamp>().ok());
    let mut line = time.map_or_else(String::new, |time| format!("{time:.3}"));
    let _ = write!(line, "  {:<11}", text("outcome").unwrap_or("?"));
    let source = text("source").unwrap_or("-");
    let _ = match text("event_id") {
        Some(id) => write!(line, "  {source}:{id}"),
        None => write!(line, "  {source}"),
    };
    for (before, value) in [("", text("type")), ("-> ", text("sink")), ("", text("reason"))] {
        if let Some(value) = value {
            let _ = write!(line, "  {before}{value}");
        }
    }
    for (before, value, after) in [
        ("attempt ", number("attempt").filter(|attempt| *attempt > 1), ""),
        ("", number("status"), ""),
        ("", number("latency_us"), " us"),
    ] {
        if let Some(value) = value {
            let _ = write!(line, "  {before}{value}{after}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let accepted = json!({
            "time": "2026-01-02T03:04:05.678901Z", "outcome": "accepted", "source": "nice", "event_id": "e1",
            "type": "case", "status": 200, "latency_us": 812, "sink": null,
        });
        assert_eq!(words(&accepted), "2026-01-02T03:04:05.678Z  accepted     nice:e1  case  200  812 us");
        let dead = json!({ "outcome": "dead", "source": "a", "event_id": "x", "sink": "orders", "reason": "no", "attempt": 3 });
        assert_eq!(words(&dead), "  dead         a:x  -> orders  no  attempt 3");
    }

    #[test]
    fn filters_stand_in_the_target_whatever_they_hold() {
        let args = Args { source: Some("a&b".into()), outcome: None, sink: Some("x".into()), json: false };
        assert_eq!(path(&args), "/api/v1/tail?source=a%26b&sink=x");
    }
}
