//! What this machine says of AWS: credentials, region and endpoints.
//!
//! The SDK finds them where all AWS tools look: the environment, profiles (with roles, single sign-on and
//! `credential_process`), containers and instances. A variable that is set to nothing counts as not set.

use super::connection;
use super::failure::causes;
use anyhow::{Context as _, Error, Result, anyhow, bail};
use aws_config::ConfigLoader;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::profile::region::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use clap::Args;
use fleetwarden_core::untrusted::{shown, visible};
use std::time::{Duration, SystemTime};

/// What to do where there are no credentials.
const SIGN_IN: &str = "sign in (aws sso login, aws configure, AWS_PROFILE), or set AWS_ACCESS_KEY_ID, \
     AWS_SECRET_ACCESS_KEY and, where there is one, AWS_SESSION_TOKEN";
/// How often a call is tried.
pub(super) const TRIES: u32 = 5;
/// The longest pause before the second try; each further one is up to twice as long as the one before.
pub(super) const PAUSE: Duration = Duration::from_millis(200);
/// How long one try of a question may take.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How long before they expire credentials are asked for again.
const MARGIN: Duration = Duration::from_mins(1);

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    CloudFormation,
    Lambda,
    Iot,
    S3,
}

/// Who asks, and where.
#[derive(Clone, Debug)]
pub(crate) struct Settings(SdkConfig);

/// What the command line says of AWS, in the AWS CLI's words: it is stronger than all else.
#[derive(Debug, Default, Args)]
pub(crate) struct Wanted {
    /// Region, in place of what the environment and the profile say
    #[arg(long, global = true)]
    region: Option<String>,
    /// Profile, in place of what the environment says
    #[arg(long, global = true)]
    profile: Option<String>,
    /// Address of the stack's Lambda and CloudFormation, in place of AWS's
    #[arg(long, value_name = "URL", global = true)]
    endpoint_url: Option<String>,
}

impl Service {
    const ALL: [Self; 4] = [Self::CloudFormation, Self::Iot, Self::Lambda, Self::S3];

    /// Its name, as the SDKs write it in variables and profiles.
    const fn id(self) -> &'static str {
        match self {
            Self::CloudFormation => "CloudFormation",
            Self::Lambda => "Lambda",
            Self::Iot => "IoT",
            Self::S3 => "S3",
        }
    }
}

impl Settings {
    /// Finds them.
    pub(crate) async fn find() -> Result<Self> {
        Self::of(&Wanted::default()).await
    }

    /// Finds them where the command line says something of them.
    pub(crate) async fn of(wanted: &Wanted) -> Result<Self> {
        check_addresses(wanted)?;
        check_keys(wanted)?;
        let http = connection::client(variable("AWS_CA_BUNDLE").as_deref())?;
        let config = loader(wanted, http.clone()).load().await;
        let chain = match &wanted.profile {
            Some(profile) => Some(of_profile(profile, config.region().cloned(), http)),
            None => config.credentials_provider(),
        };
        let chain = chain.with_context(|| format!("no credentials of AWS: {SIGN_IN}"))?;
        let first = chain.provide_credentials().await.map_err(|error| no_credentials(wanted, &error))?;
        if config.region().is_none_or(|region| region.as_ref().is_empty()) {
            bail!("no region: set AWS_REGION, or aws configure set region eu-central-1");
        }
        let credentials = SharedCredentialsProvider::new(Known { first, chain });
        let endpoints = NoEmptyEndpoint(config.clone());
        let config = config.into_builder().credentials_provider(credentials).service_config(endpoints);
        Ok(Self(config.build()))
    }

    /// What the SDK's clients are made from.
    pub(crate) fn config(&self) -> &SdkConfig {
        &self.0
    }

    /// As `eu-central-1`.
    pub(crate) fn region(&self) -> &str {
        self.0.region().map(Region::as_ref).unwrap_or_default()
    }

    /// A service's address that somebody has set.
    pub(crate) fn endpoint(&self, service: Service) -> Option<String> {
        let key = ServiceConfigKey::builder()
            .service_id(service.id())
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok()?;
        let given = || self.0.service_config().and_then(|config| config.load_config(key));
        match self.0.endpoint_url() {
            Some(url) if self.0.get_origin("endpoint_url").is_client_config() => Some(url.to_owned()),
            url => given().or_else(|| url.map(str::to_owned)),
        }
    }

    /// A service, with its address if that is not AWS's own.
    pub(crate) fn place(&self, service: Service) -> String {
        match self.endpoint(service) {
            Some(url) => format!("{} at {}", service.id(), shown(&url)),
            None => service.id().to_owned(),
        }
    }

