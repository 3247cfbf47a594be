//! The SDK's clients, made from the environment that Lambda gives a function and from nothing else.
//!
//! Lambda puts credentials and region into the environment, so there is nothing for the provider chain of
//! `aws-config` to find: leaving it out saves most of a cold start and a good part of the binary. The names
//! of the variables are the SDKs' own, so that a stack on one machine is reached by `AWS_ENDPOINT_URL`.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::SharedAsyncSleep;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls;
use aws_smithy_runtime::client::retries::RetryPartition;
use aws_smithy_runtime::client::retries::TokenBucket;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::HttpClient as _;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::http::http_client_fn;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

use crate::iot_api::IotApi;
use crate::retries::NoPointlessRetry;
use crate::settings::SettingsError;
use crate::settings::optional;
use crate::settings::required;

/// One attempt of one call. Every call here answers in well under a second; what hangs is tried again.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// What all clients of a process share: connections, credentials, region.
#[derive(Clone, Debug)]
pub struct Shared(SdkConfig);

impl Shared {
    /// Reads the environment.
    ///
    /// # Errors
    /// The first variable that is missing: `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`; or a
    /// certificate file that cannot be read (`AWS_CA_BUNDLE`).
    pub fn from_env() -> Result<Self, SettingsError> {
        #[cfg(any(test, feature = "testing"))]
        if let Some(of_test) = crate::testing::environment::clients() {
            return Ok(of_test);
        }
        Ok(Self::with_http_client(
            required("AWS_REGION")?,
            Credentials::new(
                required("AWS_ACCESS_KEY_ID")?,
                required("AWS_SECRET_ACCESS_KEY")?,
                optional("AWS_SESSION_TOKEN"),
                None,
                "environment",
            ),
            http_client()?,
        ))
    }

    /// With an HTTP client of the caller's own.
    pub fn with_http_client(region: String, credentials: Credentials, http: SharedHttpClient) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_millis(3100))
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let config = SdkConfig::builder()
            // Pinned: a new default of the SDK comes in as a change that somebody reads.
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(region))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts)
            .use_fips(is_on("AWS_USE_FIPS_ENDPOINT"))
            .use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .http_client(http);
        Self(config.build())
    }

    /// The same clients by another clock than the machine's.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn on(self, clock: crate::clock::Clock) -> Self {
        let time = crate::testing::environment::Time(clock);
        Self(self.0.into_builder().time_source(time).build())
    }

    /// A client of AWS IoT, Device Defender included.
    pub fn iot(&self) -> aws_sdk_iot::Client {
        let config = aws_sdk_iot::config::Builder::from(&self.0).retry_classifier(NoPointlessRetry);
        aws_sdk_iot::Client::from_conf(
            at(config, "AWS_ENDPOINT_URL_IOT", aws_sdk_iot::config::Builder::endpoint_url).build(),
        )
    }

    /// AWS IoT, for what a policy asks of the registry.
    pub fn registry(&self, pace: Pace) -> RegistryClient {
        RegistryClient { shared: self.clone(), pace, client: Arc::default() }
    }

    /// AWS IoT by the description of its operations.
    pub fn iot_api(&self) -> IotApi {
        IotApi::new(self.0.clone(), endpoint("AWS_ENDPOINT_URL_IOT"))
    }

    /// Amazon SNS.
    pub fn sns(&self) -> Sns {
        Sns { shared: self.clone(), client: Arc::default() }
    }

    /// A client of Amazon SQS.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::config::Builder::from(&self.0);
        aws_sdk_sqs::Client::from_conf(
            at(config, "AWS_ENDPOINT_URL_SQS", aws_sdk_sqs::config::Builder::endpoint_url).build(),
        )
    }

    /// A client of Amazon DynamoDB.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::config::Builder::from(&self.0);
        aws_sdk_dynamodb::Client::from_conf(
            at(config, "AWS_ENDPOINT_URL_DYNAMODB", aws_sdk_dynamodb::config::Builder::endpoint_url).build(),
        )
    }

    /// A client of Amazon S3.
    ///
    /// At an endpoint of its own the bucket stands in the path: the names of buckets do not resolve there.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let own = "AWS_ENDPOINT_URL_S3";
        let config = aws_sdk_s3::config::Builder::from(&self.0).force_path_style(endpoint(own).is_some());
        aws_sdk_s3::Client::from_conf(at(config, own, aws_sdk_s3::config::Builder::endpoint_url).build())
    }

    /// A client of Amazon CloudWatch Logs.
    pub fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        let config = aws_sdk_cloudwatchlogs::config::Builder::from(&self.0);
        aws_sdk_cloudwatchlogs::Client::from_conf(
            at(
                config,
                "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
                aws_sdk_cloudwatchlogs::config::Builder::endpoint_url,
            )
            .build(),
        )
    }
}

