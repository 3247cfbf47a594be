//! What a report of alarms says, from the devices in alarm to what could not be found out.

mod lists;

use super::AlarmReport;
use super::Series;
use super::chart;
use crate::model::alarm::Verification;
use crate::report::page::Block;
use crate::report::page::Page;
use crate::report::page::Section;
use crate::report::page::Tone;
use crate::report::page::Word;
use crate::report::page::code;
use crate::report::page::count;
use crate::report::page::gaps;
use crate::report::page::moment;
use crate::report::page::outside;
use crate::report::page::own;
use crate::report::page::section;

/// How many pictures are drawn.
const PICTURES: usize = 8;

impl Page {
    pub(in crate::report) fn of_alarms(report: &AlarmReport) -> Self {
        let mut sections = vec![overview(report), lists::active(report)];
        sections.extend(lists::incidents(report));
        sections.extend(series(report));
        sections.push(lists::behaviors(report));
        sections.extend(lists::flapping(report));
        sections.push(lists::actions(report));
        sections.extend(lists::models(report));
        sections.extend(gaps(&report.gaps));
        Self {
            kind: "Alarm report",
            tone: tone(report),
            skip_to: ("alarms", "the alarms"),
            headline: headline(report),
            lead: lead(report),
            facts: vec![
                ("Since", vec![Word::Time(report.since)]),
                ("Reported", vec![Word::Time(report.made_at)]),
                ("Account", code(&report.account)),
                ("Region", code(&report.region)),
            ],
            sections,
            foot: "Made by Fleetwarden from what AWS IoT Device Defender Detect and the ledger of this account say."
                .into(),
        }
    }
}

/// How the report sounds: alarms that people have found harmless do not make it worse.
fn tone(report: &AlarmReport) -> Tone {
    let harmless = |state| matches!(state, Verification::FalsePositive | Verification::BenignPositive);
    let open = report.active.iter().any(|alarm| !harmless(alarm.verification));
    match () {
        () if open || report.totals.incidents > 0 => Tone::Bad,
        () if !report.gaps.is_empty() => Tone::Unsure,
        () => Tone::Good,
    }
}

fn headline(report: &AlarmReport) -> String {
    let devices = count(report.totals.devices, "device is", "devices are");
    match (report.totals.incidents, report.totals.active) {
        (0, 0) if report.gaps.is_empty() => "No device is in alarm".into(),
        (0, 0) => "No device is known to be in alarm".into(),
        (0, _) => format!("{devices} in alarm"),
        (incidents, _) => format!("{}, {devices} in alarm", count(incidents, "incident", "incidents")),
    }
}

fn lead(report: &AlarmReport) -> String {
    let mut lead = Vec::new();
    if let Some(worst) = report.active.first() {
        lead.push(format!(
            "The worst: {} on {} of {}, since {}",
            outside(&worst.thing),
            outside(&worst.behavior),
            outside(&worst.profile),
            moment(worst.raised_at)
        ));
    }
    let wrong = report.models.iter().filter(|model| model.needs_attention).count() as u64;
    if wrong > 0 {
        lead.push(format!("{} attention", count(wrong, "model needs", "models need")));
    }
    if report.totals.incidents > 0 {
        lead.push("Devices of an incident are not mitigated until it ends or somebody decides".into());
    }
    if !report.gaps.is_empty() {
        lead.push("Some of it could not be found out: see the end".into());
    }
    lead.into_iter().map(|sentence| sentence + ".").collect::<Vec<_>>().join(" ")
}

fn overview(report: &AlarmReport) -> Section {
    let totals = &report.totals;
    let figures = vec![
        ("in alarm now", totals.active),
        ("raised", totals.raised),
        ("cleared", totals.cleared),
        ("invalidated", totals.invalidated),
        ("flapping", totals.flapping),
        ("mitigated", totals.mitigated),
        ("released", totals.released),
    ];
    section("period", "In this period", vec![Block::Figures(figures)])
}

fn series(report: &AlarmReport) -> Option<Section> {
    let mut blocks = Vec::new();
    for series in report.series.iter().filter(|series| !series.points.is_empty()).take(PICTURES) {
        let words = words(series);
        blocks.push(match chart::draw(series) {
            Some(image) => Block::Chart { image, words },
            None => Block::Text(vec![Word::Text(words)]),
        });
    }
    if blocks.is_empty() {
        return None;
    }
    blocks.insert(
        0,
        Block::Text(own(
            "The line is what was measured, a dashed line across is what is expected, dots are values outside of it, \
             and a dashed line down is where the alarm began or ended.",
        )),
    );
    Some(section("metrics", "What the metrics did", blocks))
}

/// A picture in words.
fn words(series: &Series) -> String {
    let extreme = |of: fn(f64, f64) -> f64, start| chart::amount(series.values().fold(start, of));
    let outside_of = series.values().filter(|value| !series.expects(*value)).count() as u64;
    let all = series.points.len() as u64;
    let expected = match (series.low, series.high) {
        (None, None) => "what is expected is not known".to_owned(),
        (Some(low), None) => format!("at least {} is expected", chart::amount(low)),
        (None, Some(high)) => format!("at most {} is expected", chart::amount(high)),
        (Some(low), Some(high)) => {
            format!("{} to {} is expected", chart::amount(low), chart::amount(high))
        }
    };
    let span = match (series.points.first(), series.points.last()) {
        (Some((from, _)), Some((to, _))) => format!("{} to {}", moment(*from), moment(*to)),
        _ => String::new(),
    };
    let raised = series.raised_at.map(|at| format!("; the alarm began {}", moment(at))).unwrap_or_default();
    let ended = series.ended_at.map(|at| format!(" and ended {}", moment(at))).unwrap_or_default();
    format!(
        "{}: {} ({} of {}), {span}: between {} and {}, {expected}, {} of {} outside of it{raised}{ended}.",
        outside(&series.thing),
        outside(&series.metric),
        outside(&series.behavior),
        outside(&series.profile),
        extreme(f64::min, f64::INFINITY),
        extreme(f64::max, f64::NEG_INFINITY),
        outside_of,
        count(all, "value", "values"),
    )
}
