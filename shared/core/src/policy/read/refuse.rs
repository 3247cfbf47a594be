//! Keys of one kind of rule in the other kind: what to write instead.

use super::Reader;
use crate::policy::diagnostic::Place;
use crate::policy::node::Node;

/// Takes out of a rule on alarms what only rules on findings have. The places from which something was taken come back.
pub(super) fn in_alarm_rule(reader: &mut Reader, node: &mut Node<'_>) -> Vec<Place> {
    let taken = [
        (
            "match",
            "a rule is about findings ('match') or about alarms ('alarm'), not both: make two rules of it",
        ),
        (
            "suppress",
            "an alarm cannot be suppressed, only a finding; write 'report: { silent: true }' to alert nobody, or \
             'verify: { state: FALSE_POSITIVE, description: … }' to mark it as false",
        ),
    ];
    let mut from = Vec::new();
    for (key, what) in taken {
        if let Some(place) = node.take_member(key) {
            reader.error(place, what);
            from.push(node.place);
        }
    }
    if let Some(mitigate) = node.member("mitigate")
        && let Some(place) = mitigate.take_member("canary")
    {
        let what = "only findings have a canary: an audit finds many at once, and an alarm comes by itself; leave 'canary' \
                    out, and limit how many are mitigated by 'budgets: [{ most: 10, within: 1h, rules: … }]'";
        reader.error(place, what);
        from.push(mitigate.place);
    }
    for conditions in ["alarm", "except"] {
        let Some(conditions) = node.member(conditions) else { continue };
        for (key, instead) in OF_FINDINGS {
            if let Some(place) = conditions.take_member(key) {
                reader.error(place, format!("an alarm has no '{key}'; {instead}"));
                from.push(conditions.place);
            }
        }
    }
    from
}

/// Conditions on findings, each with what a rule on alarms has instead.
const OF_FINDINGS: [(&str, &str); 8] = [
    ("check", "name its 'profile' or its 'behavior'"),
    ("expiresWithin", "leave it out"),
    ("olderThan", "'lastsLongerThan' is how long it has lasted"),
    ("reason", "name its 'behavior' or its 'metric'"),
    ("resource", "'thing' is the name of its device"),
    ("seenAtLeast", "'raisedAtLeast: { times: 3, within: 24h }' is how often it was raised"),
    ("severity", "for a model's alarm, 'confidence' is how sure it is"),
    ("type", "'thingType' is the type of its device"),
];

/// Conditions that only alarms have.
const OF_ALARMS: [&str; 9] = [
    "behavior",
    "confidence",
    "criteria",
    "lastsLongerThan",
    "metric",
    "profile",
    "raisedAtLeast",
    "registered",
    "source",
];

/// Takes out of a rule on findings what only rules on alarms have. The places from which something was taken come back.
pub(super) fn in_finding_rule(reader: &mut Reader, node: &mut Node<'_>) -> Vec<Place> {
    let mut from = Vec::new();
    if let Some(place) = node.take_member("verify") {
        let what = "only an alarm has a verification state; write 'alarm: { … }' in place of 'match' for a rule on \
                    alarms, or 'suppress: { for: 90d, reason: … }' for a finding that is no problem";
        reader.error(place, what);
        from.push(node.place);
    }
    if let Some(mitigate) = node.member("mitigate")
        && let Some(place) = mitigate.take_member("release")
    {
        let what = "only what a rule on alarms has mitigated is released; write 'alarm: { … }' in place of 'match', or \
                    leave 'release' out";
        reader.error(place, what);
        from.push(mitigate.place);
    }
    for conditions in ["match", "except"] {
        let Some(conditions) = node.member(conditions) else { continue };
        for key in OF_ALARMS {
            if let Some(place) = conditions.take_member(key) {
                let what = format!(
                    "only an alarm has '{key}'; write 'alarm: {{ … }}' in place of 'match' for a rule on alarms"
                );
                reader.error(place, what);
                from.push(conditions.place);
            }
        }
    }
    from
}
