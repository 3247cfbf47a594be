//! Counts suppressions: the debt, by maker and owner, what expires soon and what has expired.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_core::model::debt::Debt;
use fleetwarden_core::model::debt::Owned;
use fleetwarden_core::timestamp::Millis;

use crate::plan::BY_HAND;
use crate::snapshot::BY_HAND_ALERTED;
use crate::snapshot::END_ALERTED;
use crate::snapshot::Entry;
use crate::snapshot::Names;
use crate::snapshot::RETURN_ALERTED;
use crate::snapshot::Source;
use crate::snapshot::WARNINGS;
use crate::snapshot::day;
use crate::snapshot::seconds;
use crate::state::LastAudit;
use crate::state::Listing;
use crate::state::State;
use crate::summary::ByHand;
use crate::summary::DAY;
use crate::summary::Ended;
use crate::summary::Ending;
use crate::summary::REMEMBERED;
use crate::summary::Tally;

/// A suppression that expires within so many days counts as expiring soon.
const SOON: u32 = 30;
/// How many owners are counted by name.
const OWNERS: usize = 200;

/// What everything is counted from.
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    pub(super) names: &'a Names,
    pub(super) now: u32,
    pub(super) hidden: Option<&'a [u128]>,
    /// Whether no review has raised alerts before.
    pub(super) first: bool,
}