    /// A client of Amazon S3. At an endpoint of its own the bucket stands in the path: the names of buckets do not
    /// resolve there.
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        let own = self.endpoint(Service::S3).is_some();
        let config = aws_sdk_s3::config::Builder::from(&self.0).force_path_style(own);
        aws_sdk_s3::Client::from_conf(config.build())
    }
}

/// A variable that may be set.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a variable is set to nothing.
fn is_empty(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value.is_empty())
}

fn loader(wanted: &Wanted, http: SharedHttpClient) -> ConfigLoader {
    let timeouts = aws_config::timeout::TimeoutConfig::builder().operation_attempt_timeout(TIMEOUT).build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(PAUSE))
        .timeout_config(timeouts);
    let named = wanted.profile.clone().or_else(|| variable("AWS_PROFILE"));
    let profile = named.or_else(|| is_empty("AWS_PROFILE").then(|| "default".to_owned()));
    let region =
        wanted.region.clone().or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    } else if is_empty("AWS_REGION") || is_empty("AWS_DEFAULT_REGION") {
        // The SDK takes the empty variable for a region.
        let provider = ProfileFileRegionProvider::builder();
        loader = loader.region(match &profile {
            Some(profile) => provider.profile_name(profile).build(),
            None => provider.build(),
        });
    }
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = &wanted.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader
}

/// Credentials of a profile that the command line names: it is stronger than keys in the environment, as in the AWS CLI.
fn of_profile(profile: &str, region: Option<Region>, http: SharedHttpClient) -> SharedCredentialsProvider {
    let config = ProviderConfig::without_region().with_region(region).with_http_client(http);
    let provider = ProfileFileCredentialsProvider::builder().configure(&config).profile_name(profile);
    SharedCredentialsProvider::new(provider.build())
}

/// Refuses an address without a scheme by the name of what says it.
fn check_addresses(wanted: &Wanted) -> Result<()> {
    let of_all = [("--endpoint-url".to_owned(), wanted.endpoint_url.clone())];
    let names = Service::ALL.map(|service| format!("AWS_ENDPOINT_URL_{}", service.id().to_ascii_uppercase()));
    let variables = names.into_iter().chain(["AWS_ENDPOINT_URL".to_owned()]).map(|name| {
        let url = variable(&name).filter(|_| wanted.endpoint_url.is_none());
        (name, url)
    });
    for (name, url) in of_all.into_iter().chain(variables) {
        let Some(url) = url else { continue };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            bail!("{name} must begin with http:// or https://: '{}'", shown(&url));
        }
    }
    Ok(())
}

/// Refuses half a key: the SDK would look elsewhere, and find credentials that nobody meant.
fn check_keys(wanted: &Wanted) -> Result<()> {
    let [id, secret] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(variable);
    if wanted.profile.is_none() && id.is_some() && secret.is_none() {
        bail!("AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not");
    }
    Ok(())
}

/// Says why there are no credentials, and what to do.
fn no_credentials(wanted: &Wanted, error: &CredentialsError) -> Error {
    // Of a chain that found nothing there is no more to say; of one profile there is.
    let nothing = matches!(error, CredentialsError::CredentialsNotLoaded(_)) && wanted.profile.is_none();
    let reasons: Vec<_> = causes(error).skip(1).map(ToString::to_string).collect();
    match reasons.last() {
        Some(last) if !nothing => anyhow!("no credentials of AWS: {}; {SIGN_IN}", visible(last.trim())),
        _ => anyhow!("no credentials of AWS: {SIGN_IN}"),
    }
}

/// Credentials that were asked for already, until they expire; then those of the chain. A helper that asks for a code is
/// started once.
#[derive(Debug)]
struct Known {
    first: Credentials,
    chain: SharedCredentialsProvider,
}

impl ProvideCredentials for Known {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let lasts = self.first.expiry().is_none_or(|end| end > SystemTime::now() + MARGIN);
        if lasts {
            future::ProvideCredentials::ready(Ok(self.first.clone()))
        } else {
            self.chain.provide_credentials()
        }
    }
}

/// The endpoints of single services, but for the empty ones.
#[derive(Debug)]
struct NoEmptyEndpoint(SdkConfig);

impl LoadServiceConfig for NoEmptyEndpoint {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        self.0.service_config()?.load_config(key).filter(|url| !url.is_empty())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Settings that lead to a server on this machine.
    pub(crate) fn at(endpoint: &str) -> Settings {
        let credentials = Credentials::new("id", "secret", Some("token".into()), None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(endpoint)
            .http_client(connection::client(None).unwrap())
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .retry_config(RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(PAUSE));
        Settings(config.build())
    }
}
