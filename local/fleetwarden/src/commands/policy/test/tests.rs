use super::*;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::collections::BTreeMap;
use std::fs;

pub(super) const POLICY: &str = r#"version: 1
protect:
  groups: "safety*"
windows:
  zone: Europe/Berlin
  open: [{ days: [Sat, Sun], hours: "22:00-06:00" }]
rules:
  - name: weak-keys
    stage: shadow
    match: { check: "DEVICE_CERTIFICATE_*", severity: [MEDIUM, CRITICAL] }
    mitigate: { actions: FleetwardenQuarantineThings }
  - name: production
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, group: production }
    report: { severity: high }
  - name: lab
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, group: lab, seenAtLeast: 2 }
    suppress: { for: 90d, reason: They are replaced before, owner: lab@example.com }
  - name: soon
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, expiresWithin: 7d }
    mitigate: { actions: [FleetwardenQuarantineThings, FleetwardenDeactivateDeviceCertificate] }
  - name: reviewed
    match: { check: "IOT_POLICY_*", resource: "reviewed-*:?" }
    suppress: { indefinitely: true, reason: Reviewed }
  - name: broad
    match: { check: IOT_POLICY_OVERLY_PERMISSIVE_CHECK, region: eu-west-1 }
    mitigate: { actions: FleetwardenReplacePolicyWithBlank }
"#;

pub(super) const ALARM_POLICY: &str = r#"version: 1
protect:
  groups: "safety*"
windows:
  zone: Europe/Berlin
  open: [{ days: [Sat, Sun], hours: "22:00-06:00" }]
rules:
  - name: trial
    stage: shadow
    alarm: { criteria: statistical }
    report: { silent: true }
  - name: noisy
    alarm: { behavior: "restart*" }
    verify: { state: FALSE_POSITIVE, description: They restart at night }
  - name: backend
    alarm: { behavior: "backend-*" }
    report: { silent: true }
  - name: long
    alarm: { lastsLongerThan: 1h, group: lab }
    report: { severity: high }
  - name: compromised
    alarm: { profile: cameras, confidence: MEDIUM }
    mitigate: { actions: FleetwardenQuarantineThings, release: after 36h }
"#;

const ALARMS_PASS: &str = r#"cases:
  - name: a sure model puts a camera into quarantine when a window opens
    at: 2026-11-23T08:00:00Z
    alarm: { profile: cameras, behavior: messages, confidence: HIGH }
    expect: { rule: compromised, outcome: mitigate, actions: FleetwardenQuarantineThings, release: 36h, again: none,
      opens: 2026-11-28T21:00:00Z, alert: none, state: none, held: none, shadow: none }
  - name: a device that is not registered
    alarm: { profile: cameras, behavior: messages, confidence: HIGH, thing: stranger }
    things: []
    expect: { rule: compromised, outcome: report, held: nothingToMitigate, alert: usual }
  - name: nobody knows the group
    alarm: { profile: cameras, behavior: messages, confidence: HIGH, lasts: 61m }
    things: unknown
    expect: { held: { ruleUnknown: long } }
  - name: nobody knows the thing
    alarm: { profile: cameras, behavior: messages, confidence: HIGH }
    things: unknown
    expect: { held: protectionUnknown }
  - name: what keeps people safe is protected
    alarm: { profile: cameras, behavior: messages, confidence: HIGH, thing: cam }
    things: [{ name: cam, groups: [safety-1] }]
    expect: { held: { protectedBy: { group: "safety*" } }, alert: usual }
  - name: an alarm that has ended
    alarm: { profile: cameras, behavior: messages, confidence: HIGH, ended: cleared }
    expect: { held: ended }
  - name: an alarm that people found false
    alarm: { profile: cameras, behavior: messages, confidence: HIGH, verification: FALSE_POSITIVE }
    expect: { held: verified }
  - name: a lab alarm is decided on again
    alarm: { profile: pumps, behavior: messages, thing: pump }
    things: [{ name: pump, groups: [lab] }]
    expect: { rule: none, outcome: report, alert: usual, again: 60m }
  - name: an hour later
    alarm: { profile: pumps, behavior: messages, thing: pump, lasts: 1h }
    things: [{ name: pump, groups: [lab] }]
    expect: { rule: long, alert: high, again: none }
  - name: a restart is marked as false, and a trial would have been silent
    alarm: { profile: pumps, behavior: restarts, criteria: statistical }
    expect: { rule: noisy, outcome: verify, state: FALSE_POSITIVE, alert: none, shadow: trial }
  - name: CloudWatch has no verification
    alarm: { profile: pumps, behavior: restarts, source: cloudWatch, thing: none }
    expect: { held: nothingToVerify }
  - name: the backend is silent
    alarm: { profile: pumps, behavior: backend-queue }
    expect: { rule: backend, alert: silent }
