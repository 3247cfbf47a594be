//! Files that are refused, each with what its author is told.

use super::*;

fn refused(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match Policy::parse(bytes) {
        Ok(_) => format!("taken:\n{text}"),
        Err(errors) => {
            errors.all().iter().map(|error| error.render("policy.yaml", &text)).collect::<Vec<_>>().join("\n")
        }
    }
}

pub(super) fn rule(body: &str) -> String {
    format!("version: 1\nrules:\n  - name: r\n    {body}\n")
}

/// One snapshot of many files: what is wrong, and how it is said.
pub(super) fn told(cases: &[String]) -> String {
    cases.iter().map(|text| refused(text.as_bytes())).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn structure() {
    insta::assert_snapshot!(told(&[
        String::new(),
        "rules: [".into(),
        "- 1".into(),
        "version: 1".into(),
        "rules: []".into(),
        "version: two\nrules: []".into(),
        "version: 0\nrules: []".into(),
        "version: 2\nrules: []\nplugins: [a]".into(),
        "version: 1\nmode: destroy\nrules: []".into(),
        "version: 1\nmode: enfroce\nrules: []".into(),
        "version: 1\nruels: []".into(),
        "version: 1\nrules: {}".into(),
        rule("match: { colour: red }\n    report: {}"),
        rule("match: { serverity: LOW }\n    report: {}"),
        rule("match: []\n    report: {}"),
        rule("match: { seenAtLeast: often }\n    report: {}"),
        rule("match: { check: [[a]] }\n    report: {}"),
        rule("stage: shadwo\n    report: {}"),
        rule("match:\n      check: LOGGING_DISABLED_CHECK"),
        rule("report: {}\n    mitigate: { actions: a }"),
        rule("report: {}\n  - name: r\n    report: {}"),
        rule("except: {}\n    report: {}"),
        "version: 1\nrules:\n  - name: bad name\n    report: {}".into(),
        "version: 1\nrules:\n  - report: {}".into(),
    ]));
}

#[test]
fn values() {
    insta::assert_snapshot!(told(&[
        rule("match: { check: DEVICE_CERTIFICATE_EXPIRY_CHECK }\n    report: {}"),
        rule("match: { check: SHARED_CERTIFICATE }\n    report: {}"),
        rule("match: { check: [] }\n    report: {}"),
        rule("match: { severity: [LOW, WORST, hihg] }\n    report: {}"),
        rule("match: { resource: 'lab-[0-9]*' }\n    report: {}"),
        rule("match: { thing: ['sensor-[a-z]+', 'sensor-[0-9]', 'sensor-{a,b}'] }\n    report: {}"),
        rule("match: { thing: '' }\n    report: {}"),
        rule("match: { olderThan: 30 }\n    report: {}"),
        rule("match: { olderThan: 0d }\n    report: {}"),
        rule("match: { expiresWithin: 5 days }\n    report: {}"),
        rule("mitigate: { actions: [a, b, c, d, e, f] }"),
        rule("mitigate: { actions: [a, a] }"),
        rule("mitigate: { actions: 'a b' }"),
        rule("suppress: { for: 90, reason: x }"),
        rule("suppress: { for: 1d, until: 2027-01-01, reason: x }"),
        rule("suppress: { indefinitely: false, reason: x }"),
        rule("suppress: { until: 2027-02-30, reason: x }"),
        rule("suppress: { for: 1d, reason: ' ', owner: '' }"),
        rule("suppress: { for: 1d }"),
        rule("report: { silent: true, severity: high }"),
        rule("report: { severity: urgent }"),
        "version: 1\nwindows: { zone: UTC, open: [] }\nrules: []".into(),
        "version: 1\nwindows: { zone: UTC, open: [{ hours: 9-17 }] }\nrules: []".into(),
        "version: 1\nwindows: { zone: UTC, open: [{ hours: '09:00-09:00' }] }\nrules: []".into(),
        "version: 1\nwindows: { zone: UTC, open: [{ days: [Sunday] }] }\nrules: []".into(),
        "version: 1\nwindows: { zone: UTC, freeze: [{ from: 2027-01-06, to: 2026-12-19 }] }\nrules: []"
            .into(),
        "version: 1\nwindows: { open: [{}] }\nrules: []".into(),
        "version: 1\nprotect: { thing: a }\nrules: []".into(),
    ]));
}

/// A policy of one standing suppression: its check, its match, and how it suppresses.
fn standing(check: &str, members: &str, suppress: &str) -> String {
    format!(
        "version: 1\nrules: []\nsuppressions:\n  - name: s\n    check: {check}\n    match: {{ {members} }}\n    \
         suppress: {{ {suppress} }}\n"
    )
}

#[test]
fn standing_suppressions() {
    let shared = "DEVICE_CERTIFICATE_SHARED_CHECK";
    let (lab, end) = ("group: lab", "until: 2027-06-30, reason: x, owner: y");
    let text = standing(shared, lab, end);
    let named = |name: &str| text.replace("- name: s", &format!("- name: {name}"));
    insta::assert_snapshot!(told(&[
        "version: 1\nrules: []\nsuppressions: { lab: {} }".into(),
        "version: 1\nrules: []\nsuppression: []".into(),
        named("two words"),
        text.replace("rules: []", "rules: [{ name: s, report: {} }]"),
        text.replace("match: { group: lab }\n    ", ""),
        text.replace("check: DEVICE_CERTIFICATE_SHARED_CHECK\n    ", ""),
        text.clone() + "    enabled: true\n",
        text.clone() + "    adopt: often\n",
        text.clone() + "    stage: shadwo\n",
        standing("DEVICE_CERTIFICATE_SHARE_CHECK", lab, end),
        standing("'DEVICE_*'", lab, end),
        standing("[]", lab, end),
        standing("[REVOKED_DEVICE_CERT_CHECK, REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK]", lab, end),
        standing("[IOT_POLICY_OVERLY_PERMISSIVE_CHECK, LOGGING_DISABLED_CHECK]", "thing: 'a*'", end),
        standing(shared, "", end),
        standing(shared, "group: lab, thing: a", end),
        standing(shared, "groups: lab", end),
        standing(shared, "group: ['lab-*', 'a b']", end),
        standing(shared, "thingType: 'sensor?'", end),
        standing(shared, "resource: '{a,b}'", end),
        standing(shared, lab, "for: 90d, reason: x, owner: y"),
        standing(shared, lab, "reason: x, owner: y"),
        standing(shared, lab, "until: 2027-06-30, indefinitely: true, reason: x, owner: y"),
        standing(shared, lab, "until: 2027-06-31, reason: x, owner: y"),
        standing(shared, lab, "until: 2027-06-30, reason: x"),
        standing(shared, lab, "until: 2027-06-30, reason: '', owner: ' ', ticket: ''"),
    ]));
}

#[test]
fn what_a_policy_does_not_take_of_yaml() {
    let deep = format!("version: 1\nrules: {}", "[".repeat(40));
    insta::assert_snapshot!(told(&[
        "version: 1\nversion: 1\nrules: []".into(),
        "version: 1\nrules:\n\t- name: r".into(),
        "version: 1\nrules: &all []\nmore: *all".into(),
        "a: &a [x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\nrules: *c".into(),
        rule("match: { check: *_CHECK }\n    report: {}"),
        "version: !!int 1\nrules: []".into(),
        "version: 1\nrules: []\n---\nversion: 1".into(),
        "? [a]\n: b".into(),
        deep,
    ]));
}

#[test]
fn all_errors_are_told_at_once() {
    let text = "\
version: 1
mode: enforce
protect: { things: '' }
rules:
  - name: one
    match: { check: CA_CERTIFICATE_EXPIRES_CHECK, colour: red }
    report: {}
  - name: two
    match: { check: CA_CERTIFICATE_EXPIRES_CHECK, severity: WORST }
    mitigate: { actions: 'a b' }
  - name: one
    suppress: { for: 5, reason: '' }
suppressions:
  - { name: one, check: LOGGING_DISABLED_CHECK, match: { group: 'a*' }, suppress: { for: 5d, reason: x, owner: '' } }
  - { name: two, checks: LOGGING_DISABLED_CHECK }
";
    insta::assert_snapshot!(refused(text.as_bytes()));
}

/// Shape, values and doubts: each of them took a round of its own.
#[test]
fn one_round_finds_what_is_wrong_with_shape_values_and_meaning() {
    let text = "\
version: 1
mode: enforcing
protct: { things: 'pump-*' }
windows: { zone: EST, opens: [] }
rules:
  - name: shape
    stge: live
    match: { check: [CA_CERTIFICATE_EXPIRES_CHECK], colour: red, severity: WORST }
    mitigat: { actions: A }
  - name: values
    match: { olderThan: 5, seenAtLeast: many }
    suppress: { for: [1], reason: '', ownr: x }
  - name: ended
    match: { check: LOGGING_DISABLED_CHECK }
    suppress: { until: 2020-01-01, reason: old, owner: o@example.com }
  - match: { check: LOGGING_DISABLED_CHECK, hue: red }
    report: {}
suppressions:
  - { name: s, chek: LOGGING_DISABLED_CHECK, match: { resource: 'x', thng: y }, suppress: { until: soon, reason: r, owner: o } }
";
    let known = Known { at: Millis(1_795_392_000_000), actions: None, inventory: None, deployment: None };
    let checked = Policy::check(text.as_bytes(), &known);
    let said = checked.found.iter().map(|found| {
        let Diagnostic { place, level, what } = found;
        let what = what.split(" (allowed").next().unwrap();
        format!("{}:{} {level:?}: {what}", place.line, place.column)
    });
    insta::assert_snapshot!(said.collect::<Vec<_>>().join("\n"));
    assert_eq!((checked.size, checked.unseen), (None, Some(Unseen::Compared(4))));
}

#[test]
fn encodings() {
    let mut marked = vec![0xEF, 0xBB, 0xBF];
    marked.extend_from_slice(b"version: 1\nrules: []\n");
    assert!(Policy::parse(&marked).is_ok(), "a byte order mark is no error");
    let wide: Vec<u8> = "version: 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin = b"version: 1\nrules:\n  - name: gr\xfc\xdfe\n";
    insta::assert_snapshot!([refused(&wide[..8]), refused(latin)].join("\n"));
}

#[test]
fn what_is_too_large_is_refused_at_once() {
    let began = std::time::Instant::now();
    let huge = vec![b'#'; 100 << 20];
    let many = "version: 1\nrules:\n".to_owned() + &"  - { name: r, report: {} }\n".repeat(10_000);
    let standing = "version: 1\nrules: []\nsuppressions:\n".to_owned() + &"  - { name: s }\n".repeat(201);
    let wide = (0..100).map(|at| format!("key{at}: 1\n")).collect::<Vec<_>>().concat();
    insta::assert_snapshot!(
        [
            refused(&huge).lines().next().unwrap_or_default().to_owned(),
            refused(many.as_bytes()),
            refused(standing.as_bytes()),
            refused(wide.as_bytes()),
        ]
        .join("\n")
    );
    assert!(began.elapsed().as_secs() < 5);
}

#[test]
fn a_refused_file_names_its_first_errors() {
    let text = "version: 1\nrules:\n".to_owned() + &"  - { name: r, report: {} }\n".repeat(14);
    insta::assert_snapshot!(Policy::parse(text.as_bytes()).unwrap_err());
}
