use super::*;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::Policy;

const POLICY: &str = r#"version: 1
mode: observe
protect:
  groups: "safety*"
windows:
  zone: Europe/Berlin
  open: [{ days: [Sat, Sun], hours: "22:00-06:00" }]
rules:
  - name: shadowed
    stage: shadow
    match: { check: "DEVICE_CERTIFICATE_*", severity: MEDIUM }
    mitigate: { actions: FleetwardenQuarantineThings }
  - name: production
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, group: production }
    report: { severity: high }
  - name: old-ones
    match: { check: "DEVICE_*", olderThan: 30d }
    report: {}
  - name: frankfurt
    match: { region: eu-central-1, attribute: { site: "lab-*" } }
    report: { silent: true }
  - name: lab
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, group: lab }
    suppress: { for: 90d, reason: They are replaced before, owner: lab@example.com, ticket: SEC-7 }
  - name: cut
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }
    mitigate: { actions: [FleetwardenQuarantineThings, FleetwardenDeactivateDeviceCertificate] }
"#;

const LISTED: &str = r#"{"findings": [
  {"findingId": "30efb805", "taskId": "8850", "checkName": "DEVICE_CERT_APPROACHING_EXPIRATION_CHECK",
   "taskStartTime": 1795316400.123, "findingTime": "2026-11-22T04:01:01.019000+01:00", "severity": "MEDIUM",
   "nonCompliantResource": {"resourceType": "DEVICE_CERTIFICATE", "resourceIdentifier": {"deviceCertificateId":
     "9449c7f3a93cf0c55a675ddf1c83732d87d56255e70b150d9e6f3cf863bb7fc1"},
     "additionalInfo": {"EXPIRATION_TIME": "1796353200000"}},
   "reasonForNonComplianceCode": "CERTIFICATE_APPROACHING_EXPIRATION", "isSuppressed": false},
  {"findingId": "2", "checkName": "LOGGING_DISABLED_CHECK", "severity": "LOW"}]}"#;

/// A Monday.
const NOW: Millis = Millis(1_795_420_800_000);

fn source() -> Source {
    Source::new("policy.yaml".into(), Policy::parse(POLICY.as_bytes()).unwrap())
}

fn read(text: &str) -> Result<Vec<Given>> {
    input::read(text, Around { now: NOW, account: None, policy: &source().policy })
}

fn first(things: &str) -> Given {
    let mut given = read(LISTED).unwrap().swap_remove(0);
    given.things = Some(serde_json::from_str(things).unwrap());
    given
}

fn told_of(given: &Given) -> String {
    told(&source(), given, (NOW, &guards::Around::default()), Layout::Columns(100)).unwrap()
}

