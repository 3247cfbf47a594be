//! What is known of each check beyond its counts: what triage counted, or else the findings themselves.

use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::keys;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::Counts;
use fleetwarden_core::message::Tally;
use fleetwarden_core::message::count_reason;
use fleetwarden_core::model::debt::Debt;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::report::Changes;
use fleetwarden_core::report::CheckReport;
use fleetwarden_core::report::Example;
use fleetwarden_core::report::Status;
use serde_json::Value;
use serde_json::json;

use crate::report::sources::Sources;
use fleetwarden_commands::Failure;
use fleetwarden_commands::sources::Calls;
use fleetwarden_commands::sources::cut;
use fleetwarden_commands::sources::text;

/// How many pages are listed of checks that were not triaged: 10,000 findings.
const PAGES: u32 = 40;
/// How many examples a check has.
const EXAMPLES: usize = 20;
/// The longest words of an example, in characters: ARNs and reasons have no bound.
const WORDS: usize = 400;

/// What the ledger knows of an audit.
struct Known {
    /// Whether audit-notification has heard that it ended.
    notified: bool,
    items: Vec<Item>,
}

impl Sources<'_> {
    /// Fills in what triage counted, and examples; where there was no triage, counts the findings.
    pub(super) async fn checks(
        &self,
        audit: &Audit,
        ended: bool,
        checks: &mut [CheckReport],
        debt: &mut Option<Debt>,
    ) {
        let mut known = None;
        self.tell("what triage counted, and the debt of suppressions", async {
            known = Some(self.known(audit, checks, debt).await?);
            Ok(())
        })
        .await;
        if let Some(known) = known {
            for check in &mut *checks {
                known.fill(check);
            }
            if known.notified {
                let why = "its triage has not ended, so that what is new is not known; ask again";
                let done =
                    |check: &&CheckReport| matches!(check.status, Status::NonCompliant | Status::Compliant);
                let late = checks.iter().filter(done).filter(|check| check.changes.is_none());
                for check in late {
                    self.gap(check.check.as_str(), why);
                }
            } else if ended {
                let why = "audit-notification has not heard that the audit ended, so that it was not triaged";
                self.gap("what is new, fixed or returned", why);
            }
        }
        let Ok(mut list) = self.calls("ListAuditFindings") else { return };
        let mut pages = PAGES;
        for check in checks.iter_mut().filter(|check| check.non_compliant > 0) {
            let name = check.check.clone();
            if check.changes.is_some() {
                self.tell(format!("examples of {name}"), exemplify(check, audit, &mut list)).await;
                continue;
            }
            self.tell(format!("counts of {name}"), async {
                if !count(check, audit, &mut list, &mut pages).await? {
                    let why = "only a part of its findings is counted by severity and reason; \
                               ListAuditFindings has them all";
                    self.gap(name.as_str(), why);
                }
                Ok(())
            })
            .await;
        }
    }

    /// What the ledger has, in one call.
    async fn known(
        &self,
        audit: &Audit,
        checks: &[CheckReport],
        debt: &mut Option<Debt>,
    ) -> Result<Known, Failure> {
        let about_audit = keys::audit(audit);
        let runs: Vec<String> = checks.iter().map(|check| format!("check#{}", check.check)).collect();
        let mut keys: Vec<(String, &str)> =
            runs.iter().map(|run| (about_audit.clone(), run.as_str())).collect();
        keys.push((about_audit, "audit"));
        keys.push((keys::debt(), "latest"));
        let ledger = (self.ledger)();
        let items = ledger.get_all(&keys).await?;
        let text = items.iter().find_map(|item| item.get_text("debt"));
        *debt = text.and_then(|text| serde_json::from_str(text).ok());
        let notified = items.iter().any(|item| item.get_text("sk") == Some("audit"));
        Ok(Known { notified, items })
    }
}

impl Known {
    /// What triage counted of a check. It is not asked to look at one that had nothing and has nothing.
    fn fill(&self, check: &mut CheckReport) {
        let run = |item: &&Item| item.get_text("check") == Some(check.check.as_str());
        let tally = self.items.iter().find(run).and_then(|item| item.get_text("tally"));
        let Some(tally) = tally.and_then(|text| serde_json::from_str::<Tally>(text).ok()) else {
            let nothing = check.status == Status::Compliant && check.suppressed == 0;
            check.changes = (self.notified && nothing).then(Changes::default);
            return;
        };
        check.severities = tally
            .iter()
            .filter(|(_, counts)| counts.non_compliant > 0)
            .map(|(severity, counts)| (*severity, counts.non_compliant))
            .collect();
        let Counts { new, fixed, returned, oldest, reasons, decisions, .. } =
            tally.values().fold(Counts::default(), Counts::plus);
        check.changes = Some(Changes { new, fixed, returned });
        check.oldest = oldest;
        check.reasons = reasons;
        check.decisions = decisions;
    }
}

/// A check's findings that count, as many as there are examples.
fn of(audit: &Audit, check: &CheckReport) -> Value {
    json!({
        "taskId": audit.task_id,
        "checkName": check.check,
        "listSuppressedFindings": false,
        "maxResults": EXAMPLES,
    })
}

/// Takes some findings as examples.
async fn exemplify(check: &mut CheckReport, audit: &Audit, list: &mut Calls<'_>) -> Result<(), Failure> {
    let page = list.ask(of(audit, check)).await?;
    let findings = page.get("findings").and_then(Value::as_array);
    check.examples.extend(findings.into_iter().flatten().take(EXAMPLES).map(example));
    Ok(())
}

/// Counts findings as far as pages are left, and takes the first as examples. Says whether it counted all.
async fn count(
    check: &mut CheckReport,
    audit: &Audit,
    list: &mut Calls<'_>,
    pages: &mut u32,
) -> Result<bool, Failure> {
    let input = of(audit, check);
    let take = |findings: Vec<Value>| {
        for finding in &findings {
            *check.severities.entry(severity(finding)).or_default() += 1;
            let code = text(finding, "reasonForNonComplianceCode").unwrap_or_default();
            count_reason(&mut check.reasons, code, 1);
            if check.examples.len() < EXAMPLES {
                check.examples.push(example(finding));
            }
        }
        true
    };
    list.pages(input, pages, take).await
}

fn severity(finding: &Value) -> Severity {
    Severity::parse(text(finding, "severity").unwrap_or_default())
}

fn example(finding: &Value) -> Example {
    let words = |value: Option<&str>| cut(value.unwrap_or_default(), WORDS);
    let resource = finding.get("nonCompliantResource").unwrap_or(&Value::Null);
    let identifier = resource.get("resourceIdentifier").cloned().unwrap_or_default();
    let identifier: ResourceIdentifier = serde_json::from_value(identifier).unwrap_or_default();
    let reason =
        text(finding, "reasonForNonCompliance").or_else(|| text(finding, "reasonForNonComplianceCode"));
    Example {
        finding_id: words(text(finding, "findingId")),
        resource_type: words(text(resource, "resourceType")),
        resource: words(Some(&identifier.label())),
        severity: severity(finding),
        reason: words(reason),
    }
}
