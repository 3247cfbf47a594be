//! The stack on one machine: the emulator, the Device Defender endpoint, and `template.yaml` between them.
//!
//! What stays as it ships: the template's wiring and the functions' release binaries. What is added from the
//! outside: addresses in the environment, shorter waits, and the `AWS::IoT::*` resources at the endpoint.

use crate::cloud::{ACCOUNT, Cloud, REGION};
use crate::defender::Defender;
use crate::emulator::{Emulator, Start};
use crate::http::Http;
use crate::template::{iot, package, yaml};
use anyhow::{Context as _, Result};
use device_defender::{Endpoint, HttpPublisher, Publisher, Publishing, Settings};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tempfile::TempDir;

/// The name of every local stack.
pub(crate) const NAME: &str = "fleetwarden";
/// How long `audit-notification` may take here, where it is done in less than a second. It begins nothing in its
/// last five.
const NOTIFICATION: Duration = Duration::from_secs(8);
/// Between two deliveries of one message, when a second is ordered. Lambda's own next try comes after a minute;
/// this one must not come before the first one's claim has ended, because nobody tries a third time.
const AGAIN: Duration = Duration::from_secs(9);
const ARTIFACTS: &str = "fleetwarden-artifacts";
/// The queues that functions read, by the first word of the template's logical ids.
pub(crate) const QUEUES: [&str; 4] = ["Check", "Suppression", "Mitigation", "Finding"];
/// The functions that read them, in the same order, by the first words of their logical ids.
pub(crate) const CONSUMERS: [&str; 4] =
    ["TriageFindings", "ApplySuppressions", "ApplyMitigations", "ExportFindings"];
/// The parameters of the template that make a stack with Detect.
pub(crate) const DETECT: [&str; 2] = ["EnableDetect", "CreateExampleProfiles"];
/// The queues that nobody reads but people.
const DEAD_LETTER_QUEUES: [&str; 5] = ["Notification", "Check", "Suppression", "Mitigation", "Finding"];

/// The name of a stack as the command line or the environment gives it: an empty one stands for [`NAME`].
#[expect(clippy::unnecessary_wraps, reason = "clap asks for a result")]
pub(crate) fn name(given: &str) -> Result<String, std::convert::Infallible> {
    Ok(if given.is_empty() { NAME } else { given }.to_owned())
}

/// What a stack is made of.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The folder of the template.
    pub(crate) root: PathBuf,
    /// The folder of the functions' binaries.
    pub(crate) binaries: PathBuf,
    /// The emulator's command.
    pub(crate) ministack: PathBuf,
    /// The policy file.
    pub(crate) policy: PathBuf,
    /// The emulator's port, or nothing for a free one.
    pub(crate) port: Option<u16>,
    /// The endpoint's settings.
    pub(crate) defender: Settings,
    /// Values for the template's parameters, over those that a local stack needs.
    pub(crate) parameters: Vec<(String, String)>,
    /// How soon a message comes back that a function did not finish.
    pub(crate) retry: Duration,
}

/// A stack that is up. Dropping it ends everything that it started. Fields are dropped in their order: the
/// endpoint first, so that nothing publishes to an emulator that is gone; the emulator's folder last.
#[derive(Debug)]
pub(crate) struct Stack {
    _endpoint: Endpoint,
    publisher: Arc<Later>,
    emulator: Emulator,
    /// A client of the endpoint.
    pub(crate) defender: Defender,
    /// The stack's outputs.
    pub(crate) outputs: BTreeMap<String, String>,
    _folder: TempDir,
}

impl Stack {
    /// Brings a stack up. What was started is ended again if anything fails.
    pub(crate) async fn up(plan: &Plan) -> Result<Self> {
        anyhow::ensure!(plan.policy.exists(), "no policy file at {}", plan.policy.display());
        let http = Http::new();
        let folder = folder(&plan.root)?;
        // Endpoint and emulator each need the other's address: the publisher learns the emulator's later.
        let publisher = Arc::new(Later::default());
        let endpoint = Endpoint::start(plan.defender.clone(), publisher.clone())
            .await
            .with_context(|| format!("the Device Defender endpoint has no port {}", plan.defender.port))?;
        let defender = Defender::new(http.clone(), endpoint.url());
        let policy = plan.policy.to_string_lossy().into_owned();
        let environment = [("AWS_ENDPOINT_URL_IOT", endpoint.url()), ("POLICY_PATH", policy)];
        let start = Start {
            command: &plan.ministack,
            port: plan.port,
            folder: folder.path(),
            environment: &environment,
        };
        let emulator = Emulator::start(&http, &start).await?;
        publisher.point(HttpPublisher::new(emulator.cloud.url())?);
        let outputs = deploy(&emulator.cloud, &defender, plan).await?;
        let stack = Self { _endpoint: endpoint, publisher, emulator, defender, outputs, _folder: folder };
        stack.hasten(plan.retry).await?;
        Ok(stack)
    }

