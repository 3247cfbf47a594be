//! Approvals as a file has them.

use super::*;
use crate::model::severity::Severity;

fn with(approval: &str) -> String {
    format!(
        "version: 1\nbudgets: none\nrules:\n  - {{ name: shared, match: {{ check: DEVICE_CERTIFICATE_SHARED_CHECK }}, \
         mitigate: {{ actions: [Quarantine], devices: any, approval: {approval} }} }}\n"
    )
}

fn of_alarms(approval: &str) -> String {
    format!(
        "version: 1\nrules:\n  - {{ name: lamps, alarm: {{ profile: Lamps }}, \
         mitigate: {{ actions: [Quarantine], approval: {approval} }} }}\n"
    )
}

#[test]
fn a_rule_says_when_it_asks_for_one() {
    let of = |text: &str, rule: &str| {
        let approval = policy(text).approval_of(Some(rule)).cloned();
        approval.map(|approval| Approval { place: Place::default(), ..approval })
    };
    let always = Approval { always: true, ..Approval::default() };
    assert_eq!(of(&with("always"), "shared"), Some(always.clone()));
    assert_eq!(of(&of_alarms("always"), "lamps"), Some(always));
    let thresholds =
        "{ severity: HIGH, devices: 5, connected: 0, outsideOfWindow: true, overBudget: true, within: 90m }";
    let expected = Approval {
        severity: Some(Severity::High),
        outside_of_window: true,
        over_budget: true,
        devices: Some(5),
        connected: Some(0),
        always: false,
        within_seconds: 5_400,
        place: Place::default(),
    };
    assert_eq!(of(&with(thresholds), "shared"), Some(expected));
    let (other, default) = (policy(&with("always")), Approval::default());
    assert_eq!((other.approval_of(Some("other")), other.approval_of(None)), (None, None));
    assert_eq!(default.within_seconds, 86_400);
    assert!(!other.asks_for_two_persons());
    assert!(policy(&with("always").replace("budgets", "twoPersons: true\nbudgets")).asks_for_two_persons());
}

#[test]
fn what_depends_on_its_findings_is_no_task_of_a_whole_check() {
    let whole = |approval: &str| {
        policy(&with(approval))
            .takes_whole_check(&CheckName::new("DEVICE_CERTIFICATE_SHARED_CHECK"))
            .is_some()
    };
    assert!(whole("always") && whole("{ overBudget: true }"));
    assert!(!whole("{ severity: LOW }") && !whole("{ devices: 9 }"));
}

#[test]
fn what_is_wrong_with_one_is_told_where_it_stands() {
    let wrong = [
        with("never"),
        with("{}"),
        with("{ always: false }"),
        with("{ severty: HIGH }"),
        with("{ severity: HIHG, within: 5m }"),
        with("{ devices: 5001 }"),
        with("{ always: true, within: 8d }"),
        with("{ always: true, within: soon }"),
        with("[always]"),
        of_alarms("{ severity: HIGH }"),
        with("always").replace("budgets", "twoPersons: maybe\nbudgets"),
    ];
    let told = wrong.map(|text| Policy::parse(text.as_bytes()).unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n\n"));
}
