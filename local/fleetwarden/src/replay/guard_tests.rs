//! Replays with what budgets and approvals would have held.

use super::tests::{archive, both, plan, policy, replay};
use super::*;
use serde_json::json;

const POLICY: &str = "
version: 1
windows: { zone: UTC, open: [{ hours: '22:00-06:00' }] }
budgets:
  - { most: 5, within: 1h }
  - { most: 8, orShare: 50%, within: 30d, group: lab }
rules:
  - name: revoked-go-off
    match: { check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK }
    mitigate: { actions: Deactivate, approval: { severity: HIGH, connected: 0, overBudget: true } }
  - name: expiring-go-off
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }
    mitigate: { actions: Deactivate, devices: any, approval: { devices: 0, outsideOfWindow: true } }
";

#[test]
fn days_without_room_and_what_waits_for_a_person_are_told() {
    let policy = policy(POLICY);
    let report = replay(&archive(), plan(&policy));
    let told = both(&report, 2);
    let json = serde_json::to_string_pretty(&report.policy.guards).unwrap();
    insta::assert_snapshot!(format!("{told}\n\n----\n\n{json}"));
}

#[test]
fn of_two_policies_the_second_is_told_and_tools_get_both() {
    let (before, after) = (policy("version: 1\nrules: []\n"), policy(POLICY));
    let report = replay(&archive(), Plan { against: Some(&after), ..plan(&before) });
    assert!(report.policy.guards.budgets.is_empty() && report.policy.guards.approvals.is_empty());
    assert_eq!(report.against.as_ref().unwrap().policy.guards.budgets.len(), 6);
    let told = both(&report, 20);
    assert!(told.contains("other.yaml: days on which a budget has no room for all"), "{told}");
    let room = policy(
        "version: 1\nbudgets: [{ most: 99, within: 1h }]\nrules: [{ name: r, match: { severity: HIGH, \
                       check: DEVICE_CERTIFICATE_AGE_CHECK }, mitigate: { actions: Deactivate } }]\n",
    );
    let told = both(&replay(&archive(), plan(&room)), 20);
    assert!(told.contains("budgets have room for all that is mitigated"), "{told}");
    let none = policy(
        "version: 1\nbudgets: none\nrules: [{ name: r, match: { check: DEVICE_CERTIFICATE_AGE_CHECK }, \
                       mitigate: { actions: Deactivate } }]\n",
    );
    assert!(!both(&replay(&archive(), plan(&none)), 20).contains("budget"));
}

/// A file of the fleet says what a share is of, and which things are in the group.
#[test]
fn with_the_fleet_a_share_counts_and_so_does_only_what_is_in_the_group() {
    let policy = policy(POLICY);
    let things: Vec<_> = (0..40)
        .map(|number| {
            let certificate = format!("{number:04}{}", "ab".repeat(30));
            let group = if number % 2 == 0 { "bench" } else { "hall" };
            json!({ "name": format!("pump-{number}"), "groups": [group], "certificates": [certificate] })
        })
        .collect();
    let fleet = json!({ "groups": [{ "name": "bench", "parent": "lab" }], "things": things });
    let fleet = Fleet::parse("fleet.json", &fleet.to_string()).unwrap();
    let report = replay(&archive(), Plan { fleet: Some(&fleet), ..plan(&policy) });
    let of_lab: Vec<_> =
        report.policy.guards.budgets.iter().filter(|day| day.budget.contains("lab")).collect();
    // Half of twenty: the first two audits fill it, and what the first has no room for in the hour takes no room here.
    assert!(of_lab.iter().all(|day| day.limit == 10), "{of_lab:?}");
    assert!(!of_lab.is_empty() && of_lab.iter().all(|day| day.asked < 13), "{of_lab:?}");
    let of = |reason| report.policy.guards.approvals.iter().find(|waits| waits.reason == reason);
    assert!(of(guards::Why::DevicesNotKnown).is_none() && of(guards::Why::Devices).is_some());
}