"#;

#[test]
fn cases_on_alarms_are_compared_in_everything_that_can_be_expected() {
    let (results, _folder) = results_of(ALARM_POLICY, &[("alarms.yaml", ALARMS_PASS)]);
    assert!(results.passed(), "{}", text::text(&results));
    assert_eq!(results.counts(), Counts { passed: 12, failed: 0, broken: 0 });
    assert!(!text::text(&results).contains("No case reaches"));
}

/// Whatever is expected wrongly is a failure: no key of `expect` is passed over.
#[test]
fn each_key_of_expect_can_fail_on_an_alarm() {
    for wrong in [
        "rule: noisy",
        "outcome: report",
        "actions: none",
        "alert: usual",
        "held: ended",
        "shadow: trial",
        "opens: at once",
        "release: 24h",
        "release: none",
        "state: TRUE_POSITIVE",
        "again: 1h",
    ] {
        let case = format!(
            "cases:\n  - name: wrong\n    alarm: {{ profile: cameras, behavior: b, confidence: HIGH, lasts: 2h }}\n    \
             expect: {{ {wrong} }}\n"
        );
        let (results, _folder) = results_of(ALARM_POLICY, &[("wrong.yaml", &case)]);
        assert_eq!(results.counts(), Counts { passed: 0, failed: 1, broken: 0 }, "{wrong}");
    }
}

#[test]
fn a_case_on_an_alarm_that_fails_says_what_came_out_and_why() {
    let fail = "cases:\n  - name: a camera\n    alarm: { profile: cameras, behavior: b, confidence: HIGH, thing: cam }\n    \
                things: [{ name: cam, type: dome, groups: [hall] }]\n    expect: { rule: noizy, release: 24h, again: 1h }\n";
    let wrong = "cases:
  - name: a
    expect: { rule: none }
  - name: b
    alarm: { profile: p, behavior: b, thing: none, criteria: machine, lasts: 3 }
    finding: { check: LOGGING_DISABLED_CHECK }
    things: []
    expect: { outcome: suppress, until: never, held: { protectedBy: {} } }
  - name: c
    alarm: { profile: p, behavior: b, thing: a }
    things: [{ name: b }]
    expect: { state: UNKNOWN, again: soon }
  - name: d
    finding: { check: LOGGING_DISABLED_CHECK }
    expect: { release: 24h, held: ended, alert: usual }
";
    let files = [("fails.yaml", fail), ("wrong.yaml", wrong)];
    let (results, folder) = results_of(ALARM_POLICY, &files);
    let told = text::text(&results).replace(&folder.path().display().to_string(), "policies");
    insta::assert_snapshot!(told);
}

/// What comes out of files of cases, beside a policy of that name each.
fn results(cases: &[(&str, &str)]) -> (Results, tempfile::TempDir) {
    results_of(POLICY, cases)
}

pub(super) fn results_of(policy: &str, cases: &[(&str, &str)]) -> (Results, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(FOLDER)).unwrap();
    for (name, text) in cases {
        fs::write(folder.path().join(name), policy).unwrap();
        fs::write(folder.path().join(FOLDER).join(name), text).unwrap();
    }
    let files = files(&[folder.path().to_owned()]).unwrap();
    (Results::of(&files, None), folder)
}

/// What people read, without the name of the folder.
fn told_of(cases: &[(&str, &str)]) -> String {
    let (results, folder) = results(cases);
    text::text(&results).replace(&folder.path().display().to_string(), "policies")
}

