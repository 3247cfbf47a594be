//! Alerts on canaries: whether the rest of what a rule mitigates may follow the first few.

use fleetwarden_aws::mitigations::Canary;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::model::mitigation::undo::UndoneResource;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::untrusted::Text;

/// How many resources an alert names.
const NAMED: usize = 10;

/// The rest may follow.
pub(crate) fn passed(request: &MitigationRequest, canary: &Canary) -> Alert {
    alert(
        request,
        (Kind::CanaryPassed, AlertSeverity::Low),
        text!("{}: the canary of rule {} has passed", request.check, rule(request)),
        text!(
            "{}\nNothing of `stopIf` was seen while they were watched. The rest starts within 15 minutes, as \
             far as windows, budgets and free tasks let it.",
            about(request, canary)
        ),
        vec![Text::own("If you know better, stop the rest: `fleetwarden mitigation pause`.")],
    )
}

/// Nothing more starts. `undone` are the resources that were put back, or why none was. None: what was changed stays.
pub(crate) fn stopped(
    request: &MitigationRequest,
    canary: &Canary,
    undone: Option<&Result<Vec<UndoneResource>, String>>,
) -> Alert {
    let reason = canary.reason.as_deref().unwrap_or_default();
    let mut description = text!(
        "{}\nIt was stopped: `{}`. Nothing more of this rule, check and audit starts; the next audit begins with a canary \
         again.",
        about(request, canary),
        reason
    );
    let mut steps = Vec::new();
    let id = request.task_id();
    match undone {
        None => {
            description
                .push(text!(" What it changed stays as it is, because nothing says that it did harm."));
            steps.push(text!("See what it changed: `fleetwarden mitigation show {}`.", id));
            steps.push(text!("To put it back: `fleetwarden mitigation undo {} --reason <why>`.", id));
        }
        Some(Ok(resources)) => {
            let good = resources.iter().filter(|resource| resource.is_good()).count();
            description.push(text!(
                " What it changed is put back: {} of {} resources.",
                good,
                resources.len()
            ));
            description.push(not_good(resources));
            if good < resources.len() {
                steps.push(text!(
                    "What failed is tried again for a day. What was changed since is left alone: `fleetwarden mitigation undo {} \
                     --reason <why> --force` puts it back too.",
                    id
                ));
            }
        }
        Some(Err(why)) => {
            description.push(text!(" What it changed could not be put back: `{}`.", why));
            steps
                .push(text!("Put back by hand what the task changed: `fleetwarden mitigation show {}`.", id));
        }
    }
    steps.push(Text::own(
        "Find out why before the next audit. Meanwhile set `stage: shadow` for the rule, or correct its action.",
    ));
    alert(
        request,
        (Kind::CanaryStopped, AlertSeverity::High),
        text!("{}: the canary of rule {} was stopped", request.check, rule(request)),
        description,
        steps,
    )
}

/// Resources of a stopped canary could not be put back for a day.
pub(crate) fn not_undone(request: &MitigationRequest, undone: &Result<Vec<UndoneResource>, String>) -> Alert {
    let resources = undone.as_ref().map(Vec::as_slice).unwrap_or_default();
    let undo =
        text!("Fix what failed, then: `fleetwarden mitigation undo {} --reason <why>`.", request.task_id());
    let open = resources.iter().filter(|resource| !resource.is_good()).count();
    Alert {
        about: format!("{} {} not undone", request.check, rule(request)),
        ..alert(
            request,
            (Kind::CanaryStopped, AlertSeverity::High),
            text!("{}: {} resources of a stopped canary are not put back", request.check, open),
            text!(
                "Mitigation task `{}` of rule `{}` was stopped, and its undo was tried for a day.{}",
                request.task_id(),
                rule(request),
                not_good(resources)
            ),
            vec![undo],
        )
    }
}

/// The resources that are not as before.
fn not_good(resources: &[UndoneResource]) -> Text {
    let mut text = Text::default();
    let open: Vec<&UndoneResource> = resources.iter().filter(|resource| !resource.is_good()).collect();
    for resource in open.iter().take(NAMED) {
        let reason = resource.reason.as_deref().unwrap_or_default();
        text.push(text!("\n- {} `{}` {}: `{}`", resource.kind, resource.name, resource.result, reason));
    }
    if open.len() > NAMED {
        text.push(text!("\n- and {} more", open.len() - NAMED));
    }
    text
}

fn alert(
    request: &MitigationRequest,
    (kind, severity): (Kind, AlertSeverity),
    title: Text,
    description: Text,
    next_steps: Vec<Text>,
) -> Alert {
    Alert {
        kind,
        severity,
        about: format!("{} {} {}", request.check, rule(request), kind.as_str()),
        thread: format!("audit {}", request.audit.task_id),
        title,
        description,
        next_steps,
        subject: Subject::Mitigation {
            task_id: request.task_id(),
            audit_task_id: Some(request.audit.task_id.to_string()),
        },
    }
}

fn rule(request: &MitigationRequest) -> &str {
    request.origin.rule().unwrap_or_default()
}

fn about(request: &MitigationRequest, canary: &Canary) -> Text {
    text!(
        "Of what rule `{}` mitigates of **{}** in audit `{}`, {} of {} findings went first, in mitigation task `{}`.",
        rule(request),
        request.check,
        request.audit.task_id,
        canary.first.len(),
        canary.of,
        request.task_id()
    )
}
