//! A row that runs: started, and proved to tell a good request from a bad one.

use crate::client::Target;
use crate::cpu::{self, CpuTime};
use crate::launch::{self, Launch};
use crate::name::Name;
use crate::options::Options;
use crate::place::{Place, free_address};
use crate::process::Process;
use crate::request::{Maker, REFUSED};
use crate::result::BenchResult;

/// A running row.
pub(crate) struct Peer {
    /// Which one.
    pub name: Name,
    /// Its version.
    pub version: String,
    process: Process,
    /// The database server that works for it.
    database: Option<u32>,
    /// Where to send.
    pub target: Target,
}

impl Peer {
    /// Starts the row; `None` where it is not installed.
    pub(crate) fn start(name: Name, place: &Place, options: &Options) -> BenchResult<Option<Self>> {
        let address = free_address()?;
        let Some(Launch { version, command }) = launch::prepare(name, place, options, address.port())? else {
            return Ok(None);
        };
        let log = place.file(&format!("{name:?}.stderr"));
        let process = Process::start(command, address, log).map_err(|error| format!("{} {error}", name.title()))?;
        let target = Target::new(address, &place.setting.cert)?;
        let database = options.database_pid.filter(|_| name.is_on_postgres());
        Ok(Some(Self { name, version, process, database, target }))
    }

    /// CPU time of everything that works for this row.
    pub(crate) fn cpu(&self) -> BenchResult<CpuTime> {
        let mut processes = self.process.family()?;
        if let Some(database) = self.database {
            processes.extend(cpu::family(database)?);
        }
        CpuTime::of(&processes)
    }

    /// Sends one good request and one with a bad signature; an error where either is not answered as it must be.
    pub(crate) async fn prove(&self, maker: &mut Maker) -> BenchResult<()> {
        let words = |error| format!("{} does not do what is to be measured: {error}", self.name.title());
        for good in maker.make(1)? {
            self.target.connect().await?.exchange(&good, self.name.accepted()).await.map_err(words)?;
        }
        if self.name != Name::A {
            self.target.connect().await?.exchange(&maker.forged()?, REFUSED).await.map_err(words)?;
        }
        Ok(())
    }
}
