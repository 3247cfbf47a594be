//! What the metrics of some devices did around their alarms (`ListMetricValues`).

use fleetwarden_commands::Failure;
use fleetwarden_commands::sources::Calls;
use fleetwarden_commands::sources::Sources;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::EventType;
use fleetwarden_core::report::alarm::AlarmReport;
use fleetwarden_core::report::alarm::Series;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use super::events::Events;

/// Of how many devices the values are asked for.
const DEVICES: usize = 6;
/// How long before its alarm, and after it, a device is shown, in seconds.
const BEFORE_SECONDS: i64 = 6 * 3_600;
const AFTER_SECONDS: i64 = 12 * 3_600;
/// How far back values are kept, in seconds: 14 days, and a little for the way.
const KEPT_SECONDS: i64 = 14 * 86_400 - 300;
/// How many pages of values are read.
const PAGES: u32 = 2;

impl Events {
    /// What the metrics of the worst devices did. Lists of ports and addresses are no numbers: they have none.
    pub(super) async fn series(&self, sources: &Sources<'_>, report: &AlarmReport) -> Vec<Series> {
        let mut all = Vec::new();
        let Ok(mut calls) = sources.calls("ListMetricValues") else { return all };
        for event in self.worst(report) {
            let Some(mut series) = begun(event) else { continue };
            series.ended_at = self.ended_at(event);
            let name = format!("the values of {} of {}", series.metric, series.thing);
            sources.tell(name, self.fill(&mut calls, &mut series, report.made_at)).await;
            if !series.points.is_empty() {
                all.push(series);
            }
        }
        all
    }

    /// The alarms to show: those that last, the worst first, then the latest.
    fn worst(&self, report: &AlarmReport) -> Vec<&AlarmEvent> {
        let lasting = report.active.iter().filter_map(|active| {
            self.lasting.iter().find(|event| event.alarm.violation_id == active.violation_id)
        });
        let mut ended: Vec<&AlarmEvent> =
            self.happened.iter().filter(|event| event.event == EventType::InAlarm).collect();
        ended.sort_by_key(|event| std::cmp::Reverse(event.at));
        let mut shown: Vec<(&Option<String>, &Option<String>)> = Vec::new();
        let mut worst = Vec::new();
        for event in lasting.chain(ended).filter(|event| event.alarm.metric.as_deref().is_some_and(is_number))
        {
            let key = (&event.alarm.thing, &event.alarm.metric);
            if worst.len() < DEVICES && event.alarm.thing.is_some() && !shown.contains(&key) {
                shown.push(key);
                worst.push(event);
            }
        }
        worst
    }

    fn ended_at(&self, begin: &AlarmEvent) -> Option<Millis> {
        let of_it = |event: &&AlarmEvent| {
            event.alarm.violation_id == begin.alarm.violation_id && event.event != EventType::InAlarm
        };
        self.happened.iter().filter(of_it).map(|event| event.at).max()
    }

    async fn fill(&self, calls: &mut Calls<'_>, series: &mut Series, now: Millis) -> Result<(), Failure> {
        let around = series.raised_at.unwrap_or(now);
        let from = around.plus_seconds(-BEFORE_SECONDS).max(now.plus_seconds(-KEPT_SECONDS));
        let to = around.plus_seconds(AFTER_SECONDS).min(now);
        let mut input = json!({
            "thingName": series.thing,
            "metricName": series.metric,
            "startTime": from.seconds(),
            "endTime": to.seconds(),
        });
        let key = (series.profile.clone(), series.behavior.clone());
        if let (Some((name, operator)), Some(members)) = (self.dimensions.get(&key), input.as_object_mut()) {
            members.insert("dimensionName".to_owned(), name.as_str().into());
            members.insert("dimensionValueOperator".to_owned(), operator.as_str().into());
        }
        let take = |page: Vec<Value>| {
            series.points.extend(page.iter().filter_map(point));
            true
        };
        let outcome = calls.pages(input, &mut { PAGES }, take).await.map(drop);
        series.points.sort_by_key(|(at, _)| *at);
        outcome
    }
}

/// Metrics that are sets of ports or addresses.
fn is_number(metric: &str) -> bool {
    ![
        "aws:listening-tcp-ports",
        "aws:listening-udp-ports",
        "aws:destination-ip-addresses",
        "aws:source-ip-address",
    ]
    .contains(&metric)
}

fn begun(event: &AlarmEvent) -> Option<Series> {
    let (low, high) = event.alarm.expected.as_ref().map_or((None, None), limits);
    Some(Series {
        thing: event.alarm.thing.clone()?,
        profile: event.alarm.profile.clone(),
        behavior: event.alarm.behavior.clone(),
        metric: event.alarm.metric.clone()?,
        points: Vec::new(),
        low,
        high,
        raised_at: Some(event.at),
        ended_at: None,
    })
}

/// The least and the greatest that criteria expect. What is expected below a number is drawn up to it.
fn limits(criteria: &Value) -> (Option<f64>, Option<f64>) {
    let value = ["count", "number"].iter().find_map(|name| criteria.get("value")?.get(*name)?.as_f64());
    match criteria.get("comparisonOperator").and_then(Value::as_str) {
        Some("less-than" | "less-than-equals") => (None, value),
        Some("greater-than" | "greater-than-equals") => (value, None),
        _ => (None, None),
    }
}

/// A `MetricDatum` that is a number.
fn point(datum: &Value) -> Option<(Millis, f64)> {
    let value = datum.get("value")?;
    let number = ["count", "number"].iter().find_map(|name| value.get(*name)?.as_f64())?;
    Some((datum.get("timestamp").and_then(millis)?, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_of_static_criteria() {
        let of = |operator: &str| limits(&json!({"comparisonOperator": operator, "value": {"count": 5}}));
        assert_eq!(of("less-than"), (None, Some(5.0)));
        assert_eq!(of("greater-than-equals"), (Some(5.0), None));
        assert_eq!(of("in-port-set"), (None, None));
        assert_eq!(limits(&json!({"mlDetectionConfig": {"confidenceLevel": "LOW"}})), (None, None));
    }
}
