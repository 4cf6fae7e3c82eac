//! The run: starts the rows, proves them, and gives each its windows in an order that is drawn by lot.

use tokio::signal::unix::{SignalKind, signal};

use crate::figures::Figures;
use crate::options::Options;
use crate::peer::Peer;
use crate::place::Place;
use crate::request::Maker;
use crate::result::BenchResult;
use crate::window::window;
use crate::{cpu, disk, report};

/// Requests a second that a row is given for the first, unmeasured window, in which it shows how many it takes.
const FIRST_GUESS: f64 = 3000.0;

/// What one row took with one number of connections.
pub(crate) struct Measured {
    /// Index of the row.
    pub row: usize,
    /// Connections.
    pub connections: usize,
    /// One for each round.
    pub rounds: Vec<Figures>,
    /// Requests a second, last seen.
    rate: f64,
}

/// Prepares, measures, prints.
pub(crate) fn run(options: &Options) -> BenchResult<()> {
    let pinned = cpu::can_pin();
    let place = Place::make(pinned)?;
    disk::report(&place.setting.dir)?;
    if pinned {
        cpu::pin_self()?;
        println!("servers on core 0, load on core 1; {} rounds", options.rounds);
    } else {
        println!("note: NOT pinned (needs two cores and taskset of util-linux): figures will scatter");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // A signal must not leave servers behind: caught from here on, it ends them where `peers` is dropped.
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let peers = start(&place, options)?;
        let measured = tokio::select! {
            measured = measure(&peers, options) => measured?,
            _ = interrupt.recv() => return Err("interrupted".into()),
            _ = terminate.recv() => return Err("terminated".into()),
        };
        report::print(&peers, &measured);
        Ok(())
    })
}

/// Starts what is there, and says what is not.
fn start(place: &Place, options: &Options) -> BenchResult<Vec<Peer>> {
    let mut peers = Vec::new();
    for name in options.names() {
        match Peer::start(name, place, options)? {
            Some(peer) => peers.push(peer),
            None => println!("left out: {}, which is not there ({})", name.title(), name.how_to_get()),
        }
    }
    Ok(peers)
}

async fn measure(peers: &[Peer], options: &Options) -> BenchResult<Vec<Measured>> {
    let mut maker = Maker::new();
    for peer in peers {
        peer.prove(&mut maker).await?;
    }
    let mut measured = Vec::new();
    for (row, peer) in peers.iter().enumerate() {
        for connections in options.connections.iter().copied() {
            let rate = window(peer, &mut maker, connections, FIRST_GUESS, options).await?.rate;
            measured.push(Measured { row, connections, rounds: Vec::new(), rate });
        }
    }
    for round in 1..=options.rounds.max(1) {
        for connections in &options.connections {
            let mut turns: Vec<_> = measured.iter_mut().filter(|one| one.connections == *connections).collect();
            fastrand::shuffle(&mut turns);
            for turn in turns {
                let peer = peers.get(turn.row).ok_or("no such row")?;
                let figures = window(peer, &mut maker, turn.connections, turn.rate, options).await?;
                turn.rate = figures.rate;
                turn.rounds.push(figures);
            }
        }
        println!("round {round} of {}", options.rounds.max(1));
    }
    Ok(measured)
}
