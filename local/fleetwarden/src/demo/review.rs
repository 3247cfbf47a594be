//! A review of suppressions after the audits and a run of the audit watch, from the functions that schedules would wake.
//! What the review says is compared with the endpoint.

use super::invoke::invoke;
use super::truth::Found;
use crate::stack::Stack;
use anyhow::{Context as _, Result};
use fleetwarden_core::model::mitigation::view::{Listed, Task};
use serde::Deserialize;
use serde_json::json;

/// What of a review's answer is told and held against the endpoint.
#[derive(Debug, Deserialize)]
pub(crate) struct Review {
    debt: Debt,
    gaps: Vec<String>,
    alerts: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Debt {
    suppressions: u64,
    ending: u64,
    indefinite: u64,
    ownerless: u64,
    non_compliant: u64,
    hidden: u64,
}

impl Review {
    /// Has the audits watched and the suppressions reviewed.
    pub(crate) async fn ask(stack: &Stack) -> Result<Self> {
        invoke(stack, "AuditWatchFunctionName", &json!({})).await?;
        let answer = invoke(stack, "SuppressionReviewFunctionName", &json!({})).await?;
        serde_json::from_value(answer).context("the review's answer has another shape")
    }

    /// The debt in one line.
    pub(crate) fn line(&self) -> String {
        let Debt { suppressions, ending, indefinite, ownerless, non_compliant, hidden } = &self.debt;
        format!(
            "{suppressions} suppressions hide {hidden} of {non_compliant} resources that do not comply; {ending} end \
             within 30 days, {indefinite} never, {ownerless} have no owner; {} alerts",
            self.alerts
        )
    }

    /// What the review says otherwise than the last audit, and what it does not know.
    pub(crate) fn faults(&self, found: &Found) -> Vec<String> {
        let mut faults: Vec<String> = self.gaps.iter().map(|gap| format!("the review: {gap}")).collect();
        let hidden: u64 = found.checks.values().map(|check| check.suppressed).sum();
        let counts = (self.debt.hidden, self.debt.non_compliant);
        if counts != (hidden, found.all()) {
            faults.push(format!(
                "the review counts {} hidden of {}; the endpoint has {hidden} of {}",
                counts.0,
                counts.1,
                found.all()
            ));
        }
        faults
    }
}

/// How many findings of an audit are not mitigated although a rule wanted it, each for a reason that the ledger has: the
/// task is superseded, or leaves them out.
pub(crate) async fn left_out(stack: &Stack, audit: &str) -> Result<u64> {
    let event = json!({"command": "MitigationList", "auditTaskId": audit, "all": true});
    let answer = invoke(stack, "MitigationCommandsFunctionName", &event).await?;
    let listed: Listed =
        serde_json::from_value(answer).context("the list of mitigations has another shape")?;
    let of = |task: &Task| {
        let superseded = task.count.filter(|_| task.state == "superseded").unwrap_or_default();
        superseded + task.left_out.unwrap_or_default()
    };
    Ok(listed.tasks.iter().map(of).sum())
}

#[cfg(test)]
mod tests {
    use super::super::truth::FoundByCheck;
    use super::*;

    #[test]
    fn a_review_that_disagrees_with_the_endpoint_is_told() {
        let debt =
            Debt { suppressions: 3, ending: 1, indefinite: 0, ownerless: 0, non_compliant: 10, hidden: 2 };
        let review = Review { debt, gaps: Vec::new(), alerts: 1 };
        let found = |unsuppressed, suppressed| {
            let check = FoundByCheck { unsuppressed, suppressed };
            Found { checks: [("C".to_owned(), check)].into(), ..Found::default() }
        };
        assert_eq!(review.faults(&found(8, 2)), [""; 0]);
        assert_eq!(
            review.faults(&found(8, 3)),
            ["the review counts 2 hidden of 10; the endpoint has 3 of 11"]
        );
        assert_eq!(review.faults(&found(9, 2)).len(), 1);
        let blind = Review { gaps: vec!["the last audits: denied".into()], ..review };
        assert_eq!(blind.faults(&found(8, 2)), ["the review: the last audits: denied"]);
        insta::assert_snapshot!(blind.line(), @"3 suppressions hide 2 of 10 resources that do not comply; 1 end within 30 days, 0 never, 0 have no owner; 1 alerts");
    }
}
