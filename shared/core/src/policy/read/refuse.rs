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
    from
}

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
    from
}
