//! One request to the admin listener, and how long its answer took.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::result::BenchResult;

/// Asks for `path`; the body of its 200 and the time from the first byte sent to the last received.
pub(crate) fn ask(admin: SocketAddr, path: &str) -> BenchResult<(String, Duration)> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    let start = Instant::now();
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let took = start.elapsed();
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("an answer without a head")?;
    if head.starts_with("HTTP/1.1 200") {
        return Ok((body.to_owned(), took));
    }
    Err(format!("GET {path}: {}", answer.chars().take(400).collect::<String>()).into())
}

/// The same as JSON.
pub(crate) fn json(admin: SocketAddr, path: &str) -> BenchResult<serde_json::Value> {
    Ok(serde_json::from_str(&ask(admin, path)?.0)?)
}
