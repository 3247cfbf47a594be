//! Standing suppressions that end, that meet others, or that keep from a rule what it is there for.

use super::super::Diagnostic;
use super::super::Effect;
use super::super::Members;
use super::super::Policy;
use super::super::Rule;
use super::super::Standing;
use super::super::SuppressEnd;
use super::super::glob::Glob;
use super::DAY_SECONDS;
use super::cover;
use super::ending;
use super::words::lint_words;
use crate::ids::CheckName;
use crate::model::suppression::Maker;
use crate::model::suppression::Written;
use crate::timestamp::Millis;

/// How many days a standing suppression may last before it is worth a word.
const LONG_DAYS: i64 = 366;

impl Policy {
    pub(super) fn lint_standing(&self, at: Millis, found: &mut Vec<Diagnostic>) {
        for (index, one) in self.standing.iter().enumerate() {
            let said =
                ending(one.suppress.end, at, "an 'until'", "nothing is kept").or_else(|| long(one, at));
            found.extend(said.map(|what| Diagnostic::warning(one.places.ends, what)));
            lint_words(
                &Written::new(Maker::Standing(&one.name), &one.suppress.words),
                one.places.words,
                found,
            );
            let mut earlier = self.standing.iter().take(index);
            found.extend(earlier.find_map(|earlier| both(earlier, one)));
            found.extend(self.rules.iter().filter_map(|rule| kept_from(rule, one)));
        }
    }
}

/// That one lasts for longer than people remember it.
fn long(one: &Standing, at: Millis) -> Option<String> {
    let SuppressEnd::At(end) = one.suppress.end else { return None };
    let day = Millis::from_seconds(end).day();
    (end - at.seconds() > LONG_DAYS * DAY_SECONDS).then(|| {
        format!("this ends when {day} begins, in more than a year: nobody will look at it until then")
    })
}

/// That two keep the same suppressions.
fn both(earlier: &Standing, one: &Standing) -> Option<Diagnostic> {
    let live = earlier.live && one.live;
    let check = one.checks.iter().find(|check| live && earlier.checks.contains(check))?;
    let name = shared(&earlier.members, &one.members)?;
    let what = format!(
        "'{}' in line {} keeps suppressions for {check} and {} '{name}' too: of two ends the members can have only one",
        earlier.name,
        earlier.place.line,
        one.members.key(),
    );
    Some(Diagnostic::warning(one.place, what))
}

/// A name or a pattern of the later whose members the earlier certainly has, or has some of.
fn shared<'m>(earlier: &Members, later: &'m Members) -> Option<&'m str> {
    match (earlier, later) {
        (Members::Groups(names), Members::Groups(later)) | (Members::Types(names), Members::Types(later)) => {
            later.iter().find(|name| names.contains(name)).map(String::as_str)
        }
        (Members::Things(globs), Members::Things(later))
        | (Members::Resources(globs), Members::Resources(later)) => {
            let meets = |later: &&Glob| globs.0.iter().any(|glob| glob.covers(later) || later.covers(glob));
            later.0.iter().find(meets).map(Glob::text)
        }
        _ => None,
    }
}

/// That a rule mitigates only what is suppressed already.
fn kept_from(rule: &Rule, standing: &Standing) -> Option<Diagnostic> {
    let acts = rule.live && standing.live && matches!(rule.effect, Effect::Mitigate(_));
    let takes = |check: &&CheckName| acts && rule.matcher.may_take(check);
    let check = standing.checks.iter().find(takes).filter(|_| cover::keeps_all_of(standing, rule))?;
    let what = format!(
        "'{}' in line {} keeps all that this rule would mitigate for {check} suppressed: it gets none of it",
        standing.name, standing.place.line
    );
    Some(Diagnostic::warning(rule.place, what))
}