    /// Whether the endpoint publishes every message a second time, as a topic may deliver it and as Lambda
    /// tries again what a function did not finish: the emulator does neither for a topic's messages.
    pub(crate) fn publish_twice(&self, twice: bool) {
        self.publisher.twice.store(twice, Ordering::Relaxed);
    }

    /// The emulator's services.
    pub(crate) fn cloud(&self) -> &Cloud {
        &self.emulator.cloud
    }

    /// The process below which the functions run.
    pub(crate) fn process(&self) -> u32 {
        self.emulator.id()
    }

    /// The emulator's log.
    pub(crate) fn log(&self) -> &Path {
        &self.emulator.log
    }

    /// One of the stack's outputs.
    pub(crate) fn output(&self, name: &str) -> Result<&str> {
        self.outputs
            .get(name)
            .map(String::as_str)
            .with_context(|| format!("the template has no output {name}"))
    }

    /// The URL of a queue, by the first word of its logical id.
    pub(crate) fn queue(&self, name: &str) -> Result<&str> {
        self.output(&format!("{name}QueueUrl"))
    }

    /// The URL of a dead-letter queue, by the first word of its logical id.
    pub(crate) fn dead_letter_queue(&self, name: &str) -> Result<&str> {
        self.output(&format!("{name}DeadLetterQueueUrl"))
    }

    /// Whether the stack handles alarms of Detect.
    pub(crate) fn has_detect(&self) -> bool {
        self.outputs.contains_key("AlarmQueueUrl")
    }

    /// The dead-letter queues that the stack has, by the first word of their logical ids.
    pub(crate) fn dead_letter_queues(&self) -> impl Iterator<Item = &'static str> {
        DEAD_LETTER_QUEUES.into_iter().chain(self.has_detect().then_some("Alarm"))
    }

    /// What a shell needs to point any AWS client at this stack.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.cloud().url().to_owned()),
            ("AWS_ENDPOINT_URL_IOT", self.defender.url().to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCOUNT.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ]
    }

    /// Has all functions read another policy file from now on, in new processes: as Lambda does when a deployment brings another
    /// version of the policy's layer.
    pub(crate) async fn deploy_policy(&self, policy: &Path) -> Result<()> {
        let policy = std::path::absolute(policy).context("the policy is no path")?;
        let policy = policy.to_string_lossy().into_owned();
        let functions: Vec<&String> = self
            .outputs
            .iter()
            .filter(|(name, _)| name.ends_with("FunctionName"))
            .map(|(_, name)| name)
            .collect();
        for function in &functions {
            self.cloud().hasten(function, Duration::MAX, &[("POLICY_PATH", policy.as_str())]).await?;
        }
        for function in functions {
            self.cloud().configured(function).await?;
        }
        Ok(())
    }

    /// The waits of the template are for AWS, where a function may really run that long.
    ///
    /// A function's claims end with its time-out, so a message must not come back earlier: visibility is a
    /// second longer. Shorter than the time-out it would come back to a busy claim until it is parked.
    async fn hasten(&self, retry: Duration) -> Result<()> {
        let notification = self.output("AuditNotificationFunctionName")?;
        self.cloud().hasten(notification, retry.min(NOTIFICATION), &[]).await?;
        let commands = self.output("AuditCommandsFunctionName")?;
        self.cloud().hasten(commands, Duration::MAX, &[("FOLLOW_UP_SECONDS", "1")]).await?;
        for (queue, function) in QUEUES.iter().zip(CONSUMERS) {
            let name = self.output(&format!("{function}FunctionName"))?;
            self.cloud().hasten(name, retry, &[("FOLLOW_UP_SECONDS", "1")]).await?;
            self.cloud().set_visibility(self.queue(queue)?, retry + Duration::from_secs(1)).await?;
        }
        if self.has_detect() {
            let commands = self.output("DetectCommandsFunctionName")?;
            self.cloud().hasten(commands, Duration::MAX, &[("FOLLOW_UP_SECONDS", "1")]).await?;
            self.cloud().hasten(self.output("DetectAlarmFunctionName")?, retry, &[]).await?;
            self.cloud().set_visibility(self.queue("Alarm")?, retry + Duration::from_secs(1)).await?;
        }
        Ok(())
    }
}

