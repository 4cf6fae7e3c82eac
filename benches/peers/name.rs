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
    /// The program.
    Gatepost,
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
            Self::Gatepost => "gatepost",
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
            Self::Verify | Self::Floor | Self::Node | Self::Webhook | Self::Starlette => "HMAC, JSON",
            Self::Gatepost => "all it does",
        }
    }

    /// What is on the disk when it answers.
    pub(crate) const fn stores(self) -> &'static str {
        match self {
            Self::Floor => "a log, fdatasync",
            Self::Gatepost => "SQLite, fdatasync",
            Self::A | Self::Verify | Self::Haproxy | Self::Nginx | Self::Node | Self::Webhook | Self::Starlette => {
                "nothing"
            }
        }
    }

    /// How to get what is missing.
    pub(crate) const fn how_to_get(self) -> &'static str {
        match self {
            Self::A | Self::Verify | Self::Floor | Self::Gatepost => "see --program",
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
            Self::A | Self::Verify | Self::Floor | Self::Gatepost => {
                Expected { status: 200, contains: r#""duplicate":false"# }
            }
            Self::Haproxy | Self::Nginx | Self::Node | Self::Webhook | Self::Starlette => {
                Expected { status: 200, contains: "accepted" }
            }
        }
    }
}
