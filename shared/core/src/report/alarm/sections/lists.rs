//! The tables of a report of alarms.

use crate::model::alarm::Confidence;
use crate::model::alarm::CriteriaType;
use crate::model::alarm::Verification;
use crate::model::ml::NOTE;
use crate::report::alarm::ActiveAlarm;
use crate::report::alarm::AlarmReport;
use crate::report::alarm::BehaviorReport;
use crate::report::page::Block;
use crate::report::page::Section;
use crate::report::page::Word;
use crate::report::page::Words;
use crate::report::page::code;
use crate::report::page::faint;
use crate::report::page::grouped;
use crate::report::page::number;
use crate::report::page::outside;
use crate::report::page::own;
use crate::report::page::section;
use crate::report::page::table;
use crate::report::page::text;

/// A name of a device: any text.
fn name(thing: &str) -> Words {
    if thing.is_empty() { faint("no device") } else { code(thing) }
}

fn behavior(behavior: &str, profile: &str) -> Words {
    vec![Word::Code(outside(behavior)), Word::Own(" of "), Word::Code(outside(profile))]
}

pub(super) fn active(report: &AlarmReport) -> Section {
    let block = if report.active.is_empty() {
        Block::Text(own("No alarm lasts."))
    } else {
        let rows = report.active.iter().map(|alarm| {
            vec![
                name(&alarm.thing),
                behavior(&alarm.behavior, &alarm.profile),
                judged(alarm),
                measured(alarm),
                vec![Word::Time(alarm.raised_at)],
                own(verified(alarm.verification)),
                alarm.action.as_deref().map_or_else(|| faint("nothing"), |action| text(outside(action))),
            ]
        });
        let heads = ["Device", "Behavior", "Judged by", "Measured", "Since", "Verified as", "Done"];
        Block::Table(table("Alarms that last, the worst first", &heads, rows, report.active.len()))
    };
    section("alarms", "In alarm now", vec![block])
}

fn judged(alarm: &ActiveAlarm) -> Words {
    own(match (alarm.criteria, alarm.confidence) {
        (CriteriaType::Static, _) => "a fixed value",
        (CriteriaType::Statistical, _) => "a percentile of the fleet",
        (CriteriaType::MachineLearning, Some(Confidence::High)) => "a model, high confidence",
        (CriteriaType::MachineLearning, Some(Confidence::Medium)) => "a model, medium confidence",
        (CriteriaType::MachineLearning, Some(Confidence::Low)) => "a model, low confidence",
        (CriteriaType::MachineLearning, None) => "a model",
        (CriteriaType::Unknown, _) => return faint("not known"),
    })
}

fn measured(alarm: &ActiveAlarm) -> Words {
    match (&alarm.value, &alarm.expected) {
        (None, None) => faint("not known"),
        (Some(value), None) => text(outside(value)),
        (None, Some(expected)) => text(format!("expected {}", outside(expected))),
        (Some(value), Some(expected)) => text(format!("{}; expected {}", outside(value), outside(expected))),
    }
}

const fn verified(state: Verification) -> &'static str {
    match state {
        Verification::TruePositive => "true",
        Verification::BenignPositive => "benign",
        Verification::FalsePositive => "false",
        Verification::Unknown => "not yet",
    }
}

pub(super) fn incidents(report: &AlarmReport) -> Option<Section> {
    if report.incidents.is_empty() {
        return None;
    }
    let rows = report.incidents.iter().map(|incident| {
        let of = incident.population.map_or_else(|| faint("not known"), number);
        let ended = incident.ended_at.map_or_else(|| own("lasts"), |at| vec![Word::Time(at)]);
        let decision = incident.decision.as_deref();
        vec![
            code(&incident.id),
            behavior(&incident.behavior, &incident.profile),
            number(incident.devices),
            of,
            vec![Word::Time(incident.first_at)],
            ended,
            decision.map_or_else(|| faint("nothing"), |decision| text(outside(decision))),
        ]
    });
    let heads = ["Incident", "Behavior", "Devices", "Of", "First alarm", "Ended", "Decided"];
    let caption = "Many devices that alarmed on one behavior at once, newest first";
    let rows = Block::Table(table(caption, &heads, rows, report.incidents.len()));
    let advice = "An incident is seldom many compromised devices: look for a deployment, a backend or a network that \
                  changed at its first alarm. Decide on it with the command AlarmIncident.";
    Some(section("incidents", "Incidents", vec![Block::Text(own(advice)), rows]))
}

