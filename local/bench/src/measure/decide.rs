//! How fast the policy decides, and how long a large policy takes to load.
//!
//! One core and one thread, with the engine as it is built into the functions. The findings are of all checks and
//! hardly any rule takes one: each rule for the check is asked, which is the most that a finding can cost.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, anyhow};
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::ids::check::KNOWN;
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::model::resource::{NonCompliantResource, PolicyVersionIdentifier, ResourceIdentifier};
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::{Policy, Subject};
use fleetwarden_core::timestamp::Millis;

use super::{Bench, median};
use crate::report::Target;

const RULES: usize = 1000;
/// How many rules a check has at most when they are spread.
const OF_A_CHECK: usize = 20;
/// The check that has all the rules when they are not.
const CHECK: &str = "DEVICE_CERTIFICATE_EXPIRING_CHECK";
const FINDINGS: usize = 1024;
const AUDIT: Millis = Millis(1_795_420_800_000);
const ROUNDS: usize = 9;

/// Measures.
pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    // The rules that are too many for the checks of today are for checks to come.
    let of_today: Vec<&str> = KNOWN.iter().copied().cycle().take(OF_A_CHECK * KNOWN.len()).collect();
    let to_come = |rule| format!("'*_TO_COME_{rule}_CHECK*'");
    let spread =
        policy(|rule| of_today.get(rule).map_or_else(|| to_come(rule), |check| (*check).to_owned()))?;
    let dense = policy(|_| CHECK.to_owned())?;
    let bar = Bench::bar("policy decisions", 3 * ROUNDS)?;
    let mut loads = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        black_box(parse(black_box(&spread))?);
        loads.push(began.elapsed().as_secs_f64() * 1000.0);
        bar.inc(1);
    }
    let decided = |text: &str, check: Option<&str>, decisions: usize| -> Result<f64> {
        let policy = parse(text)?;
        let findings: Vec<Finding> = (0..FINDINGS).map(|number| finding(number, check)).collect();
        let mut rates = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            rates.push(rate(&policy, &findings, decisions));
            bar.inc(1);
        }
        Ok(median(rates))
    };
    let sparse_rate = decided(&spread, None, 500_000)?;
    let dense_rate = decided(&dense, Some(CHECK), 10_000)?;
    let report = &mut bench.report;
    report.row("decide_per_second", "decisions a second, 1,000 rules", sparse_rate, Target::AtLeast(1e6));
    let what = "… with all of them for one check";
    report.row("decide_per_second_dense", what, dense_rate, Target::AtLeast(5e4));
    let what = "loading 1,000 rules, ms";
    report.row("policy_load_ms_1000_rules", what, median(loads), Target::AtMost(20.0));
    Ok(())
}

fn parse(text: &str) -> Result<Policy> {
    Policy::parse(text.as_bytes()).map_err(|errors| anyhow!("the benchmark's policy: {errors}"))
}

/// Decisions a second.
fn rate(policy: &Policy, findings: &[Finding], decisions: usize) -> f64 {
    let things = Things::NotAsked;
    let began = Instant::now();
    for finding in findings.iter().cycle().take(decisions) {
        let first_seen = Millis(AUDIT.0 - 86_400_000);
        let (account, region) = ("123456789012", "eu-central-1");
        let (at, things) = (AUDIT, &things);
        let subject = Subject {
            finding,
            account,
            region,
            at,
            first_seen,
            times_seen: 2,
            first_suppressed: None,
            things,
        };
        black_box(policy.decide(black_box(&subject)));
    }
    f64::from(u32::try_from(decisions).unwrap_or(u32::MAX)) / began.elapsed().as_secs_f64()
}

/// A policy file whose rules ask what operators ask, in turns.
fn policy(check: impl Fn(usize) -> String) -> Result<String> {
    let mut text = String::from("version: 1\nmode: enforce\nrules:\n");
    for rule in 0..RULES {
        let asks = match rule % 5 {
            0 => format!("resource: 'site-{rule}-*'"),
            1 => format!("resource: '*{rule:06}'"),
            2 => format!("severity: [CRITICAL, HIGH]\n      resource: 'ab{rule}*'"),
            3 => format!("reason: CERTIFICATE_PAST_EXPIRATION\n      olderThan: {}d", rule % 300 + 1),
            _ => format!("resource: '{rule:064x}'"),
        };
        let check = check(rule);
        write!(
            text,
            "  - name: rule-{rule}\n    match:\n      check: {check}\n      {asks}\n    suppress: {{ for: 30d, \
             reason: devices are replaced before they expire, owner: lab@example.com }}\n"
        )?;
    }
    Ok(text)
}

fn finding(number: usize, check: Option<&str>) -> Finding {
    let of = |names: &'static [&'static str]| names.iter().cycle().nth(number).copied().unwrap_or_default();
    let check = CheckName::new(check.unwrap_or_else(|| of(&KNOWN)));
    let resource_identifier = if check.as_str().contains("POLICY") {
        let policy_name = Some(format!("device-policy-{number}"));
        let version = PolicyVersionIdentifier { policy_name, policy_version_id: Some("3".into()) };
        ResourceIdentifier { policy_version_identifier: Some(version), ..ResourceIdentifier::default() }
    } else {
        // An odd multiplier spreads the numbers over all digits.
        let id = (number as u128).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let device_certificate_id = Some(format!("{id:064x}"));
        ResourceIdentifier { device_certificate_id, ..ResourceIdentifier::default() }
    };
    let resource = NonCompliantResource { resource_identifier, ..NonCompliantResource::default() };
    Finding {
        finding_id: number.to_string(),
        check,
        severity: Severity::ALL.iter().copied().cycle().nth(number).unwrap_or(Severity::Low),
        found_at: AUDIT,
        resource: Some(resource),
        related: Vec::new(),
        reason_code: Some("CERTIFICATE_APPROACHING_EXPIRATION".into()),
        reason: None,
        suppressed: false,
    }
}
