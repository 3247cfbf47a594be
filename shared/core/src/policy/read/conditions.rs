//! The conditions of rules, and what of them can match nothing.

use std::collections::BTreeSet;

use super::Reader;
use super::file;
use super::file::Texts;
use super::is_pattern;
use super::known_check;
use super::milliseconds;
use crate::ids::CheckName;
use crate::ids::names::REGIONS;
use crate::ids::names::is_attribute_name;
use crate::model::severity::Severity;
use crate::nearest::did_you_mean;
use crate::policy::de::Spanned;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::diagnostic::Level;
use crate::policy::diagnostic::Place;
use crate::policy::glob::Glob;
use crate::policy::legal::Kind;
use crate::policy::legal::impossible;
use crate::policy::legal::unlikely;
use crate::policy::legal::wider;
use crate::policy::matcher::Matcher;
use crate::policy::matcher::ThingMatcher;
use crate::policy::matcher::bit;

impl Reader {
    /// Patterns of names of any of these kinds. Without a kind, nothing is known of the names.
    pub(super) fn globs(
        &mut self,
        texts: Option<Texts>,
        kinds: &[Kind],
        level: Level,
    ) -> Option<Box<[Glob]>> {
        let mut globs = Vec::new();
        for Spanned { place, value: text } in texts?.0 {
            match Glob::new(&text, place) {
                Err(what) => self.error(place, what + &wider(&text, kinds)),
                Ok(glob) => {
                    if let Some(what) = impossible(&text, kinds) {
                        self.certain(level, place, what);
                    } else if let Some(what) = unlikely(&text, kinds) {
                        self.doubts.push(Diagnostic::warning(place, what));
                    }
                    globs.push(glob);
                }
            }
        }
        Some(globs.into())
    }

    /// Takes what certainly can match nothing. As an error it refuses the file.
    pub(super) fn certain(&mut self, level: Level, place: Place, what: String) {
        let list = if level == Level::Error { &mut self.errors } else { &mut self.doubts };
        list.push(Diagnostic { place, level, what });
    }

    /// The conditions of a rule, or of its exception if those of the rule are given: an exception that can match nothing
    /// lets the rule act on what its author meant to spare.
    pub(super) fn matcher(&mut self, entry: file::Match, rule: Option<&Matcher>) -> Matcher {
        let level = if rule.is_some() { Level::Error } else { Level::Warning };
        let checks = entry.check.map(|texts| {
            let globs =
                texts.0.iter().filter_map(|text| self.parsed(text, |name| check_glob(name, text.place)));
            globs.collect::<Box<[_]>>()
        });
        let mut matcher = Matcher { checks, ..Matcher::default() };
        self.other_checks(&matcher, rule);
        let taken = taken(&matcher, rule);
        self.severities(entry.severity.as_ref(), &taken, level, &mut matcher);
        let facts = || taken.iter().filter_map(CheckName::facts);
        let reasons: Vec<_> = facts().flat_map(|facts| facts.reasons).copied().collect();
        let types: Vec<_> = facts().flat_map(|facts| facts.types).map(|of| of.as_str()).collect();
        matcher.reasons = self.words(entry.reason, "reason", &reasons, &taken, level);
        matcher.types = self.words(entry.kind, "type", &types, &taken, level);
        matcher.resources = self.globs(entry.resource, &kinds(&taken), level);
        matcher.accounts = self.globs(entry.account, &[Kind::Account], level);
        matcher.regions = self.regions(entry.region, level);
        matcher.older_than = entry.older_than.and_then(|text| self.parsed(&text.0, milliseconds));
        matcher.seen_at_least = entry.seen_at_least;
        matcher.expires_within = entry.expires_within.and_then(|text| self.parsed(&text.0, milliseconds));
        let attributes = entry.attribute.unwrap_or_default();
        let texts = [&entry.thing, &entry.group, &entry.thing_type].into_iter().flatten();
        let first = texts.chain(attributes.values()).flat_map(|texts| &texts.0).next();
        if let Some(place) = first.map(|text| text.place) {
            let of_things = |check: &CheckName| {
                check.facts().is_none_or(|facts| facts.types.iter().any(|of| of.has_things()))
            };
            if let Some(first) = taken.first().filter(|_| !taken.iter().any(of_things)) {
                let what = format!("no thing can be found behind what {first} looks at: this never holds");
                self.doubts.push(Diagnostic { place, level, what });
            }
            matcher.things = Some(Box::new(ThingMatcher {
                names: self.globs(entry.thing, &[Kind::Thing], level),
                groups: self.globs(entry.group, &[Kind::ThingGroup], level),
                types: self.globs(entry.thing_type, &[Kind::ThingType], level),
                attributes: attributes
                    .into_iter()
                    .filter_map(|(name, texts)| self.attribute(name, texts, level))
                    .collect(),
            }));
        }
        matcher
    }

