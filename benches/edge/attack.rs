//! The attacks, each going on until it is told to stop.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::options::Options;
use crate::support::crowd::{EVERY, Slow, crowd};
use crate::support::wire::client_config;
use crate::support::{Conn, Daemon, Request, Signer, unique};

const BODY: usize = 1024 * 1024;

/// What is done to the program while a good sender sends.
#[derive(Clone, Copy)]
pub(crate) enum Attack {
    /// Nothing.
    None,
    /// Many connections that dawdle.
    Crowd(Slow),
    /// Bodies of 1 MiB with a wrong signature, one after the other.
    ForgedBodies,
}

impl Attack {
    /// Every one, beginning with none.
    pub(crate) fn every() -> Vec<Self> {
        let crowds = EVERY.map(Self::Crowd);
        [Self::None].into_iter().chain(crowds).chain([Self::ForgedBodies]).collect()
    }

    /// It in a table.
    pub(crate) fn name(self, options: &Options) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Crowd(how) => format!("{} × {how:?}", options.peers),
            Self::ForgedBodies => format!("{} × 1 MiB forged bodies", options.pushers),
        }
    }

    /// Goes on against `daemon` until `stop`.
    pub(crate) fn run(self, daemon: &Daemon, options: &Options, stop: &AtomicBool) {
        match self {
            Self::None => {}
            Self::Crowd(how) => {
                while !stop.load(Ordering::Relaxed) {
                    std::thread::scope(|scope| drop(crowd(scope, daemon, how, options.peers).join()));
                }
            }
            Self::ForgedBodies => push(daemon, options.pushers, stop),
        }
    }
}

fn push(daemon: &Daemon, pushers: usize, stop: &AtomicBool) {
    let request = forged();
    std::thread::scope(|scope| {
        for _ in 0..pushers {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let config = client_config(&daemon.ca, &["http/1.1"]);
                    let mut conn = Conn::open(daemon.webhook, config).unwrap();
                    while !stop.load(Ordering::Relaxed) && conn.try_ask(&request).is_some() {}
                }
            });
        }
    });
}

fn forged() -> Request {
    let begin = format!("{{\"n\":\"{}\",\"x\":\"", unique());
    let end = "\"}";
    let padding = "x".repeat(BODY - begin.len() - end.len());
    Signer::of("cognigy").sign(begin + &padding + end).set("X-Cognigy-Signature", &"0".repeat(64))
}
