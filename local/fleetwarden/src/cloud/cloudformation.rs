//! CloudFormation: a stack is created, watched until it stands, and asked what it made.

use super::Cloud;
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

const VERSION: &str = "2010-05-15";
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
        let mut form = pairs(&[
            ("StackName", name),
            ("TemplateURL", template_url),
            ("Capabilities.member.1", "CAPABILITY_NAMED_IAM"),
            ("Capabilities.member.2", "CAPABILITY_AUTO_EXPAND"),
        ]);
        for (n, (key, value)) in parameters.iter().enumerate() {
            let member = format!("Parameters.member.{}", n + 1);
            form.push((format!("{member}.ParameterKey"), key.clone()));
            form.push((format!("{member}.ParameterValue"), value.clone()));
        }
        self.stack_query("CreateStack", &form).await?;
        for _ in 0..ATTEMPTS {
            match self.stack_status(name).await?.as_str() {
                "CREATE_COMPLETE" => return Ok(()),
                "CREATE_IN_PROGRESS" | "REVIEW_IN_PROGRESS" => tokio::time::sleep(EVERY).await,
                status => bail!("stack {name} ended as {status}:{}", self.stack_reasons(name).await?),
            }
        }
        bail!("stack {name} is still being made:{}", self.stack_reasons(name).await?)
    }

    /// The stack's outputs, by key.
    pub(crate) async fn stack_outputs(&self, name: &str) -> Result<BTreeMap<String, String>> {
        let answer = self.stack_query("DescribeStacks", &pairs(&[("StackName", name)])).await?;
        members(&answer, "Outputs", "OutputKey", "OutputValue")
    }

    async fn stack_status(&self, name: &str) -> Result<String> {
        let answer = self.stack_query("DescribeStacks", &pairs(&[("StackName", name)])).await?;
        let document = roxmltree::Document::parse(&answer)?;
        let status = document.descendants().find(|node| node.has_tag_name_any("StackStatus"));
        Ok(status.and_then(|node| node.text()).context("DescribeStacks names no status")?.to_owned())
    }

    /// Every event that failed, oldest first, one a line.
    async fn stack_reasons(&self, name: &str) -> Result<String> {
        let answer = self.stack_query("DescribeStackEvents", &pairs(&[("StackName", name)])).await?;
        let document = roxmltree::Document::parse(&answer)?;
        let mut lines = Vec::new();
        for event in document.descendants().filter(|node| node.has_tag_name_any("member")) {
            let status = event.child_text("ResourceStatus");
            let reason = event.child_text("ResourceStatusReason");
            if status.contains("FAILED") || status.contains("ROLLBACK") {
                let id = event.child_text("LogicalResourceId");
                lines.push(format!("{id} {status} {reason}"));
            }
        }
        Ok(lines.iter().rev().fold(String::new(), |mut all, line| {
            let _ = write!(all, "\n  {line}");
            all
        }))
    }

    async fn stack_query(&self, action: &str, form: &[(String, String)]) -> Result<String> {
        self.query("cloudformation", VERSION, action, form).await
    }
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The `member` elements of one list, as pairs of two of their children.
fn members(xml: &str, list: &str, key: &str, value: &str) -> Result<BTreeMap<String, String>> {
    let document = roxmltree::Document::parse(xml)?;
    let lists = document.descendants().filter(|node| node.has_tag_name_any(list));
    Ok(lists
        .flat_map(|list| list.children().filter(|node| node.has_tag_name_any("member")))
        .map(|member| (member.child_text(key), member.child_text(value)))
        .collect())
}

/// AWS puts its answers into a namespace that nobody needs.
trait Element {
    fn has_tag_name_any(&self, name: &str) -> bool;
    fn child_text(&self, name: &str) -> String;
}

impl Element for roxmltree::Node<'_, '_> {
    fn has_tag_name_any(&self, name: &str) -> bool {
        self.tag_name().name() == name
    }

    fn child_text(&self, name: &str) -> String {
        let child = self.children().find(|node| node.has_tag_name_any(name));
        child.and_then(|node| node.text()).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs_out_of_a_list_and_only_that_list() {
        let xml = r#"<R xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Outputs>
            <member><OutputKey>A</OutputKey><OutputValue>1</OutputValue></member>
            <member><OutputKey>B</OutputKey><OutputValue></OutputValue></member></Outputs>
            <Other><member><OutputKey>C</OutputKey></member></Other></R>"#;
        let outputs = members(xml, "Outputs", "OutputKey", "OutputValue").unwrap();
        assert_eq!(outputs.len(), 2);
        assert_eq!(outputs["A"], "1");
        assert_eq!(outputs["B"], "");
    }
}
