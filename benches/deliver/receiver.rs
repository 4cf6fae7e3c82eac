//! The other side of a sink, whatever it is made of: where it listens, and how much has arrived there.

use std::time::Instant;

use crate::nats::Broker;
use crate::options::{Kind, Options};
use crate::result::BenchResult;
use crate::setting::Setting;
use crate::web::Web;

/// A sink's other side.
pub(crate) enum Receiver {
    /// A server in this process.
    Web(Web),
    /// A nats-server.
    Broker(Box<Broker>),
}

impl Receiver {
    /// Starts one of `kind`.
    pub(crate) fn start(kind: Kind, setting: &Setting, options: &Options) -> BenchResult<Self> {
        Ok(match kind {
            Kind::Nats => Self::Broker(Box::new(Broker::start(&setting.dir.join("nats"))?)),
            Kind::Http | Kind::Https | Kind::Sqs | Kind::None => Self::Web(Web::start(kind, setting, options.events)?),
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
    pub(crate) fn arrived(&self) -> BenchResult<(u64, Instant)> {
        match self {
            Self::Web(web) => {
                let seen = web.arrivals.seen();
                Ok((seen.different, seen.last))
            }
            Self::Broker(broker) => Ok((broker.messages()?, Instant::now())),
        }
    }

    /// Fails unless each of `count` events came once and nothing else came.
    pub(crate) fn check(&self, count: u64) -> BenchResult<()> {
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
