//! Budgets as a file has them.

use super::*;

const RULE: &str = "rules:\n  - { name: expiring, match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }, \
                    mitigate: { actions: [Quarantine] } }\n  - { name: tell, match: {}, report: {} }\n";

fn with(budgets: &str) -> String {
    format!("version: 1\n{budgets}\n{RULE}")
}

#[test]
fn without_a_word_there_is_one_and_only_a_word_lifts_it() {
    let labels = |budgets: &str| {
        policy(&with(budgets)).budgets().iter().map(Budget::label).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(labels(""), "10 or 1% of the fleet in 1h");
    assert_eq!(labels("budgets: none"), "");
    let two = "budgets: [{ most: 2, within: 1d, rules: expiring }, { most: 50, orShare: 0.5%, within: 2h }]";
    assert_eq!(labels(two), "2 in 1d, by rule expiring; 50 or 0.5% of the fleet in 2h");
    let groups =
        "budgets: [{ most: 2, orShare: 5%, within: 1d, group: pumps }, { most: 2, within: 1d, group: 2024 }]";
    assert_eq!(labels(groups), "2 or 5% of group pumps in 1d; 2 of group 2024 in 1d");
}

#[test]
fn a_task_is_no_larger_than_what_its_budgets_can_hold() {
    let most = |budgets: &str| policy(&with(budgets)).most_of_a_task("expiring", &["Quarantine".to_owned()]);
    assert_eq!([most(""), most("budgets: none")], [10, 25]);
    let two = "budgets: [{ most: 3, within: 1h, actions: [Deactivate] }, { most: 99, within: 1h }]";
    assert_eq!(most(two), 25);
    assert_eq!(most("budgets: [{ most: 3, within: 1h }, { most: 2, within: 1d, rules: expiring }]"), 2);
}

#[test]
fn what_is_wrong_with_one_is_told_where_it_stands() {
    let wrong = [
        "budgets: all",
        "budgets: []",
        "budgets: [{ most: 10 }]",
        "budgets: [{ most: 0, within: 1h }, { most: 2000000, within: 31d }]",
        "budgets: [{ most: 10, within: 60m, orShare: 0% }]",
        "budgets: [{ most: 10, within: 1h, orShare: 101% }, { most: 1, within: 2h, orShare: '5' }]",
        "budgets: [{ most: 10, within: 1h, rules: [expirng, told], actions: 'no name' }]",
        "budgets: [{ most: 10, within: 1h, percent: 5 }]",
        "budgets: [{ most: 10, within: 24h }, { most: 1, within: 1d }]",
        "budgets: [{ most: 10, within: 1h, group: 'pumps-*' }, { most: 10, within: 1h, group: '' }]",
        "budgets: [{ most: 10, within: 1h, group: pumps }, { most: 9, within: 1h, group: pumps }]",
    ];
    let told = wrong.map(|budgets| Policy::parse(with(budgets).as_bytes()).unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn one_that_no_rule_counts_in_is_a_doubt() {
    let doubts = |budgets: &str| {
        let known = Known { at: Millis(0), actions: None, inventory: None, deployment: None };
        let found = policy(&with(budgets)).lint(&known);
        found.iter().map(|found| found.what.clone()).collect::<Vec<_>>().join("\n")
    };
    let of = [
        "budgets: [{ most: 1, within: 1h, actions: [Quarantin] }]",
        "budgets: [{ most: 1, within: 1h, rules: [tell] }]",
        "budgets: [{ most: 1, within: 1h, rules: [expiring], actions: [Quarantine] }]",
    ];
    insta::assert_snapshot!(of.map(doubts).join("\n\n"));
}
