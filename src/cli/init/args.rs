//! What `init` may be told on the command line.

use std::path::PathBuf;

/// What to write, and where.
#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    /// Where everything is written to; made where it is missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) dir: PathBuf,
    /// Overwrite a gatepost.toml that is there; secrets that are there are kept in any case
    #[arg(long)]
    pub(super) force: bool,
    /// A sender: its preset, or a name and its preset; may be repeated
    #[arg(long, value_name = "[NAME=]PRESET")]
    pub(super) source: Vec<String>,
    /// From where senders may send: addresses and CIDRs separated by commas, or `any`
    #[arg(long, value_name = "LIST")]
    pub(super) allowed_ips: Option<String>,
    /// One more key of a source, its value as TOML: cxone.region='"us-east-1"'
    #[arg(long, value_name = "SOURCE.KEY=TOML")]
    pub(super) set: Vec<String>,
    /// Where events go to: a type of sink, or `none` to store and list them only
    #[arg(long, value_name = "TYPE")]
    pub(super) sink: Option<String>,
    /// The sink's URL
    #[arg(long, value_name = "URL")]
    pub(super) sink_url: Option<String>,
    /// What stands in front
    #[arg(long, value_name = "PROXY")]
    pub(super) proxy: Option<Proxy>,
    /// The addresses of what stands in front: addresses and CIDRs separated by commas
    #[arg(long, value_name = "LIST")]
    pub(super) trusted_proxies: Option<String>,
    /// Where webhooks arrive
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "[::]:8443")]
    pub(super) listen: String,
    /// Where probes, metrics and the page are; beyond loopback a token is made for them
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9090")]
    pub(super) admin_listen: String,
    /// Where senders reach this, for what is to be pasted at the vendor
    #[arg(long, value_name = "URL", default_value = "https://YOUR-HOST")]
    pub(super) public_url: String,
    /// The TLS certificate (PEM chain, leaf first); without one a throw-away certificate is made
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub(super) cert_file: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub(super) key_file: Option<PathBuf>,
    /// The authorities of senders that show a client certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub(super) client_ca_file: Option<PathBuf>,
    /// A subject alternative name of such a sender's certificate: dns:sender.example
    #[arg(long, value_name = "SAN")]
    pub(super) client_san: Option<String>,
    /// The store; default: SQLite under DIR/data
    #[arg(long, value_name = "URL")]
    pub(super) store: Option<String>,
}

/// What stands between senders and the listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(in crate::cli) enum Proxy {
    /// Nothing: senders connect to gatepost itself
    None,
    /// `HAProxy` that passes TLS through with a PROXY header, as deploy/haproxy.cfg
    Haproxy,
    /// nginx that ends TLS and sets X-Forwarded-For, as deploy/nginx.conf
    Nginx,
    /// An AWS application load balancer, as docs/tutorials/aws.md
    Alb,
    /// An AWS network load balancer with PROXY protocol v2, as docs/tutorials/aws.md
    Nlb,
}

impl Proxy {
    /// Whether connections begin with a PROXY header.
    pub(super) const fn sends_headers(self) -> bool {
        matches!(self, Self::Haproxy | Self::Nlb)
    }

    /// What to read about it, where it is there.
    pub(super) const fn page(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Haproxy => Some("deploy/haproxy.cfg"),
            Self::Nginx => Some("deploy/nginx.conf"),
            Self::Alb | Self::Nlb => Some("docs/tutorials/aws.md"),
        }
    }
}
