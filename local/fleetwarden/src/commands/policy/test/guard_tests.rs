//! Cases that say what is connected and what is used of the budgets, and expect what the guards say.

use super::tests::results_of;
use super::*;

const POLICY: &str = "version: 1
mode: enforce
budgets:
  - { most: 2, within: 1d, group: pumps }
  - { most: 5, orShare: 1%, within: 1h }
rules:
  - name: revoked
    match: { check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK }
    mitigate:
      actions: FleetwardenDeactivateDeviceCertificate
      devices: { most: 2, connected: 0 }
      approval: { severity: CRITICAL, devices: 1, overBudget: true, within: 4h }
      canary: { first: 1%, watch: 15m }
  - name: old
    match: { check: DEVICE_CERTIFICATE_AGE_CHECK }
    mitigate: { actions: FleetwardenDeactivateDeviceCertificate }
  - name: blank
    match: { check: IOT_POLICY_OVERLY_PERMISSIVE_CHECK, resource: 'lab-*' }
    mitigate: { actions: FleetwardenReplacePolicyWithBlank, devices: { most: 50 } }
  - name: blank-without-a-number
    match: { check: IOT_POLICY_OVERLY_PERMISSIVE_CHECK }
    mitigate: { actions: FleetwardenReplacePolicyWithBlank }
  - name: tell
    match: { check: CA_CERTIFICATE_EXPIRING_CHECK }
    report: {}
  - name: alarmed
    alarm: { profile: pumps }
    mitigate: { actions: FleetwardenQuarantineThings, devices: { most: 1, connected: 0 } }
";

const CASES: &str = "cases:
  - name: nothing stops it
    finding: { check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK, severity: HIGH }
    things: [{ name: pump-1, groups: [pumps] }]
    connected: []
    budgetUsed: 1
    expect: { outcome: mitigate, guard: none }
  - name: it is connected
    finding: { check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK, severity: HIGH }
    things: [pump-1]
    connected: [pump-1]
    expect: { guard: connections }
  - name: nobody says whether it is connected
    finding: { check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK, severity: HIGH }
    things: [pump-1]
    expect: { guard: connections }
  - name: too many devices
    finding: { check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK }
    things: [pump-1, pump-2, pump-3]
    connected: []
    expect: { guard: devices }
  - name: too severe, and two devices
    finding: { check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK, severity: CRITICAL }
    things: [pump-1, pump-2]
    connected: []
    expect: { guard: { approval: [devices, severity] } }
  - name: a person may let it go over a budget
    finding: { check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK, severity: HIGH }
    connected: []
    things: [pump-1]
    budgetUsed: 5
    expect: { guard: { approval: overBudget } }
  - name: in short
    finding: { check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK, severity: CRITICAL }
    things: [pump-1]
    connected: []
    expect: { guard: approval }
  - name: a budget has no room
    finding: { check: DEVICE_CERTIFICATE_AGE_CHECK }
    budgetUsed: { 5 or 1% of the fleet in 1h: 5 }
    expect: { guard: { budget: 5 or 1% of the fleet in 1h } }
  - name: a group has no room
    finding: { check: DEVICE_CERTIFICATE_AGE_CHECK }
    things: [{ name: pump-1, groups: [pumps] }]
    budgetUsed: { 2 of group pumps in 1d: 2 }
    expect: { guard: budget }
  - name: another group has room
    finding: { check: DEVICE_CERTIFICATE_AGE_CHECK }
    things: [{ name: lamp-1, groups: [lamps] }]
    budgetUsed: { 2 of group pumps in 1d: 2 }
    expect: { guard: none }
  - name: how many devices a policy has is not known here
    finding: { check: IOT_POLICY_OVERLY_PERMISSIVE_CHECK, resource: 'lab-1:1' }
    expect: { guard: unknown }
  - name: without a number a policy is left alone
    finding: { check: IOT_POLICY_OVERLY_PERMISSIVE_CHECK }
    expect: { guard: devices }
  - name: what is reported has no guard
    finding: { check: CA_CERTIFICATE_EXPIRING_CHECK }
    expect: { guard: none }
  - name: an alarm of a connected device
    alarm: { profile: pumps, behavior: b, thing: pump-1 }
    connected: [pump-1]
    expect: { guard: connections }
  - name: an alarm of one that is not connected
    alarm: { profile: pumps, behavior: b, thing: pump-1 }
    connected: []
    expect: { outcome: mitigate, guard: none }
