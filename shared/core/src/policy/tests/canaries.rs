//! Canaries as a file has them.

use super::*;
use crate::model::action::ActionKind;

/// A rule that mitigates with this canary.
fn with(canary: &str) -> String {
    format!(
        "version: 1\nrules:\n  - name: expiring\n    match: {{ check: DEVICE_CERTIFICATE_EXPIRING_CHECK }}\n    mitigate:\n      \
         actions: Quarantine\n      devices: any\n      canary: {canary}\n"
    )
}

#[test]
fn a_canary_is_a_number_or_a_share_and_asks_for_all_by_default() {
    let of = |canary: &str| {
        let policy = policy(&with(canary));
        let Canary { first, watch_seconds, stop_if, .. } = policy.canary_of("expiring").unwrap().clone();
        (first, watch_seconds, stop_if.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(of("{ first: 3, watch: 15m }"), (First::Count(3), 900, StopIf::DEFAULT.to_vec()));
    let one = "{ first: 0.5%, watch: 1d, stopIf: alarms }";
    assert_eq!(of(one), (First::Share(50), 86_400, vec![StopIf::Alarms]));
    let all = "{ first: 1, watch: 15m, stopIf: [disconnected, alarms, failures] }";
    assert_eq!(of(all).2, StopIf::ALL.to_vec());
    assert!(policy(&with("{ first: 3, watch: 15m }")).canary_of("other").is_none());
}

#[test]
fn a_rule_with_a_canary_takes_no_whole_check() {
    let takes = |text: &str| {
        policy(&format!("budgets: none\n{text}"))
            .takes_whole_check(&CheckName::new("DEVICE_CERTIFICATE_EXPIRING_CHECK"))
            .is_some()
    };
    let file = with("{ first: 3, watch: 15m }");
    assert!(!takes(&file));
    assert!(takes(&file.replace("      canary: { first: 3, watch: 15m }\n", "")));
}

#[test]
fn what_is_wrong_with_one_is_told_where_it_stands() {
    let wrong = [
        "5",
        "{ first: 1 }",
        "{ first: 0, watch: 15m }",
        "{ first: 26, watch: 8d }",
        "{ first: 0%, watch: 15 }",
        "{ first: few, watch: 15m, stopIf: [failure, alarm, disconnect] }",
        "{ first: 1, watch: 15m, stopif: alarms }",
        "{ first: 1, watch: 15m, stopIf: [] }",
    ];
    let told = wrong.map(|canary| Policy::parse(with(canary).as_bytes()).unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn an_alarm_has_none() {
    let file = "version: 1\nrules:\n  - name: loud\n    alarm: { behavior: sent }\n    mitigate: { actions: Quarantine, canary: { \
                first: 1, watch: 15m } }\n";
    insta::assert_snapshot!(Policy::parse(file.as_bytes()).unwrap_err().to_string());
}

#[test]
fn one_that_no_budget_can_hold_and_one_that_outlasts_the_audits_are_doubts() {
    let doubts = |head: &str, canary: &str| {
        let known = Known { at: Millis(0), actions: None, inventory: None, deployment: None };
        let found = policy(&format!("{head}\n{}", with(canary))).lint(&known);
        found.iter().map(|found| found.what.clone()).collect::<Vec<_>>().join("\n")
    };
    let told = [
        doubts("budgets: [{ most: 2, within: 1h }]", "{ first: 3, watch: 15m }"),
        doubts(
            "budgets: [{ most: 2, orShare: 1%, within: 1h, actions: Quarantine }]",
            "{ first: 3, watch: 15m }",
        ),
        doubts("", "{ first: 1, watch: 1d }"),
        doubts("budgets: [{ most: 24, within: 1h }]", "{ first: 1%, watch: 15m }"),
        doubts("budgets: [{ most: 5, orShare: 1%, within: 1h }]", "{ first: 1.5%, watch: 15m }"),
    ];
    insta::assert_snapshot!(told.join("\n\n"));
    assert_eq!(doubts("budgets: [{ most: 2, within: 1h }]", "{ first: 2, watch: 23h }"), "");
    assert_eq!(doubts("budgets: [{ most: 25, within: 1h }]", "{ first: 50%, watch: 15m }"), "");
    assert_eq!(doubts("", "{ first: 1%, watch: 15m }"), "");
}

#[test]
fn what_cuts_devices_off_and_what_changes_none_disconnects_nothing_that_counts() {
    let doubts = |kind: ActionKind| {
        let kinds = [("Quarantine".to_owned(), Some(kind))].into();
        let actions = Actions { kinds, more: false };
        let known = Known { at: Millis(0), actions: Some(&actions), inventory: None, deployment: None };
        let found = policy(&with("{ first: 1, watch: 15m, stopIf: [failures, disconnected] }")).lint(&known);
        let found = found.iter().map(|found| found.what.clone()).filter(|what| what.contains("disconnected"));
        format!("{kind}: {}", found.collect::<Vec<_>>().join("\n"))
    };
    insta::assert_snapshot!(
        [
            doubts(ActionKind::UpdateDeviceCertificate),
            doubts(ActionKind::ReplaceDefaultPolicyVersion),
            doubts(ActionKind::AddThingsToThingGroup),
            doubts(ActionKind::EnableIotLogging),
        ]
        .join("\n")
    );
}
