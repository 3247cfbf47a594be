//! A function of a stack, found by CloudFormation's name for it and invoked by its own.

use super::failure::{Again, Failure, NoSecondRun};
use super::settings::{Service, Settings};
use anyhow::{Context as _, Result};
use aws_sdk_lambda::config::StalledStreamProtectionConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::primitives::Blob;
use hyper::body::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest that Lambda lets any function run, and the way there and back.
const LONGEST: Duration = Duration::from_secs(15 * 60 + 10);
/// How long an invocation takes with all its tries: one that is lost after minutes is not made again in full.
const PATIENCE: Duration = Duration::from_mins(20);

/// A function that is deployed.
#[derive(Debug)]
pub(crate) struct Function {
    lambda: aws_sdk_lambda::Client,
    /// Lambda with its address.
    place: String,
    /// As Lambda knows it.
    name: String,
    /// The alias by which it is invoked.
    alias: Option<&'static str>,
}

/// What a function has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    /// Whether the body says why the function failed.
    pub(crate) failed: bool,
}

impl Function {
    /// Finds a stack's function by its name, such as triage-findings.
    pub(crate) async fn find(settings: Settings, stack: &str, function: &str) -> Result<Self> {
        let region = settings.region();
        let what = format!("cannot find {function} of the stack {stack} in {region} (--stack, AWS_REGION)");
        let cloudformation = aws_sdk_cloudformation::Client::new(settings.config());
        let described = cloudformation
            .describe_stack_resource()
            .stack_name(stack)
            .logical_resource_id(logical_id(function))
            .send()
            .await;
        let place = settings.place(Service::CloudFormation);
        let described = described.map_err(|error| Failure::new("CloudFormation", &place, &error));
        let described = described.with_context(|| what.clone())?;
        let name = described.stack_resource_detail.and_then(|detail| detail.physical_resource_id);
        let name = name.filter(|name| !name.trim().is_empty());
        let name = name.context("CloudFormation has not made it yet").with_context(|| what)?;
        Ok(Self::new(&settings, name))
    }

    /// A function by Lambda's name for it.
    pub(super) fn new(settings: &Settings, name: String) -> Self {
        Self { lambda: lambda(settings), place: settings.place(Service::Lambda), name, alias: None }
    }

    /// The same, invoked by an alias: who asks needs no permission on more.
    pub(crate) fn by(self, alias: Option<&'static str>) -> Self {
        Self { alias, ..self }
    }

    /// Invokes it and waits for its answer.
    pub(crate) async fn invoke(&self, event: Bytes, again: Again) -> Result<Answer, Failure> {
        let invoke = self.lambda.invoke().function_name(&self.name).set_qualifier(self.alias.map(Into::into));
        let invoke = invoke.payload(Blob::new(event)).customize();
        let invoke = match again {
            Again::Always => invoke,
            Again::Unharmed => {
                invoke.config_override(aws_sdk_lambda::Config::builder().retry_classifier(NoSecondRun))
            }
        };
        let answer = invoke.send().await.map_err(|error| self.failure(&error))?;
        let body = answer.payload.map(Blob::into_inner).unwrap_or_default();
        Ok(Answer { body: body.into(), failed: answer.function_error.is_some() })
    }

    /// Its own variables.
    pub(crate) async fn environment(&self) -> Result<BTreeMap<String, String>> {
        let asked = self.lambda.get_function_configuration().function_name(&self.name).send().await;
        let asked = asked.map_err(|error| self.failure(&error));
        let configuration = asked.with_context(|| format!("cannot read how {} is configured", self.name))?;
        let variables = configuration.environment.and_then(|environment| environment.variables);
        Ok(variables.into_iter().flatten().collect())
    }

    fn failure<E>(
        &self,
        error: &aws_sdk_lambda::error::SdkError<E, aws_sdk_lambda::config::http::HttpResponse>,
    ) -> Failure
    where
        E: std::error::Error + aws_sdk_lambda::error::ProvideErrorMetadata + 'static,
    {
        Failure::new("Lambda", &self.place, error)
    }
}

/// A client that waits as long as a function may run. A function that works in silence is no stalled stream.
fn lambda(settings: &Settings) -> aws_sdk_lambda::Client {
    let timeouts =
        TimeoutConfig::builder().operation_attempt_timeout(LONGEST).operation_timeout(PATIENCE).build();
    let config = aws_sdk_lambda::config::Builder::from(settings.config())
        .timeout_config(timeouts)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    aws_sdk_lambda::Client::from_conf(config.build())
}

/// The template's name for a function: `TriageFindingsFunction` for triage-findings.
fn logical_id(function: &str) -> String {
    let words = function.split('-').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.chain(["Function".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_functions_name_becomes_its_logical_id() {
        assert_eq!(logical_id("triage-findings"), "TriageFindingsFunction");
    }
}
