//! The other side of a sink, whatever it is made of: where it listens, and what has arrived there.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::Outcome;
use crate::nats::Broker;
use crate::options::{Kind, Options};
use crate::setting::Setting;
use crate::web::Web;

/// Hexadecimal digits of the number in the id of a preloaded event.
const NUMBER: usize = 48;
/// All digits of such an id.
const DIGITS: usize = 64;

/// A sink's other side.
pub(crate) enum Receiver {
    /// A server in this process.
    Web(Web),
    /// A nats-server.
    Broker(Box<Broker>),
}

impl Receiver {
    /// Starts one of `kind`.
    pub(crate) fn start(kind: Kind, setting: &Setting, options: &Options) -> Outcome<Self> {
        Ok(match kind {
            Kind::Nats => Self::Broker(Box::new(Broker::start(&setting.dir.join("nats"))?)),
            _ => Self::Web(Web::start(kind, setting, options.events)?),
        })
    }

    /// The sink's lines in the configuration.
    pub(crate) fn lines(&self) -> String {
        match self {
            Self::Web(web) => web.lines(),
            Self::Broker(broker) => broker.lines(),
        }
    }

    /// How many different events are here, and when the last arrived as far as is known.
    pub(crate) fn arrived(&self) -> Outcome<(u64, Instant)> {
        match self {
            Self::Web(web) => {
                let seen = web.arrivals.seen();
                Ok((seen.different, seen.last))
            }
            Self::Broker(broker) => Ok((broker.messages()?, Instant::now())),
        }
    }

    /// Fails unless each of `count` events came once and nothing else came.
    pub(crate) fn check(&self, count: u64) -> Outcome<()> {
        let (different, _) = self.arrived()?;
        let others = match self {
            Self::Web(web) => web.arrivals.seen().total - different,
            Self::Broker(broker) => broker.published()?.abs_diff(different),
        };
        if (different, others) == (count, 0) {
            return Ok(());
        }
        Err(format!("{different} of {count} events arrived, and {others} requests were repeated or unknown").into())
    }

    /// The processes whose CPU is the other side's.
    pub(crate) fn processes(&self) -> Vec<u32> {
        match self {
            Self::Web(_) => vec![std::process::id()],
            Self::Broker(broker) => vec![broker.process()],
        }
    }
}

/// What arrived at a server in this process.
pub(crate) struct Arrivals {
    seen: Mutex<Seen>,
    /// Notified of each arrival.
    pub news: Notify,
}

/// See [`Arrivals`].
pub(crate) struct Seen {
    /// By number: whether it came.
    came: Vec<bool>,
    /// Preloaded events, each counted once.
    pub different: u64,
    /// Requests.
    pub total: u64,
    /// When the last came.
    pub last: Instant,
}

impl Arrivals {
    /// For `count` preloaded events.
    pub(crate) fn new(count: u64) -> Outcome<Self> {
        let seen = Seen { came: vec![false; usize::try_from(count)?], different: 0, total: 0, last: Instant::now() };
        Ok(Self { seen: Mutex::new(seen), news: Notify::new() })
    }

    /// What came until now.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something came that holds `text` with the event's id.
    pub(crate) fn record(&self, text: &[u8]) {
        let now = Instant::now();
        let mut seen = self.seen();
        seen.total += 1;
        seen.last = now;
        if let Some(came) = number(text).and_then(|n| seen.came.get_mut(n))
            && !std::mem::replace(came, true)
        {
            seen.different += 1;
        }
        drop(seen);
        self.news.notify_one();
    }
}

/// The number of a preloaded event, from the first digest in `text`.
fn number(text: &[u8]) -> Option<usize> {
    const MARK: &[u8] = b"sha256:";
    let begin = text.windows(MARK.len()).position(|part| part == MARK)? + MARK.len();
    let digits = text.get(begin + DIGITS - NUMBER..begin + DIGITS)?;
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
