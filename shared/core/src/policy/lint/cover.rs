//! Whether one rule takes all that another would take.
//!
//! What is said here is certain, key by key: of two rules that are said to cover one another it holds for every
//! finding. The converse is not: rules may cover one another that no comparison of keys can find.

use super::super::Effect;
use super::super::Members;
use super::super::Rule;
use super::super::Standing;
use super::super::Suppress;
use super::super::SuppressEnd;
use super::super::glob::Glob;
use super::super::matcher::Matcher;
use super::super::matcher::Quantifier;
use super::super::matcher::ThingMatcher;

/// What a rule leaves to the rules after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaves {
    Nothing,
    /// Only findings that name no resource.
    Unnamed,
    Something,
}

/// Conditions, with how many of the things must satisfy them.
struct Asked<'r> {
    matcher: &'r Matcher,
    quantifier: Quantifier,
}

/// What an earlier rule leaves of the findings that a later one would take.
pub(super) fn leaves(earlier: &Rule, later: &Rule) -> Leaves {
    // An earlier rule that ends leaves everything from that day on. Where its suppression has lapsed, it leaves a
    // finding to all but those that would suppress it for a length of time.
    let lasts = match (end(earlier), end(later)) {
        (Some(SuppressEnd::After { .. }), later) => matches!(later, Some(SuppressEnd::After { .. })),
        (Some(SuppressEnd::At(earlier)), Some(SuppressEnd::At(later))) => later <= earlier,
        (Some(SuppressEnd::At(_)), _) => false,
        _ => true,
    };
    if !earlier.live || !lasts {
        return Leaves::Something;
    }
    let named = later.acts() || later.matcher.resources.is_some();
    let takes = |named| {
        let (wide, narrow) = (earlier.asked(), later.asked());
        of_finding(wide.matcher, narrow.matcher)
            && of_resource(&wide, &narrow, named)
            && spares_less(earlier, later, named)
    };
    if (named || !earlier.acts()) && takes(named) {
        Leaves::Nothing
    } else if !named && takes(true) {
        Leaves::Unnamed
    } else {
        Leaves::Something
    }
}

/// Whether a rule's exception takes whatever the rule matches.
pub(super) fn spares_all(rule: &Rule) -> bool {
    let named = rule.acts() || rule.matcher.resources.is_some();
    rule.excepted().is_some_and(|except| {
        of_finding(except.matcher, rule.asked().matcher) && of_resource(&except, &rule.asked(), named)
    })
}

/// Whether a suppression hides each resource that another rule acts on, by some finding that is not the other's.
///
/// A suppression is of a check and a resource. What the rules ask of the finding does not count: another finding
/// of the resource will satisfy the one or the other.
pub(super) fn hides(suppress: &Rule, act: &Rule, first: bool) -> bool {
    let by_finding = |rule: &Rule| {
        asks_of_finding(&rule.matcher) || rule.except.as_ref().is_some_and(|except| asks_of_finding(except))
    };
    // Without such a key the rule that stands first has all findings of a resource, or none.
    let splits = if first { by_finding(suppress) } else { by_finding(act) };
    let spares = suppress.except.as_ref().is_none_or(|except| asks_of_finding(except))
        || spares_less(suppress, act, true);
    suppress.live && splits && spares && of_resource(&suppress.asked(), &act.asked(), true)
}

/// Whether a standing suppression hides each resource that a rule acts on, for the checks that both take.
pub(super) fn keeps_all_of(standing: &Standing, act: &Rule) -> bool {
    let (patterns, exact) = match &standing.members {
        Members::Groups(names) | Members::Types(names) => (None, Some(names)),
        Members::Things(patterns) | Members::Resources(patterns) => (Some(patterns), None),
    };
    let patterns = patterns.into_iter().flat_map(|patterns| patterns.0.iter().map(Glob::text));
    let texts = patterns.chain(exact.into_iter().flatten().map(String::as_str));
    let globs = Some(texts.filter_map(|text| Glob::new(text, standing.place).ok()).collect());
    let (mut wide, mut things) = (Matcher::default(), ThingMatcher::default());
    match standing.members {
        Members::Groups(_) => things.groups = globs,
        Members::Types(_) => things.types = globs,
        Members::Things(_) => things.names = globs,
        Members::Resources(_) => wide.resources = globs,
    }
    wide.things = wide.resources.is_none().then(|| Box::new(things));
    let wide = Asked { matcher: &wide, quantifier: Quantifier::Every };
    of_resource(&wide, &act.asked(), true)
}

