//! The text for chats and programs: an Amazon Q Developer custom notification, which Slack and Microsoft Teams render
//! without code.
//!
//! Source: the Amazon Q Developer in chat applications administrator guide, "Custom notifications".

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::Alert;
use super::Link;
use super::Place;
use super::STEP;
use super::STEPS;
use super::TITLE;

/// The longest description, in characters.
const DESCRIPTION: usize = 8000;

pub(super) fn message(alert: &Alert, place: &Place, links: &[Link]) -> Value {
    let title = alert.title.markdown_within(TITLE);
    let next_steps: Vec<String> =
        alert.next_steps.iter().take(STEPS).map(|step| step.markdown_within(STEP)).collect();
    let own = [("severity", alert.severity.as_str())];
    let context = own.into_iter().chain(place.parts()).chain(alert.subject.ids());
    let context: Map<String, Value> = context.map(|(name, text)| (name.to_owned(), text.into())).collect();
    json!({
        "version": "1.0",
        "source": "custom",
        "id": alert.id(),
        "content": {
            "textType": "client-markdown",
            "title": title,
            "description": description(alert, place, links),
            "nextSteps": next_steps,
            "keywords": ["Fleetwarden", alert.kind.as_str(), alert.severity.as_str()],
        },
        "metadata": {
            "threadId": alert.thread,
            "summary": alert.title.plain_within(TITLE),
            "eventType": alert.kind.as_str(),
            "additionalContext": context,
        },
    })
}

/// The description, and where it is from. What is cut is the former.
fn description(alert: &Alert, place: &Place, links: &[Link]) -> String {
    let Some(from) = place.words() else { return alert.description.markdown_within(DESCRIPTION) };
    let command = alert.subject.command().map(|command| command.markdown());
    // Slack and Teams write links with a label differently, and both make a link of an address.
    let links = links.iter().map(|Link { label, url }| format!("{label}: {url}"));
    let guide = place.runbook.is_none().then(|| format!("Runbook: {}", Place::guide(alert)));
    let parts = [format!("From {from}.")].into_iter().chain(command).chain(links).chain(guide);
    let end = format!("\n\n{}", parts.collect::<Vec<_>>().join("\n"));
    alert.description.markdown_within(DESCRIPTION.saturating_sub(end.chars().count())) + &end
}
