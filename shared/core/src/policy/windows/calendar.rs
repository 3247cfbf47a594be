//! Windows in their time zones: whether all of them are open, and when they will be.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::DAY;
use super::Windows;
use super::zone;
use crate::policy::diagnostic::Diagnostic;
use crate::timestamp::Millis;

/// How many days are searched for the next opening.
pub(in crate::policy) const SEARCHED_DAYS: i64 = 400;
const DAY_SECONDS: i64 = 86_400;

/// Windows in their time zones. It is open while each of them is.
#[derive(Debug)]
pub struct Calendar<'p> {
    parts: Vec<Part<'p>>,
}

/// The windows of one, in their time zone.
#[derive(Debug)]
struct Part<'p> {
    windows: &'p Windows,
    zone: TimeZone,
}

/// That mitigation may not happen now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Why, for people.
    pub reason: String,
    /// When it may. None if no window opens for over a year.
    pub opens: Option<Millis>,
}

impl<'p> Calendar<'p> {
    /// These windows in their time zones.
    ///
    /// # Errors
    /// If there is no such zone.
    pub(in crate::policy) fn new(windows: impl IntoIterator<Item = &'p Windows>) -> Result<Self, Diagnostic> {
        let part = |windows: &'p Windows| {
            if let Ok(zone) = TimeZone::get(&windows.zone) {
                return Ok(Part { windows, zone });
            }
            let (name, meant) = (&windows.zone, zone::meant(&windows.zone));
            let what = format!("'{name}' is not a time zone{meant} (a name such as Europe/Berlin)");
            Err(Diagnostic::error(windows.zone_place.unwrap_or(windows.place), what))
        };
        Ok(Self { parts: windows.into_iter().map(part).collect::<Result<_, _>>()? })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Why a zone is hardly the one that was meant: it has the name of a zone with daylight-saving time and does not
    /// follow it, or its sign is the reverse of what people write. `HST` is left out, since Hawaii keeps it all year.
    pub(in crate::policy) fn doubts(&self) -> impl Iterator<Item = Diagnostic> {
        self.parts.iter().filter_map(Part::doubt)
    }

    /// The first moment, from `at` on, at which mitigation may happen. None if there is none for over a year.
    pub fn next_opening(&self, at: Millis) -> Option<Millis> {
        let opening = self.opening(Timestamp::from_millisecond(at.0).ok()?)?;
        Some(Millis(opening.as_millisecond()))
    }

    /// Why mitigation may not happen at a moment. None if it may.
    pub fn closed(&self, at: Millis) -> Option<Closed> {
        let now = Timestamp::from_millisecond(at.0).ok();
        let opening = now.and_then(|now| Some((now, self.opening(now)?)));
        let reason = match opening {
            Some((now, opening)) if opening <= now => return None,
            Some((now, opening)) => {
                let shut: Vec<&Part<'_>> = self.parts.iter().filter(|part| !part.is_open(now)).collect();
                let all: Vec<String> = shut.iter().map(|part| part.windows.of.windows()).collect();
                let until = shut.first().map(|part| part.local(opening)).unwrap_or_default();
                format!("outside of {} until {until}", listed(&all))
            }
            None => self.never(at),
        };
        let opens = opening.map(|(_, opening)| Millis(opening.as_millisecond()));
        Some(Closed { reason, opens })
    }

    fn opening(&self, now: Timestamp) -> Option<Timestamp> {
        let end = now.as_second().saturating_add(SEARCHED_DAYS * DAY_SECONDS);
        let end = Timestamp::from_second(end).ok()?;
        let mut moment = now;
        // What is closed until a moment in one of them is closed until then in all: so nothing between is passed over.
        loop {
            let next = self.parts.iter().try_fold(moment, |moment, part| part.next_opening(moment, end))?;
            if next == moment {
                return Some(moment);
            }
            moment = next;
        }
    }

    /// Why it never opens.
    fn never(&self, at: Millis) -> String {
        let alone = |part: &&Part<'p>| {
            let part = Part { windows: part.windows, zone: part.zone.clone() };
            Calendar { parts: vec![part] }.next_opening(at).is_none()
        };
        if let Some(part) = self.parts.iter().find(alone) {
            return format!("no window of {} opens for over a year", part.windows.of.name());
        }
        let all = self.parts.iter().map(|part| part.windows.of.name()).collect::<Vec<_>>();
        format!("the windows of {} are not open together for over a year", listed(&all))
    }

    /// For how many seconds it is closed at the longest between two times at which it is open, within two weeks and as if there
    /// were no freezes.
    pub(in crate::policy) fn longest_closed_seconds(&self, at: Millis) -> i64 {
        let Ok(now) = Timestamp::from_second(at.seconds()) else { return 0 };
        let mut turns: Vec<Timestamp> = self.parts.iter().flat_map(|part| part.turns(now)).collect();
        turns.sort_unstable();
        turns.dedup();
        let (mut longest, mut since, mut was_open) = (0, None, false);
        for turn in turns {
            let is_open = self.parts.iter().all(|part| part.is_within(turn));
            if is_open {
                let seconds = since.take().map(|since| turn.as_second() - since);
                longest = longest.max(seconds.unwrap_or_default());
            } else if was_open {
                since = Some(turn.as_second());
            }
            was_open = is_open;
        }
        longest
    }
}

