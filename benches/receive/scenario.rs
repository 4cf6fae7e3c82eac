//! What is measured, in order.

use crate::jwt::Algorithm;
use crate::options::{Options, Scenario};
use crate::report;
use crate::request::{Kind, Maker};
use crate::result::BenchResult;
use crate::rounds::Rounds;
use crate::server::Server;
use crate::setting::Setting;
use crate::{config, cpu, disk, followers, preload, single};

/// Connections where a scenario has only one number of them.
const CONNECTIONS: usize = 64;

/// Prepares, measures, prints.
pub(crate) fn run(options: &Options) -> BenchResult<()> {
    let pinned = cpu::can_pin();
    let setting = config::prepare(options, pinned)?;
    disk::report(&setting.dir)?;
    preload::fill(&setting, &options.stored())?;
    if pinned {
        cpu::pin_self()?;
        println!("server on core 0, generator on core 1; {} rounds each, alternating", options.rounds);
    } else {
        println!("note: NOT pinned (needs two cores and taskset of util-linux): figures will scatter");
    }
    println!(
        "store {}, {} ids before the first round",
        setting.store_file().map_or("external".into(), |f| f.display().to_string()),
        options.preload
    );
    let scenarios = options.scenarios();
    if scenarios.contains(&Scenario::Start) {
        single::start(&setting, options)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if scenarios.contains(&Scenario::Idle) {
            single::idle(&setting, options).await?;
        }
        let in_the_table = |scenario: &&Scenario| !matches!(scenario, Scenario::Start | Scenario::Idle);
        let table: Vec<_> = scenarios.iter().filter(in_the_table).copied().collect();
        if table.is_empty() { Ok(()) } else { measure(&table, &setting, options).await }
    })
}

async fn measure(scenarios: &[Scenario], setting: &Setting, options: &Options) -> BenchResult<()> {
    let (a, b) = (Server::echo(setting)?, Server::program(setting, options)?);
    b.ready()?;
    let mut rounds = Rounds { a: &a, b: &b, maker: Maker::new(options.bytes), options };
    let mut saturation = None;
    report::head();
    for scenario in scenarios {
        match scenario {
            Scenario::Accepted => {
                for connections in &options.connections {
                    let rate = rounds.run("accepted", Kind::Cognigy, *connections).await?;
                    if *connections == CONNECTIONS {
                        saturation = Some(rate);
                    }
                }
            }
            Scenario::Rate => {
                let saturation = match saturation {
                    Some(rate) => rate,
                    None => rounds.run("accepted", Kind::Cognigy, CONNECTIONS).await?,
                };
                rounds.run_paced("rate", Kind::Cognigy, CONNECTIONS, saturation * options.load).await?;
            }
            Scenario::Handshakes => single::handshakes(&a, &b, options).await?,
            Scenario::Sigv4 => drop(rounds.run("sigv4", Kind::SigV4, CONNECTIONS).await?),
            Scenario::Nice => drop(rounds.run("nice", Kind::Nice, CONNECTIONS).await?),
            Scenario::Token => drop(rounds.run("token", Kind::Token, CONNECTIONS).await?),
            Scenario::WrongToken => drop(rounds.run("wrong-token", Kind::WrongToken, CONNECTIONS).await?),
            Scenario::Jwt => {
                for (name, algorithm) in
                    [("jwt-hs256", Algorithm::Hs256), ("jwt-rs256", Algorithm::Rs256), ("jwt-es256", Algorithm::Es256)]
                {
                    rounds.run(name, Kind::Jwt(algorithm), CONNECTIONS).await?;
                }
            }
            Scenario::BadSignature => drop(rounds.run("bad-signature", Kind::BadSignature, CONNECTIONS).await?),
            Scenario::Stale => drop(rounds.run("stale", Kind::Stale, CONNECTIONS).await?),
            Scenario::DeniedIp => drop(rounds.run("denied-ip", Kind::DeniedIp, CONNECTIONS).await?),
            Scenario::Duplicate => drop(rounds.run("duplicate", Kind::Duplicate, CONNECTIONS).await?),
            Scenario::Followers => followers::run(&mut rounds, CONNECTIONS).await?,
            Scenario::Start | Scenario::Idle => {}
        }
    }
    b.stop()
}