    /// Finds an exception for checks that its rule does not take.
    fn other_checks(&mut self, except: &Matcher, rule: Option<&Matcher>) {
        let (Some(excepted), Some(Some(taken))) = (&except.checks, rule.map(|rule| &rule.checks)) else {
            return;
        };
        let apart = excepted.iter().all(|one| taken.iter().all(|other| one.is_apart(other)));
        if let Some(first) = excepted.first().filter(|_| apart) {
            let what = "the rule takes no findings of this check: the exception never holds";
            self.doubts.push(Diagnostic::error(first.place(), what));
        }
    }

    pub(super) fn attribute(
        &mut self,
        name: String,
        texts: Texts,
        level: Level,
    ) -> Option<(String, Box<[Glob]>)> {
        if let Some(first) = texts.0.first().filter(|_| !is_attribute_name(&name)) {
            let what = format!(
                "no attribute can be named '{name}': a name is 1 to 128 letters, digits and any of '_.,@/:#-', and no pattern"
            );
            self.certain(level, first.place, what);
        }
        Some((name, self.globs(Some(texts), &[Kind::AttributeValue], level)?))
    }

    /// Severities that a check does not have today are doubted: AWS can change that.
    fn severities(
        &mut self,
        texts: Option<&Texts>,
        taken: &[CheckName],
        level: Level,
        matcher: &mut Matcher,
    ) {
        let texts = texts.map(|texts| texts.0.as_slice()).unwrap_or_default();
        for text in texts {
            matcher.severities |= self.parsed(text, severity).map_or(0, bit);
        }
        let known: BTreeSet<_> =
            taken.iter().filter_map(CheckName::facts).map(|facts| facts.severity).collect();
        let can = known.iter().any(|severity| matcher.severities & bit(*severity) != 0);
        if let ([first, ..], [check, ..], false) = (texts, taken, can || matcher.severities == 0) {
            let more = if taken.len() > 1 { format!(" and {} more", taken.len() - 1) } else { String::new() };
            let known: Vec<_> = known.into_iter().map(Severity::as_str).collect();
            let what = format!(
                "findings of {check}{more} are not of this severity; they are {}",
                known.join(" or ")
            );
            self.doubts.push(Diagnostic { place: first.place, level, what });
        }
    }

    /// Patterns of words of which AWS may have more one day: what none of today matches is doubted.
    fn words(
        &mut self,
        texts: Option<Texts>,
        key: &str,
        known: &[&'static str],
        taken: &[CheckName],
        level: Level,
    ) -> Option<Box<[Glob]>> {
        let globs = self.globs(texts, &[], level)?;
        for glob in globs.iter().filter(|_| !known.is_empty()) {
            if known.iter().any(|word| glob.matches(word)) {
                continue;
            }
            let near = did_you_mean(glob.text(), known.iter().copied());
            let whose = match taken {
                [only] => format!("{only} has no {key} like"),
                _ => format!("no check of this rule has a {key} like"),
            };
            let what = format!("{whose} '{}'{near}", glob.text());
            self.doubts.push(Diagnostic { place: glob.place(), level, what });
        }
        Some(globs)
    }

    pub(super) fn regions(&mut self, texts: Option<Texts>, level: Level) -> Option<Box<[Glob]>> {
        let globs = self.globs(texts, &[Kind::Region], level)?;
        for glob in &globs {
            if Kind::Region.admits(glob.text()) && !REGIONS.iter().any(|region| glob.matches(region)) {
                let near = did_you_mean(glob.text(), REGIONS);
                let what = format!("no region of today has a name like '{}'{near}", glob.text());
                self.doubts.push(Diagnostic::warning(glob.place(), what));
            }
        }
        Some(globs)
    }
}

fn check_glob(text: &str, place: Place) -> Result<Glob, String> {
    if is_pattern(text) {
        // It may name checks to come.
        return Glob::new(text, place);
    }
    Glob::new(known_check(text)?.as_str(), place)
}

/// The checks of today whose findings some conditions can take, below those of their rule.
fn taken(matcher: &Matcher, rule: Option<&Matcher>) -> Vec<CheckName> {
    let takes = |check: &CheckName| matcher.may_take(check) && rule.is_none_or(|rule| rule.may_take(check));
    CheckName::known().filter(takes).collect()
}

/// The kinds of name that the resources of these checks have.
pub(super) fn kinds(checks: &[CheckName]) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for of in checks.iter().filter_map(CheckName::facts).flat_map(|facts| facts.types) {
        let kind = Kind::from(*of);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

fn severity(word: &str) -> Result<Severity, String> {
    const WORDS: [&str; 4] = ["CRITICAL", "HIGH", "MEDIUM", "LOW"];
    match Severity::parse(word) {
        Severity::Unknown => {
            let near = did_you_mean(word, WORDS);
            Err(format!("'{word}' is no severity{near} (allowed: {})", WORDS.join(", ")))
        }
        severity => Ok(severity),
    }
}