";

const WINDOWS: &str = "windows: { zone: UTC, open: [{ hours: '22:00-06:00' }] }\n";

#[test]
fn what_guards_say_is_compared() {
    let (results, _folder) = results_of(POLICY, &[("guards.yaml", CASES)]);
    assert!(results.passed(), "{}", text::text(&results));
    assert_eq!(results.counts(), Counts { passed: 15, failed: 0, broken: 0 });
    let case = "cases:\n  - name: a\n    at: 2026-01-01T08:00:00Z\n    finding: { check: DEVICE_CERTIFICATE_AGE_CHECK }\n    \
                expect: { guard: windows }\n";
    let (results, _folder) = results_of(&format!("{POLICY}{WINDOWS}"), &[("shut.yaml", case)]);
    assert!(results.passed(), "{}", text::text(&results));
}

/// Whatever is expected wrongly is a failure.
#[test]
fn each_word_of_a_guard_can_fail() {
    for wrong in [
        "none",
        "windows",
        "devices",
        "connections",
        "budget",
        "unknown",
        "{ approval: severity }",
        "{ approval: [always, overBudget] }",
        "{ budget: 5 or 1% of the fleet in 1h }",
    ] {
        let case = format!(
            "cases:\n  - name: wrong\n    finding: {{ check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK, severity: HIGH }}\n    \
             things: [pump-1]\n    connected: []\n    budgetUsed: 5\n    expect: {{ guard: {wrong} }}\n"
        );
        let (results, _folder) = results_of(POLICY, &[("wrong.yaml", &case)]);
        assert_eq!(results.counts(), Counts { passed: 0, failed: 1, broken: 0 }, "{wrong}");
    }
}

#[test]
fn what_is_wrong_is_told_where_it_stands_and_a_failure_with_all_guards() {
    let fails = "cases:
  - name: a shared certificate of two connected pumps
    finding: { check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK, severity: CRITICAL }
    things: [{ name: pump-1, groups: [pumps] }, pump-2]
    connected: [pump-1]
    budgetUsed: 5
    expect: { guard: none }
";
    let wrong = "cases:
  - name: a
    finding: { check: DEVICE_CERTIFICATE_AGE_CHECK }
    things: [pump-1]
    connected: [pump-1, pmp-1]
    expect: { guard: window }
  - name: b
    finding: { check: DEVICE_CERTIFICATE_AGE_CHECK }
    expect: { guard: { approval: severe } }
  - name: c
    finding: { check: DEVICE_CERTIFICATE_AGE_CHECK }
    expect: { guard: { approval: severity, budget: 5 in 1h } }
";
    let one = |key: &str| {
        format!(
            "cases:\n  - name: a\n    finding: {{ check: DEVICE_CERTIFICATE_AGE_CHECK }}\n    {key}\n    expect: {{ guard: none }}\n"
        )
    };
    let files = [
        ("fails.yaml", fails.to_owned()),
        ("many.yaml", one("budgetUsed: many")),
        ("pumps.yaml", one("connected: pump-1")),
        ("stranger.yaml", one("budgetUsed: { 5 or 1% of the fleet in 2h: 5 }")),
        ("wrong.yaml", wrong.to_owned()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (results, folder) = results_of(POLICY, &files);
    let told = text::text(&results).replace(&folder.path().display().to_string(), "policies");
    insta::assert_snapshot!(told);
}
