//! Fills, starts, asks.

use std::path::PathBuf;

use crate::options::Options;
use crate::postgres_server::Server as Postgres;
use crate::report::{self, Row};
use crate::result::BenchResult;
use crate::server::Server;
use crate::setting::Setting;
use crate::{ask, config, fill, paths};

/// Prepares, measures, prints.
pub(crate) fn run(options: &Options) -> BenchResult<()> {
    let dir = options.dir.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pages"));
    let postgres = (options.store == "postgres").then(Postgres::start);
    let store = match &postgres {
        Some(server) => Ok(made(server)?),
        None if options.store == "sqlite" => Err(format!("pages-{}-{}.db", options.events, options.bytes)),
        None => Ok(options.store.clone()),
    };
    let setting = Setting::make(dir, store, false)?;
    config::write(&setting)?;
    fill::fill(&setting, options.events, options.bytes)?;
    if let Some(server) = &postgres {
        tidy(server)?;
    }
    let server = Server::program(&setting, options)?;
    server.ready()?;
    let admin = server.admin().ok_or("no admin listener")?;
    let mut rows = Vec::new();
    report::head();
    for path in paths::all(admin)? {
        if options.only.as_ref().is_some_and(|only| !path.contains(only)) {
            continue;
        }
        let (first, _) = ask::ask(admin, &path)?;
        let mut times = Vec::with_capacity(options.requests);
        for _ in 0..options.requests.max(1) {
            times.push(ask::ask(admin, &path)?.1);
        }
        times.sort_unstable();
        let row = Row { path, bytes: first.len(), times };
        report::row(&row);
        rows.push(row);
    }
    report::sum(&rows);
    server.stop()
}

/// A database in `server`.
fn made(server: &Postgres) -> BenchResult<String> {
    Ok(tokio::runtime::Runtime::new()?.block_on(server.database("pages")))
}

/// What the server's own housekeeping does in days.
fn tidy(server: &Postgres) -> BenchResult<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let (client, connection) = tokio_postgres::connect(&server.url("pages"), tokio_postgres::NoTls).await?;
        tokio::select! {
            ended = connection => Err(format!("the server hung up: {ended:?}").into()),
            done = client.batch_execute("VACUUM ANALYZE") => Ok(done?),
        }
    })
}
