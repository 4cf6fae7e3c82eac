//! Sinks as an operator names them: those configured, and those that only the store still knows.

use crate::app::orphans;
use crate::config::Config;
use crate::event::Name;
use crate::store::Store;

use super::failure::Failure;

/// The sinks called `names`, each of which must be configured.
pub(super) fn configured(config: &Config, names: &[String]) -> Result<Vec<Name>, Failure> {
    if let Some(unknown) = names.iter().find(|name| !config.live.sinks.iter().any(|sink| sink.name.as_str() == **name))
    {
        let known = config.live.sinks.iter().map(|sink| sink.name.as_str()).collect::<Vec<_>>();
        return Err(Failure::Usage(format!("no sink is called {unknown:?}; there are: {}", known.join(", "))));
    }
    Ok(names.iter().map(Name::from).collect())
}

/// Sinks that the store has deliveries for and the configuration no longer has.
pub(super) async fn gone(store: &Store, config: &Config) -> Result<Vec<Name>, Failure> {
    let configured = |name: &Name| config.live.sinks.iter().any(|sink| sink.name == *name);
    let found = orphans::find(store.outbox.as_ref(), configured).await?;
    Ok(found.into_iter().map(|(name, _)| name).collect())
}
