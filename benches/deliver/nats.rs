//! A nats-server of our own: free port, a stream on the disk, ended with the round.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use async_nats::jetstream;

use crate::Outcome;

/// A running nats-server.
pub struct Broker {
    child: Child,
    dir: PathBuf,
    port: u16,
    runtime: tokio::runtime::Runtime,
    stream: Option<jetstream::stream::Stream>,
}

impl Broker {
    /// Starts the nats-server on the path with its files in `dir`, and makes the stream.
    pub fn start(dir: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(dir)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let config = dir.join("nats.conf");
        let store = dir.join("jetstream");
        let text = format!("listen: 127.0.0.1:{port}\njetstream {{ store_dir: \"{}\" }}\n", store.display());
        std::fs::write(&config, text)?;
        let child = Command::new("nats-server")
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("nats-server (Debian package nats-server): {error}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut broker = Self { child, dir: dir.to_owned(), port, runtime, stream: None };
        broker.stream = Some(broker.runtime.block_on(stream(port))?);
        Ok(broker)
    }

    /// The sink's lines in the configuration.
    pub fn lines(&self) -> String {
        format!("type = \"nats\"\nurl = \"nats://127.0.0.1:{}\"", self.port)
    }

    /// How many messages the stream holds; it takes each id once.
    pub fn messages(&self) -> Outcome<u64> {
        let stream = self.stream.as_ref().ok_or("no stream")?;
        let info = self.runtime.block_on(async { stream.get_info().await })?;
        Ok(info.state.messages)
    }

    /// The server's process.
    pub fn process(&self) -> u32 {
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

async fn stream(port: u16) -> Outcome<jetstream::stream::Stream> {
    let address = format!("nats://127.0.0.1:{port}");
    let client = async_nats::ConnectOptions::new().retry_on_initial_connect().connect(address).await?;
    client.flush().await?;
    // File storage is the default.
    let config =
        jetstream::stream::Config { name: "events".into(), subjects: vec!["gatepost.>".into()], ..Default::default() };
    Ok(jetstream::new(client).create_stream(config).await?)
}