pub(super) fn behaviors(report: &AlarmReport) -> Section {
    let block = if report.behaviors.is_empty() {
        Block::Text(own("No alarm began or ended."))
    } else {
        let rows = report.behaviors.iter().map(|row| {
            vec![
                behavior(&row.behavior, &row.profile),
                number(row.devices),
                number(row.raised),
                number(row.cleared),
                number(row.invalidated),
                row.median_seconds_to_clear.map_or_else(|| faint("not known"), |s| text(span(s))),
                false_share(row),
            ]
        });
        let heads = ["Behavior", "Devices", "Raised", "Cleared", "Invalidated", "Lasted", "False"];
        let caption = "Alarms of the period by behavior, the most first; how long those lasted that were cleared, half of them longer";
        Block::Table(table(caption, &heads, rows, report.behaviors.len()))
    };
    section("history", "History", vec![block])
}

fn false_share(row: &BehaviorReport) -> Words {
    if row.verified == 0 {
        return faint("none verified");
    }
    let percent = row.false_positives * 100 / row.verified;
    text(format!("{percent} % of {} verified", grouped(row.verified)))
}

/// A length of time in its largest units.
fn span(seconds: i64) -> String {
    match seconds {
        s if s < 60 => format!("{s} s"),
        s if s < 3_600 => format!("{} min", s / 60),
        s if s < 86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        s => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

pub(super) fn flapping(report: &AlarmReport) -> Option<Section> {
    if report.flapping.is_empty() {
        return None;
    }
    let rows = report.flapping.iter().map(|row| {
        vec![
            name(&row.thing),
            behavior(&row.behavior, &row.profile),
            number(row.raised),
            vec![Word::Time(row.latest_at)],
        ]
    });
    let heads = ["Device", "Behavior", "Alarms", "Latest"];
    let caption = "Devices whose alarms begin and end again and again, the most first";
    let advice = "More consecutive datapoints to alarm and to clear, or another threshold, make such a behavior quiet.";
    let rows = Block::Table(table(caption, &heads, rows, report.flapping.len()));
    Some(section("flapping", "Flapping", vec![Block::Text(own(advice)), rows]))
}

pub(super) fn actions(report: &AlarmReport) -> Section {
    let block = if report.actions.is_empty() {
        Block::Text(own("Nothing was done about alarms of this period."))
    } else {
        let rows = report.actions.iter().map(|action| {
            vec![
                vec![Word::Time(action.at)],
                text(outside(&action.what)),
                name(&action.thing),
                behavior(&action.behavior, &action.profile),
                text(outside(&action.by)),
                action.task_id.as_deref().map_or_else(|| faint("none"), code),
            ]
        });
        let heads = ["When", "What", "Device", "Alarm of", "Asked for by", "Task"];
        Block::Table(table("What was done about alarms, newest first", &heads, rows, report.actions.len()))
    };
    section("actions", "Mitigated, released, verified", vec![block])
}

pub(super) fn models(report: &AlarmReport) -> Option<Section> {
    if report.models.is_empty() {
        return None;
    }
    let rows = report.models.iter().map(|model| {
        let collected = model.percentage.map_or_else(|| faint("not known"), |p| text(format!("{p:.0} %")));
        vec![
            behavior(&model.behavior, &model.profile),
            code(&model.status),
            collected,
            model.refreshed_at.map_or_else(|| faint("never"), |at| vec![Word::Time(at)]),
            text(outside(&model.outlook)),
        ]
    });
    let heads = ["Behavior", "Status", "Collected", "Refreshed", "Outlook"];
    let caption = "Models, those that need somebody first";
    let rows = Block::Table(table(caption, &heads, rows, report.models.len()));
    Some(section("models", "Models", vec![rows, Block::Text(vec![Word::Faint(NOTE)])]))
}
