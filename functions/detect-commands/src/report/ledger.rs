//! What the ledger knows of a report's alarms: what was done about each, incidents, and the models' last status.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::model_status;
use fleetwarden_commands::sources::Sources;
use fleetwarden_core::model::alarm::Action;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::report::alarm::AlarmReport;
use fleetwarden_core::report::alarm::DeviceAction;
use fleetwarden_core::report::alarm::IncidentReport;
use fleetwarden_core::report::alarm::ModelReport;
use fleetwarden_core::timestamp::Millis;

use super::events::Events;

/// Of how many violations the ledger is asked: alarms that last first, then the newest.
const VIOLATIONS: usize = 2_000;
/// The actions that the report lists, by their words in the ledger.
const DONE: [&str; 5] = ["mitigated", "mitigation-failed", "released", "release-failed", "verified"];

/// Fills in what the ledger knows.
pub(super) async fn fill_in(
    alarms: &Alarms,
    sources: &Sources<'_>,
    events: &Events,
    report: &mut AlarmReport,
) {
    let since = report.since;
    let AlarmReport { active, incidents, actions, models, .. } = report;
    let lives = async {
        let lives = alarms.lives(ids(sources, events)).await?;
        let by_id: BTreeMap<&str, &Life> =
            lives.iter().map(|life| (life.alarm.violation_id.as_str(), life)).collect();
        for alarm in active.iter_mut() {
            let Some(life) = by_id.get(alarm.violation_id.as_str()) else { continue };
            alarm.incident.clone_from(&life.incident);
            alarm.action = life.since_raise().last().map(in_words);
        }
        *actions = lives.iter().flat_map(|life| done(life, since)).collect();
        Ok(())
    };
    sources.tell("what was done", lives).await;
    let incidents = async {
        let noticed = alarms.incidents(since).await?;
        *incidents = noticed
            .into_iter()
            .map(|incident| IncidentReport {
                id: incident.id,
                profile: incident.profile,
                behavior: incident.behavior,
                devices: incident.devices,
                population: incident.population,
                first_at: incident.first_at,
                ended_at: incident.ended_at,
                decision: incident.decision,
            })
            .collect();
        Ok(())
    };
    sources.tell("incidents", incidents).await;
    let status = async {
        let status = model_status::latest(alarms.ledger()).await?;
        *models = status.iter().flat_map(|status| &status.models).map(ModelReport::from).collect();
        Ok(())
    };
    sources.tell("models", status).await;
}

/// Of which violations the ledger is asked.
fn ids(sources: &Sources<'_>, events: &Events) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = events.lasting.iter().chain(&events.happened).map(|event| &event.alarm.violation_id);
    let mut ids: Vec<String> = all.filter(|id| seen.insert(*id)).cloned().collect();
    if ids.len() > VIOLATIONS {
        let why =
            format!("only of the first {VIOLATIONS} alarms: ask for one profile, one thing or fewer hours");
        sources.gap("what was done", why);
        ids.truncate(VIOLATIONS);
    }
    ids
}

/// What was done in the period.
fn done(life: &Life, since: Millis) -> impl Iterator<Item = DeviceAction> {
    let in_period = move |action: &&Action| action.at >= since && DONE.contains(&action.what.as_str());
    life.actions.iter().filter(in_period).map(|action| DeviceAction {
        at: action.at,
        what: action.what.clone(),
        thing: life.alarm.thing.clone().unwrap_or_default(),
        profile: life.alarm.profile.clone(),
        behavior: life.alarm.behavior.clone(),
        by: action.rule.as_ref().map_or_else(|| "a command".to_owned(), |rule| format!("rule {rule}")),
        task_id: action.task_id.clone(),
    })
}

/// An action in a few words.
fn in_words(action: &Action) -> String {
    match &action.rule {
        Some(rule) => format!("{} by rule {rule}", action.what),
        None => action.what.clone(),
    }
}
