//! What each event adds to the counts of its behavior.
//!
//! These count events, so the statistic to read them with is Sum. An event that is delivered again is no news to the
//! ledger and has no line.

use super::Dimensions;
use super::Metric;
use super::Record;
use super::line;
use crate::model::alarm::Alarm;
use crate::model::alarm::AlarmEvent;
use crate::model::alarm::Confidence;
use crate::model::alarm::EventType;
use crate::model::alarm::Life;
use crate::timestamp::Millis;
use crate::untrusted::visible;

/// The metric line of an event that is news: one raised, cleared, invalidated or unknown, and the time to clear in
/// seconds, by profile, behavior and confidence.
pub fn event_line(event: &AlarmEvent, life: &Life, now: Millis) -> String {
    let mut metrics = vec![Metric::count(counted(&event.event), 1)];
    let cleared = (event.event == EventType::AlarmCleared).then_some(event.at);
    if let Some((cleared, raised)) = cleared.zip(life.raised_at).filter(|(cleared, raised)| cleared >= raised)
    {
        metrics.push(Metric::seconds("TimeToClearSeconds", cleared.seconds() - raised.seconds()));
    }
    line(&OfBehavior::new(&event.alarm, now, metrics))
}

/// The metric line of an alarm that people are alerted of as one that flaps.
pub fn flapping_line(alarm: &Alarm, now: Millis) -> String {
    line(&OfBehavior::new(alarm, now, vec![Metric::count("AlarmsFlapping", 1)]))
}

/// The metric line of a verification state that a rule has set.
pub fn verified_line(alarm: &Alarm, now: Millis) -> String {
    line(&OfBehavior::new(alarm, now, vec![Metric::count("AlarmsVerified", 1)]))
}

/// The metric line of an incident that was opened, and of how many devices it had then.
pub fn incident_line(alarm: &Alarm, devices: u64, now: Millis) -> String {
    let metrics = vec![Metric::count("Incidents", 1), Metric::count("IncidentDevices", devices)];
    line(&OfBehavior::new(alarm, now, metrics))
}

const fn counted(event: &EventType) -> &'static str {
    match event {
        EventType::InAlarm => "AlarmsRaised",
        EventType::AlarmCleared => "AlarmsCleared",
        EventType::AlarmInvalidated => "AlarmsInvalidated",
        EventType::Unknown(_) => "AlarmsUnknown",
    }
}

/// Something of a behavior, and of a confidence if a model judges it.
struct OfBehavior {
    at: Millis,
    profile: String,
    behavior: String,
    confidence: &'static str,
    metrics: Vec<Metric>,
}

impl OfBehavior {
    fn new(alarm: &Alarm, at: Millis, metrics: Vec<Metric>) -> Self {
        Self {
            at,
            profile: dimension(&alarm.profile),
            behavior: dimension(&alarm.behavior),
            confidence: alarm.confidence.map_or("none", Confidence::as_str),
            metrics,
        }
    }
}

impl Record for OfBehavior {
    fn at(&self) -> Millis {
        self.at
    }

    fn metrics(&self) -> Vec<Metric> {
        self.metrics.clone()
    }

    fn dimensions(&self) -> Dimensions<'_> {
        let by =
            [("Profile", &*self.profile), ("Behavior", &*self.behavior), ("Confidence", self.confidence)];
        Dimensions { total: true, ..Dimensions::by(by) }
    }
}

/// A dimension's value has 1 to 1,024 characters.
fn dimension(text: &str) -> String {
    visible(text).chars().take(256).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::*;

    const NOW: Millis = Millis(1_795_392_000_000);

    fn event(kind: &str, at: i64) -> AlarmEvent {
        let alarm = json!({"violationId": "v", "securityProfileName": "lights", "violationEventType": kind,
            "behavior": {"name": "sent\u{7}", "criteria": {"mlDetectionConfig": {"confidenceLevel": "HIGH"}}},
            "violationEventTime": at});
        AlarmEvent::parse(&alarm.to_string(), "123456789012", "us-east-1").unwrap()
    }

    #[test]
    fn an_end_tells_how_long_it_took() {
        let (begin, end) = (event("in-alarm", 1_795_391_000_000), event("alarm-cleared", 1_795_391_600_000));
        let mut life = Life::of(&end);
        let unheard: Value = serde_json::from_str(&event_line(&end, &life, NOW)).unwrap();
        assert!(unheard.get("TimeToClearSeconds").is_none());
        life.hear(&begin);
        let lines = [
            event_line(&begin, &life, NOW),
            event_line(&end, &life, NOW),
            incident_line(&begin.alarm, 21, NOW),
        ];
        insta::assert_snapshot!(lines.join("\n"));
    }
}
