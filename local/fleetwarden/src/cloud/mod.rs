//! The emulator's services, by the SDK's clients. Each is asked once: a request that fails on this machine says that
//! something has stopped, and the operator should see it.

pub(crate) mod cloudformation;
pub(crate) mod lambda;
pub(crate) mod logs;
pub(crate) mod s3;
pub(crate) mod sns;
pub(crate) mod sqs;

use crate::aws::connection;
use crate::aws::failure::Failure;
use anyhow::{Error, Result};
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::time::Duration;

/// The region of every local stack.
pub(crate) const REGION: &str = "us-east-1";
/// The account of every local stack.
pub(crate) const ACCOUNT: &str = "123456789012";
/// No call on this machine takes longer; a longer one hangs.
const TIMEOUT: Duration = Duration::from_mins(2);

/// The emulator, reachable at one address.
#[derive(Debug, Clone)]
pub(crate) struct Cloud {
    url: String,
    cloudformation: aws_sdk_cloudformation::Client,
    lambda: aws_sdk_lambda::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    s3: aws_sdk_s3::Client,
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
}

impl Cloud {
    /// The emulator at `url`, without a slash at its end.
    pub(crate) fn new(url: impl Into<String>) -> Result<Self> {
        let url = url.into();
        let config = config(&url)?;
        // The names of buckets do not resolve on this machine.
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        Ok(Self {
            url,
            cloudformation: aws_sdk_cloudformation::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sns: aws_sdk_sns::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
        })
    }

    /// The address that goes into `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// The emulator reads the account from the access key, and checks no signature.
fn config(url: &str) -> Result<SdkConfig> {
    let credentials = Credentials::new(ACCOUNT, "test", None, None, "emulator");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(url)
        .http_client(connection::loopback()?)
        .sleep_impl(TokioSleep::new())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build());
    Ok(config.build())
}

/// Says what of the emulator failed, and why; to be used with `map_err`.
fn refused<E>(what: impl Into<String>) -> impl FnOnce(SdkError<E, HttpResponse>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let what = what.into();
    move |error| Error::new(Failure::new("the emulator", "the emulator", &error)).context(what)
}
