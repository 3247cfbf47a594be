//! `fleetwarden policy test`: the operator's own cases, each a finding or an alarm and what the policy should decide on
//! it.
//!
//! `file` is what a file of cases says, `case` and `about` make it ready, `expect` compares, `text` and `junit` write what
//! came out.

pub(super) mod about;
pub(super) mod case;
mod expect;
mod file;
mod junit;
mod text;

use super::Source;
use crate::exit::Exit;
use crate::fleet::Fleet;
use crate::input::{self, Input};
use crate::output::line;
use about::{About, OfAlarm, OfFinding};
use anyhow::{Context as _, Result, bail};
use case::Case;
use clap::Args;
use expect::Failure;
use fleetwarden_core::policy::Place;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The name of the folders that hold cases.
const FOLDER: &str = "tests";

/// Arguments of `policy test`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden policy test
  fleetwarden policy test --policy new.yaml policies/tests/policy.yaml
  fleetwarden policy test --junit results.xml")]
pub(crate) struct Arguments {
    /// Files of cases, or folders: of a folder, the *.yaml files in each folder named tests
    #[arg(default_value = "policies")]
    paths: Vec<PathBuf>,
    /// Policy file to test, whatever the files of cases name
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Write the results here too, as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Runs the cases. The exit code tells whether all passed.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let files = files(&arguments.paths)?;
    let results = Results::of(&files, arguments.policy.as_deref());
    line(text::painted(&results));
    if let Some(path) = &arguments.junit {
        let written = junit::xml(&results)?;
        std::fs::write(path, written).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if results.passed() { Exit::Done } else { Exit::Failed })
}

/// What came out.
#[derive(Debug, Default)]
struct Results {
    /// A file each, in order.
    suites: Vec<Suite>,
    /// The policies that were tested, by path.
    policies: BTreeMap<PathBuf, Tested>,
}

/// What came out of a file of cases.
#[derive(Debug)]
struct Suite {
    path: PathBuf,
    /// Its cases, in order; or why none was run.
    cases: Result<Vec<Ran>, String>,
}

/// A case that was run.
#[derive(Debug)]
struct Ran {
    name: String,
    place: Place,
    failure: Option<Failure>,
}

/// A policy that was tested.
#[derive(Debug)]
struct Tested {
    /// The policy; or why it cannot be used.
    source: Result<Source, String>,
    /// The rules that decided a case, or in shadow would have.
    reached: BTreeSet<String>,
}

impl Results {
    /// Runs the cases of files, against a policy or each against its own.
    fn of(files: &[PathBuf], policy: Option<&Path>) -> Self {
        let mut results = Self::default();
        for path in files {
            let cases = results.run(path, policy);
            results.suites.push(Suite { path: path.clone(), cases });
        }
        results
    }

    fn run(&mut self, path: &Path, policy: Option<&Path>) -> Result<Vec<Ran>, String> {
        let Input { name: shown, text } = input::read(path).map_err(|error| format!("{error:#}"))?;
        let mut read = case::read(text.as_bytes()).map_err(|errors| {
            errors.iter().map(|error| error.render(&shown, &text)).collect::<Vec<_>>().join("\n")
        })?;
        let fleet = read.things_of(path).map(|things| Fleet::read(&things)).transpose();
        let fleet = fleet.map_err(|error| format!("{error:#}"))?;
        let policy = policy.map_or_else(|| read.policy_of(path), Path::to_owned);
        let tested = self.policies.entry(policy.clone()).or_insert_with(|| {
            let source = Source::read(&policy).map_err(|error| format!("{error:#}"));
            Tested { source, reached: BTreeSet::new() }
        });
        let source = tested.source.as_ref().map_err(Clone::clone)?;
        let mut ran = Vec::with_capacity(read.cases.len());
        if let Some(fleet) = fleet {
            read.cases.iter_mut().for_each(|case| case.about.settle(Some(&fleet)));
        }
        for case in &read.cases {
            let (rules, failure) = match &case.about {
                About::Finding(finding) => decided(source, case, finding),
                About::Alarm(alarm) => decided_on_alarm(source, case, alarm),
            }
            .map_err(|error| format!("{error:#}"))?;
            tested.reached.extend(rules);
            ran.push(Ran { name: case.name.clone(), place: case.place, failure });
        }
        Ok(ran)
    }

    fn counts(&self) -> Counts {
        let cases = || self.suites.iter().filter_map(|suite| suite.cases.as_ref().ok()).flatten();
        let failed = cases().filter(|ran| ran.failure.is_some()).count();
        Counts {
            passed: cases().count() - failed,
            failed,
            broken: self.suites.iter().filter(|suite| suite.cases.is_err()).count(),
        }
    }

    fn passed(&self) -> bool {
        let Counts { failed, broken, .. } = self.counts();
        failed == 0 && broken == 0
    }
}

/// The rules that decided a case, or in shadow would have, and how it failed, if it did.
type Decided = (Vec<String>, Option<Failure>);

fn decided(source: &Source, case: &Case, finding: &OfFinding) -> Result<Decided> {
    let subject = finding.subject(&source.policy)?;
    let decision = source.policy.decide(&subject);
    let rules = decision.rule.into_iter().chain(decision.shadow.map(|shadow| shadow.rule.name()));
    let rules = rules.map(str::to_owned).collect();
    Ok((rules, expect::compare(source, case, &subject, &decision)?))
}

fn decided_on_alarm(source: &Source, case: &Case, alarm: &OfAlarm) -> Result<Decided> {
    alarm.decided(&source.policy, |subject| {
        let decision = source.policy.decide_alarm(subject);
        let rules = decision.rule.into_iter().chain(decision.shadow.map(|shadow| shadow.rule.name()));
        let rules = rules.map(str::to_owned).collect();
        Ok((rules, expect::alarm::compare(source, case, subject, &decision)?))
    })
}

/// How many cases and files came out how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    /// Files none of whose cases was run.
    broken: usize,
}

/// The files of cases that some paths name, in order.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        if path.is_dir() {
            let own = std::path::absolute(path)?;
            below(path, own.file_name().is_some_and(|name| name == FOLDER), &mut files)?;
        } else {
            files.push(path.clone());
        }
        if files.len() == before {
            let path = path.display();
            bail!(
                "no cases below {path}: a folder's cases are the *.yaml files in its folders named {FOLDER}"
            );
        }
    }
    let mut seen = BTreeSet::new();
    files.retain(|path| seen.insert(path.clone()));
    Ok(files)
}

/// Adds the files below a folder, those of the folder itself only if it holds cases.
fn below(folder: &Path, holds: bool, files: &mut Vec<PathBuf>) -> Result<()> {
    let cannot = || format!("cannot read {}", folder.display());
    let entries = std::fs::read_dir(folder).with_context(cannot)?;
    let mut entries =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().with_context(cannot)?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            let named = path.file_name().is_some_and(|name| name == FOLDER);
            below(&path, holds || named, files)?;
        } else if holds && path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod guard_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod things_tests;
