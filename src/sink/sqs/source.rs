//! Who gives the sink the credentials of a role: the container's endpoint, the instance, or STS for a web identity.
//!
//! aws-config speaks with them. It reads the container's variables itself (and the token's file anew at each call);
//! here is decided which of the three is asked, and that what is configured can work.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use aws_config::Region;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use http::Uri;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use super::transport::{self, ByClock};
use super::variables::Variables;
use crate::clock::Clock;
use crate::settings::ConfigError;
use crate::sink::address;
use crate::sink::client_settings::ClientSettings;
use crate::sink::http_client::{self, HttpClient};
use crate::sink::proxy::Proxies;

const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const IDENTITY_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE: &str = "AWS_ROLE_ARN";
const INSTANCE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const INSTANCE_DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
/// Where ECS, and EKS Pod Identity in both families, answer without TLS.
const CONTAINER: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];

/// Whom to ask, and how to reach them.
pub(super) struct Source {
    kind: Kind,
    config: ProviderConfig,
}

enum Kind {
    /// ECS task role or EKS Pod Identity; holds the variable that says where. Its value may be a capability.
    Container(&'static str),
    /// The instance's profile, by version 2 of its metadata service.
    Instance(imds::Client),
    /// EKS IRSA.
    WebIdentity(StaticConfiguration),
}

impl Source {
    /// The first that `variables` configure: web identity, container, else the instance. That is the order of AWS's
    /// own chain. Connects to nothing.
    ///
    /// # Errors
    /// [`ConfigError`] at `token` where what is configured cannot work or the instance, the last resort, must not be
    /// asked; at `ca_file` see [`HttpClient::new`].
    pub(super) fn choose(
        settings: &ClientSettings,
        timeout: Duration,
        region: String,
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let config = |to: &Uri, settings: &ClientSettings| {
            let client = HttpClient::new(to, settings, timeout, 1)?;
            Ok(ProviderConfig::empty()
                .with_region(Some(Region::new(region)))
                .with_time_source(ByClock(clock))
                .with_http_client(transport::over(client)))
        };
        if let Some(identity) = web_identity(variables)? {
            let config = config(&Uri::from_static("https://sts.amazonaws.com/"), settings)?;
            return Ok(Self { kind: Kind::WebIdentity(identity), config });
        }
        // What gives credentials without TLS is on this machine: a proxy could not reach it, and would read them.
        let near = ClientSettings { proxies: Proxies::default(), ..settings.clone() };
        if let Some((from, endpoint)) = container(variables)? {
            let settings = if endpoint.scheme_str() == Some("https") { settings } else { &near };
            return Ok(Self { kind: Kind::Container(from), config: config(&endpoint, settings)? });
        }
        if variables.get(INSTANCE_DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(wrong(format!(
                "missing, there is no role of a container, and {INSTANCE_DISABLED} forbids to ask the instance: set \
                 `token`, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )));
        }
        let named = variables.filled(INSTANCE);
        let endpoint = named.unwrap_or("http://169.254.169.254");
        let endpoint = address::web(endpoint).map_err(|problem| wrong(format!("{INSTANCE} {problem}")))?;
        let config = config(&endpoint, &near)?;
        let mut client = imds::Client::builder().configure(&config);
        if named.is_some() {
            client = client.endpoint(endpoint.to_string()).map_err(|error| wrong(format!("{INSTANCE}: {error}")))?;
        }
        Ok(Self { kind: Kind::Instance(client.build()), config })
    }

    /// Asks for credentials, for at most `limit`. Keeps nothing: the library's providers hand out what they got last
    /// when they fail, and then nobody would know that they fail.
    ///
    /// # Errors
    /// Says who was asked, what happened and what to set.
    pub(super) async fn ask(&self, limit: Duration) -> Result<Credentials, String> {
        let asked = async {
            match &self.kind {
                Kind::Container(_) => {
                    let provider = EcsCredentialsProvider::builder().configure(&self.config).build();
                    provider.provide_credentials().await
                }
                Kind::Instance(client) => {
                    let provider = ImdsCredentialsProvider::builder().configure(&self.config);
                    provider.imds_client(client.clone()).build().provide_credentials().await
                }
                Kind::WebIdentity(identity) => {
                    let provider = WebIdentityTokenCredentialsProvider::builder().configure(&self.config);
                    provider.static_configuration(identity.clone()).build().provide_credentials().await
                }
            }
        };
        // At level trace the library logs answers whole, secrets and all. What matters is in the error.
        let asked = asked.with_subscriber(Dispatch::none());
        let problem = match tokio::time::timeout(limit, asked).await {
            Ok(Ok(credentials)) => return Ok(credentials),
            Ok(Err(error)) => http_client::with_causes(&error),
            Err(_) => format!("no answer within {limit:?}"),
        };
        Err(format!("no credentials from {}: {problem}; {}", self.name(), self.advice()))
    }

    /// Who is asked, in words.
    pub(super) fn name(&self) -> String {
        match &self.kind {
            Kind::Container(from) => format!("the container's endpoint ({from})"),
            Kind::Instance(_) => "the instance's metadata service (IMDSv2)".to_owned(),
            Kind::WebIdentity(_) => format!("STS for the web identity in {IDENTITY_FILE}"),
        }
    }

    fn advice(&self) -> String {
        let role = match &self.kind {
            Kind::Container(_) => "give the task or pod a role".to_owned(),
            Kind::Instance(_) => "give the instance a role".to_owned(),
            Kind::WebIdentity(_) => format!("let {ROLE} name a role that trusts this identity"),
        };
        format!("{role}, or set `token`, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    }
}

fn wrong(problem: String) -> ConfigError {
    ConfigError::new("token", problem)
}

fn web_identity(variables: &Variables) -> Result<Option<StaticConfiguration>, ConfigError> {
    let named = |name: &str| variables.filled(name).map(str::to_owned);
    match (named(IDENTITY_FILE), named(ROLE)) {
        (Some(file), Some(role_arn)) => Ok(Some(StaticConfiguration {
            web_identity_token_file: file.into(),
            role_arn,
            session_name: named("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "gatepost".to_owned()),
        })),
        (Some(_), None) => Err(wrong(format!("missing, and {IDENTITY_FILE} is set without {ROLE}"))),
        // Tools that take a role by other means set it too.
        (None, _) => Ok(None),
    }
}

/// The variable that names the container's endpoint, and where that is. An empty one is an error and not absent: the
/// library takes it for set.
fn container(variables: &Variables) -> Result<Option<(&'static str, Uri)>, ConfigError> {
    if let Some(path) = variables.get(RELATIVE) {
        // The value is not repeated: on ECS whoever knows it gets the credentials.
        if !path.starts_with('/') || path.parse::<Uri>().is_err() {
            return Err(wrong(format!("missing, and {RELATIVE} is not a path; unset it or let it begin with /")));
        }
        return Ok(Some((RELATIVE, Uri::from_static("http://169.254.170.2/"))));
    }
    let Some(full) = variables.get(FULL) else { return Ok(None) };
    let uri = address::web(full).map_err(|problem| wrong(format!("missing, and {FULL} {problem}")))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let near = match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || CONTAINER.contains(&address),
        Err(_) => host == "localhost",
    };
    if uri.scheme_str() != Some("https") && !near {
        return Err(wrong(format!(
            "missing, and {FULL} must be https:// or on loopback, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23]: \
             credentials would cross the network in the open"
        )));
    }
    Ok(Some((FULL, uri)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(set: &[(&str, &str)]) -> Result<String, ConfigError> {
        let (client, region) = (ClientSettings::default(), "eu-west-1".to_owned());
        let source = Source::choose(&client, Duration::from_secs(10), region, &Variables::of(set), Clock::system());
        source.map(|source| source.name())
    }

    #[test]
    fn the_first_that_is_configured_is_asked_and_the_instance_last() {
        let identity = [(IDENTITY_FILE, "/run/token"), (ROLE, "arn:aws:iam::1:role/r")];
        let relative = (RELATIVE, "/v2/credentials/0");
        let full = (FULL, "http://169.254.170.23/v1/credentials");
        assert!(choose(&[identity[0], identity[1], relative, full]).unwrap().contains(IDENTITY_FILE));
        assert!(choose(&[identity[1], relative, full]).unwrap().contains(RELATIVE));
        assert!(choose(&[full, (INSTANCE_DISABLED, "true")]).unwrap().contains(FULL));
        assert!(choose(&[(INSTANCE_DISABLED, "false")]).unwrap().contains("IMDSv2"));
        assert!(choose(&[]).unwrap().contains("IMDSv2"));
    }

    #[test]
    fn what_cannot_work_is_an_error_at_token_that_says_what_to_set() {
        for (set, word) in [
            ((INSTANCE_DISABLED, "True"), "AWS_ACCESS_KEY_ID"),
            ((INSTANCE, "169.254.169.254"), INSTANCE),
            ((IDENTITY_FILE, "/run/token"), ROLE),
            ((RELATIVE, "v2/credentials"), RELATIVE),
            ((RELATIVE, ""), RELATIVE),
            ((FULL, ""), FULL),
            ((FULL, "/v1/credentials"), FULL),
        ] {
            let error = choose(&[set]).unwrap_err();
            assert_eq!(error.at, "token");
            assert!(error.problem.contains(word), "{error}");
        }
    }

    #[test]
    fn credentials_are_asked_for_in_the_open_only_nearby() {
        for near in ["127.0.0.1:9", "localhost", "[::1]:9", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"] {
            assert!(choose(&[(FULL, &format!("http://{near}/creds"))]).is_ok(), "{near}");
        }
        for far in ["10.0.0.1", "169.254.169.254", "[fd00:ec2::254]", "creds.internal", "localhost.example"] {
            assert!(choose(&[(FULL, &format!("http://{far}/creds"))]).is_err(), "{far}");
        }
        assert!(choose(&[(FULL, "https://creds.internal/creds")]).is_ok());
    }
}
