//! What people write for a time zone, and what they probably mean.

/// Abbreviations that people write for a zone, each with a place where it is used. IANA has a zone of only a few of
/// these names, and `EST` and `MST` among those keep standard time all year.
pub(in crate::policy) const ABBREVIATIONS: [(&str, &str); 42] = [
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

/// The zone that was probably meant by a name that no zone has, ready to follow a message.
pub(super) fn meant(zone: &str) -> String {
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
pub(super) fn place_of(abbreviation: &str) -> Option<&'static str> {
    let found = ABBREVIATIONS.into_iter().find(|(short, _)| short.eq_ignore_ascii_case(abbreviation));
    found.map(|(_, zone)| zone)
}

/// An offset as people write it: `UTC-05:00`.
pub(super) fn utc(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}
