//! When mitigation may happen.
//!
//! The zone's name is only looked up where a window is asked about: the rules of all zones are large, and most
//! functions never ask.

use jiff::Timestamp;
use jiff::civil;
use jiff::civil::Date;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::diagnostic::Diagnostic;
use super::diagnostic::Place;
use crate::timestamp::Millis;

/// How many days are searched for the next opening.
pub(super) const SEARCHED_DAYS: i64 = 400;
/// The minutes of a day.
const DAY: u16 = 24 * 60;

/// The windows of a policy.
#[derive(Debug)]
pub struct Windows {
    pub(super) place: Place,
    pub(super) zone: String,
    pub(super) open: Option<Vec<Window>>,
    pub(super) freezes: Vec<Freeze>,
}

/// A window of the week. Minutes are from midnight; `to` may be on the next day.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) days: Vec<super::file::Day>,
    pub(super) from: u16,
    pub(super) to: u16,
}

/// Days without mitigation, both included, each as year, month and day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Freeze {
    pub(super) from: (i16, i8, i8),
    pub(super) to: (i16, i8, i8),
}

/// The windows of a policy in their time zone.
#[derive(Debug)]
pub struct Calendar<'p> {
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

impl Windows {
    /// The windows in their time zone.
    ///
    /// # Errors
    /// If there is no such zone.
    pub fn calendar(&self) -> Result<Calendar<'_>, Diagnostic> {
        if let Ok(zone) = TimeZone::get(&self.zone) {
            return Ok(Calendar { windows: self, zone });
        }
        let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let near = super::diagnostic::did_you_mean(&self.zone, names.iter().map(String::as_str));
        let what = format!("'{}' is no time zone{near} (a name such as Europe/Berlin)", self.zone);
        Err(Diagnostic::error(self.place, what))
    }
}

impl Calendar<'_> {
    /// The first moment, from `at` on, at which mitigation may happen. None if there is none for over a year.
    pub fn next_opening(&self, at: Millis) -> Option<Millis> {
        let now = Timestamp::from_millisecond(at.0).ok()?;
        if self.is_open(now) {
            return Some(at);
        }
        // It can only open where a window begins, or at the midnight that ends a freeze.
        let today = now.to_zoned(self.zone.clone()).date();
        let mut starts = vec![0];
        starts.extend(self.windows.open.iter().flatten().map(|window| window.from));
        starts.sort_unstable();
        starts.dedup();
        (0..SEARCHED_DAYS).find_map(|days| {
            let date = today.checked_add(jiff::Span::new().days(days)).ok()?;
            starts.iter().find_map(|minutes| {
                let start = self.moment(date, *minutes)?;
                (start >= now && self.is_open(start)).then(|| Millis(start.as_millisecond()))
            })
        })
    }

    /// Why mitigation may not happen at a moment. None if it may.
    pub fn closed(&self, at: Millis) -> Option<Closed> {
        let opens = self.next_opening(at);
        let reason = match opens {
            Some(opening) if opening <= at => return None,
            Some(opening) => format!("outside of the policy's windows until {}", self.local(opening)),
            None => "no window of the policy opens for over a year".to_owned(),
        };
        Some(Closed { reason, opens })
    }

    /// A moment as people of the zone read it: RFC 3339 with the zone's offset, then its name, as
    /// `2027-01-07T00:00:00+01:00 (Europe/Berlin)`.
    pub fn local(&self, at: Millis) -> String {
        let Ok(at) = Timestamp::from_millisecond(at.0) else { return at.rfc3339() };
        format!("{} ({})", at.display_with_offset(self.zone.to_offset(at)), self.windows.zone)
    }

    fn moment(&self, date: Date, minutes: u16) -> Option<Timestamp> {
        let (hour, minute) = (i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?);
        Some(date.at(hour, minute, 0, 0).to_zoned(self.zone.clone()).ok()?.timestamp())
    }

    fn is_open(&self, at: Timestamp) -> bool {
        let local = at.to_zoned(self.zone.clone());
        let frozen = self.windows.freezes.iter().any(|freeze| freeze.holds(local.date()));
        let minutes = u16::try_from(i16::from(local.hour()) * 60 + i16::from(local.minute())).unwrap_or(DAY);
        let today = local.weekday();
        let yesterday = today.wrapping_sub(1);
        let open = self.windows.open.as_ref().is_none_or(|windows| {
            windows
                .iter()
                .any(|window| window.holds(today, minutes) || window.holds(yesterday, minutes + DAY))
        });
        open && !frozen
    }
}

impl Window {
    /// Whether it is open so many minutes after the midnight with which a day began.
    fn holds(&self, day: Weekday, minutes: u16) -> bool {
        let begins = self.days.iter().any(|named| weekday(*named) == day);
        begins && (self.from..self.to).contains(&minutes)
    }
}

impl Freeze {
    fn holds(self, date: Date) -> bool {
        let day = |(year, month, day)| civil::Date::new(year, month, day).ok();
        match (day(self.from), day(self.to)) {
            (Some(from), Some(to)) => (from..=to).contains(&date),
            // A date that is none was refused when the file was read.
            _ => true,
        }
    }
}

const fn weekday(day: super::file::Day) -> Weekday {
    use super::file::Day;
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}