pub(super) const PASS: &str = r#"cases:
  - name: a lab certificate is suppressed from the second audit on
    at: 2026-11-23T08:00:00Z
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, seen: 2, firstSeen: 2026-11-16 }
    things: [{ name: pump-1, groups: [lab] }]
    expect: { rule: lab, outcome: suppress, until: 2027-02-21T08:00:00Z, shadow: weak-keys, alert: none }
  - name: production comes first, and any thing is enough
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, seen: 2 }
    things: [{ name: pump-1, groups: [lab] }, { name: pump-2, groups: [production] }]
    expect: { rule: production, alert: high, actions: none, opens: none, held: none }
  - name: what expires soon waits for the weekend
    at: 2026-11-23T08:00:00+01:00
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, expires: 2026-11-30 }
    expect:
      actions: [FleetwardenQuarantineThings, FleetwardenDeactivateDeviceCertificate]
      opens: 2026-11-28T21:00:00Z
  - name: the window is open
    at: 2026-11-28T22:00:00Z
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, expires: 2026-11-30 }
    expect: { opens: at once }
  - name: what keeps people safe is protected
    at: 2026-11-23
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, expires: 2026-11-24 }
    things: [{ name: valve-1, groups: [all, safety-1] }]
    expect: { rule: soon, outcome: report, alert: medium, held: { protectedBy: { group: "safety*" } } }
  - name: in short, protected
    at: 2026-11-23
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, expires: 2026-11-24 }
    things: [{ name: valve-1, groups: [all, safety-1] }]
    expect: { held: protectedBy }
  - name: nothing happens while things are unknown
    at: 2026-11-23
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, expires: 2026-11-24 }
    things: unknown
    expect: { rule: soon, outcome: report, held: { ruleUnknown: production } }
  - name: a policy stands for any number of things
    finding: { check: IOT_POLICY_OVERLY_PERMISSIVE_CHECK, region: eu-west-1 }
    expect: { rule: broad, held: protectionUnknown }
  - name: a reviewed policy by its label
    finding: { check: IOT_POLICY_OVERLY_PERMISSIVE_CHECK, resource: "reviewed-pump:3" }
    expect: { rule: reviewed, until: indefinitely }
  - name: a reviewed policy by its members
    finding:
      check: IOT_POLICY_OVERLY_PERMISSIVE_CHECK
      resource: { policyVersionIdentifier: { policyName: reviewed-pump, policyVersionId: "3" } }
    expect: { rule: reviewed }
  - name: a finding without resource is only reported
    finding: { check: IOT_POLICY_OVERLY_PERMISSIVE_CHECK, region: eu-west-1, resource: none }
    expect: { rule: none, outcome: report, alert: critical }
  - name: what is suppressed for a time already ends when it was to end
    at: 2026-10-01T08:00:00Z
    finding:
      check: DEVICE_CERTIFICATE_EXPIRING_CHECK
      seen: 9
      firstSuppressed: { at: 2026-08-01T08:00:00Z, rule: lab }
    things: [{ name: pump-1, groups: [lab] }]
    expect: { rule: lab, until: 2026-10-30T08:00:00Z }
  - name: what was suppressed
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, suppressed: true }
    expect: { outcome: suppressed, rule: none, shadow: none, alert: none, until: none }
"#;

const FAIL: &str = r"cases:
  - name: a lab certificate is suppressed
    at: 2026-11-23T08:00:00Z
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }
    things: [{ name: pump-1, groups: [lab] }]
    expect: { rule: lab, outcome: suppress, until: 2027-02-21T08:00:00Z, alert: none }
  - name: a suppression that has lapsed
    at: 2026-11-23
    finding:
      check: DEVICE_CERTIFICATE_EXPIRING_CHECK
      seen: 9
      firstSuppressed: { at: 2026-08-01, rule: lab }
    things: [{ name: pump-1, groups: [lab] }]
    expect: { rule: lab }
  - name: this one is good
    finding: { check: LOGGING_DISABLED_CHECK }
    expect: { rule: none }
  - name: a name that no rule has
    at: 2026-11-23
    finding: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, expires: 2026-11-30 }
    expect:
      rule: sooon
      actions: FleetwardenDeactivateDeviceCertificate
      opens: 2026-11-28T22:00:00Z
      held: { protectedBy: { thing: valve } }
";

#[test]
fn everything_that_can_be_expected_is_compared() {
    insta::assert_snapshot!(told_of(&[("good.yaml", PASS)]));
}

#[test]
fn a_case_that_fails_says_what_came_out_and_why() {
    let (results, _folder) = results(&[("fails.yaml", FAIL), ("good.yaml", PASS)]);
    assert_eq!(results.counts(), Counts { passed: 14, failed: 3, broken: 0 });
    assert!(!results.passed());
    insta::assert_snapshot!(told_of(&[("fails.yaml", FAIL)]));
}

