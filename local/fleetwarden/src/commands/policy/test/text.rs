//! The results of a test, told to people.

use super::super::explanation;
use super::expect::{Difference, Failure};
use super::{Counts, Ran, Results, Suite};
use crate::output::{BAD, GOOD, Painted, Table};
use fleetwarden_core::untrusted::visible;
use std::fmt::Write as _;

const PASSED: &str = "  ✓";
const FAILED: &str = "  ✗";

/// The results with the marks of cases in color.
pub(super) fn painted(results: &Results) -> Painted {
    let mut painted = Painted::default();
    for (at, line) in text(results).lines().enumerate() {
        if at > 0 {
            painted.push("\n");
        }
        let mark = [(PASSED, GOOD), (FAILED, BAD)].into_iter().find(|(mark, _)| line.starts_with(mark));
        match mark.and_then(|(mark, style)| Some((mark, style, line.strip_prefix(mark)?))) {
            Some((mark, style, rest)) => painted.push_styled(style, mark).push(rest),
            None => painted.push(line),
        };
    }
    painted
}

/// Every case, every difference with its explanation, the sums, and the rules that no case reached.
pub(super) fn text(results: &Results) -> String {
    let mut out = String::new();
    for suite in &results.suites {
        told_of(suite, &mut out);
        out.push('\n');
    }
    let Counts { passed, failed, broken } = results.counts();
    let _ = write!(out, "{passed} passed, {failed} failed");
    if broken > 0 {
        let files = if broken == 1 { "file" } else { "files" };
        let _ = write!(out, ", {broken} {files} not run");
    }
    let (mut rules, mut reached) = (0, 0);
    let mut missed = String::new();
    for (path, tested) in &results.policies {
        let Ok(source) = &tested.source else { continue };
        let of_findings = source.policy.rules().iter().map(|rule| (rule.place(), rule.name()));
        let of_alarms = source.policy.alarm_rules().iter().map(|rule| (rule.place(), rule.name()));
        let mut all: Vec<_> = of_findings.chain(of_alarms).collect();
        all.sort_unstable();
        for (place, name) in all {
            rules += 1;
            if tested.reached.contains(name) {
                reached += 1;
                continue;
            }
            let _ = write!(missed, "\n  {}:{}: {name}", visible(&path.display().to_string()), place.line);
        }
    }
    let _ = write!(out, "; {reached} of {rules} rules reached");
    if !missed.is_empty() {
        let _ = write!(out, "\nNo case reaches:{missed}");
    }
    out
}

fn told_of(suite: &Suite, out: &mut String) {
    let _ = writeln!(out, "{}", visible(&suite.path.display().to_string()));
    match &suite.cases {
        Ok(cases) => {
            for Ran { name, place, failure } in cases {
                let name = visible(name);
                match failure {
                    None => {
                        let _ = writeln!(out, "{PASSED} {name}");
                    }
                    Some(failure) => {
                        let _ = writeln!(out, "{FAILED} {name} (line {})", place.line);
                        let _ = writeln!(out, "{}", indented(&differences(failure)));
                        let _ = writeln!(out, "\n{}\n", indented(failure.why.trim_end()));
                    }
                }
            }
        }
        Err(why) => {
            let _ = writeln!(out, "{why}");
        }
    }
}

/// What was expected beside what came out, a key a line.
pub(super) fn differences(failure: &Failure) -> String {
    let mut table = Table::new(["", "expected", "got"]);
    for Difference { key, expected, got } in &failure.differences {
        table.row([key, &*visible(expected), &*visible(got)]);
    }
    explanation::laid_out(&table, explanation::OF_TEST)
}

fn indented(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { String::new() } else { format!("    {line}") };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
