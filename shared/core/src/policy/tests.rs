use super::*;
use crate::resource::NonCompliantResource;
use crate::resource::ResourceIdentifier;
use crate::timestamp::Millis;

const POLICY: &str = "\
version: 1
mode: enforce
rules:
  - name: lab
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, resource: 'ab*' }
    suppress: { for: 30d, reason: lab devices are replaced, owner: lab@example.com }
  - name: revoked
    match: { check: REVOKED_DEVICE_CERT_CHECK }
    mitigate: { actions: [Quarantine, Deactivate] }
  - name: quiet
    match: { severity: [LOW, MEDIUM] }
    report: { silent: true }
";

fn finding(check: &str, id: &str, severity: Severity) -> Finding {
    let resource_identifier =
        ResourceIdentifier { device_certificate_id: Some(id.into()), ..Default::default() };
    Finding {
        finding_id: "f".into(),
        check: CheckName::new(check),
        severity,
        found_at: Millis(0),
        resource: Some(NonCompliantResource { resource_identifier, ..Default::default() }),
        related: vec![],
        reason_code: None,
        reason: None,
        suppressed: false,
    }
}

fn decide(finding: &Finding) -> String {
    let policy = Policy::parse(POLICY).unwrap();
    let mut json = serde_json::to_value(policy.decide(finding)).unwrap();
    json["policy"] = "…".into();
    json.to_string()
}

#[test]
fn the_first_rule_that_matches_decides() {
    let lab = finding("DEVICE_CERTIFICATE_EXPIRING_CHECK", "abc", Severity::Medium);
    insta::assert_snapshot!(decide(&lab), @r#"{"mode":"enforce","outcome":"suppress","passedOver":[],"policy":"…","rule":"lab"}"#);
    let field = finding("DEVICE_CERTIFICATE_EXPIRING_CHECK", "cba", Severity::Medium);
    insta::assert_snapshot!(decide(&field), @r#"{"mode":"enforce","outcome":"report","passedOver":[{"failedOn":"resource","rule":"lab"}],"policy":"…","rule":"quiet"}"#);
    let revoked = finding("REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK", "x", Severity::Medium);
    insta::assert_snapshot!(decide(&revoked), @r#"{"actions":["Quarantine","Deactivate"],"mode":"enforce","outcome":"mitigate","passedOver":[],"policy":"…","rule":"revoked"}"#);
}

#[test]
fn what_no_rule_takes_is_reported() {
    insta::assert_snapshot!(decide(&finding("QUANTUM_CHECK", "x", Severity::Critical)), @r#"{"mode":"enforce","outcome":"report","passedOver":[{"failedOn":"severity","rule":"quiet"}],"policy":"…","rule":null}"#);
}

#[test]
fn what_is_suppressed_is_left_alone() {
    let suppressed =
        Finding { suppressed: true, ..finding("REVOKED_DEVICE_CERT_CHECK", "x", Severity::Medium) };
    insta::assert_snapshot!(decide(&suppressed), @r#"{"mode":"enforce","outcome":"suppressed","passedOver":[],"policy":"…","rule":null}"#);
}

#[test]
fn what_names_no_resource_is_never_acted_on() {
    let bare = Finding { resource: None, ..finding("REVOKED_DEVICE_CERT_CHECK", "x", Severity::Medium) };
    insta::assert_snapshot!(decide(&bare), @r#"{"mode":"enforce","outcome":"report","passedOver":[{"failedOn":"resource","rule":"revoked"}],"policy":"…","rule":"quiet"}"#);
}

#[test]
fn only_an_unconditional_mitigation_that_comes_first_takes_a_whole_check() {
    let policy = Policy::parse(POLICY).unwrap();
    let whole = |check| policy.takes_whole_check(&CheckName::new(check)).map(|(rule, _)| rule);
    assert_eq!(whole("REVOKED_DEVICE_CERT_CHECK"), Some("revoked"));
    assert_eq!(whole("DEVICE_CERTIFICATE_EXPIRING_CHECK"), None);
    assert_eq!(whole("LOGGING_DISABLED_CHECK"), None);
}

#[test]
fn observe_is_the_default_and_the_safer_mode() {
    let policy = Policy::parse("version: 1\nrules: []\n").unwrap();
    assert_eq!(policy.mode(), Mode::Observe);
    assert_eq!(Mode::Enforce.safer(Mode::Observe), Mode::Observe);
    assert_eq!(Mode::Enforce.safer(Mode::Enforce), Mode::Enforce);
}

#[test]
fn a_wrong_file_is_refused_with_line_and_column() {
    let rule = |body: &str| format!("version: 1\nrules:\n  - name: r\n    {body}\n");
    let cases = [
        String::new(),
        "rules: [".into(),
        "version: 2\nrules: []".into(),
        "version: 1\nmode: destroy\nrules: []".into(),
        "version: 1\nruels: []".into(),
        "version: 1\nversion: 1\nrules: []".into(),
        rule("match: { check: DEVICE_CERTIFICATE_EXPIRY_CHECK }\n    report: {}"),
        rule("match: { severity: [LOW, WORST] }\n    report: {}"),
        rule("match: { check: [] }\n    report: {}"),
        rule("report: {}\n    mitigate: { actions: a }"),
        rule("mitigate: { actions: [a, b, c, d, e, f] }"),
        rule("mitigate: { actions: 'a b' }"),
        rule("suppress: { for: 90, reason: x }"),
        rule("suppress: { for: 1d, until: 2027-01-01, reason: x }"),
        rule("suppress: { until: 2027-02-30, reason: x }"),
        rule("suppress: { for: 1d, reason: ' ' }"),
        rule("suppress: { for: 1d }"),
        rule("match: { colour: red }\n    report: {}"),
        rule("report: {}\n  - name: r\n    report: {}"),
    ];
    let errors: Vec<String> = cases.iter().map(|text| Policy::parse(text).unwrap_err().to_string()).collect();
    insta::assert_snapshot!(errors.join("\n"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,200}") {
        let _ = Policy::parse(&text);
    }
}