/// Amazon SNS. Its client is made when the first alert goes out: most starts of a function have none.
#[derive(Clone, Debug)]
pub struct Sns {
    shared: Shared,
    client: Arc<OnceLock<aws_sdk_sns::Client>>,
}

impl Sns {
    pub(crate) fn client(&self) -> &aws_sdk_sns::Client {
        self.client.get_or_init(|| {
            let config = aws_sdk_sns::config::Builder::from(&self.shared.0);
            aws_sdk_sns::Client::from_conf(
                at(config, "AWS_ENDPOINT_URL_SNS", aws_sdk_sns::config::Builder::endpoint_url).build(),
            )
        })
    }
}

/// How the registry is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As any other service, because somebody waits for the answer.
    Prompt,
    /// As fast as the service answers many calls of which none is worth a hurry. The client finds out how fast that is:
    /// the service takes 10 of the slowest operation a second from the whole account, others ask too, and an operator can
    /// have that raised.
    Patient,
}

/// How often a patient call is tried.
const PATIENT_ATTEMPTS: u32 = 6;
/// How long its first pause is after a failure other than throttling; the next are twice as long each.
const PATIENT_BACKOFF: Duration = Duration::from_millis(100);

/// AWS IoT, for the registry. Its client is made with the first question: many policies have none.
#[derive(Clone, Debug)]
pub struct RegistryClient {
    shared: Shared,
    pace: Pace,
    client: Arc<OnceLock<aws_sdk_iot::Client>>,
}

impl RegistryClient {
    /// The client that asks at this pace.
    pub fn client(&self) -> &aws_sdk_iot::Client {
        self.client.get_or_init(|| {
            let config = aws_sdk_iot::config::Builder::from(&self.shared.0);
            let config = match self.pace {
                Pace::Prompt => config,
                Pace::Patient => patient(config),
            };
            aws_sdk_iot::Client::from_conf(
                at(config, "AWS_ENDPOINT_URL_IOT", aws_sdk_iot::config::Builder::endpoint_url).build(),
            )
        })
    }
}

/// A pace that no other client has a part in. The SDK's quota of retries is against storms on a service that is down;
/// here each attempt is paced.
fn patient(config: aws_sdk_iot::config::Builder) -> aws_sdk_iot::config::Builder {
    let own = RetryPartition::custom("registry").token_bucket(TokenBucket::unlimited()).build();
    let retries =
        RetryConfig::adaptive().with_max_attempts(PATIENT_ATTEMPTS).with_initial_backoff(PATIENT_BACKOFF);
    config.retry_config(retries).retry_partition(own)
}

/// Whether a variable says `true`, as the SDKs read it.
fn is_on(name: &'static str) -> bool {
    optional(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The endpoint of a service, if the environment names one: its own variable, else the one for all.
fn endpoint(own: &'static str) -> Option<String> {
    optional(own).or_else(|| optional("AWS_ENDPOINT_URL"))
}

fn at<B>(config: B, own: &'static str, endpoint_url: impl FnOnce(B, String) -> B) -> B {
    match endpoint(own) {
        Some(url) => endpoint_url(config, url),
        None => config,
    }
}

/// The one TLS stack: rustls with ring. It trusts the machine's certificates, or those in `AWS_CA_BUNDLE`.
///
/// It is made at the first call, once for all clients. The SDK's own way would make one for each client when
/// that is built, only to see whether it can be: reading all trusted certificates five times at each start.
fn http_client() -> Result<SharedHttpClient, SettingsError> {
    let client = tls_client()?;
    Ok(http_client_fn(move |settings, components| client.http_connector(settings, components)))
}

fn tls_client() -> Result<SharedHttpClient, SettingsError> {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let builder = aws_smithy_http_client::Builder::new().tls_provider(provider);
    let Some(path) = optional("AWS_CA_BUNDLE") else { return Ok(builder.build_https()) };
    let wrong =
        |value| SettingsError::Wrong { name: "AWS_CA_BUNDLE", value, expected: "a readable PEM file" };
    let pem = std::fs::read(&path).map_err(|_| wrong(path.clone()))?;
    let trust = tls::TrustStore::empty().with_pem_certificate(pem);
    let context = tls::TlsContext::builder().with_trust_store(trust).build().map_err(|_| wrong(path))?;
    Ok(builder.tls_context(context).build_https())
}
