//! From the windows of a policy file, a rule or an action to those of a policy.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::Reader;
use super::action_name;
use super::date;
use super::file;
use super::file::Day;
use crate::policy::de::Spanned;
use crate::policy::diagnostic::Place;
use crate::policy::windows::Freeze;
use crate::policy::windows::Owner;
use crate::policy::windows::Window;
use crate::policy::windows::Windows;

impl Reader {
    /// The windows of the file.
    pub(super) fn windows(&mut self, entry: Spanned<file::Windows>) -> Windows {
        let file::Windows { zone, open, freeze } = entry.value;
        let (open, freezes) = (self.open(entry.place, open), self.freezes(freeze));
        let (place, zone_place) = (zone.place, Some(zone.place));
        Windows { of: Owner::Policy, place, zone: zone.value, zone_place, open, freezes }
    }

    /// The windows of a rule or of an action. None: they cannot be read.
    pub(super) fn own_windows(&mut self, of: Owner, entry: Spanned<file::OwnWindows>) -> Option<Windows> {
        let Spanned { place, value: file::OwnWindows { zone, open, freeze } } = entry;
        if open.is_none() && freeze.is_empty() {
            self.error(place, "nothing here says when: give 'open', 'freeze' or both");
        }
        let (open, freezes) = (self.open(place, open), self.freezes(freeze));
        let zone_place = zone.as_ref().map(|zone| zone.place);
        let Some(zone) = zone.map(|zone| zone.value).or_else(|| self.zone.clone()) else {
            let what = "the policy has no windows, and so no time zone for these: add 'zone: Europe/Berlin'";
            self.error(place, what);
            return None;
        };
        Some(Windows { of, place, zone, zone_place, open, freezes })
    }

    /// What the file says of single mitigation actions: the windows of each, by its name.
    pub(super) fn actions(&mut self, entry: file::ByName<file::ActionSettings>) -> BTreeMap<String, Windows> {
        let entries = entry.0.into_iter().filter_map(|(name, settings)| {
            self.parsed(&name, action_name);
            let windows = self.own_windows(Owner::Action(name.value.clone()), settings.windows)?;
            Some((name.value, Windows { place: name.place, ..windows }))
        });
        entries.collect()
    }

    fn open(&mut self, place: Place, open: Option<Vec<Spanned<file::Window>>>) -> Option<Vec<Window>> {
        if open.as_ref().is_some_and(Vec::is_empty) {
            self.error(place, "no window ever opens; leave 'open' out to mitigate at any time");
        }
        open.map(|windows| windows.into_iter().filter_map(|window| self.window(window)).collect())
    }

    fn window(&mut self, entry: Spanned<file::Window>) -> Option<Window> {
        let Spanned { place, value: entry } = entry;
        let every = || vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];
        if let Some(days) = entry.days.as_ref().filter(|days| days.value.is_empty()) {
            self.error(days.place, "an empty list of days never opens; leave the key out for every day");
        }
        let days = entry.days.map_or_else(every, |days| days.value);
        let (from, to) = match &entry.hours {
            Some(text) => self.parsed(text, hours)?,
            None => (0, 24 * 60),
        };
        Some(Window { place, days, from, to })
    }

    fn freezes(&mut self, entries: Vec<Spanned<file::Freeze>>) -> Vec<Freeze> {
        entries.into_iter().filter_map(|entry| self.freeze(entry)).collect()
    }

    fn freeze(&mut self, entry: Spanned<file::Freeze>) -> Option<Freeze> {
        let Spanned { place, value: file::Freeze { from, to } } = entry;
        let (from, to) = (self.parsed(&from, frozen), self.parsed(&to, frozen));
        let freeze = match (from?, to?) {
            (Frozen::Day(from), Frozen::Day(to)) if to < from => {
                self.error(place, "the freeze ends before it begins");
                return None;
            }
            (Frozen::Day(from), Frozen::Day(to)) => Freeze::Once { from: civil(from), to: civil(to) },
            (Frozen::EveryYear(from), Frozen::EveryYear(to)) => Freeze::EveryYear { from, to },
            _ => {
                let what = "one day has a year and the other has none: give both a year, or none for a freeze of every year";
                self.error(place, what);
                return None;
            }
        };
        if freeze.is_all_year() {
            self.error(place, "the freeze leaves no day of the year: nothing would ever be mitigated");
        }
        Some(freeze)
    }
}

/// The first or the last day of a freeze.
enum Frozen {
    Day(Date),
    /// As month and day.
    EveryYear((i8, i8)),
}

fn frozen(text: &str) -> Result<Frozen, String> {
    let wrong = || format!("'{text}' is no day; write it as 2026-12-19, or as 12-19 for every year");
    if text.len() == 5 {
        // A year that has each day.
        let day = date(&format!("2024-{text}")).map_err(|_| wrong())?;
        return Ok(Frozen::EveryYear((day.month(), day.day())));
    }
    date(text).map(Frozen::Day).map_err(|_| wrong())
}

fn civil(date: Date) -> (i16, i8, i8) {
    (date.year(), date.month(), date.day())
}

/// Two times of day, as `22:00-06:00`, in minutes from the midnight before the first.
fn hours(text: &str) -> Result<(u16, u16), String> {
    let time = |text: &str| {
        let (hour, minute) = text.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2)?;
        let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
        (minute < 60 && hour * 60 + minute <= 24 * 60).then_some(hour * 60 + minute)
    };
    let wrong = || format!("'{text}' is no span of hours; write it as 22:00-06:00");
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let (from, to) = (time(from).ok_or_else(wrong)?, time(to).ok_or_else(wrong)?);
    match from.cmp(&to) {
        std::cmp::Ordering::Less => Ok((from, to)),
        std::cmp::Ordering::Greater => Ok((from, to + 24 * 60)),
        std::cmp::Ordering::Equal => Err(format!("'{text}' is empty: it ends when it begins")),
    }
}
