//! `fleetwarden policy check`: everything that is wrong with a policy file, as an editor shows it.

use super::deployment;
use super::{painted, read_bytes};
use crate::commands::above;
use crate::exit::Exit;
use crate::fleet::Fleet;
use crate::output::{line, note};
use crate::template;
use anyhow::{Context as _, Result};
use clap::Args;
use fleetwarden_core::policy::{Actions, Checked, Diagnostic, Known, Level, Policy, Unseen};
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Arguments of `policy check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden policy check
  fleetwarden policy check --strict --parameter CreateMitigationActions=true
  fleetwarden policy check --things things.json --json")]
pub(crate) struct Arguments {
    /// The policy file
    #[arg(default_value = "policies/deployed/policy.yaml")]
    policy: PathBuf,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
    /// Template with the mitigation actions; the nearest above the policy or the working folder if left out
    #[arg(long)]
    template: Option<PathBuf>,
    /// Do not check the names of mitigation actions
    #[arg(long, conflicts_with = "template")]
    no_template: bool,
    /// File with the things and groups of the fleet, as `fleetwarden things export` makes it, to find names that match
    /// nothing
    #[arg(long, value_name = "FILE")]
    things: Option<PathBuf>,
    /// Parameter of the stack, such as CreateMitigationActions=true, to find mitigations that it would refuse; those of
    /// samconfig.toml beside the template if left out
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = deployment::parameter)]
    parameters: Vec<(String, String)>,
    /// Print the errors and warnings as JSON
    #[arg(long)]
    json: bool,
}

/// What was found, as tools read it.
#[derive(Serialize)]
struct Found<'f> {
    file: &'f str,
    #[serde(flatten)]
    diagnostic: &'f Diagnostic,
}

/// A file that was looked through.
struct Looked {
    file: String,
    text: String,
    checked: Checked,
}

/// Checks a policy file.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let looked = look(arguments)?;
    let Looked { file, text, checked } = &looked;
    let found = &checked.found;
    if arguments.json {
        let found: Vec<_> = found.iter().map(|diagnostic| Found { file, diagnostic }).collect();
        line(serde_json::to_string_pretty(&found)?);
        checked.unseen.map(not_looked_at).into_iter().for_each(note);
    } else {
        for diagnostic in found {
            note(painted(diagnostic, file, text));
        }
        line(verdict(file, checked));
    }
    Ok(if looked.is_good(arguments.strict) { Exit::Done } else { Exit::Failed })
}

fn look(arguments: &Arguments) -> Result<Looked> {
    let bytes = read_bytes(&arguments.policy)?;
    let actions = arguments.actions()?;
    let fleet = arguments.things.as_deref().map(Fleet::read).transpose()?;
    let deployment = match &actions {
        Some(_) => Some(deployment::read(&arguments.parameters, arguments.template_path().as_deref())?),
        None => None,
    };
    let inventory = fleet.as_ref().map(Fleet::inventory);
    let checked =
        Policy::check(&bytes, &Known { at: now(), actions: actions.as_ref(), inventory, deployment });
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Looked { file: arguments.policy.display().to_string(), text, checked })
}

impl Looked {
    fn is_good(&self, strict: bool) -> bool {
        let worst = if strict { Level::Note } else { Level::Warning };
        self.checked.found.iter().all(|found| found.level >= worst)
    }
}

/// What a file is, in one line; and what was not looked at, in another one.
fn verdict(file: &str, checked: &Checked) -> String {
    let Checked { size, found, unseen } = checked;
    let of = |level| found.iter().filter(|found| found.level == level).count();
    let (errors, warnings) = (counted(of(Level::Error), "error"), counted(of(Level::Warning), "warning"));
    let Some((rules, standing)) = *size else {
        let rest = unseen.map_or_else(String::new, |unseen| format!("\n{}", not_looked_at(unseen)));
        return format!("{file}: refused, {errors}, {warnings}{rest}");
    };
    let mut size = counted(rules, "rule");
    if standing > 0 {
        size = format!("{size}, {}", counted(standing, "standing suppression"));
    }
    if of(Level::Error) + of(Level::Warning) == 0 {
        format!("{file}: {size}, good")
    } else {
        format!("{file}: {size}, {errors}, {warnings}")
    }
}

/// What an error kept from being looked at.
fn not_looked_at(unseen: Unseen) -> String {
    match unseen {
        Unseen::Rest => "not looked at yet: the rest of the file, behind this error".to_owned(),
        Unseen::Compared(count) => {
            let entries = if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") };
            format!(
                "not looked at yet: how {entries} with errors would go with the others, and what a missing key hides"
            )
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

impl Arguments {
    /// The mitigation actions that the template defines, if there is one.
    fn actions(&self) -> Result<Option<Actions>> {
        if self.no_template {
            return Ok(None);
        }
        let Some(path) = self.template_path() else {
            note(
                "no template.yaml above the policy or the working folder: its mitigation actions are not checked",
            );
            return Ok(None);
        };
        let shown = path.display();
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
        let template = template::yaml::read(&text).with_context(|| format!("cannot read {shown}"))?;
        let (actions, unnamed) = template::actions::actions(&template);
        if actions.more {
            note(format!(
                "{shown}: the names of {} are known only when it is deployed: no action is called undefined",
                unnamed.join(", ")
            ));
        }
        Ok(Some(actions))
    }
}

impl Arguments {
    /// The template that is asked, if there is one.
    fn template_path(&self) -> Option<PathBuf> {
        self.template.clone().or_else(|| nearest(&self.policy))
    }
}

/// The mitigation actions of the nearest template, if there is one that can be read.
pub(super) fn actions_near(policy: &Path) -> Option<Actions> {
    let text = std::fs::read_to_string(nearest(policy)?).ok()?;
    let template = template::yaml::read(&text).ok()?;
    Some(template::actions::actions(&template).0)
}

/// The nearest template above a policy file, or else above the working folder.
fn nearest(policy: &Path) -> Option<PathBuf> {
    let file = std::path::absolute(policy).ok();
    let here = std::env::current_dir().ok();
    let root = file.as_deref().and_then(above).or_else(|| here.as_deref().and_then(above))?;
    Some(root.join("template.yaml"))
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetwarden_core::policy::Place;

    const RULE: &str = "version: 1\nrules:\n  - name: r\n    match: { check: LOGGING_DISABLED_CHECK }\n    ";

    /// Whether a check of a file that says so ends well, in a folder with the template that ships.
    fn ended(text: &str, strict: bool) -> bool {
        deployed(text, strict, &["CreateMitigationActions=true"], "")
    }

    /// As [`ended`], with these parameters and a samconfig.toml with these overrides.
    fn deployed(text: &str, strict: bool, parameters: &[&str], overrides: &str) -> bool {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("template.yaml"), include_str!("../../../../../template.yaml"))
            .unwrap();
        let policy = folder.path().join("policy.yaml");
        std::fs::write(&policy, text).unwrap();
        if !overrides.is_empty() {
            let sam =
                format!("version = 0.1\n[default.deploy.parameters]\nparameter_overrides = {overrides}\n");
            std::fs::write(folder.path().join("samconfig.toml"), sam).unwrap();
        }
        let parameters = parameters.iter().map(|text| deployment::parameter(text).unwrap()).collect();
        let arguments = Arguments {
            policy,
            strict,
            template: None,
            no_template: false,
            things: None,
            parameters,
            json: false,
        };
        look(&arguments).unwrap().is_good(strict)
    }

    #[test]
    fn errors_fail_and_warnings_only_if_asked() {
        let good = format!("{RULE}mitigate: {{ actions: FleetwardenEnableIotLogging }}\n");
        assert!(ended(&good, true));
        let warned = format!("{RULE}suppress: {{ for: 1d, reason: x }}\n");
        assert!(ended(&warned, false) && !ended(&warned, true));
        let undefined = format!("{RULE}mitigate: {{ actions: FleetwardenEnableLogging }}\n");
        assert!(!ended(&undefined, false));
        let refused = format!("{RULE}mitigat: {{}}\n");
        assert!(!ended(&refused, false));
        let noted = "version: 1\nrules:\n  - name: r\n    alarm: { profile: a, confidence: HIGH }\n    \
                     mitigate: { actions: FleetwardenQuarantineThings }\n";
        assert!(ended(noted, true), "a note fails nothing");
        assert!(!ended(&noted.replace("QuarantineThings", "EnableIotLogging"), false));
    }

    /// A policy that enforces what a stack would refuse was good.
    #[test]
    fn what_the_stack_would_refuse_fails_once_its_parameters_are_known() {
        let enforces = RULE.replace("version: 1", "version: 1\nmode: enforce");
        let enforces = format!("{enforces}mitigate: {{ actions: FleetwardenEnableIotLogging }}\n");
        assert!(deployed(&enforces, false, &[], "") && !deployed(&enforces, true, &[], ""), "a warning");
        assert!(!deployed(&enforces, false, &["EnableDetect=true"], ""), "all others have their defaults");
        assert!(deployed(&enforces, true, &["CreateMitigationActions=true"], ""));
        let sam = r#""CreateMitigationActions=\"true\" EnableDetect=\"false\"""#;
        assert!(deployed(&enforces, true, &[], sam));
        assert!(
            !deployed(&enforces, false, &["CreateMitigationActions=false"], sam),
            "what is said here goes first"
        );
        assert!(deployed(&enforces, true, &[], r#"["CreateMitigationActions=true"]"#));
        assert!(!deployed(&enforces, false, &[], r#"["AllowMitigation=false"]"#));
    }

    #[test]
    fn the_policies_that_ship_and_the_example_of_the_documentation_are_clean() {
        let text = include_str!("../../../../../docs/policy.md");
        let example = text.lines().skip_while(|line| !line.starts_with("    "));
        let example = example.take_while(|line| line.is_empty() || line.starts_with("    "));
        let example = example.map(|line| line.get(4..).unwrap_or_default()).collect::<Vec<_>>().join("\n");
        assert!(ended(&example, true), "{example}");
        for shipped in [
            include_str!("../../../../../policies/deployed/policy.yaml"),
            include_str!("../../demo/policy.yaml"),
        ] {
            assert!(ended(shipped, true), "{shipped}");
        }
    }

    #[test]
    fn one_line_says_how_it_ended() {
        let diagnostic = |level| Diagnostic { place: Place::default(), level, what: String::new() };
        let found = [diagnostic(Level::Error), diagnostic(Level::Warning), diagnostic(Level::Warning)];
        let said = |size, found: &[Diagnostic], unseen| {
            verdict("p.yaml", &Checked { size, found: found.to_vec(), unseen })
        };
        assert_eq!(said(Some((3, 0)), &[], None), "p.yaml: 3 rules, good");
        assert_eq!(said(Some((0, 1)), &[], None), "p.yaml: no rules, 1 standing suppression, good");
        assert_eq!(said(Some((1, 0)), &found, None), "p.yaml: 1 rule, 1 error, 2 warnings");
        assert_eq!(said(Some((0, 0)), &found[1..], None), "p.yaml: no rules, no errors, 2 warnings");
        assert_eq!(said(None, &found[..1], None), "p.yaml: refused, 1 error, no warnings");
        assert_eq!(
            said(None, &found[..1], Some(Unseen::Rest)),
            "p.yaml: refused, 1 error, no warnings\nnot looked at yet: the rest of the file, behind this error"
        );
        assert_eq!(
            said(None, &found, Some(Unseen::Compared(2))),
            "p.yaml: refused, 1 error, 2 warnings\n\
             not looked at yet: how 2 entries with errors would go with the others, and what a missing key hides"
        );
    }
}
