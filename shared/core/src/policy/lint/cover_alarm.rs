//! Whether one rule on alarms takes all that another would take. What is said here is certain, key by key; rules may
//! cover one another that no comparison of keys can find.

use super::super::AlarmRule;
use super::super::alarm::matcher::AlarmMatcher;
use super::super::alarm::matcher::criteria_bit;
use super::cover::covers;
use super::cover::of_things;
use crate::model::alarm::CriteriaType;

/// Whether an earlier rule leaves nothing of what a later one would take.
pub(super) fn leaves_nothing(earlier: &AlarmRule, later: &AlarmRule) -> bool {
    let spares_less = earlier
        .except
        .as_ref()
        .is_none_or(|spared| later.except.as_ref().is_some_and(|wide| covers_all(wide, spared)));
    earlier.live && spares_less && covers_all(&earlier.matcher, &later.matcher)
}

/// Whether a rule's exception takes whatever the rule matches.
pub(super) fn spares_all(rule: &AlarmRule) -> bool {
    rule.except.as_ref().is_some_and(|except| covers_all(except, &rule.matcher))
}

/// Whether conditions hold wherever the narrow ones do.
fn covers_all(wide: &AlarmMatcher, narrow: &AlarmMatcher) -> bool {
    let model = criteria_bit(CriteriaType::MachineLearning);
    // Only the alarms of models have a confidence.
    let criteria = if narrow.confidence.is_some() { model } else { narrow.criteria };
    let bits = |wide: u8, narrow: u8| wide == 0 || (narrow != 0 && narrow & !wide == 0);
    let raised = wide.raised.is_none_or(|wide| {
        narrow.raised.is_some_and(|narrow| narrow.times >= wide.times && narrow.within <= wide.within)
    });
    bits(wide.sources, narrow.sources)
        && bits(wide.criteria, criteria)
        && covers(wide.accounts.as_deref(), narrow.accounts.as_deref(), true)
        && covers(wide.regions.as_deref(), narrow.regions.as_deref(), true)
        && covers(wide.profiles.as_deref(), narrow.profiles.as_deref(), true)
        && covers(wide.behaviors.as_deref(), narrow.behaviors.as_deref(), true)
        && covers(wide.metrics.as_deref(), narrow.metrics.as_deref(), false)
        && covers(wide.names.as_deref(), narrow.names.as_deref(), has_device(narrow))
        && wide.confidence.is_none_or(|wide| narrow.confidence.is_some_and(|narrow| narrow >= wide))
        && raised
        && wide.lasts.is_none_or(|least| narrow.lasts.is_some_and(|narrow| narrow >= least))
        && wide.registered.is_none_or(|wide| registered(narrow) == Some(wide))
        && wide
            .things
            .as_ref()
            .is_none_or(|wide| narrow.things.as_ref().is_some_and(|narrow| of_things(wide, narrow)))
}

/// Whether conditions hold only for alarms about a device.
const fn has_device(matcher: &AlarmMatcher) -> bool {
    matcher.names.is_some() || matcher.registered.is_some() || matcher.things.is_some()
}

/// Whether conditions ask for a device that is registered, or for one that is not: groups are those of a thing.
const fn registered(matcher: &AlarmMatcher) -> Option<bool> {
    if matcher.things.is_some() { Some(true) } else { matcher.registered }
}