/// Whatever is expected wrongly is a failure: no key of `expect` is passed over.
#[test]
fn each_key_of_expect_can_fail() {
    for wrong in [
        "rule: lab",
        "outcome: suppress",
        "actions: [FleetwardenQuarantineThings]",
        "until: 2027-01-01",
        "alert: low",
        "held: { protectedBy: { group: safety } }",
        "held: none",
        "shadow: none",
        "opens: at once",
    ] {
        let case = format!(
            "cases:\n  - name: wrong\n    finding: {{ check: DEVICE_CERTIFICATE_EXPIRING_CHECK, expires: \
             2026-01-02 }}\n    things: [{{ name: valve, groups: [safety-1] }}]\n    expect: {{ {wrong} }}\n"
        );
        let (results, _folder) = results(&[("wrong.yaml", &case)]);
        assert_eq!(results.counts(), Counts { passed: 0, failed: 1, broken: 0 }, "{wrong}");
    }
}

#[test]
fn a_file_that_is_wrong_is_told_with_places_and_fails() {
    let values = r"cases:
  - name: a
    at: yesterday
    finding: { check: DEVICE_CERTIFICATE_EXPIRY_CHECK, severity: WORST }
    expect: { outcome: supress }
  - name: a
    finding: { check: IOT_POLICY_OVERLY_PERMISSIVE_CHECK, severity: SEVERE, seen: 0, expires: soon }
    things: unknown
    expect: {}
  - name: b
    finding: { check: DEVICE_CERTIFICATE_SHARED_CHECK }
    expect: { until: never, alert: loud, opens: later, held: { protectedBy: { thing: a, group: b } } }
";
    let one = |finding: &str, more: &str| {
        format!("cases:\n  - name: a\n    finding: {finding}\n    {more}\n    expect: {{ rule: lab }}\n")
    };
    let check = "{ check: DEVICE_CERTIFICATE_SHARED_CHECK }";
    let files = [
        ("a.yaml", values.to_owned()),
        ("b.yaml", "cases: []".to_owned()),
        ("c.yaml", "rules: []".to_owned()),
        ("d.yaml", one("{ chek: X }", "")),
        ("e.yaml", one("{ check: DEVICE_CERTIFICATE_SHARED_CHECK, resource: { clientID: x } }", "")),
        ("f.yaml", one(check, "things: nobody")),
        ("g.yaml", one(check, "things: [{ name: a, group: lab }]")),
        ("h.yaml", one(check, "things: [{ groups: [lab] }]")),
        ("i.yaml", one("{ check: DEVICE_CERTIFICATE_SHARED_CHECK, seen: twice }", "")),
        (
            "k.yaml",
            one("{ check: LOGGING_DISABLED_CHECK, firstSuppressed: { at: 2026-08-01, rule: soon } }", ""),
        ),
        ("j.yaml", "policy: nowhere.yaml\n".to_owned() + &one(check, "")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (results, _folder) = results(&files);
    assert_eq!(results.counts(), Counts { passed: 0, failed: 0, broken: files.len() });
    assert!(!results.passed());
    insta::assert_snapshot!(told_of(&files));
}

/// An element of an XML document, with the text right within it.
#[derive(Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    text: String,
}

/// The elements of a document in order. Fails a test whose document is not well formed.
fn elements(xml: &str) -> Vec<Element> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let mut elements = Vec::<Element>::new();
    let mut open = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                open.push(elements.len());
                elements.push(Element::of(&start));
            }
            Event::Empty(start) => elements.push(Element::of(&start)),
            Event::End(_) => drop(open.pop().unwrap()),
            Event::Text(text) => {
                let text = text.xml10_content();
                open.last().into_iter().for_each(|at| elements[*at].text.push_str(&text));
            }
            Event::GeneralRef(reference) => {
                let name = format!("&{};", &*reference);
                let text = unescape(&name).unwrap();
                elements[*open.last().unwrap()].text.push_str(&text);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open.is_empty());
    elements
}

impl Element {
    fn of(start: &BytesStart<'_>) -> Self {
        let attributes = start.attributes().map(|attribute| {
            let attribute = attribute.unwrap();
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap();
            (attribute.key.as_ref().to_owned(), value.into_owned())
        });
        Self { name: start.name().as_ref().to_owned(), attributes: attributes.collect(), ..Self::default() }
    }
}

