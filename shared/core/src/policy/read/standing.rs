//! Standing suppressions, and what of them can never be kept.

use super::Reader;
use super::conditions::kinds;
use super::date;
use super::file;
use super::file::Duration;
use super::file::Texts;
use super::is_pattern;
use super::known_check;
use super::midnight;
use crate::ids::CheckName;
use crate::ids::check;
use crate::policy::Members;
use crate::policy::Patterns;
use crate::policy::Standing;
use crate::policy::Suppress;
use crate::policy::SuppressEnd;
use crate::policy::de::Spanned;
use crate::policy::diagnostic::Level;
use crate::policy::diagnostic::Place;
use crate::policy::glob::Glob;
use crate::policy::legal::Kind;
use crate::policy::legal::impossible;
use crate::policy::standing::Places;

impl Reader {
    pub(super) fn standing(&mut self, entry: file::Standing) -> Option<Standing> {
        let live = entry.stage == file::Stage::Live;
        let members = self.members(entry.r#match);
        let mut checks: Vec<(CheckName, Place)> = Vec::with_capacity(entry.check.0.len());
        for text in &entry.check.0 {
            let Some(check) = self.parsed(text, |text| standing_check(text, members.as_ref())) else {
                continue;
            };
            if checks.iter().any(|(other, _)| *other == check) {
                self.error(text.place, format!("'{check}' stands here twice"));
            }
            checks.push((check, text.place));
        }
        if let Some(Members::Resources(Patterns(globs))) = &members {
            self.resources(&checks, globs);
        }
        let checks = checks.into_iter().map(|(check, _)| check).collect();
        let suppress = self.standing_suppress(entry.suppress);
        let ((suppress, places), members) = (suppress?, members?);
        let Spanned { place, value: name } = entry.name;
        Some(Standing { name, place, checks, members, suppress, places, adopt: entry.adopt, live })
    }

    fn members(&mut self, entry: Spanned<file::Members>) -> Option<Members> {
        let Spanned { place, value: file::Members { group, thing_type, thing, resource } } = entry;
        match (group, thing_type, thing, resource) {
            (Some(names), None, None, None) => {
                Some(Members::Groups(self.exact(&names, "group", Kind::ThingGroup)))
            }
            (None, Some(names), None, None) => {
                Some(Members::Types(self.exact(&names, "type", Kind::ThingType)))
            }
            (None, None, names @ Some(_), None) => {
                self.globs(names, &[Kind::Thing], Level::Error).map(|globs| Members::Things(Patterns(globs)))
            }
            (None, None, None, names @ Some(_)) => {
                self.globs(names, &[], Level::Error).map(|globs| Members::Resources(Patterns(globs)))
            }
            _ => {
                self.error(place, "match needs exactly one of 'group', 'thingType', 'thing' and 'resource'");
                None
            }
        }
    }

    fn exact(&mut self, names: &Texts, what: &str, kind: Kind) -> Vec<String> {
        names.0.iter().filter_map(|text| self.parsed(text, |text| exact_name(text, what, kind))).collect()
    }

    /// Finds what of the resources of a standing suppression can never be suppressed.
    ///
    /// Whole names are suppressed for every check. Patterns pick from lists of what there is, and clients are listed as
    /// things.
    fn resources(&mut self, checks: &[(CheckName, Place)], globs: &[Glob]) {
        let whole = globs.iter().all(|glob| glob.exact().is_some());
        let kinds_of = |check: &CheckName| {
            let listed = |kind| if kind == Kind::ClientId && !whole { Kind::Thing } else { kind };
            kinds(std::slice::from_ref(check)).into_iter().map(listed).collect::<Vec<_>>()
        };
        let mut all = Vec::new();
        for (check, place) in checks {
            let kinds = kinds_of(check);
            all.extend_from_slice(&kinds);
            if kinds.contains(&Kind::Issuer) {
                let what = format!("what {check} looks at cannot be named; let a rule suppress it");
                self.error(*place, what);
            } else if kinds.contains(&Kind::IdentityPool) && !whole {
                let what = format!("no list has what {check} looks at; write whole ids instead of patterns");
                self.error(*place, what);
            } else if whole {
                for glob in globs {
                    if let Some(what) = impossible(glob.text(), &kinds) {
                        self.error(glob.place(), format!("for {check}, {what}"));
                    }
                }
            } else if checks.len() > 1 && globs.iter().all(|glob| impossible(glob.text(), &kinds).is_some()) {
                self.error(*place, format!("none of the patterns can match what {check} looks at"));
            }
        }
        all.dedup();
        for glob in globs.iter().filter(|_| !whole) {
            if let Some(what) = impossible(glob.text(), &all) {
                let clients = if all.contains(&Kind::Thing) {
                    "clients are found by the names of things: "
                } else {
                    ""
                };
                self.error(glob.place(), format!("{clients}{what}"));
            }
        }
    }

    fn standing_suppress(&mut self, entry: Spanned<file::StandingSuppress>) -> Option<(Suppress, Places)> {
        let Spanned { place, value: entry } = entry;
        let (words, said) = self.words_on(entry.reason, Some(entry.owner), entry.ticket, place);
        let (end, ends) = match (&entry.r#for, &entry.until, &entry.indefinitely) {
            (Some(Duration(text)), _, _) => {
                let what = "'for' counts from an audit, and the suppressions kept here end together; \
                            say 'until: 2027-06-30'";
                self.error(text.place, what);
                return None;
            }
            (None, Some(text), None) => (SuppressEnd::At(midnight(self.parsed(text, date)?)), text.place),
            (None, None, Some(Spanned { value: true, place })) => (SuppressEnd::Never, *place),
            _ => {
                self.error(
                    place,
                    "suppress needs exactly one of 'until: 2027-06-30' and 'indefinitely: true'",
                );
                return None;
            }
        };
        Some((Suppress { end, words }, Places { ends, words: said }))
    }
}

/// A check that can pass over the members of a standing suppression.
fn standing_check(text: &str, members: Option<&Members>) -> Result<CheckName, String> {
    if is_pattern(text) {
        return Err(format!("'{text}': a standing suppression names its checks; write a list of names"));
    }
    let check = known_check(text)?;
    match members {
        Some(members) if !matches!(members, Members::Resources(_)) && !check.is_of_things() => Err(format!(
            "no thing can be found behind what {check} looks at; match its members by 'resource' ('{}' is for {})",
            members.key(),
            check::OF_THINGS.join(", ")
        )),
        _ => Ok(check),
    }
}

/// The name of a group or a type, which the registry is asked about.
fn exact_name(text: &str, what: &str, kind: Kind) -> Result<String, String> {
    if is_pattern(text) {
        return Err(format!(
            "'{text}': a {what} is named as it is, without '*' and '?'; write a list of names"
        ));
    }
    impossible(text, &[kind]).map_or_else(|| Ok(text.to_owned()), Err)
}
