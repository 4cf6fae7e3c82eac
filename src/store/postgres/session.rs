//! Connections to the server: prepared statements, a small pool, and a bound on every wait.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Row, Statement};

use crate::store::error::StoreError;
use crate::store::postgres::address::Address;

/// How long any call may take in all. Requests are to be answered within 10 s even when the server is gone.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);
/// Connections beside those of the inserts.
const POOL: usize = 8;

/// What a session needs, whatever the defaults of the server, the database and the role are.
///
/// Limits are kept by the server, so that a session we have given up holds no locks; nothing else may end one. What is
/// decided in a transaction relies on each statement seeing what was committed before it. Durability is not up for
/// negotiation (a stronger setting is left as it is). Where row security hides rows, that is an error and not an empty
/// answer. Compiling short statements (`jit`) takes a second each.
const SETUP: &str = "
    SET jit = off; SET row_security = off;
    SET statement_timeout = '8s'; SET lock_timeout = '4s'; SET idle_in_transaction_session_timeout = '10s';
    SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off;
    SET default_transaction_deferrable = off;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local');
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout')
";
/// The oldest server that can detach a partition while others read.
const OLDEST: i32 = 14;

/// Parameters of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// One connection. Dropping it ends whatever it was doing.
pub(super) struct Session {
    client: Client,
    statements: Mutex<HashMap<&'static str, Statement>>,
    /// The task that moves its bytes.
    connection: JoinSet<()>,
}

impl Session {
    /// Connects; `notified` is called for each notification from the server.
    pub(super) async fn connect(
        address: &Address,
        setup: &str,
        notified: impl Fn() + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (client, mut connection) = address.config.connect(address.tls.clone()).await?;
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notification(_) = message {
                    notified();
                }
            }
        });
        client.batch_execute(SETUP).await?;
        client.batch_execute(setup).await?;
        Ok(Self { client, statements: Mutex::default(), connection: task })
    }

    /// Whether the server and the database are such that all that is relied on holds.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with what to change.
    pub(super) async fn check_server(&self) -> Result<(), StoreError> {
        let sql = "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding'),
                   current_schema() IS NULL";
        let row = self.client.query_one(sql, &[]).await?;
        let (version, encoding, homeless): (i32, &str, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Err(StoreError::Unavailable(if version < OLDEST {
            format!("the server is PostgreSQL {version}: {OLDEST} or newer is needed")
        } else if encoding != "UTF8" {
            format!(
                "the database has the encoding {encoding}, which cannot hold every event: make one with ENCODING 'UTF8'"
            )
        } else if homeless {
            "no schema of the search_path exists: make one, or set the role's search_path".to_owned()
        } else {
            return Ok(());
        }))
    }

    /// Whether the server has gone away.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Resolves when the connection has ended.
    pub(super) async fn ended(&mut self) {
        self.connection.join_next().await;
    }

    /// The statement `sql`, prepared once per connection.
    pub(super) async fn prepared(&self, sql: &'static str) -> Result<Statement, StoreError> {
        let known = self.statements.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).insert(sql, statement.clone());
        Ok(statement)
    }

    /// Rows of the prepared `sql`.
    pub(super) async fn query(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepared(sql).await?;
        Ok(self.client.query(&statement, values).await?)
    }

    /// How many rows the prepared `sql` changed.
    pub(super) async fn execute(&self, sql: &'static str, values: Values<'_>) -> Result<u64, StoreError> {
        let statement = self.prepared(sql).await?;
        Ok(self.client.execute(&statement, values).await?)
    }

    /// The connection itself, for what is built as it is needed.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Several commands without parameters.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), StoreError> {
        Ok(self.client.batch_execute(sql).await?)
    }
}

/// A few sessions, shared; cheap to clone.
#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    address: Address,
    /// `None` once closed.
    idle: Mutex<Option<Vec<Session>>>,
    permits: Semaphore,
}

/// A session for one piece of work; kept for the next only after [`Lent::done`].
pub(super) struct Lent<'p> {
    pub session: Session,
    pool: &'p Inner,
    _permit: SemaphorePermit<'p>,
}

impl Pool {
    /// Connects to `address` when first used.
    pub(super) fn new(address: Address) -> Self {
        Self(Arc::new(Inner { address, idle: Mutex::new(Some(Vec::new())), permits: Semaphore::new(POOL) }))
    }

    /// Lends a session that was not seen to end.
    pub(super) async fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let closed = || StoreError::Unavailable("the store is closed".into());
        let permit = self.0.permits.acquire().await.map_err(|_| closed())?;
        let idle = {
            let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let idle = idle.as_mut().ok_or_else(closed)?;
            idle.retain(|session| !session.is_closed());
            idle.pop()
        };
        let session = match idle {
            Some(session) => session,
            None => Session::connect(&self.0.address, "", || ()).await?,
        };
        Ok(Lent { session, pool: &self.0, _permit: permit })
    }

    /// Rows of the prepared `sql`.
    pub(super) async fn query(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        within(async {
            let lent = self.lend().await?;
            let rows = lent.session.query(sql, values).await?;
            lent.done();
            Ok(rows)
        })
        .await
    }

    /// How many rows the prepared `sql` changed.
    pub(super) async fn execute(&self, sql: &'static str, values: Values<'_>) -> Result<u64, StoreError> {
        within(async {
            let lent = self.lend().await?;
            let changed = lent.session.execute(sql, values).await?;
            lent.done();
            Ok(changed)
        })
        .await
    }

    /// Closes what is idle; later calls fail.
    pub(super) fn close(&self) {
        self.0.permits.close();
        drop(self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Lent<'_> {
    /// The work is done and no transaction open: the session may be used again.
    pub(super) fn done(self) {
        if let Some(idle) = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            idle.push(self.session);
        }
    }
}

/// `work`, given up after [`PATIENCE`].
pub(super) async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = |_| Err(StoreError::Unavailable(format!("the database did not answer within {PATIENCE:?}")));
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(late)
}
