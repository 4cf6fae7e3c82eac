//! A nats-server of our own: free port, a stream on the disk, ended with the round.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use async_nats::jetstream;

use crate::options::SINK;
use crate::result::BenchResult;

/// A running nats-server.
pub(crate) struct Broker {
    child: Child,
    dir: PathBuf,
    port: u16,
    monitor: u16,
    runtime: tokio::runtime::Runtime,
    stream: Option<jetstream::stream::Stream>,
}

impl Broker {
    /// Starts the nats-server on the path with its files in `dir`, and makes the stream.
    pub(crate) fn start(dir: &Path) -> BenchResult<Self> {
        std::fs::create_dir_all(dir)?;
        let [port, monitor] = free_ports()?;
        let config = dir.join("nats.conf");
        let store = dir.join("jetstream");
        let text = format!(
            "listen: 127.0.0.1:{port}\nhttp: 127.0.0.1:{monitor}\njetstream {{ store_dir: \"{}\" }}\n",
            store.display()
        );
        std::fs::write(&config, text)?;
        let child = Command::new("nats-server")
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("nats-server (Debian package nats-server): {error}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut broker = Self { child, dir: dir.to_owned(), port, monitor, runtime, stream: None };
        broker.stream = Some(broker.runtime.block_on(stream(port))?);
        Ok(broker)
    }

    /// The sink's lines in the configuration.
    pub(crate) fn lines(&self) -> String {
        format!("type = \"nats\"\nurl = \"nats://127.0.0.1:{}\"", self.port)
    }

    /// How many messages the stream holds; it takes each id once.
    pub(crate) fn messages(&self) -> BenchResult<u64> {
        let stream = self.stream.as_ref().ok_or("no stream")?;
        let info = self.runtime.block_on(async { stream.get_info().await })?;
        Ok(info.state.messages)
    }

    /// How many messages the program has sent, those included that the stream had already.
    pub(crate) fn published(&self) -> BenchResult<u64> {
        #[derive(serde::Deserialize)]
        struct Connections {
            connections: Vec<Connection>,
        }
        #[derive(serde::Deserialize)]
        struct Connection {
            #[serde(default)]
            name: String,
            in_msgs: u64,
        }
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.monitor))?;
        stream.write_all(b"GET /connz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("no answer from the nats-server's monitor")?;
        let open: Connections = serde_json::from_str(body)?;
        let ours = open.connections.iter().filter(|connection| connection.name.ends_with(SINK));
        Ok(ours.map(|connection| connection.in_msgs).sum())
    }

    /// The server's process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It is gone when it cannot be killed, and files that stay are in the way of nobody.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Two ports that were free a moment ago.
fn free_ports() -> BenchResult<[u16; 2]> {
    let bound = [TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
    let [one, other] = bound.map(|listener| listener.local_addr().map(|address| address.port()));
    Ok([one?, other?])
}

async fn stream(port: u16) -> BenchResult<jetstream::stream::Stream> {
    let address = format!("nats://127.0.0.1:{port}");
    let client = async_nats::ConnectOptions::new().retry_on_initial_connect().connect(address).await?;
    client.flush().await?;
    // File storage is the default.
    let config =
        jetstream::stream::Config { name: "events".into(), subjects: vec!["gatepost.>".into()], ..Default::default() };
    Ok(jetstream::new(client).create_stream(config).await?)
}
