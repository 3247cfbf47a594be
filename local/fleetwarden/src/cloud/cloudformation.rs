//! CloudFormation: a stack is created, watched until it stands, and asked what it made.

use super::{Cloud, refused};
use anyhow::{Context as _, Result, bail};
use aws_sdk_cloudformation::types::{Capability, Parameter, ResourceStatus, Stack, StackStatus};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(200);
/// The emulator makes a stack in a second or two.
const ATTEMPTS: u32 = 600;

impl Cloud {
    /// Creates a stack from a template in S3 and waits until it stands. On failure the error says why.
    pub(crate) async fn create_stack(
        &self,
        name: &str,
        template_url: &str,
        parameters: &[(String, String)],
    ) -> Result<()> {
        let parameter = |(key, value): &(String, String)| {
            Parameter::builder().parameter_key(key).parameter_value(value).build()
        };
        let create = self.cloudformation.create_stack().stack_name(name).template_url(template_url);
        let create = create
            .capabilities(Capability::CapabilityNamedIam)
            .capabilities(Capability::CapabilityAutoExpand)
            .set_parameters(Some(parameters.iter().map(parameter).collect()));
        create.send().await.map_err(refused(format!("cannot create stack {name}")))?;
        for _ in 0..ATTEMPTS {
            match self.stack(name).await?.stack_status.context("DescribeStacks names no status")? {
                StackStatus::CreateComplete => return Ok(()),
                StackStatus::CreateInProgress | StackStatus::ReviewInProgress => {
                    tokio::time::sleep(EVERY).await;
                }
                status => bail!("stack {name} ended as {status}:{}", self.stack_reasons(name).await?),
            }
        }
        bail!("stack {name} is still being made:{}", self.stack_reasons(name).await?)
    }

    /// The stack's outputs, by key.
    pub(crate) async fn stack_outputs(&self, name: &str) -> Result<BTreeMap<String, String>> {
        let outputs = self.stack(name).await?.outputs.unwrap_or_default();
        Ok(outputs
            .into_iter()
            .filter_map(|output| Some((output.output_key?, output.output_value?)))
            .collect())
    }

    async fn stack(&self, name: &str) -> Result<Stack> {
        let described = self.cloudformation.describe_stacks().stack_name(name).send().await;
        let described = described.map_err(refused(format!("cannot describe stack {name}")))?;
        described.stacks.unwrap_or_default().into_iter().next().context("DescribeStacks names no stack")
    }

    /// Every event that failed, oldest first, one a line.
    async fn stack_reasons(&self, name: &str) -> Result<String> {
        let events = self.cloudformation.describe_stack_events().stack_name(name).send().await;
        let events = events.map_err(refused(format!("cannot read the events of stack {name}")))?;
        let mut reasons = String::new();
        for event in events.stack_events.unwrap_or_default().into_iter().rev() {
            let status = event.resource_status.as_ref().map(ResourceStatus::as_str).unwrap_or_default();
            if status.contains("FAILED") || status.contains("ROLLBACK") {
                let id = event.logical_resource_id.as_deref().unwrap_or_default();
                let reason = event.resource_status_reason.as_deref().unwrap_or_default();
                let _ = write!(reasons, "\n  {id} {status} {reason}");
            }
        }
        Ok(reasons)
    }
}
