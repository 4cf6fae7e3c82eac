//! The rows: what each is called, does and stores, and where one gets it.

use clap::ValueEnum;

use crate::request::Expected;

/// A row of the table.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Name {
    /// The echo that all are compared with.
    A,
    /// A, with signature and JSON.
    Verify,
    /// The limit of durability.
    Floor,
    /// That of durability in PostgreSQL.
    FloorPostgres,
    /// The program.
    Gatepost,
    /// The program with its store in PostgreSQL.
    GatepostPostgres,
    /// `HAProxy` with its hmac converter.
    Haproxy,
    /// nginx with njs.
    Nginx,
    /// Node with its https module.
    Node,
    /// Debian's program of that name.
    Webhook,
    /// Starlette under uvicorn.
    Starlette,
}

impl Name {
    /// As the table has it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Verify => "verify",
            Self::Floor => "floor",
            Self::FloorPostgres => "floor, PostgreSQL",
            Self::Gatepost => "gatepost",
            Self::GatepostPostgres => "gatepost, PostgreSQL",
            Self::Haproxy => "HAProxy",
            Self::Nginx => "nginx, njs",
            Self::Node => "Node",
            Self::Webhook => "webhook",
            Self::Starlette => "Starlette",
        }
    }

    /// What it does with a request before it answers.
    pub(crate) const fn checks(self) -> &'static str {
        match self {
            Self::A => "nothing",
            Self::Haproxy | Self::Nginx => "HMAC",
            Self::Verify | Self::Floor | Self::FloorPostgres | Self::Node | Self::Webhook | Self::Starlette => {
                "HMAC, JSON"
            }
            Self::Gatepost | Self::GatepostPostgres => "all it does",
        }
    }

    /// What is on the disk when it answers.
    pub(crate) const fn stores(self) -> &'static str {
        match self {
            Self::Floor => "a log, fdatasync",
            Self::Gatepost => "SQLite, fdatasync",
            Self::FloorPostgres => "a table, fdatasync",
            Self::GatepostPostgres => "PostgreSQL, fdatasync",
            Self::A | Self::Verify | Self::Haproxy | Self::Nginx | Self::Node | Self::Webhook | Self::Starlette => {
                "nothing"
            }
        }
    }

    /// Whether a database server works for it.
    pub(crate) const fn is_on_postgres(self) -> bool {
        matches!(self, Self::FloorPostgres | Self::GatepostPostgres)
    }

    /// How to get what is missing.
    pub(crate) const fn how_to_get(self) -> &'static str {
        match self {
            Self::A | Self::Verify | Self::Floor | Self::Gatepost => "see --program",
            Self::FloorPostgres | Self::GatepostPostgres => {
                "name a database by --postgres and its server by --database-pid"
            }
            Self::Haproxy => "apt-get install haproxy",
            Self::Nginx => "apt-get install nginx-light libnginx-mod-http-js",
            Self::Node => "apt-get install nodejs",
            Self::Webhook => "apt-get install webhook",
            Self::Starlette => {
                "apt-get install python3-starlette python3-uvicorn, or name a Python that has both by --python"
            }
        }
    }

    /// The answer to a good request. Ours say more than that they took it.
    pub(crate) const fn accepted(self) -> Expected {
        match self {
            Self::A | Self::Verify | Self::Floor | Self::FloorPostgres | Self::Gatepost | Self::GatepostPostgres => {
                Expected { status: 200, contains: r#""duplicate":false"# }
            }
            Self::Haproxy | Self::Nginx | Self::Node | Self::Webhook | Self::Starlette => {
                Expected { status: 200, contains: "accepted" }
            }
        }
    }
}
