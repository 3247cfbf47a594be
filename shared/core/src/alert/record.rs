//! The log line of an alert: all that was published, as one JSON object whose members Logs Insights names.

use serde_json::Value;
use serde_json::json;

use super::Alert;
use super::Link;
use super::Place;

pub(super) fn line(alert: &Alert, place: &Place, links: &[Link]) -> String {
    let mut event = json!({
        "id": alert.id(),
        "kind": alert.kind.as_str(),
        "severity": alert.severity.as_str(),
        "title": alert.title.to_string(),
        "description": alert.description.to_string(),
        "nextSteps": alert.next_steps.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "thread": alert.thread,
        "runbook": Place::guide(alert),
        "links": links,
    });
    if let Value::Object(members) = &mut event {
        let more = place.parts().into_iter().chain(alert.subject.ids());
        members.extend(more.map(|(name, text)| (name.to_owned(), text.into())));
    }
    json!({"level": "INFO", "message": "alert published", "alert": event}).to_string()
}
