//! Whatever comes, nothing panics, and what a rule does depends only on what it is asked.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// Pieces of the language, to make files that are nearly right.
const PIECES: [&str; 38] = [
    "version: 1\n",
    "mode: enforce\n",
    "rules:\n",
    "  - name: r\n",
    "    match: {",
    "check: ",
    "'*'",
    "[",
    "]",
    "{",
    "}",
    "\n",
    "    report: {}\n",
    "    suppress: { for: 1d, reason: x }\n",
    "&a ",
    "*a",
    "!!str ",
    "\t",
    "protect: ",
    "suppressions:\n",
    "    check: DEVICE_CERTIFICATE_SHARED_CHECK\n",
    "    match: { group: lab }\n",
    "    suppress: { until: 2027-06-30, reason: x, owner: y }\n",
    "    adopt: true\n",
    "windows: { zone: UTC, open: [{ hours: 10:00-12:00 }] }\n",
    "actions: { A: { windows: { zone: UTC, freeze: [{ from: 12-20, to: 01-06 }] } } }\n",
    "    mitigate: { actions: A, windows: { open: [{ hours: 22:00-06:00 }] } }\n",
    "alarms: { settle: 0m, flaps: { after: 3 }, incidents: { share: 10% } }\n",
    "    alarm: { profile: a, confidence: HIGH, ",
    "raisedAtLeast: { times: 3, within: 24h } ",
    "lastsLongerThan: 1h, registered: true ",
    "    mitigate: { actions: A, release: after 24h }\n",
    "    verify: { state: TRUE_POSITIVE, description: d }\n",
    "    alarm:\n",
    "---\n",
    "\"",
    "\u{0}",
    "é",
];

fn globs() -> impl Strategy<Value = String> {
    "[ab*?]{1,4}"
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,200}") {
        let _ = Policy::parse(text.as_bytes());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Policy::parse(&bytes);
    }

    #[test]
    fn nothing_nearly_right_makes_it_panic(picks in proptest::collection::vec(0..PIECES.len(), 0..40)) {
        let text: String = picks.into_iter().map(|at| PIECES[at]).collect();
        if let Err(errors) = Policy::parse(text.as_bytes()) {
            for error in errors.all() {
                prop_assert!(!error.render("policy.yaml", &text).is_empty());
            }
        }
    }

    #[test]
    fn the_index_finds_the_rule_that_asking_each_would_find(
        rules in proptest::collection::vec((0..check::KNOWN.len(), globs()), 1..30),
        check in 0..check::KNOWN.len(),
        id in "[ab]{0,4}",
    ) {
        let mut text = "version: 1\nrules:\n".to_owned();
        for (at, (check, glob)) in rules.iter().enumerate() {
            let check = check::KNOWN[*check];
            let _ = writeln!(
                text, "  - {{ name: r{at}, match: {{ check: {check}, resource: '{glob}' }}, report: {{}} }}"
            );
        }
        let policy = policy(&text);
        let finding = certificate(check::KNOWN[check], &id);
        let expected = rules.iter().position(|(of, glob)| {
            *of == check && wildmatch::WildMatch::new(glob).matches(&id)
        });
        let expected = expected.map(|at| format!("r{at}"));
        let subject = subject(&finding, &Things::NotAsked);
        prop_assert_eq!(policy.decide(&subject).rule, expected.as_deref());
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes(id in "[ab]{0,3}", seen in 0_i64..4_000_000_000_000) {
        let policy = policy(POLICY);
        let finding = certificate("DEVICE_CERTIFICATE_EXPIRING_CHECK", &id);
        let once = explain(&policy, &finding, &Things::NotAsked, Millis(seen), 1);
        let again = explain(&super::policy(POLICY), &finding.clone(), &Things::NotAsked, Millis(seen), 1);
        prop_assert_eq!(once, again);
    }

    #[test]
    fn nothing_unknown_is_ever_acted_on(
        first in "(thing|group|thingType)", except in any::<bool>(), outcome in 0..2_usize, reason in ".{0,9}",
    ) {
        let outcome = ["mitigate: { actions: A }", "suppress: { for: 1d, reason: x }"][outcome];
        let key = if except { "except" } else { "match" };
        let policy = policy(&format!(
            "version: 1\nrules:\n  - {{ name: a, {key}: {{ {first}: x }}, {outcome} }}\n  - {{ name: b, {outcome} }}\n"
        ));
        let finding = certificate("REVOKED_DEVICE_CERT_CHECK", "x");
        let things = Things::Unknown { unknown: reason };
        let subject = subject(&finding, &things);
        let decision = policy.decide(&subject);
        prop_assert_eq!(decision.outcome, Outcome::Report(Report::Alert(None)));
        prop_assert_eq!(decision.held, Some(Hold::RuleUnknown("a")));
    }
}