/// The endpoint's publisher, which knows its emulator only after the emulator was told of the endpoint.
#[derive(Debug, Default)]
struct Later {
    publisher: OnceLock<HttpPublisher>,
    twice: AtomicBool,
}

impl Later {
    fn point(&self, publisher: HttpPublisher) {
        // Pointed once, by whoever made it.
        let _ = self.publisher.set(publisher);
    }
}

impl Publisher for Later {
    fn publish(&self, topic_arn: String, message: String) -> Publishing<'_> {
        Box::pin(async move {
            let publisher = self.publisher.get().ok_or("the emulator is not up yet")?;
            if self.twice.load(Ordering::Relaxed) {
                publisher.publish(topic_arn.clone(), message.clone()).await?;
                tokio::time::sleep(AGAIN).await;
            }
            publisher.publish(topic_arn, message).await
        })
    }
}

/// Deploys the template and creates at the endpoint what only Device Defender has. Returns the outputs.
async fn deploy(cloud: &Cloud, defender: &Defender, plan: &Plan) -> Result<BTreeMap<String, String>> {
    let path = plan.root.join("template.yaml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut template = yaml::read(&text)?;
    let artifacts = package::package(&mut template, &plan.root, &plan.binaries, ARTIFACTS)?;
    let at_endpoint = iot::take(&mut template)?;
    let loops = recursive_loops(&template);
    cloud.create_bucket(ARTIFACTS).await?;
    for (key, bytes) in artifacts {
        cloud.put_object(ARTIFACTS, &key, bytes).await?;
    }
    // By way of S3, as `sam deploy` does: the template is larger than what CreateStack takes in its body.
    cloud.put_object(ARTIFACTS, "template.json", template.to_string()).await?;
    let url = format!("{}/{ARTIFACTS}/template.json", cloud.url());
    cloud.create_stack(NAME, &url, &parameters(plan)).await?;
    let outputs = cloud.stack_outputs(NAME).await?;
    for (id, setting, conditional) in loops {
        let output = format!("{id}Name");
        match outputs.get(&output) {
            Some(function) => cloud.set_recursive_loop(function, &setting).await?,
            None if conditional => {}
            None => anyhow::bail!("the template has no output {output}"),
        }
    }
    for resource in at_endpoint {
        if let Some(properties) = resource.resolved(&outputs) {
            let made = defender.create(&resource.kind, &properties).await;
            made.with_context(|| format!("the template's {}", resource.id))?;
        }
    }
    Ok(outputs.into_iter().filter(|(name, _)| !iot::is_own(name)).collect())
}

/// The functions with a setting for recursive loops: logical id, setting, and whether a stack may be without it. The
/// emulator's CloudFormation leaves it out.
fn recursive_loops(template: &Value) -> Vec<(String, String, bool)> {
    let resources = template.get("Resources").and_then(Value::as_object).into_iter().flatten();
    resources
        .filter_map(|(id, resource)| {
            let setting = resource.pointer("/Properties/RecursiveLoop")?.as_str()?;
            Some((id.clone(), setting.to_owned(), resource.get("Condition").is_some()))
        })
        .collect()
}

/// What a local stack needs, and over it what the operator says.
fn parameters(plan: &Plan) -> Vec<(String, String)> {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let mut parameters = BTreeMap::from([
        ("Architecture".to_owned(), architecture.to_owned()),
        ("CreateMitigationActions".to_owned(), "true".to_owned()),
        ("ManageAuditConfiguration".to_owned(), "true".to_owned()),
    ]);
    parameters.extend(plan.parameters.iter().cloned());
    parameters.into_iter().collect()
}

/// A folder of this stack's own, so that several can be up at once.
fn folder(root: &Path) -> Result<TempDir> {
    let above = root.join("target/local");
    fs::create_dir_all(&above).with_context(|| format!("cannot make {}", above.display()))?;
    tempfile::tempdir_in(&above).with_context(|| format!("cannot make a folder in {}", above.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_function_in_a_loop_that_a_stack_may_be_without_is_told_apart() {
        let template = json!({ "Resources": {
            "A": { "Condition": "Some", "Properties": { "RecursiveLoop": "Allow" } },
            "B": { "Properties": { "RecursiveLoop": "Terminate" } },
            "C": { "Properties": {} },
        } });
        let expected = [("A", "Allow", true), ("B", "Terminate", false)];
        assert_eq!(
            recursive_loops(&template),
            expected.map(|(id, setting, conditional)| (id.to_owned(), setting.to_owned(), conditional))
        );
    }
}