const fn end(rule: &Rule) -> Option<SuppressEnd> {
    match &rule.effect {
        Effect::Suppress(Suppress { end, .. }) => Some(*end),
        _ => None,
    }
}

/// Whether what the earlier rule's exception spares would be spared by the later rule too, if it could take it.
fn spares_less(earlier: &Rule, later: &Rule, named: bool) -> bool {
    let Some(spared) = earlier.excepted() else { return true };
    let apart = match (&spared.matcher.checks, &later.matcher.checks) {
        (Some(spared), Some(taken)) => {
            spared.iter().all(|spared| taken.iter().all(|taken| spared.is_apart(taken)))
        }
        _ => false,
    };
    apart
        || later.excepted().is_some_and(|wide| {
            of_finding(wide.matcher, spared.matcher) && of_resource(&wide, &spared, named)
        })
}

/// Whether the conditions on a finding itself, and not on its resource, hold wherever the narrow ones do.
fn of_finding(wide: &Matcher, narrow: &Matcher) -> bool {
    let severities =
        wide.severities == 0 || (narrow.severities != 0 && narrow.severities & !wide.severities == 0);
    severities
        && covers(wide.reasons.as_deref(), narrow.reasons.as_deref(), false)
        && wide.older_than.is_none_or(|least| narrow.older_than.is_some_and(|narrow| narrow >= least))
        && wide.seen_at_least.is_none_or(|least| narrow.seen_at_least.unwrap_or_default() >= least)
        && wide.expires_within.is_none_or(|most| narrow.expires_within.is_some_and(|narrow| narrow <= most))
}

/// Whether a matcher asks anything of the finding itself that can differ between findings of one resource.
const fn asks_of_finding(matcher: &Matcher) -> bool {
    matcher.severities != 0
        || matcher.reasons.is_some()
        || matcher.older_than.is_some()
        || matcher.seen_at_least.is_some()
        || matcher.expires_within.is_some()
}

/// Whether the conditions on check and resource hold wherever the narrow ones do, for findings that name a
/// resource if `named`.
fn of_resource(wide: &Asked<'_>, narrow: &Asked<'_>, named: bool) -> bool {
    let (of, to) = (wide.matcher, narrow.matcher);
    covers(of.checks.as_deref(), to.checks.as_deref(), true)
        && covers(of.types.as_deref(), to.types.as_deref(), false)
        && covers(of.resources.as_deref(), to.resources.as_deref(), named)
        && covers(of.accounts.as_deref(), to.accounts.as_deref(), true)
        && covers(of.regions.as_deref(), to.regions.as_deref(), true)
        && match (&of.things, &to.things) {
            (None, _) => true,
            (Some(_), None) => false,
            // That one thing fits says nothing of the others.
            (Some(_), Some(_))
                if wide.quantifier == Quantifier::Every && narrow.quantifier == Quantifier::Any =>
            {
                false
            }
            (Some(wide), Some(narrow)) => of_things(wide, narrow),
        }
}

pub(super) fn of_things(wide: &ThingMatcher, narrow: &ThingMatcher) -> bool {
    covers(wide.names.as_deref(), narrow.names.as_deref(), true)
        && covers(wide.groups.as_deref(), narrow.groups.as_deref(), false)
        && covers(wide.types.as_deref(), narrow.types.as_deref(), false)
        && wide.attributes.iter().all(|(name, globs)| {
            let same = narrow.attributes.iter().find(|(other, _)| other == name);
            same.is_some_and(|(_, narrow)| covers(Some(globs), Some(narrow), false))
        })
}

/// Whether patterns match whatever narrower ones match. A key that is left out matches also what is not there,
/// if it can be that (`always` says that it cannot).
pub(super) fn covers(wide: Option<&[Glob]>, narrow: Option<&[Glob]>, always: bool) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(wide), Some(narrow)) => narrow.iter().all(|narrow| wide.iter().any(|wide| wide.covers(narrow))),
        (Some(wide), None) => always && wide.iter().any(Glob::is_any),
    }
}

impl Rule {
    /// Whether it can act only on what names a resource.
    const fn acts(&self) -> bool {
        matches!(self.effect, Effect::Suppress(_) | Effect::Mitigate(_))
    }

    const fn asked(&self) -> Asked<'_> {
        Asked { matcher: &self.matcher, quantifier: self.quantifiers().0 }
    }

    fn excepted(&self) -> Option<Asked<'_>> {
        let quantifier = self.quantifiers().1;
        self.except.as_ref().map(|matcher| Asked { matcher, quantifier })
    }
}