#[test]
fn junit_is_well_formed_whatever_a_case_is_called() {
    let name = r#"cases:
  - name: "<&>\"' ]]> \a\n\uFFFE é ✓"
    finding: { check: LOGGING_DISABLED_CHECK }
    expect: { rule: "<&>\"\b" }
"#;
    let (results, folder) = results(&[("a.yaml", name), ("b.yaml", "cases: []"), ("c.yaml", PASS)]);
    let xml = String::from_utf8(junit::xml(&results).unwrap()).unwrap();
    let elements = elements(&xml);
    let counts = ["tests", "failures", "errors"].map(|key| elements[0].attributes[key].as_str());
    assert_eq!(counts, ["15", "1", "1"]);
    let of = |kind: &str| elements.iter().filter(|element| element.name == kind).count();
    assert_eq!((of("testsuite"), of("testcase"), of("failure"), of("error")), (3, 15, 1, 1));
    let at = elements.iter().position(|element| element.name == "failure").unwrap();
    assert!(elements[at].text.contains("<&>\""));
    assert!(elements[at].attributes["message"].contains("got none"));
    let named = &elements[at - 1].attributes["name"];
    assert!(named.starts_with("<&>\"' ]]> \\u0007\n\u{fffd}") && named.ends_with("é ✓"), "{named}");
    insta::assert_snapshot!(xml.replace(&folder.path().display().to_string(), "policies"));
}

#[test]
fn a_folder_stands_for_the_cases_in_its_folders_named_tests() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("more/tests/deep")).unwrap();
    fs::create_dir_all(root.join("empty")).unwrap();
    for name in
        ["policy.yaml", "more/policy.yaml", "more/tests/b.yml", "more/tests/a.yaml", "more/tests/c.md"]
    {
        fs::write(root.join(name), "").unwrap();
    }
    fs::write(root.join("more/tests/deep/d.yaml"), "").unwrap();
    let found = |path: &str| {
        let found = files(&[root.join(path)]).unwrap();
        found.iter().map(|file| file.strip_prefix(root).unwrap().display().to_string()).collect::<Vec<_>>()
    };
    let all = ["more/tests/a.yaml", "more/tests/b.yml", "more/tests/deep/d.yaml"];
    assert_eq!(found(""), all);
    assert_eq!(found("more/tests"), all);
    assert_eq!(found("policy.yaml"), ["policy.yaml"]);
    assert!(files(&[root.join("empty")]).unwrap_err().to_string().contains("no cases below"));
}

/// What ships, through the code of the command.
#[test]
fn the_cases_that_ship_pass_and_reach_every_rule() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let results = Results::of(&files(&[policies]).unwrap(), None);
    let told = text::text(&results);
    assert!(results.passed(), "{told}");
    assert!(!told.contains("No case reaches"), "{told}");
}

#[test]
fn names_of_cases_are_not_obeyed() {
    use super::super::hostile_tests::{assert_plain, hostile, quoted};
    for name in hostile().step_by(7) {
        let name = quoted(&name);
        let cases = format!(
            "cases:\n  - name: {name}\n    finding: {{ check: LOGGING_DISABLED_CHECK, resource: {name}, reason: {name} }}\n    \
             expect: {{ rule: {name}, shadow: {name}, actions: [{name}] }}\n"
        );
        let (results, _folder) = results(&[("a.yaml", &cases)]);
        assert_eq!(results.counts().failed, 1, "{cases}");
        assert_plain("test", &text::text(&results));
        assert_plain("junit", std::str::from_utf8(&junit::xml(&results).unwrap()).unwrap());
        let wrong = format!(
            "cases:\n  - name: {name}\n    finding: {{ check: {name}, at: {name} }}\n    expect: {{}}\n"
        );
        assert_plain("test", &told_of(&[("a.yaml", &wrong)]));
    }
}

#[test]
fn cases_that_windows_powershell_has_saved_are_read() {
    let (_, folder) = results(&[("a.yaml", PASS)]);
    let path = folder.path().join(FOLDER).join("a.yaml");
    let units = PASS.encode_utf16().flat_map(u16::to_le_bytes);
    fs::write(&path, [0xff, 0xfe].into_iter().chain(units).collect::<Vec<_>>()).unwrap();
    assert!(Results::of(&[path], None).passed());
}