#[test]
fn a_suppression_is_told_with_its_end_and_why_no_rule_before_it_matched() {
    let mut given =
        first(r#"[{"name": "pump-1", "type": "pump", "attributes": {"site": "hall"}, "groups": ["lab"]}]"#);
    given.region = Some("eu-central-1".into());
    insta::assert_snapshot!(told_of(&given));
}

#[test]
fn a_mitigation_is_told_with_the_next_window() {
    insta::assert_snapshot!(told_of(&first(r#"[{"name": "pump-1", "attributes": {}, "groups": []}]"#)));
}

#[test]
fn what_each_guard_says_is_told_with_what_the_operator_gives() {
    let text = "version: 1
budgets: [{ most: 3, orShare: 5%, within: 1d, group: pumps }, { most: 2, within: 1h }]
rules:
  - name: cut
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }
    mitigate:
      actions: [FleetwardenDeactivateDeviceCertificate]
      devices: { most: 2, connected: 1 }
      approval: { connected: 0, overBudget: true }
      canary: { first: 2, watch: 30m }
";
    let source = Source::new("policy.yaml".into(), Policy::parse(text.as_bytes()).unwrap());
    let given = first(r#"[{"name": "pump-1", "groups": ["pumps"]}, {"name": "pump-2", "groups": []}]"#);
    let of = |around: &guards::Around| told(&source, &given, (NOW, around), Layout::Columns(100)).unwrap();
    let connected = Some(["pump-2".to_owned()].into());
    let used = Some(Used::By([("2 in 1h".to_owned(), 2)].into()));
    let told = [of(&guards::Around::default()), of(&guards::Around { connected, used })];
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn what_is_used_is_a_number_or_one_of_a_budget() {
    assert_eq!(used("9"), Ok((None, 9)));
    assert_eq!(used("10 or 1% of the fleet in 1h=9"), Ok((Some("10 or 1% of the fleet in 1h".into()), 9)));
    assert!(used("many").is_err() && used("10 in 1h=").is_err());
}

#[test]
fn the_windows_of_the_rule_that_decides_and_of_the_one_in_shadow_are_their_own() {
    let text = POLICY
        .replace(
            "actions: FleetwardenQuarantineThings }",
            "actions: FleetwardenQuarantineThings, windows: { open: [{ days: [Sun] }] } }",
        )
        .replace(
            "FleetwardenDeactivateDeviceCertificate] }",
            "FleetwardenDeactivateDeviceCertificate], windows: { freeze: [{ from: 11-20, to: 12-04 }] } }",
        )
        .replace(
            "rules:",
            "actions: { FleetwardenDeactivateDeviceCertificate: { windows: { open: [{ days: [Sun] }] } } }\nrules:",
        );
    let source = Source::new("policy.yaml".into(), Policy::parse(text.as_bytes()).unwrap());
    let given = first(r#"[{"name": "pump-1", "attributes": {}, "groups": []}]"#);
    insta::assert_snapshot!(
        told(&source, &given, (NOW, &guards::Around::default()), Layout::Columns(100)).unwrap()
    );
}

#[test]
fn what_is_protected_or_unknown_is_told() {
    let safe = told_of(&first(r#"[{"name": "valve", "attributes": {}, "groups": ["safety-1"]}]"#));
    let unknown = told_of(&first(r#"{"unknown": "throttled"}"#));
    let mut not_asked = first("[]");
    not_asked.things = None;
    insta::assert_snapshot!([safe, unknown, told_of(&not_asked)].join("\n\n"));
}

#[test]
fn what_nobody_decided_and_what_was_suppressed_is_told() {
    let mut findings = read(LISTED).unwrap();
    findings[0].finding.suppressed = true;
    let told: Vec<String> = findings.iter().map(told_of).collect();
    insta::assert_snapshot!(told.join("\n\n"));
}

/// A record of the archive that `source` decided on.
fn record() -> String {
    let policy = source().policy;
    let given = first(r#"[{"name": "pump-1", "attributes": {}, "groups": ["lab"]}]"#);
    let decision = serde_json::to_value(policy.decide(&given.subject())).unwrap();
    let mut record = serde_json::to_value(&given.finding).unwrap();
    let more = serde_json::json!({
        "kind": "finding", "account": "123456789012", "region": "us-east-1", "taskId": "8850",
        "auditStartedAt": given.at, "key": given.finding.key(), "status": "known",
        "firstSeen": given.at.0 - 86_400_000, "timesSeen": 2, "things": given.things, "decision": decision,
    });
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record.to_string()
}

#[test]
fn every_shape_is_read() {
    let list: serde_json::Value = serde_json::from_str(LISTED).unwrap();
    let one = &list["findings"][0];
    let shapes = [
        (one.to_string(), 1),
        (serde_json::json!({ "finding": one }).to_string(), 1),
        (list["findings"].to_string(), 2),
        (LISTED.to_owned(), 2),
        (record(), 1),
        (format!("{}\n{}\n", record(), record()), 2),
    ];
    for (text, count) in shapes {
        let findings = read(&text).unwrap();
        assert_eq!(findings.len(), count, "{text}");
        assert_eq!(findings[0].finding.check.as_str(), "DEVICE_CERTIFICATE_EXPIRING_CHECK");
        assert_eq!(findings[0].at, Millis(1_795_316_400_123));
        assert_eq!(findings[0].finding.found_at, Millis(1_795_316_461_019));
    }
}

#[test]
fn a_record_is_decided_on_as_it_was() {
    let record = record();
    let given = &read(&record).unwrap()[0];
    let again = serde_json::to_string(&source().policy.decide(&given.subject())).unwrap();
    let then: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&again).unwrap()["outcome"],
        then["decision"]["outcome"]
    );
    assert_eq!(given.things.as_ref().map(Things::is_not_asked), Some(false));
    assert_eq!(given.assumed(), "");
    insta::assert_snapshot!(told_of(given));
}

#[test]
fn what_is_no_finding_is_told_with_the_path_of_the_member() {
    let texts = [
        "",
        "{",
        "{}",
        "[]",
        "7",
        r#"{"findings": []}"#,
        r#"{"findings": [{"findingId": "a", "checkName": "X"}, {"findingId": 7, "checkName": "X"}]}"#,
        r#"{"finding": {"findingId": "a", "checkName": "X", "taskStartTime": "yesterday"}}"#,
        r#"{"findingId": "a", "checkName": "X", "nonCompliantResource": {"resourceIdentifier": {"clientId": []}}}"#,
        r#"[{"checkName": "X"}]"#,
        r#"{"check": "X", "findingId": "a"}"#,
        r#"{"check": "DEVICE_CERTIFICATE_AGE", "resorce": "a"}"#,
        r#"{"check": "DEVICE_CERTIFICATE_AGE"}"#,
        "check: DEVICE_CERTIFICATE_AGE_CHECK\nseverity: BAD\nfirstSeen: yesterday\n",
        "check: DEVICE_CERTIFICATE_AGE_CHECK\nfirstSuppressed: { at: 2026-01-01, rule: cut }",
        r#"{"findingId": "a", "checkName": "X"} {"checkName": 1}"#,
    ];
    let told = texts.map(|text| format!("{text}\n    {}", read(text).unwrap_err()));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_finding_of_a_case_is_decided_on_with_what_is_assumed() {
    let short = [
        r#"{"check": "DEVICE_CERTIFICATE_EXPIRING_CHECK", "resource": "9449c7", "seen": 2}"#,
        "{check: DEVICE_CERTIFICATE_EXPIRING_CHECK, resource: 9449c7, seen: 2}",
        "# from a case\ncheck: DEVICE_CERTIFICATE_EXPIRING_CHECK\nresource: 9449c7\nseen: 2\n",
        "- { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, resource: 9449c7, seen: 2 }\n",
    ]
    .map(|text| told_of(&read(text).unwrap()[0]));
    insta::assert_snapshot!(short[0]);
    for told in &short {
        assert_eq!(told, &short[0]);
    }
    let list =
        "- check: LOGGING_DISABLED_CHECK\n- { check: LOGGING_DISABLED_CHECK, account: '210987654321' }\n";
    let resources = read(list).unwrap();
    let labels = resources.iter().map(|given| given.finding.identifier().unwrap().label().into_owned());
    assert_eq!(labels.collect::<Vec<_>>(), ["123456789012", "210987654321"]);
}

#[test]
fn what_is_wrong_is_said_once() {
    let error = read(r#"{"check": "X", "findingId": "a"}"#).unwrap_err();
    assert_eq!(format!("{error:#}").matches("missing field").count(), 1, "{error:#}");
}