impl View<'_> {
    fn source(&self, source: u16) -> Source {
        self.names.sources.get(usize::from(source)).cloned().unwrap_or_default()
    }

    fn audit(&self, entry: &Entry) -> Option<&LastAudit> {
        self.names.check_of(entry).and_then(|check| self.state.audits.get(check))
    }

    /// Whether a suppression hid nothing in the last audit, before which it was there.
    fn is_idle(&self, entry: &Entry) -> bool {
        let (Some(hidden), Some(audit)) = (self.hidden, self.audit(entry)) else { return false };
        !entry.has_lapsed(self.now)
            && entry.first_seen < seconds(audit.started)
            && hidden.binary_search(&entry.key).is_err()
    }

    pub(super) fn debt(&self, present: &[Entry]) -> (Debt, Vec<Tally>) {
        let mut debt = Debt { reviewed_at: self.state.began, ..Debt::default() };
        let mut tallies: BTreeMap<u16, Tally> = BTreeMap::new();
        let mut idle: BTreeSet<u128> = BTreeSet::new();
        let mut owners: BTreeMap<String, Owned> = BTreeMap::new();
        let sources: Vec<&Source> = self.names.sources.iter().collect();
        for entry in present {
            let Some(source) = sources.get(usize::from(entry.source)) else { continue };
            let (indefinite, is_idle) = (u64::from(entry.is_indefinite()), self.is_idle(entry));
            let first_seen = Millis::from_seconds(entry.first_seen.into());
            let oldest =
                |oldest: Option<Millis>| Some(oldest.map_or(first_seen, |oldest| oldest.min(first_seen)));
            let lapsed = entry.has_lapsed(self.now);
            debt.suppressions += 1;
            debt.indefinite += indefinite;
            debt.lapsed += u64::from(lapsed);
            debt.ending += u64::from(!lapsed && self.left(entry).is_some_and(|left| left <= SOON * DAY));
            debt.ownerless += u64::from(source.owner.is_none());
            debt.by_hand += u64::from(source.by == BY_HAND);
            debt.idle += u64::from(is_idle);
            debt.oldest = oldest(debt.oldest);
            let owner = source.owner.as_deref().unwrap_or_default();
            if !owners.contains_key(owner) {
                owners.insert(owner.to_owned(), Owned::default());
            }
            if let Some(owned) = owners.get_mut(owner) {
                owned.suppressions += 1;
                owned.indefinite += indefinite;
                owned.oldest = oldest(owned.oldest);
            }
            let tally = tallies.entry(entry.source).or_default();
            tally.suppressions += 1;
            tally.indefinite += indefinite;
            tally.idle += u64::from(is_idle);
            if is_idle && tally.idle <= 1_000 {
                idle.insert(entry.key);
            }
        }
        for audit in self.state.audits.values() {
            debt.non_compliant += audit.non_compliant + audit.suppressed;
            debt.hidden += audit.suppressed;
        }
        let mut largest: Vec<_> = owners.into_iter().collect();
        largest.sort_by_key(|(_, owned)| std::cmp::Reverse(owned.suppressions));
        debt.owners = largest.into_iter().take(OWNERS).collect();
        let mut tallies: Vec<Tally> = tallies
            .into_iter()
            .map(|(number, tally)| {
                let Source { by, owner } = self.source(number);
                Tally {
                    by,
                    owner,
                    idle_examples: self.examples(number, None, |key| idle.contains(&key)),
                    ..tally
                }
            })
            .collect();
        tallies.sort_by(|a, b| b.suppressions.cmp(&a.suppressions).then_with(|| a.by.cmp(&b.by)));
        (debt, tallies)
    }

    /// Some names of a source's suppressions.
    fn examples(&self, source: u16, on: Option<u32>, wanted: impl Fn(u128) -> bool) -> Vec<String> {
        let Listing { samples, .. } = &self.state.listing;
        let days = on.map_or((0, u32::MAX), |day| (day, day));
        let alike = samples.range((source, days.0)..=(source, days.1)).flat_map(|(_, samples)| samples);
        let wanted = alike.filter(|sample| u128::from_str_radix(&sample.key, 16).is_ok_and(&wanted));
        wanted.take(5).map(|sample| sample.name.clone()).collect()
    }

    /// The seconds until it expires; none if it never does.
    fn left(&self, entry: &Entry) -> Option<u32> {
        (!entry.is_indefinite()).then(|| entry.end.saturating_sub(self.now))
    }

    /// The alert before the end that is due now. A suppression that was made for less time than that has none so early:
    /// one of two weeks expires within a month on the day on which it is made.
    fn warning(&self, entry: &Entry) -> Option<(u32, u8)> {
        let left = self.left(entry).filter(|left| *left > 0)?;
        let (within, flag) = WARNINGS.into_iter().find(|(days, _)| left <= days * DAY)?;
        let lived = entry.end.saturating_sub(entry.first_seen);
        (self.first || within == 1 || lived > within * DAY).then_some((within, flag))
    }

    /// Whether a suppression has expired so recently that an alert is due.
    fn has_just_ended(&self, entry: &Entry) -> bool {
        entry.has_lapsed(self.now) && self.now.saturating_sub(entry.end) < REMEMBERED * DAY
    }

    /// The flags of the alerts on a suppression that this summary raises.
    pub(super) fn alert_flags(&self, entry: &Entry) -> u8 {
        let warned = self.warning(entry).map_or(0, |(_, flag)| flag);
        let ended = if self.has_just_ended(entry) { END_ALERTED } else { 0 };
        let by_hand = self.names.source_of(entry).is_some_and(|source| source.by == BY_HAND);
        let noted = if by_hand { BY_HAND_ALERTED } else { 0 };
        warned | ended | noted
    }

    /// At the first review all of them are new, and only the digest has them.
    pub(super) fn by_hand(&self, present: &[Entry]) -> ByHand {
        let mut by_hand = ByHand::default();
        let number = self.names.sources.iter().position(|source| source.by == BY_HAND);
        let Some(number) = number.and_then(|number| u16::try_from(number).ok()).filter(|_| !self.first)
        else {
            return by_hand;
        };
        let mut new = BTreeSet::new();
        for entry in present.iter().filter(|entry| entry.source == number && !entry.is(BY_HAND_ALERTED)) {
            by_hand.suppressions += 1;
            by_hand.indefinite += u64::from(entry.is_indefinite());
            if new.len() < 1_000 {
                new.insert(entry.key);
            }
        }
        by_hand.examples = self.examples(number, None, |key| new.contains(&key));
        by_hand
    }

    pub(super) fn ending(&self, present: &[Entry]) -> Vec<Ending> {
        let mut groups: BTreeMap<(u32, u32, u16), Ending> = BTreeMap::new();
        for entry in present {
            let Some((within, flag)) = self.warning(entry) else { continue };
            let ending = groups.entry((day(entry.end), within, entry.source)).or_default();
            ending.suppressions += 1;
            ending.without_alert += u64::from(!entry.is(flag));
            if let Some(check) = self.names.check_of(entry) {
                *ending.checks.entry(check.clone()).or_default() += 1;
            }
        }
        let name = |((on, within_days, source), ending)| {
            let Source { by, owner } = self.source(source);
            let examples = self.examples(source, Some(on), |_| true);
            Ending { by, owner, on: named_day(on), within_days, examples, ..ending }
        };
        groups.into_iter().map(name).collect()
    }

    pub(super) fn ended(&self, present: &[Entry], absent: &[Entry]) -> Vec<Ended> {
        let mut groups: BTreeMap<(u32, u16), Ended> = BTreeMap::new();
        let recent = present
            .iter()
            .chain(absent)
            .filter(|entry| self.has_just_ended(entry) && !entry.is(RETURN_ALERTED));
        for entry in recent {
            let new = || Ended { audited: true, ..Ended::default() };
            let ended = groups.entry((day(entry.end), entry.source)).or_insert_with(new);
            ended.suppressions += 1;
            ended.without_alert += u64::from(!entry.is(END_ALERTED));
            ended.keys.push(entry.key);
            let after = (day(entry.end) + 1) * DAY;
            ended.audited &= self.audit(entry).is_some_and(|audit| seconds(audit.started) >= after);
            if let Some(check) = self.names.check_of(entry) {
                *ended.checks.entry(check.clone()).or_default() += 1;
            }
        }
        let name = |((on, source), ended)| {
            let Source { by, owner } = self.source(source);
            Ended { by, owner, on: named_day(on), ..ended }
        };
        groups.into_iter().map(name).collect()
    }
}

fn named_day(day: u32) -> String {
    Millis::from_seconds(i64::from(day) * i64::from(DAY)).day()
}
