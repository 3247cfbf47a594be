//! How fast the policy decides on alarms.
//!
//! One core and one thread, with the engine as it is built into the functions. Hardly any rule takes an alarm, so that
//! each is asked, which is the most that an alarm can cost.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use fleetwarden_core::model::alarm::{Alarm, AlarmEvent, Confidence, CriteriaType, EventType, Life, Source};
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::{AlarmSubject, Policy};
use fleetwarden_core::timestamp::Millis;

use super::{Bench, median};
use crate::report::Target;

const RULES: usize = 1000;
const ALARMS: usize = 1024;
const DECISIONS: usize = 20_000;
const ROUNDS: usize = 9;
const NOW: Millis = Millis(1_795_420_800_000);

/// Measures.
pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let policy = Policy::parse(policy()?.as_bytes())
        .map_err(|errors| anyhow!("the benchmark's policy of alarms: {errors}"))?;
    ensure!(policy.alarm_rules().len() == RULES, "the policy has other rules");
    let lives: Vec<Life> = (0..ALARMS).map(life).collect();
    let bar = Bench::bar("policy decisions on alarms", ROUNDS)?;
    let mut rates = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        rates.push(rate(&policy, &lives));
        bar.inc(1);
    }
    let what = "decisions on alarms a second, 1,000 rules";
    bench.report.row("alarm_decide_per_second", what, median(rates), Target::AtLeast(5e4));
    Ok(())
}

/// Decisions a second.
fn rate(policy: &Policy, lives: &[Life]) -> f64 {
    let things = Things::NotAsked;
    let began = Instant::now();
    for life in lives.iter().cycle().take(DECISIONS) {
        let raised = [life.raised_at.unwrap_or(NOW)];
        let subject = AlarmSubject { life, at: NOW, raises: &raised, things: &things };
        black_box(policy.decide_alarm(black_box(&subject)));
    }
    f64::from(u32::try_from(DECISIONS).unwrap_or(u32::MAX)) / began.elapsed().as_secs_f64()
}

/// A policy file whose rules ask what operators ask, in turns.
fn policy() -> Result<String> {
    let mut text = String::from("version: 1\nmode: enforce\nrules:\n");
    for rule in 0..RULES {
        let asks = match rule % 5 {
            0 => format!("profile: 'site-{rule}-*'"),
            1 => format!("thing: '*{rule:06}'\n      confidence: HIGH"),
            2 => format!("behavior: ['messages-{rule}', 'bytes-{rule}-*']\n      criteria: static"),
            3 => format!("metric: aws:num-messages-sent\n      lastsLongerThan: {}d", rule % 14 + 1),
            _ => format!(
                "profile: cameras\n      thing: 'lobby-{rule}-*'\n      raisedAtLeast: {{ times: 3, within: 1h }}"
            ),
        };
        write!(
            text,
            "  - name: rule-{rule}\n    alarm:\n      {asks}\n    mitigate: {{ actions: FleetwardenQuarantineThings }}\n"
        )?;
    }
    Ok(text)
}

fn life(number: usize) -> Life {
    let of = |names: [&str; 4]| names.iter().cycle().nth(number).copied().unwrap_or_default().to_owned();
    let by_model = number.is_multiple_of(2);
    let alarm = Alarm {
        source: Source::DeviceDefender,
        account: "123456789012".into(),
        region: "us-east-1".into(),
        violation_id: format!("{number:032x}"),
        profile: of(["cameras", "sensors", "gateways", "locks"]),
        behavior: of(["messages", "bytes-out", "disconnects", "failures"]),
        metric: Some(of([
            "aws:num-messages-sent",
            "aws:all-bytes-out",
            "aws:num-disconnects",
            "aws:num-authorization-failures",
        ])),
        thing: Some(format!("device-{number:04}-of-a-hall")),
        criteria: if by_model { CriteriaType::MachineLearning } else { CriteriaType::Static },
        confidence: by_model.then_some(Confidence::Medium),
        expected: None,
        suppressed: false,
    };
    let at = Millis(NOW.0 - 120_000);
    Life::of(&AlarmEvent { alarm, event: EventType::InAlarm, at, value: None, verification: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rule_takes_an_alarm() {
        let policy = Policy::parse(policy().unwrap().as_bytes()).unwrap();
        assert_eq!(policy.alarm_rules().len(), RULES);
        for life in (0..ALARMS).map(life) {
            let subject = AlarmSubject { life: &life, at: NOW, raises: &[NOW], things: &Things::NotAsked };
            assert_eq!(policy.decide_alarm(&subject).rule, None);
        }
    }
}
