//! Lengths of time as a policy writes them.

/// A length of time in seconds, from a text as `10m`, `12h`, `3d` or `2w`.
///
/// # Errors
/// What is wrong with the text, and how a length of time is written.
pub fn seconds(text: &str) -> Result<i64, String> {
    let wrong =
        || format!("'{text}' is no duration; write whole minutes, hours, days or weeks: 10m, 12h, 3d, 2w");
    let (digits, seconds) = [('m', 60), ('h', 3_600), ('d', 86_400), ('w', 7 * 86_400)]
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))
        .ok_or_else(wrong)?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (1..=5).contains(&digits.len());
    let count = digits.parse::<i64>().ok().filter(|_| plain).ok_or_else(wrong)?;
    Ok(count * seconds)
}

/// A length of time in milliseconds as people write it, in days, hours and minutes: `2d4h`, `1h30m`, `12m`.
pub fn lasting(milliseconds: i64) -> String {
    let minutes = milliseconds.unsigned_abs() / 60_000;
    let sign = if milliseconds < 0 { "-" } else { "" };
    let parts = [(minutes / 1440, 'd'), (minutes / 60 % 24, 'h'), (minutes % 60, 'm')];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let text = parts.fold(String::new(), |text, (count, unit)| format!("{text}{count}{unit}"));
    if text.is_empty() { "0m".to_owned() } else { format!("{sign}{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_written_as_policies_write_them() {
        let minute = 60_000;
        let lengths = [0, 59_999, minute, 61 * minute, 1440 * minute, 1501 * minute, -90 * minute];
        assert_eq!(lengths.map(lasting), ["0m", "0m", "1m", "1h1m", "1d", "1d1h1m", "-1h30m"]);
    }
}
