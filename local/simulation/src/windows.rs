//! Whether the windows of a policy that is drawn are open, by their hours. No calendar of the product is asked.

use fleetwarden_core::timestamp::Millis;
use serde_json::Value;

use crate::policies;

/// The hours of windows. All have the hour from three to four in common, so that windows together always open.
pub(crate) const HOURS: [&str; 3] = ["22:00-06:00", "00:00-12:00", "03:00-04:00"];
/// The zones, each with the minutes by which its clocks are ahead of UTC in the winter in which all runs are.
pub(crate) const ZONES: [(&str, i64); 3] = [("UTC", 0), ("Europe/Berlin", 60), ("America/New_York", -300)];

/// Which windows do not let a mitigation of a check with these actions start, at no moment of the last so many milliseconds, if
/// that is so. Of several rules that mitigate alike, one with open windows is enough; a person has none.
pub(crate) fn closed(
    policy: &Value,
    (check, actions): (&str, &Value),
    is_of_rule: bool,
    (at, grace_ms): (Millis, i64),
) -> Option<String> {
    let zone = policy["windows"]["zone"].as_str().unwrap_or("UTC");
    // Windows are an hour long at least, and so is the time between two of them.
    let is_open =
        |windows: &Value| [at, Millis(at.0 - grace_ms)].iter().any(|at| is_open(windows, zone, *at));
    if !is_open(&policy["windows"]) {
        return Some(format!("the windows of the policy are closed: {}", policy["windows"]));
    }
    let names = actions.as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut of_actions = names.map(|name| &policy["actions"][name]["windows"]);
    if let Some(windows) = of_actions.find(|windows| !is_open(windows)) {
        return Some(format!("the windows of an action are closed: {windows}"));
    }
    let mut rules = policies::rules(policy, check).filter(|rule| rule["mitigate"]["actions"] == *actions);
    let none = is_of_rule && !rules.any(|rule| is_open(&rule["mitigate"]["windows"]));
    none.then(|| "the windows of each rule that mitigates so are closed".to_owned())
}

pub(crate) fn is_open(windows: &Value, zone: &str, at: Millis) -> bool {
    let ahead = ZONES.iter().find(|(name, _)| *name == zone).map_or(0, |(_, minutes)| *minutes);
    let minute = (at.seconds().div_euclid(60) + ahead).rem_euclid(24 * 60);
    let Some(open) = windows["open"].as_array() else { return true };
    open.iter().filter_map(|window| hours(window["hours"].as_str()?)).any(|(from, to)| {
        if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    })
}

/// The minutes of a day at which hours as `22:00-06:00` begin and end.
fn hours(text: &str) -> Option<(i64, i64)> {
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        Some(hour.parse::<i64>().ok()? * 60 + minute.parse::<i64>().ok()?)
    };
    let (from, to) = text.split_once('-')?;
    Some((minute(from)?, minute(to)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_windows_of_a_mitigation_have_to_be_open() {
        let policy = json!({
            "windows": {"zone": "Europe/Berlin", "open": [{"hours": "22:00-06:00"}]},
            "actions": {"Deactivate": {"windows": {"open": [{"hours": "00:00-12:00"}]}}},
            "rules": [
                {"match": {"check": "C"}, "mitigate": {"actions": ["Deactivate"], "windows": {"open": [{"hours": "03:00-04:00"}]}}},
                {"match": {"check": "C"}, "mitigate": {"actions": ["Publish"]}},
            ],
        });
        // 2026-11-23T00:00:00Z, which is one o'clock in Berlin.
        let at = |minutes: i64| (Millis(1_795_392_000_000 + minutes * 60_000), 0);
        let why = |action: &str, is_of_rule, at| {
            let why = closed(&policy, ("C", &json!([action])), is_of_rule, at);
            why.map(|why| why.split(" are closed").next().unwrap_or_default().to_owned())
        };
        assert_eq!(why("Publish", true, at(299)), None);
        assert_eq!(why("Publish", true, at(300)).as_deref(), Some("the windows of the policy"));
        assert_eq!(why("Deactivate", true, at(-61)).as_deref(), Some("the windows of an action"));
        assert_eq!(why("Deactivate", false, at(-60)), None);
        assert_eq!(
            why("Deactivate", true, at(119)).as_deref(),
            Some("the windows of each rule that mitigates so")
        );
        assert_eq!([why("Deactivate", true, at(120)), why("Deactivate", true, at(179))], [None, None]);
        assert!(why("Deactivate", true, at(180)).is_some());
        assert_eq!(why("Deactivate", true, (at(185).0, 10 * 60_000)), None, "it was open when it was asked");
    }
}
