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

/// Abbreviations that people write for a zone, each with a place where it is used. IANA has a zone of only a few of
/// these names, and `EST` and `MST` among those keep standard time all year.
pub(super) const ABBREVIATIONS: [(&str, &str); 42] = [
    ("ACDT", "Australia/Adelaide"),
    ("ACST", "Australia/Adelaide"),
    ("AEDT", "Australia/Sydney"),
    ("AEST", "Australia/Sydney"),
    ("AKDT", "America/Anchorage"),
    ("AKST", "America/Anchorage"),
    ("AWST", "Australia/Perth"),
    ("BRT", "America/Sao_Paulo"),
    ("BST", "Europe/London"),
    ("CDT", "America/Chicago"),
    ("CEST", "Europe/Berlin"),
    ("CST", "America/Chicago"),
    ("CT", "America/Chicago"),
    ("EDT", "America/New_York"),
    ("EEST", "Europe/Athens"),
    ("EST", "America/New_York"),
    ("ET", "America/New_York"),
    ("HKT", "Asia/Hong_Kong"),
    ("ICT", "Asia/Bangkok"),
    ("IDT", "Asia/Jerusalem"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("KST", "Asia/Seoul"),
    ("MDT", "America/Denver"),
    ("MEST", "Europe/Berlin"),
    ("MESZ", "Europe/Berlin"),
    ("MEZ", "Europe/Berlin"),
    ("MSK", "Europe/Moscow"),
    ("MST", "America/Denver"),
    ("MT", "America/Denver"),
    ("NDT", "America/St_Johns"),
    ("NST", "America/St_Johns"),
    ("NZDT", "Pacific/Auckland"),
    ("NZST", "Pacific/Auckland"),
    ("PDT", "America/Los_Angeles"),
    ("PST", "America/Los_Angeles"),
    ("PT", "America/Los_Angeles"),
    ("SAST", "Africa/Johannesburg"),
    ("SGT", "Asia/Singapore"),
    ("TRT", "Europe/Istanbul"),
    ("WEST", "Europe/Lisbon"),
    ("WIB", "Asia/Jakarta"),
];

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
        let what =
            format!("'{}' is not a time zone{} (a name such as Europe/Berlin)", self.zone, meant(&self.zone));
        Err(Diagnostic::error(self.place, what))
    }
}

/// The zone that was probably meant by a name that no zone has, ready to follow a message.
fn meant(zone: &str) -> String {
    let question = |name: &str| format!("; did you mean '{name}'?");
    if let Some(place) = place_of(zone) {
        return question(place);
    }
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let city = zone.replace(' ', "_");
    let of_city =
        |name: &&String| name.rsplit_once('/').is_some_and(|(_, of)| of.eq_ignore_ascii_case(&city));
    if let Some(name) = names.iter().find(of_city) {
        return question(name);
    }
    if zone.contains(|c: char| c.is_ascii_digit()) {
        return "; an offset does not follow daylight-saving time, so name a place".to_owned();
    }
    // Abbreviations are near to any other word of three letters.
    let places = names.iter().map(String::as_str).filter(|name| name.contains('/'));
    crate::nearest::did_you_mean(zone, places)
}

/// A place where an abbreviation is used, the one with the most people.
fn place_of(abbreviation: &str) -> Option<&'static str> {
    let found = ABBREVIATIONS.into_iter().find(|(short, _)| short.eq_ignore_ascii_case(abbreviation));
    found.map(|(_, zone)| zone)
}

impl Calendar<'_> {
    /// Why the zone is hardly the one that was meant: it has the name of a zone with daylight-saving time and does not
    /// follow it, or its sign is the reverse of what people write. `HST` is left out, since Hawaii keeps it all year.
    pub(super) fn doubt(&self) -> Option<Diagnostic> {
        let zone = self.windows.zone.as_str();
        let offset = self.zone.to_offset(Timestamp::UNIX_EPOCH);
        let written = utc(offset.seconds());
        let what = if let Some(place) = place_of(zone) {
            format!(
                "'{zone}' is {written} all year, without daylight-saving time; write {place} to follow it"
            )
        } else if zone.to_ascii_uppercase().starts_with("ETC/GMT") && offset != jiff::tz::Offset::UTC {
            let meant = utc(-offset.seconds());
            let reverse = if offset.seconds() < 0 { zone.replace('+', "-") } else { zone.replace('-', "+") };
            format!(
                "'{zone}' is {written} all year: the sign in these names is reversed; write {reverse} for {meant}, or \
                 the name of a place, as Europe/Berlin, to follow its daylight-saving time"
            )
        } else {
            return None;
        };
        Some(Diagnostic::warning(self.windows.place, what))
    }

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

/// An offset as people write it: `UTC-05:00`.
fn utc(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
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
