//! Cases with a file of things and groups, and cases that are explained.

use super::tests::{ALARM_POLICY, PASS, POLICY};
use super::*;
use std::fs;

const FLEET: &str = "
things:
  - { name: pump-1, groups: [bench], certificates: [1f00] }
  - { name: pump-2, groups: [hall], certificates: [2a00] }
  - { name: valve-1, groups: [safety-1], certificates: [3b00] }
groups: [{ name: bench, parent: lab }, { name: hall, parent: production }, { name: safety-1 }]
";

/// Of a thing in a file of things and groups, a case says the name alone, or nothing.
#[test]
fn a_case_finds_things_and_the_groups_above_theirs_in_the_file_that_its_file_names() {
    let cases = "things: ../fleet.yaml
cases:
  - name: by the certificate
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, seen: 2, resource: 1f00 }
    expect: { rule: lab }
  - name: by its name
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, seen: 2 }
    things: [pump-1, pump-2]
    expect: { rule: production }
  - name: by a group below
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, seen: 2 }
    things: [{ name: new, groups: [bench] }]
    expect: { rule: lab }
  - name: what a case says is so
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, seen: 2, resource: 1f00 }
    things: [{ name: pump-1, groups: [] }, new]
    expect: { rule: none }
  - name: a certificate that no thing has
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, resource: 4c00, expires: 2026-01-03 }
    expect: { rule: soon, outcome: mitigate }
";
    let run = |cases: &str, fleet: &str| {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
        fs::write(folder.path().join("fleet.yaml"), fleet).unwrap();
        fs::write(folder.path().join(FOLDER).join("policy.yaml"), cases).unwrap();
        let results = Results::of(&files(&[folder.path().to_owned()]).unwrap(), None);
        (text::text(&results).replace(&folder.path().display().to_string(), "policies"), results.counts())
    };
    let (told, counts) = run(cases, FLEET);
    assert_eq!(counts, Counts { passed: 5, failed: 0, broken: 0 }, "{told}");
    // Without the file the first case has no things, and the others no groups above.
    let (_, counts) = run(&cases.replace("things: ../fleet.yaml\n", ""), FLEET);
    assert_eq!(counts, Counts { passed: 2, failed: 3, broken: 0 });
    // A thing that does not list its certificates may have any.
    let (_, counts) = run(cases, &FLEET.replace(", certificates: [3b00]", ""));
    assert_eq!(counts, Counts { passed: 4, failed: 1, broken: 0 });
    let broken = [run(&cases.replace("fleet.yaml", "none.yaml"), FLEET).0, run(cases, "thigns: []").0];
    insta::assert_snapshot!(broken.join("\n"));
}

#[test]
fn an_alarm_finds_its_thing_in_the_file_that_its_file_names() {
    let fleet = Fleet::parse(
        "fleet.yaml",
        "things: [{ name: cam, groups: [ward] }]\ngroups: [{ name: ward, parent: safety-1 }]",
    )
    .unwrap();
    let groups = |text: &str| {
        let mut cases = case::read_to_explain(text).unwrap().unwrap().cases;
        cases[0].1.settle(Some(&fleet));
        let About::Alarm(alarm) = &cases[0].1 else { panic!() };
        let policy = fleetwarden_core::policy::Policy::parse(ALARM_POLICY.as_bytes()).unwrap();
        alarm.decided(&policy, |subject| serde_json::to_string(subject.things).unwrap())
    };
    let said = ["thing: cam", "thing: other", "thing: none"]
        .map(|thing| groups(&format!("alarm: {{ profile: p, behavior: b, {thing} }}")));
    let whole = groups("alarm: { profile: p, behavior: b, thing: cam }\nthings: [cam]");
    assert_eq!(said, [r#"[{"name":"cam","groups":["ward","safety-1"]}]"#, "[]", "null"]);
    assert_eq!(whole, said[0]);
}

#[test]
fn cases_are_told_from_what_else_can_be_explained() {
    let cases = |text: &str| {
        let read = case::read_to_explain(text).unwrap();
        read.map(|read| {
            read.cases.into_iter().map(|(name, ..)| name.unwrap_or_default()).collect::<Vec<_>>().join(", ")
        })
    };
    assert!(cases(PASS).unwrap().starts_with("a lab certificate is suppressed from the second audit on, "));
    assert_eq!(cases("{ name: a, finding: { check: LOGGING_DISABLED_CHECK } }").as_deref(), Some("a"));
    assert_eq!(
        cases(r#"{"finding": {"check": "LOGGING_DISABLED_CHECK"}, "expect": {"rule": "x"}}"#).as_deref(),
        Some("")
    );
    assert_eq!(cases("alarm: { profile: p, behavior: b }").as_deref(), Some(""));
    for other in [
        "check: LOGGING_DISABLED_CHECK",
        r#"{"check": "LOGGING_DISABLED_CHECK", "resource": "a"}"#,
        "- { check: LOGGING_DISABLED_CHECK }",
        r#"{"finding": {"findingId": "a", "checkName": "LOGGING_DISABLED_CHECK"}}"#,
        r#"{"findings": []}"#,
        "{ profile: p, behavior: b }",
        "",
        "7",
    ] {
        assert_eq!(cases(other), None, "{other}");
    }
    let wrong = case::read_to_explain("finding: { check: LOGGING_DISABLED_CHECK, resorce: a }").unwrap_err();
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].what.starts_with("unknown key 'resorce'"), "{}", wrong[0].what);
}
