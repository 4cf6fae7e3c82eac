//! Accepted events with and without people who follow what happens: rounds without, with all that may follow, and with some
//! among them who take nothing.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::figures::Figures;
use crate::load::Pool;
use crate::report;
use crate::request::Kind;
use crate::result::BenchResult;
use crate::rounds::{ECHOED, Rounds, once};

/// Of each kind; the program lets no more.
const FOLLOWERS: usize = 20;
/// Of the streams of events, those of which nobody reads.
const SLOW: usize = 5;
/// For the page's stream to begin again, and for the first events to get through.
const SETTLE: Duration = Duration::from_millis(100);
const LIVE: &str = "/api/v1/live";
const TAIL: &str = "/api/v1/tail";

/// How many of how many streams are read in a row of the table.
#[derive(Clone, Copy)]
struct Audience {
    name: &'static str,
    tails: usize,
    lives: usize,
    slow: usize,
}

const AUDIENCES: [Audience; 4] = [
    Audience { name: "nobody follows", tails: 0, lives: 0, slow: 0 },
    Audience { name: "20 tails", tails: FOLLOWERS, lives: 0, slow: 0 },
    Audience { name: "20 pages", tails: 0, lives: FOLLOWERS, slow: 0 },
    Audience { name: "20 tails, 5 slow", tails: FOLLOWERS, lives: 0, slow: SLOW },
];

/// One row for each audience, rounds alternating between all of them.
pub(crate) async fn run(rounds: &mut Rounds<'_>, connections: usize) -> BenchResult<()> {
    let admin = rounds.b.admin().ok_or("no admin listener")?;
    let (mut pool_a, mut pool_b) =
        (Pool::open(&rounds.a.target, connections).await?, Pool::open(&rounds.b.target, connections).await?);
    let (expected, count) = (Kind::Cognigy.expected(), rounds.options.events_at(connections));
    pool_b.send(rounds.maker.make(Kind::Cognigy, 2000)?, expected, None).await?;
    let mut figures = AUDIENCES.map(|_| (Vec::new(), Vec::new()));
    for _ in 0..rounds.options.rounds.max(1) {
        for (audience, (a, b)) in AUDIENCES.iter().zip(&mut figures) {
            let requests = rounds.maker.make(Kind::Cognigy, count)?;
            a.push(once(rounds.a, &mut pool_a, requests.clone(), ECHOED, None).await?.0);
            let followers = Followers::gather(admin, *audience)?;
            tokio::time::sleep(SETTLE).await;
            b.push(once(rounds.b, &mut pool_b, requests, expected, None).await?.0);
            followers.leave()?;
        }
    }
    for (audience, (a, b)) in AUDIENCES.iter().zip(&figures) {
        report::row(audience.name, connections, a, b, 0);
    }
    let per_event = |figures: &[Figures]| Figures::median(figures).cpu;
    if let Some((_, without)) = figures.first() {
        for (audience, (_, b)) in AUDIENCES.iter().zip(&figures).skip(1) {
            println!("{}: {:+.1} µs an event", audience.name, per_event(b) - per_event(without));
        }
    }
    Ok(())
}

/// Those who follow, each with a thread that reads.
struct Followers(Vec<(TcpStream, Option<JoinHandle<u64>>)>);

impl Followers {
    fn gather(admin: SocketAddr, audience: Audience) -> BenchResult<Self> {
        let mut all = Vec::new();
        for n in 0..audience.tails + audience.lives {
            let path = if n < audience.tails { TAIL } else { LIVE };
            let mut stream = TcpStream::connect(admin)?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: {admin}\r\n\r\n")?;
            let mut begun = [0; 12];
            stream.read_exact(&mut begun)?;
            if &begun != b"HTTP/1.1 200" {
                return Err(format!("{path} is not followed: {}", String::from_utf8_lossy(&begun)).into());
            }
            let reading = stream.try_clone()?;
            let reader = (n >= audience.slow).then(|| std::thread::spawn(move || read(reading)));
            all.push((stream, reader));
        }
        Ok(Self(all))
    }

    /// Ends their connections.
    fn leave(self) -> BenchResult<()> {
        for (stream, reader) in self.0 {
            // One that the program has cut off is gone already.
            let _ = stream.shutdown(Shutdown::Both);
            if let Some(reader) = reader {
                reader.join().map_err(|_| "a follower broke off")?;
            }
        }
        Ok(())
    }
}

/// Reads to the end; how many bytes.
fn read(mut stream: TcpStream) -> u64 {
    let (mut buffer, mut all) = (vec![0; 64 * 1024], 0);
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        all += read as u64;
    }
    all
}