impl Part<'_> {
    fn doubt(&self) -> Option<Diagnostic> {
        let (place, name) = (self.windows.zone_place?, self.windows.zone.as_str());
        let offset = self.zone.to_offset(Timestamp::UNIX_EPOCH);
        let written = zone::utc(offset.seconds());
        let what = if let Some(place) = zone::place_of(name) {
            format!(
                "'{name}' is {written} all year, without daylight-saving time; write {place} to follow it"
            )
        } else if name.to_ascii_uppercase().starts_with("ETC/GMT") && offset != jiff::tz::Offset::UTC {
            let meant = zone::utc(-offset.seconds());
            let reverse = if offset.seconds() < 0 { name.replace('+', "-") } else { name.replace('-', "+") };
            format!(
                "'{name}' is {written} all year: the sign in these names is reversed; write {reverse} for {meant}, or \
                 the name of a place, as Europe/Berlin, to follow its daylight-saving time"
            )
        } else {
            return None;
        };
        Some(Diagnostic::warning(place, what))
    }

    /// The first moment from one to another, both included, at which it is open.
    fn next_opening(&self, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
        if self.is_open(from) {
            return Some(from);
        }
        let opens = |moment: &Timestamp| (from..=to).contains(moment) && self.is_open(*moment);
        // It can only open where a window begins, at the midnight that ends a freeze, or where the clocks change.
        let mut starts = vec![0];
        starts.extend(self.windows.open.iter().flatten().map(|window| window.from));
        starts.sort_unstable();
        starts.dedup();
        let of_day =
            |date: Date| starts.iter().flat_map(|start| self.moments(date, *start)).filter(&opens).min();
        let by_day = self.days(from, to).find_map(of_day);
        let changes = self.zone.following(from).map(|change| change.timestamp());
        let by_clock = changes.take_while(|change| *change <= to).find(opens);
        by_day.into_iter().chain(by_clock).min()
    }

    /// The moments within two weeks at which a window may begin or end.
    fn turns(&self, from: Timestamp) -> Vec<Timestamp> {
        let to = Timestamp::from_second(from.as_second().saturating_add(14 * DAY_SECONDS)).unwrap_or(from);
        let edges: Vec<u16> =
            self.windows.open.iter().flatten().flat_map(|window| [window.from, window.to]).collect();
        self.days(from, to)
            .flat_map(|date| edges.iter().flat_map(move |edge| self.moments(date, *edge)))
            .collect()
    }

    /// The days from one moment to another, in the zone.
    fn days(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = Date> {
        let last = self.zone.to_datetime(to).date();
        let first = self.zone.to_datetime(from).date();
        std::iter::successors(Some(first), |date| date.tomorrow().ok()).take_while(move |date| *date <= last)
    }

    /// The moments at which the clocks show so many minutes after the midnight of a day: two where they are put back, and where
    /// they are put forward over it, one before and one after.
    fn moments(&self, date: Date, minutes: u16) -> impl Iterator<Item = Timestamp> + use<> {
        let midnight = date.at(0, 0, 0, 0);
        let local = midnight.checked_add(jiff::Span::new().minutes(i64::from(minutes))).unwrap_or(midnight);
        let moments = self.zone.to_ambiguous_timestamp(local);
        [moments.earlier(), moments.later()].into_iter().flatten()
    }

    fn is_open(&self, at: Timestamp) -> bool {
        let today = self.zone.to_datetime(at).date();
        self.is_within(at) && !self.windows.freezes.iter().any(|freeze| freeze.holds(today))
    }

    /// Whether it is within a window, frozen or not.
    fn is_within(&self, at: Timestamp) -> bool {
        let local = self.zone.to_datetime(at);
        let minutes = u16::try_from(i16::from(local.hour()) * 60 + i16::from(local.minute())).unwrap_or(DAY);
        let today = local.weekday();
        let yesterday = today.wrapping_sub(1);
        self.windows.open.as_ref().is_none_or(|windows| {
            windows
                .iter()
                .any(|window| window.holds(today, minutes) || window.holds(yesterday, minutes + DAY))
        })
    }

    /// A moment as people of the zone read it: RFC 3339 with the zone's offset, then its name, as
    /// `2027-01-07T00:00:00+01:00 (Europe/Berlin)`.
    fn local(&self, at: Timestamp) -> String {
        format!("{} ({})", at.display_with_offset(self.zone.to_offset(at)), self.windows.zone)
    }
}

/// Names in a sentence.
pub(in crate::policy) fn listed(names: &[String]) -> String {
    match names {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        names => names.concat(),
    }
}
