//! Where an alert is from, and where to look: addresses of the console and of the operator's guide.

use serde::Serialize;

use super::Alert;
use super::Subject;
use super::insights::Query;
use super::kind::GUIDE;
use super::kind::anchor;
use crate::ids::names::is_region;
use crate::timestamp::Millis;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Where an alert is from. What is not known is left out of its texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// 12 digits.
    pub account: String,
    /// As `eu-west-1`.
    pub region: String,
    /// The name of the stack.
    pub stack: Option<String>,
    /// The function that raised it.
    pub function: Option<String>,
    /// The version of that function; none if it has no published one.
    pub version: Option<String>,
    /// The log group of that function.
    pub log_group: Option<String>,
    /// The log group of findings and alarms.
    pub findings_log_group: Option<String>,
    /// The address of the operator's guide, without a fragment.
    pub runbook: Option<String>,
}

/// An address with what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// What is there.
    pub label: String,
    /// The address.
    pub url: String,
}

impl Place {
    /// The place that the ARN of a topic names: partition, account and region. Nothing, if it is no such ARN.
    pub fn of_topic(arn: &str) -> Self {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, partition, "sns", region, account, _] = parts.as_slice() else { return Self::default() };
        if !is_region(region) {
            return Self::default();
        }
        let [partition, account, region] = [partition, account, region].map(|part| (*part).to_owned());
        Self { partition, account, region, ..Self::default() }
    }

    /// Account, region, stack and function in a few words; none if the account is not known.
    pub(super) fn words(&self) -> Option<String> {
        if self.account.is_empty() {
            return None;
        }
        let stack = self.stack.iter().map(|stack| format!(", stack {stack}"));
        let function = self.function.iter().map(|function| format!(", function {function}"));
        let version = self.version.iter().map(|version| format!(" (version {version})"));
        let more: String = stack.chain(function).chain(version).collect();
        Some(format!("account {} in {}{more}", self.account, self.region))
    }

    /// What a program reads of it, by name.
    pub(super) fn parts(&self) -> Vec<(&'static str, &str)> {
        let known = |text: &'_ str| !text.is_empty();
        let own = [("account", self.account.as_str()), ("region", self.region.as_str())];
        let own = own.into_iter().filter(|(_, text)| known(text));
        let more = [("stack", &self.stack), ("function", &self.function), ("version", &self.version)];
        own.chain(more.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))).collect()
    }

    /// Where to look for what an alert is about.
    pub(super) fn links(&self, alert: &Alert, at: Millis) -> Vec<Link> {
        let found = "fields severity, status, reasonCode, key";
        let alarms = "fields fromMillis(at) as when, thing, event, decision.outcome";
        let link = match &alert.subject {
            Subject::Log => self.of_log("The function's log", at, "fields @timestamp, level, @message"),
            Subject::Audit { task_id } => self.of_findings("The audit's findings", at, &[task_id], || {
                format!("{found}, check\n| filter kind = \"finding\" and taskId = \"{task_id}\"\n| sort severity, status")
            }),
            Subject::Findings { task_id, check } => {
                self.of_findings("The findings", at, &[task_id, check.as_str()], || {
                    format!(
                        "{found}\n| filter kind = \"finding\" and taskId = \"{task_id}\" and check = \"{check}\" and \
                         decision.outcome = \"report\"\n| sort severity, status"
                    )
                })
            }
            Subject::Mitigation { task_id, .. } => is_plain(task_id).then_some(()).and_then(|()| {
                let filter = format!("| filter mitigation.task_id = \"{task_id}\" or mitigationTaskId = \"{task_id}\"");
                self.of_log("The mitigation task's log", at, &format!("fields @timestamp, level, message\n{filter}"))
            }),
            Subject::Alarm { violation_id } => self.of_findings("The alarm", at, &[violation_id], || {
                format!("{alarms}\n| filter kind = \"alarm\" and violationId = \"{violation_id}\"\n| sort at")
            }),
            Subject::Incident { id } => self.of_findings("The incident's alarms", at, &[id], || {
                format!("{alarms}\n| filter kind = \"alarm\" and incident = \"{id}\"\n| sort at")
            }),
        };
        link.into_iter().chain(self.section(alert)).collect()
    }

    /// Where the operator's guide says what to do, in words if nobody said where it is hosted.
    pub(super) fn guide(alert: &Alert) -> String {
        format!("{GUIDE}, \"{}\"", alert.kind.section())
    }

    fn section(&self, alert: &Alert) -> Option<Link> {
        let (guide, heading) = (self.runbook.as_deref()?, alert.kind.section());
        let label = format!("Runbook, \"{heading}\"");
        Some(Link { label, url: format!("{guide}#{}", anchor(heading)) })
    }

    /// A query of the findings log over the week before and the day after; none if an id is not plain.
    fn of_findings(
        &self,
        label: &str,
        at: Millis,
        ids: &[&str],
        query: impl FnOnce() -> String,
    ) -> Option<Link> {
        if !ids.iter().all(|id| is_plain(id)) {
            return None;
        }
        let group = self.findings_log_group.as_deref()?;
        self.query(label, group, &query(), (at.plus_seconds(-7 * DAY), at.plus_seconds(DAY)))
    }

    /// A query of the function's log over the hours around.
    fn of_log(&self, label: &str, at: Millis, query: &str) -> Option<Link> {
        let text = format!("{query}\n| sort @timestamp desc");
        let around = (at.plus_seconds(-DAY), at.plus_seconds(HOUR));
        self.query(label, self.log_group.as_deref()?, &text, around)
    }

    fn query(&self, label: &str, group: &str, text: &str, (from, to): (Millis, Millis)) -> Option<Link> {
        let label = format!("{label} in CloudWatch Logs Insights");
        let url = Query { group, text, from, to }.address(&self.console()?, &self.region);
        Some(Link { label, url })
    }

    /// The console of the region. Other partitions have consoles whose addresses AWS does not publish.
    ///
    /// Source: the endpoints of the AWS Management Console in the guides of AWS China and `AWS GovCloud (US)`.
    fn console(&self) -> Option<String> {
        let domain = match self.partition.as_str() {
            "aws" => "console.aws.amazon.com",
            "aws-cn" => "console.amazonaws.cn",
            "aws-us-gov" => "console.amazonaws-us-gov.com",
            _ => return None,
        };
        Some(format!("https://{}.{domain}", self.region))
    }
}

/// Whether a text means nothing to a query or a shell: an id that AWS or Fleetwarden made.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}
