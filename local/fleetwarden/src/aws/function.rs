//! A function of a stack, found by CloudFormation's name for it and invoked by its own.

use super::settings::Settings;
use super::{Again, Call, Client, Failure, Service, encoded};
use crate::http::Reply;
use anyhow::{Context as _, Result};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a question may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that Lambda lets any function run, and the way there and back.
const LONGEST: Duration = Duration::from_secs(15 * 60 + 10);

/// A function that is deployed.
#[derive(Debug)]
pub(crate) struct Function {
    client: Client,
    /// As Lambda knows it.
    name: String,
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
        let client = Client::new(settings, &[Service::CloudFormation, Service::Lambda])?;
        let region = client.settings.region();
        let what = format!("cannot find {function} of the stack {stack} in {region} (--stack, AWS_REGION)");
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", "DescribeStackResource")
            .append_pair("Version", "2010-05-15")
            .append_pair("StackName", stack)
            .append_pair("LogicalResourceId", &logical_id(function))
            .finish();
        let call = Call {
            service: Service::CloudFormation,
            method: Method::POST,
            url: format!("{}/", client.settings.url(Service::CloudFormation)),
            content_type: Some("application/x-www-form-urlencoded"),
            body: body.into(),
            timeout: TIMEOUT,
            again: Again::Always,
        };
        let reply = client.send(&call).await.with_context(|| what.clone())?;
        let name = physical_id(&String::from_utf8_lossy(&reply.body)).with_context(|| what)?;
        Ok(Self { client, name })
    }

    /// Invokes it and waits for its answer.
    pub(crate) async fn invoke(&self, event: Bytes, again: Again) -> Result<Answer, Failure> {
        let reply = self.call(Method::POST, "invocations", event, LONGEST, again).await?;
        let failed = reply.headers.contains_key("x-amz-function-error");
        Ok(Answer { body: reply.body, failed })
    }

    /// Its own variables.
    pub(crate) async fn environment(&self) -> Result<BTreeMap<String, String>> {
        let reply = self.call(Method::GET, "configuration", Bytes::new(), TIMEOUT, Again::Always).await;
        let configuration =
            reply.with_context(|| format!("cannot read how {} is configured", self.name))?.json()?;
        let variables = configuration.pointer("/Environment/Variables").and_then(Value::as_object);
        let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        Ok(variables.into_iter().flatten().filter_map(text).collect())
    }

    async fn call(
        &self,
        method: Method,
        what: &str,
        body: Bytes,
        timeout: Duration,
        again: Again,
    ) -> Result<Reply, Failure> {
        let Self { client, name } = self;
        let url = client.settings.url(Service::Lambda);
        let url = format!("{url}/2015-03-31/functions/{}/{what}", encoded(name, false));
        let content_type = Some("application/json");
        client.send(&Call { service: Service::Lambda, method, url, content_type, body, timeout, again }).await
    }
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

/// The name that CloudFormation gave to a resource.
fn physical_id(xml: &str) -> Result<String> {
    let document = roxmltree::Document::parse(xml).context("the answer is no XML")?;
    let id = document.descendants().find(|node| node.tag_name().name() == "PhysicalResourceId");
    let id = id.and_then(|node| node.text()).map(str::trim).filter(|id| !id.is_empty());
    Ok(id.context("CloudFormation has not made it yet")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_functions_name_becomes_its_logical_id() {
        assert_eq!(logical_id("triage-findings"), "TriageFindingsFunction");
    }
}
