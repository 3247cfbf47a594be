//! A suppression for a length of time ends when it said, and is not renewed until somebody means it anew.

use proptest::prelude::*;

use super::*;
use crate::model::suppression::FirstSuppressed;

const CHECK: &str = "DEVICE_CERTIFICATE_EXPIRING_CHECK";

fn days(days: i64) -> Millis {
    Millis(NOW.0 + days * DAY)
}

/// Audits of one finding, each with its day and the policy of that day: what is decided on each, and what of it the
/// next audit knows.
fn audits(policies: &[(i64, &Policy)]) -> Vec<String> {
    let finding = certificate(CHECK, "abc");
    let mut first_suppressed = None;
    let told = |(day, policy): &(i64, &Policy)| {
        let subject = Subject { at: days(*day), first_suppressed, ..subject(&finding, &Things::NotAsked) };
        let decision = policy.decide(&subject);
        first_suppressed = decision.first_suppressed();
        let since = first_suppressed.map_or("never".to_owned(), |first: FirstSuppressed| first.at.day());
        let text = serde_json::to_string(&decision).unwrap().replace(policy.hash(), "…");
        format!("day {day}, first suppressed {since}: {text}")
    };
    policies.iter().map(told).collect()
}

fn suppressing(rules: &str) -> Policy {
    policy(&format!("version: 1\nmode: enforce\nrules:\n{rules}"))
}

const LAB: &str = "  - { name: lab, match: { resource: a* }, suppress: { for: 30d, reason: x, owner: y } }\n";

#[test]
fn no_audit_prolongs_it_and_none_renews_it() {
    let lab = suppressing(LAB);
    insta::assert_snapshot!(audits(&[(0, &lab), (7, &lab), (29, &lab), (30, &lab), (37, &lab)]).join("\n"));
}

#[test]
fn only_a_suppression_for_a_time_has_an_end() {
    let finding = certificate(CHECK, "abc");
    let subject = Subject { at: days(0), ..subject(&finding, &Things::NotAsked) };
    let end = |rules: &str| suppressing(rules).decide(&subject).ends_at();
    assert_eq!(end(LAB), Some(days(30).seconds()));
    let rule = |effect: &str| end(&format!("  - {{ name: lab, {effect} }}\n"));
    assert_eq!(rule("suppress: { indefinitely: true, reason: x, owner: y }"), None);
    assert_eq!(rule("mitigate: { actions: [A] }"), None);
}

#[test]
fn what_a_later_audit_decides_is_held_and_reported_without_an_alert() {
    let finding = certificate(CHECK, "abc");
    let subject = Subject { at: days(0), ..subject(&finding, &Things::NotAsked) };
    for effect in ["suppress: { for: 30d, reason: x, owner: y }", "mitigate: { actions: [A] }"] {
        let policy = suppressing(&format!("  - {{ name: lab, {effect} }}\n"));
        let decision = policy.decide(&subject).overtaken();
        assert_eq!(decision.outcome, Outcome::Report(Report::Silent));
        assert_eq!(serde_json::to_value(decision).unwrap()["held"], "overtaken");
    }
    let policy = suppressing("  - { name: lab, report: { severity: low } }\n");
    let decision = policy.decide(&subject);
    let (outcome, text) = (decision.outcome, serde_json::to_string(&decision).unwrap());
    let decision = decision.overtaken();
    assert_eq!((decision.outcome, serde_json::to_string(&decision).unwrap()), (outcome, text));
}

#[test]
fn other_words_begin_anew() {
    let lab = suppressing(LAB);
    let ticket = suppressing(&LAB.replace("owner: y", "owner: y, ticket: SEC-7"));
    let longer = suppressing(&LAB.replace("30d", "60d"));
    insta::assert_snapshot!(
        audits(&[(0, &lab), (31, &lab), (38, &ticket), (45, &ticket), (45, &longer), (50, &lab)]).join("\n")
    );
}

#[test]
fn two_rules_do_not_renew_it_in_turns() {
    let two = format!("{LAB}{}", LAB.replace("lab", "lab-2"));
    let last = "  - { name: rest, suppress: { until: 2027-06-30, reason: x, owner: y } }\n";
    let (two, rest) = (suppressing(&two), suppressing(&format!("{two}{last}")));
    insta::assert_snapshot!(audits(&[(0, &two), (31, &two), (38, &rest), (45, &two)]).join("\n"));
}

#[test]
fn what_is_only_observed_or_tried_is_not_remembered() {
    let observed = policy(&format!("version: 1\nrules:\n{LAB}"));
    let tried = suppressing(&LAB.replace("match", "stage: shadow, match"));
    let lab = suppressing(LAB);
    insta::assert_snapshot!(audits(&[(0, &observed), (7, &tried), (31, &lab), (70, &observed)]).join("\n"));
}

#[test]
fn a_finding_that_is_suppressed_keeps_its_memory() {
    let lab = suppressing(LAB);
    let terms = lab.rules()[0].terms().unwrap();
    let first_suppressed = Some(FirstSuppressed { at: NOW, terms });
    let finding = Finding { suppressed: true, ..certificate(CHECK, "abc") };
    let subject = subject(&finding, &Things::NotAsked);
    let subject = Subject { at: days(7), times_seen: 2, first_suppressed, ..subject };
    assert_eq!(lab.decide(&subject).first_suppressed(), first_suppressed);
}

proptest! {
    #[test]
    fn whatever_the_rules_a_finding_is_suppressed_for_a_time_only_once(
        rules in proptest::collection::vec(("[ab*]{1,2}", 1..20_i64, any::<bool>(), 0..3_usize), 1..5),
        gaps in proptest::collection::vec(0..15_i64, 1..30),
    ) {
        let rule = |(at, (glob, days, shadow, kind)): (usize, &(String, i64, bool, usize))| {
            let stage = if *shadow { "stage: shadow, " } else { "" };
            let outcome = match kind {
                0 => "report: {}".to_owned(),
                _ => format!("suppress: {{ for: {days}d, reason: x }}"),
            };
            format!("  - {{ name: r{at}, {stage}match: {{ resource: '{glob}' }}, {outcome} }}\n")
        };
        let policy = suppressing(&rules.iter().enumerate().map(rule).collect::<String>());
        let finding = certificate(CHECK, "ab");
        let (mut first_suppressed, mut day, mut end) = (None, 0, None);
        for gap in gaps {
            day += gap;
            let subject = Subject { at: days(day), first_suppressed, ..subject(&finding, &Things::NotAsked) };
            let decision = policy.decide(&subject);
            first_suppressed = decision.first_suppressed();
            if let Some(ends) = decision.ends_at() {
                prop_assert_eq!(ends, *end.get_or_insert(ends));
                prop_assert!(ends > subject.at.seconds());
            } else {
                let over = end.is_none_or(|end: i64| end <= subject.at.seconds());
                prop_assert!(over, "it ended before its time");
            }
        }
    }
}
