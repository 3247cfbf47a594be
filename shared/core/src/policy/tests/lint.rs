//! What a policy that can be used is told about, and that a rule which is said never to match never does.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::model::action::ActionKind;
use crate::model::suppression::FirstSuppressed;

fn actions() -> Actions {
    let kinds = [
        ("Deactivate", Some(ActionKind::UpdateDeviceCertificate)),
        ("DeactivateCa", Some(ActionKind::UpdateCaCertificate)),
        ("Quarantine", Some(ActionKind::AddThingsToThingGroup)),
        ("Blank", Some(ActionKind::ReplaceDefaultPolicyVersion)),
        ("Logging", Some(ActionKind::EnableIotLogging)),
        ("Publish", Some(ActionKind::PublishFindingToSns)),
        ("Mystery", None),
    ];
    Actions { kinds: kinds.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect(), more: false }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn inventory() -> Inventory {
    Inventory {
        things: Some(names(&["pump-1", "gate-1", "lab-1", "line-1"])),
        groups: Some(names(&["production", "lab", "line", "test", "g0", "g1", "g2", "g3", "g4"])),
        certificates: None,
        policies: Some(names(&["base-read"])),
    }
}

fn told_with(text: &str, actions: Option<&Actions>) -> String {
    let known = Known { at: NOW, actions, inventory: Some(&inventory()), deployment: None };
    let found = policy(text).lint(&known);
    let shown: Vec<_> = found.iter().map(|found| found.render("policy.yaml", text)).collect();
    if shown.is_empty() { "nothing".into() } else { shown.join("\n") }
}

pub(super) fn told(text: &str) -> String {
    told_with(text, Some(&actions()))
}

/// A policy of rules that are named by letters.
pub(super) fn rules(rules: &[&str]) -> String {
    let mut text = "version: 1\nrules:\n".to_owned();
    for (rule, name) in rules.iter().zip('a'..) {
        let _ = writeln!(text, "  - name: {name}\n    {rule}");
    }
    text
}

/// One snapshot of many lists of rules: what is told.
fn all(cases: &[&[&str]]) -> String {
    cases.iter().map(|case| told(&rules(case))).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn a_rule_that_protections_always_hold() {
    let text = "\
version: 1
protect: { groups: production }
rules:
  - name: a
    match: { check: IOT_POLICY_* }
    mitigate: { actions: Blank, devices: any }
  - name: b
    match: { check: REVOKED_DEVICE_CERT_CHECK }
    mitigate: { actions: Deactivate }
";
    insta::assert_snapshot!(told(text), @"
    policy.yaml:4:11: warning: never mitigates findings of IOT_POLICY_OVERLY_PERMISSIVE_CHECK and 1 more: while things, groups or certificates are protected, what stands for any number of them is left alone
        4 |   - name: a
          |           ^
    ");
}

#[test]
fn actions_that_there_are_not() {
    let undefined = rules(&["match: { check: REVOKED_DEVICE_CERT_CHECK }
    mitigate: { actions: [Publish, Deactivat, Zzzzzzzzzzzzzzz] }"]);
    let more = Actions { more: true, ..actions() };
    insta::assert_snapshot!(
        [
            told(&undefined),
            told_with(&undefined, Some(&Actions::default())),
            told_with(&undefined, Some(&more)),
            told_with(&undefined, None),
        ]
        .join("\n\n")
    );
}

#[test]
fn actions_that_device_defender_refuses() {
    insta::assert_snapshot!(all(&[
        &[
            "match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }\n    mitigate: { actions: [Publish, Logging] }"
        ],
        &["match: { check: 'DEVICE_*' }\n    mitigate: { actions: DeactivateCa, devices: any }"],
        &["mitigate: { actions: Quarantine }"],
        &[
            "match: { check: DEVICE_CERTIFICATE_AGE_CHECK }\n    mitigate: { actions: [Deactivate, Quarantine] }"
        ],
        &["match: { check: CA_CERTIFICATE_EXPIRING_CHECK }\n    mitigate: { actions: Mystery }"],
        // What an exception or an earlier rule takes, the rule never gets.
        &[
            "match: { check: LOGGING_DISABLED_CHECK }\n    report: {}",
            "match: { check: ['LOGGING_*', REVOKED_CA_CERT_CHECK, DEVICE_CERTIFICATE_SHARED_CHECK] }
    except: { check: DEVICE_CERTIFICATE_SHARED_CHECK }\n    mitigate: { actions: DeactivateCa, devices: any }",
        ],
    ]));
}

#[test]
fn mitigations_of_every_check() {
    insta::assert_snapshot!(all(&[
        &["mitigate: { actions: Publish }"],
        &["match: { check: '*', severity: CRITICAL }\n    mitigate: { actions: Publish }"],
        &["match: { check: 'QUANTUM_*' }\n    mitigate: { actions: Publish }"],
    ]));
}

#[test]
fn rules_that_never_match() {
    insta::assert_snapshot!(all(&[
        &["match: { severity: [LOW, MEDIUM] }\n    report: {}", "match: { severity: LOW }\n    report: {}"],
        &[
            "match: { resource: 'lab-*' }\n    report: {}",
            "match: { resource: ['lab-1', 'lab-x*'] }
    suppress: { for: 1d, reason: x, owner: y }",
        ],
        &[
            "match: { group: lab }\n    report: {}",
            "match: { group: lab, thing: 'pump-*' }\n    report: { silent: true }",
        ],
        &[
            "match: { olderThan: 7d, expiresWithin: 30d }\n    report: {}",
            "match: { olderThan: 30d, expiresWithin: 7d }\n    report: {}",
        ],
        &[
            "match: { severity: LOW }\n    except: { check: 'LOGGING_*' }\n    report: {}",
            "match: { severity: LOW, check: CONFLICTING_CLIENT_IDS_CHECK }\n    report: {}",
        ],
        &[
            "except: { thing: gate-1 }\n    report: {}",
            "except: { thing: 'gate-*' }\n    report: { severity: high }",
        ],
        &["match: { thing: gate-1 }\n    except: { thing: 'gate-*' }\n    report: { silent: true }"],
        &[
            "match: { check: REVOKED_CA_CERT_CHECK }\n    mitigate: { actions: DeactivateCa, devices: any }",
            "match: { check: REVOKED_CA_CERT_CHECK }\n    report: {}",
        ],
        &["report: {}", "stage: shadow\n    match: { severity: LOW }\n    report: {}"],
    ]));
}

#[test]
fn rules_that_may_well_match() {
    let cases: [&[&str]; 12] = [
        &["match: { severity: LOW }\n    report: {}", "report: {}"],
        &["stage: shadow\n    report: {}", "report: {}"],
        // All four severities are not yet every severity.
        &["match: { severity: [CRITICAL, HIGH, MEDIUM, LOW] }\n    report: {}", "report: {}"],
        // A finding may say no reason.
        &["match: { reason: '*' }\n    report: {}", "report: {}"],
        // A rule that silences means every thing, and one that alerts any.
        &["match: { group: lab }\n    report: { silent: true }", "match: { group: lab }\n    report: {}"],
        &["match: { thing: '*' }\n    report: {}", "report: {}"],
        &["except: { thing: gate-1 }\n    report: {}", "report: {}"],
        &[
            "except: { thing: 'gate-*' }\n    report: {}",
            "except: { thing: gate-1 }\n    report: { severity: high }",
        ],
        &["match: { thing: gate-1 }\n    except: { thing: 'gate-*' }\n    report: {}"],
        // When the suppression of the first has lapsed, the second matches.
        &[
            "match: { check: LOGGING_* }\n    suppress: { for: 9d, reason: x, owner: y }",
            "match: { check: LOGGING_* }\n    mitigate: { actions: Logging }",
        ],
        // From the day on which the first ends, the second matches.
        &[
            "match: { check: LOGGING_* }\n    suppress: { until: 2027-09-01, reason: x, owner: y }",
            "match: { check: LOGGING_* }\n    mitigate: { actions: Logging }",
        ],
        &[
            "match: { attribute: { site: a } }\n    report: {}",
            "match: { attribute: { place: a } }\n    report: {}",
        ],
    ];
    for case in cases {
        assert_eq!(told(&rules(case)), "nothing", "{case:?}");
    }
}

const PAST: &str = "match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, reason: CERTIFICATE_PAST_EXPIRATION }
    mitigate: { actions: Deactivate }";
const APPROACHING: &str =
    "match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, reason: CERTIFICATE_APPROACHING_* }
    suppress: { for: 30d, reason: they are renewed, owner: pki }";

#[test]
fn mitigations_of_what_is_suppressed() {
    let young = "match: { check: REVOKED_DEVICE_CERT_CHECK }\n    except: { olderThan: 7d }
    suppress: { for: 7d, reason: a week to mend it, owner: pki }";
    let old =
        "match: { check: REVOKED_DEVICE_CERT_CHECK, resource: 'ab*' }\n    mitigate: { actions: Deactivate }";
    insta::assert_snapshot!(all(&[&[APPROACHING, PAST], &[PAST, APPROACHING], &[young, old]]));
    let lab = "match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, group: lab, severity: MEDIUM }
    suppress: { for: 30d, reason: they are renewed, owner: pki }";
    let shadow = APPROACHING.replace("match:", "stage: shadow\n    match:");
    let mitigated = "match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, group: lab }\n    mitigate: { actions: Deactivate }";
    let rest = "match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }
    suppress: { for: 30d, reason: they are renewed, owner: pki }";
    let cases: [&[&str]; 3] = [&[lab, PAST], &[&shadow, PAST], &[mitigated, rest]];
    for case in cases {
        assert_eq!(told(&rules(case)), "nothing", "{case:?}");
    }
}

#[test]
fn suppressions() {
    insta::assert_snapshot!(all(&[
        &["match: { resource: a }\n    suppress: { for: 1d, reason: x }"],
        &["match: { resource: a }\n    suppress: { indefinitely: true, reason: x, owner: y }"],
        &["match: { resource: a }\n    suppress:\n      reason: x\n      owner: y\n      until: 2026-11-23"],
        &["match: { resource: a }\n    suppress: { until: 2026-11-24, reason: x, owner: y }"],
        &["match: { resource: a }\n    suppress: { until: 2026-12-23, reason: x, owner: y }"],
        &["match: { resource: a }\n    suppress: { until: 2026-12-24, reason: x, owner: y }"],
    ]));
}

#[test]
fn what_device_defender_has_of_the_words_on_a_suppression() {
    let long = "x".repeat(1500);
    let rule = |words: &str| {
        told(&rules(&[&format!("match: {{ resource: a }}\n    suppress: {{ for: 1d, {words} }}")]))
    };
    let standing = |words: &str| {
        told(&format!(
            "version: 1\nrules: []\nsuppressions:\n  - name: s\n    check: DEVICE_CERTIFICATE_AGE_CHECK\n    \
             match: {{ thing: lab-1 }}\n    suppress: {{ until: 2027-06-30, {words} }}\n"
        ))
    };
    insta::assert_snapshot!(
        [
            rule("owner: jürgen.müller@example.com, reason: 设备将更换, ticket: '№ 7'"),
            rule(&format!("owner: lab, reason: {long}")),
            rule(&format!("reason: é{long}, owner: 李雷")),
            standing(&format!("owner: Łukasz Żółć, reason: {long}")),
            standing("owner: 'a; b', reason: 'x; y'"),
        ]
        .join("\n\n")
    );
    assert_eq!(rule("owner: lab@example.com, reason: \"on two\\nlines\", ticket: SEC-7"), "nothing");
}

#[test]
fn words_that_nobody_sees_or_that_are_too_many_are_refused() {
    for (words, said) in [
        ("reason: \"\\u200b\", owner: x", "a suppression needs a reason"),
        ("reason: x, owner: \"\\u2060 \"", "a suppression needs an owner"),
        ("reason: x, ticket: \"\\ufeff\"", "'ticket' is blank"),
        (&format!("reason: {}", "ü".repeat(4001)), "this has 4001 characters; it may have 4000"),
    ] {
        let text = rules(&[&format!("match: {{ resource: a }}\n    suppress: {{ for: 1d, {words} }}")]);
        let refused = Policy::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn standing_suppressions() {
    let one = |name: &str, check: &str, members: &str, end: &str| {
        format!(
            "  - name: {name}\n    check: {check}\n    match: {{ {members} }}\n    \
             suppress: {{ {end}, reason: x, owner: y }}\n"
        )
    };
    let (shared, age) = ("DEVICE_CERTIFICATE_SHARED_CHECK", "DEVICE_CERTIFICATE_AGE_CHECK");
    let good = "until: 2027-06-30";
    let ends = ["until: 2026-11-23", "until: 2026-12-01", good, "until: 2027-12-01", "indefinitely: true"];
    let file = |standing: &[String]| format!("version: 1\nrules: []\nsuppressions:\n{}", standing.concat());
    let of = |at: usize, end: &&str| one(&format!("s{at}"), shared, &format!("group: g{at}"), end);
    let all = format!("[{age}, {shared}]");
    let pair =
        |one_of: &str, other: &str| file(&[one("a", shared, one_of, good), one("b", &all, other, good)]);
    let rule = "version: 1\nrules:\n  - name: r\n    match: { check: DEVICE_*, group: [lab] }\n    \
                mitigate: { actions: Publish }\nsuppressions:\n";
    insta::assert_snapshot!(
        [
            told(&file(&ends.iter().enumerate().map(|(at, end)| of(at, end)).collect::<Vec<_>>())),
            told(&pair("group: [lab, line]", "group: [line, test]")),
            told(&pair("thing: 'lab-*'", "thing: lab-1")),
            told(&pair(&format!("resource: {AB}"), "resource: 'a*'")),
            told(&format!("{rule}{}", one("s", shared, "group: [lab, line]", good))),
        ]
        .join("\n\n")
    );
    let cases = [
        pair("group: lab", "thingType: lab"),
        pair("thing: 'lab-*'", "thing: 'line-*'"),
        file(&[one("a", shared, "group: lab", good), one("b", age, "group: lab", good)]),
        pair("group: lab", "group: lab") + "    stage: shadow\n",
        format!("{rule}{}", one("s", shared, "group: line", good)),
        format!("{rule}{}", one("s", "CONFLICTING_CLIENT_IDS_CHECK", "group: lab", good)),
    ];
    for case in cases {
        assert_eq!(told(&case), "nothing", "{case}");
    }
}

#[test]
fn windows_and_protections() {
    insta::assert_snapshot!(
        [
            told("version: 1\nwindows: { zone: Europe/Berln }\nrules: []\n"),
            told(
                "version: 1\nwindows:\n  zone: UTC\n  freeze: [{ from: 2026-01-01, to: 2099-12-31 }]\nrules: []\n"
            ),
            told("version: 1\nwindows: { zone: UTC, open: [{ days: [Mon] }] }\nrules: []\n"),
            told(
                "version: 1\nprotect:\n  things: ['pump-*', pmup-1]\n  groups: prodction\n  certificates: abc*\n  \
                 policies:\n    - base-*\n    - write-*\nrules: []\n"
            ),
        ]
        .join("\n\n")
    );
}

#[test]
fn names_that_are_nowhere_in_the_fleet() {
    let ids = Some(names(&[A]));
    let inventory = Inventory { certificates: ids, ..inventory() };
    let standing = |check: &str, members: &str| {
        format!(
            "version: 1\nrules: []\nsuppressions:\n  - name: s\n    check: {check}\n    match: {{ {members} }}\n    \
             suppress: {{ until: 2027-06-30, reason: x, owner: y }}\n"
        )
    };
    let (revoked, policies) =
        ("check: REVOKED_DEVICE_CERT_CHECK", "check: IOT_POLICY_OVERLY_PERMISSIVE_CHECK");
    let told = |text: &str| {
        let found = policy(text).lint(&Known {
            at: NOW,
            actions: None,
            inventory: Some(&inventory),
            deployment: None,
        });
        let shown: Vec<_> = found.iter().map(|found| found.render("policy.yaml", text)).collect();
        if shown.is_empty() { "nothing".into() } else { shown.join("\n") }
    };
    insta::assert_snapshot!(
        [
            told(&rules(&[&format!(
                "match: {{ {revoked}, thing: [pump-1, pmup-1], group: prodction }}
    except: {{ thing: 'gateway-*', resource: 'b*' }}\n    report: {{}}"
            )])),
            told(&rules(&[&format!(
                "match: {{ {policies}, resource: ['base-read:*', 'base-raed:3'] }}\n    report: {{}}"
            )])),
            told(&standing("DEVICE_CERTIFICATE_SHARED_CHECK", "thing: ['pump-*', 'smoke-*']")),
            told(&standing("DEVICE_CERTIFICATE_SHARED_CHECK", "group: [lab, labs]")),
            told(&standing("DEVICE_CERTIFICATE_SHARED_CHECK", "resource: ['a*', 'b*']")),
        ]
        .join("\n\n")
    );
    let cases = [
        rules(&[&format!("match: {{ {revoked}, thing: 'pump-*', resource: 'a*' }}\n    report: {{}}")]),
        rules(&[&format!("match: {{ {policies}, resource: ['base-*:3', '*:1'] }}\n    report: {{}}")]),
        // Nobody lists clients, and without a check the resource may be one.
        rules(&["match: { check: CONFLICTING_CLIENT_IDS_CHECK, resource: nowhere }\n    report: {}"]),
        rules(&["match: { resource: nowhere }\n    report: {}"]),
    ];
    for case in cases {
        assert_eq!(told(&case), "nothing", "{case}");
    }
}

/// A key of a matcher, or nothing: few values, so that rules often cover one another.
fn key(key: &'static str, values: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(String::new()),
        1 => proptest::sample::subsequence(values, 1..=values.len().min(3))
            .prop_map(move |values| format!("{key}: [{}], ", values.join(", "))),
    ]
}

fn one(key: &'static str, values: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just(String::new()),
        1 => proptest::sample::select(values).prop_map(move |value| format!("{key}: {value}, ")),
    ]
}

/// Two ids of certificates.
const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const AB: &str = "abababababababababababababababababababababababababababababababab";

const CHECKS: &[&str] = &[
    "DEVICE_CERTIFICATE_EXPIRING_CHECK",
    "DEVICE_CERTIFICATE_SHARED_CHECK",
    "CONFLICTING_CLIENT_IDS_CHECK",
    "'DEVICE_*'",
    "'*'",
];

fn matcher() -> impl Strategy<Value = String> {
    let finding = (
        key("severity", &["LOW", "MEDIUM", "HIGH", "CRITICAL"]),
        key("reason", &["a", "ab", "'a*'", "'*'"]),
        one("olderThan", &["1d", "2d"]),
        one("seenAtLeast", &["1", "2"]),
        one("expiresWithin", &["1d", "2d"]),
    );
    let resource = (
        key("check", CHECKS),
        key("type", &["a", "'*'"]),
        key("resource", &[A, AB, "'a*'", "'*'"]),
        key("account", &["'1*'", "'*'"]),
        key("thing", &["a", "ab", "'a*'", "'*'"]),
        key("group", &["a", "b", "'*'"]),
        key("thingType", &["a", "'*'"]),
        prop_oneof![3 => Just(""), 1 => Just("attribute: { s: a }, "), 1 => Just("attribute: { s: '*' }, ")],
    );
    (finding, resource).prop_map(|((a, b, c, d, e), (f, g, h, i, j, k, l, m))| {
        [&*a, &*b, &*c, &*d, &*e, &*f, &*g, &*h, &*i, &*j, &*k, &*l, m].concat()
    })
}

fn rule() -> impl Strategy<Value = String> {
    let outcome = proptest::sample::select(&[
        "report: {}",
        "report: { silent: true }",
        "mitigate: { actions: Publish }",
        "suppress: { for: 1d, reason: x }",
        "suppress: { until: 2026-11-23, reason: x }",
        "suppress: { until: 2026-12-01, reason: x }",
        "suppress: { until: 2027-12-01, reason: x }",
    ]);
    let except = prop_oneof![3 => Just(String::new()), 1 => matcher()];
    let shadow = prop_oneof![5 => Just(""), 1 => Just("stage: shadow, ")];
    (matcher(), except, outcome, shadow).prop_map(|(of, except, outcome, shadow)| {
        let except = if except.is_empty() { except } else { format!("except: {{ {except} }}, ") };
        format!("{shadow}match: {{ {of} }}, {except}{outcome}")
    })
}

fn thing_behind() -> impl Strategy<Value = Thing> {
    let word = || proptest::sample::select(&["a", "ab", "b", "c"]);
    let described = proptest::option::of((proptest::option::of(word()), proptest::option::of(word())));
    (word(), proptest::option::of(proptest::collection::vec(word(), 0..3)), described).prop_map(
        |(name, groups, described)| Thing {
            name: name.into(),
            groups: groups.map(|groups| groups.into_iter().map(str::to_owned).collect()),
            described: described.map(|(of_type, site)| Description {
                thing_type: of_type.map(str::to_owned),
                attributes: site.map(|site| ("s".to_owned(), site.to_owned())).into_iter().collect(),
            }),
        },
    )
}

fn things_behind() -> impl Strategy<Value = Things> {
    prop_oneof![
        6 => proptest::collection::vec(thing_behind(), 0..3).prop_map(Things::Known),
        1 => Just(Things::NotAsked),
        1 => Just(Things::Unknown { unknown: "x".into() }),
    ]
}

fn finding() -> impl Strategy<Value = Finding> {
    let word = || proptest::option::of(proptest::sample::select(&["a", "ab", "b"]));
    let id = proptest::option::of(proptest::sample::select(&[A, AB, "b"]));
    let check = prop_oneof![3 => proptest::sample::select(&CHECKS[..3]), 1 => Just("QUANTUM_CHECK")];
    let expiry = proptest::option::of(-1..4_i64);
    (check, 0..Severity::ALL.len(), word(), word(), id, expiry).prop_map(
        |(check, severity, reason, kind, resource, expiry)| {
            let mut finding = certificate(check, resource.unwrap_or_default());
            finding.severity = Severity::ALL[severity];
            finding.reason_code = reason.map(str::to_owned);
            if let Some(of) = &mut finding.resource {
                of.resource_type = kind.map(str::to_owned);
                let expiry = expiry.map(|days| (NOW.0 + days * DAY).to_string());
                of.additional_info.extend(expiry.map(|at| ("EXPIRATION_TIME".to_owned(), at)));
                if resource.is_none() {
                    of.resource_identifier = ResourceIdentifier::default();
                }
            }
            finding
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_said_never_to_match_is_never_chosen(
        listed in proptest::collection::vec(rule(), 2..5),
        findings in proptest::collection::vec((finding(), things_behind(), 0..4_i64, 0..3_u32, 0..8_usize), 40),
        days in 0..400_i64,
    ) {
        let mut text = "version: 1\nrules:\n".to_owned();
        for (at, rule) in listed.iter().enumerate() {
            let _ = writeln!(text, "  - {{ name: r{at}, {rule} }}");
        }
        let policy = policy(&text);
        let found = policy.lint(&Known { at: NOW, actions: None, inventory: None, deployment: None });
        let named = |words: &str| -> BTreeSet<u32> {
            found.iter().filter(|found| found.what.contains(words)).map(|found| found.place.line).collect()
        };
        let (never, unnamed) = (named("the rule never matches"), named("only matches findings that name no"));
        for (finding, things, age, times_seen, of) in &findings {
            let at = Millis(NOW.0 + days * DAY);
            let first_seen = Millis(at.0 - age * DAY);
            // A rule may have suppressed it before.
            let terms = policy.rules().get(*of).and_then(Rule::terms);
            let first_suppressed = terms.map(|terms| FirstSuppressed { at: first_seen, terms });
            let subject = subject(finding, things);
            let subject =
                Subject { account: "123456789012", at, first_seen, times_seen: *times_seen, first_suppressed, ..subject };
            let decision = policy.decide(&subject);
            let chosen = [decision.rule, decision.shadow.map(|shadow| shadow.rule.name())];
            for rule in policy.rules().iter().filter(|rule| chosen.contains(&Some(rule.name()))) {
                prop_assert!(!never.contains(&rule.place.line), "{} took {finding:?} of\n{text}", rule.name());
                let takes = finding.identifier().is_none() || !unnamed.contains(&rule.place.line);
                prop_assert!(takes, "{} took {finding:?} of\n{text}", rule.name());
            }
        }
    }
}
