//! The gate before a mitigation that a person or a workflow asks for: the one of the policy's own mitigations, as far
//! as it is about the policy. What is protected, whether a later audit has run the check, when mitigation may
//! happen, whether other tasks have the findings, and at last the mode. Unknown protection status blocks. What passes goes
//! on in [`task`](crate::task).
//!
//! A finding of an audit that is overtaken is refused, although a person names it: its resource may be compliant by now,
//! and what is still there has another finding id in the later audit, by which a rule may mitigate it already. The
//! person can name that one.

use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::clients::RegistryClient;
use fleetwarden_aws::grades::Grades;
use fleetwarden_aws::grades::by_action;
use fleetwarden_aws::impact::Impacts;
use fleetwarden_aws::impact::guard::DeviceGuard;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::mitigations::Guarded;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::registry::Registry;
use fleetwarden_aws::states::About;
use fleetwarden_aws::states::Change;
use fleetwarden_aws::states::Changes;
use fleetwarden_core::api::input::Fault;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::Target;
use fleetwarden_core::model::finding::FindingKey;
use fleetwarden_core::model::mitigation::approval::ExplainedAction;
use fleetwarden_core::model::mitigation::approval::Explanation;
use fleetwarden_core::model::mitigation::before::Befores;
use fleetwarden_core::model::mitigation::impact::Impact;
use fleetwarden_core::model::mitigation::view::GuardAnswer;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::policy::DeviceLimit;
use fleetwarden_core::policy::DeviceLimits;
use fleetwarden_core::policy::InGroups;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::untrusted::shown;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::actions::check_actions;
use crate::before::of_actions;
use crate::task::Tasks;
use crate::task::taken;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_commands::approval::approved;
use fleetwarden_commands::approval::reasons;
use fleetwarden_commands::calls::answer;
use fleetwarden_commands::devices;
use fleetwarden_commands::devices::TOO_MANY;
use fleetwarden_commands::devices::limits as device_limits;
use fleetwarden_commands::diff::change;
use fleetwarden_commands::gate::Blocked;
use fleetwarden_commands::gate::PROTECTED;
use fleetwarden_commands::gate::Wanted;
use fleetwarden_commands::gate::check_budgets;
use fleetwarden_commands::gate::check_pause;
use fleetwarden_commands::gate::check_protection;
use fleetwarden_commands::gate::check_windows;
use fleetwarden_commands::gate::refuse_blocked;
use fleetwarden_commands::gate::spends;
use fleetwarden_commands::gate::things_for_budgets;

/// The name of a failure: a later audit has run the check.
pub(crate) const OVERTAKEN: &str = "Overtaken";

/// What a command is about to mitigate.
struct Asked {
    /// For the one who asks.
    mitigates: Value,
    /// For the ledger and the follow-up: one request a check.
    requests: Vec<MitigationRequest>,
    /// The states that the findings' mitigation will change. None: those of whole checks are read when they are claimed.
    befores: Option<Befores>,
    /// How many devices it concerns, if the guard has asked, and what the guard says.
    impact: Option<Impact>,
    guards: Vec<GuardAnswer>,
    /// What counts in the budgets of groups. None: of whole checks nobody knows.
    in_groups: Option<InGroups>,
}

/// The gate under a policy, and the start of what passes.
pub(crate) struct Gate<'a> {
    pub(crate) service: &'a Service,
    /// AWS IoT, for what the policy asks of the registry.
    pub(crate) registry: &'a RegistryClient,
    pub(crate) policy: &'a Policy,
    pub(crate) ledger: &'a Ledger,
    pub(crate) tasks: Tasks<'a>,
}

impl Gate<'_> {
    /// `StartAuditMitigationActionsTask`, if the policy allows it.
    pub(crate) async fn start(&self, command: &Command) -> Result<Box<RawValue>, Failure> {
        if !command.dry_run && self.tasks.is_started(command, self.ledger).await? {
            return answer(&json!({"taskId": command.text("taskId")}));
        }
        let of = |member: &str| command.input.get(member).cloned().unwrap_or_default();
        let starts = json!({
            "taskId": of("taskId"),
            "target": of("target"),
            "auditCheckToActionsMapping": of("auditCheckToActionsMapping"),
        });
        let Asked { mitigates, requests, befores, impact, guards, in_groups } =
            match starts.pointer("/target/findingIds").and_then(Value::as_array) {
                Some(ids) => self.findings(ids, command).await?,
                None => self.whole_checks(&starts, command).await?,
            };
        let names = named(&requests);
        check_windows(self.policy, &names, self.service.clock.now())?;
        let observed = self.policy.mode() == Mode::Observe;
        let name = command.operation.name;
        let mitigations = Mitigations::new(self.ledger.clone());
        let wanted: Vec<Wanted<'_>> = requests.iter().map(wanted).collect();
        let counts = (wanted.as_slice(), in_groups.as_ref());
        let spends = spends(self.policy, self.ledger, counts, self.service.clock.now()).await?;
        if command.dry_run || observed {
            check_actions(self.service, command).await?;
            check_pause(&mitigations).await?;
            check_budgets(&mitigations, command.text("taskId"), &spends, self.service.clock.now()).await?;
            let holders = mitigations.holders(&requests).await?;
            if !holders.is_empty() {
                return Err(taken(command, &holders));
            }
        }
        let grades = Grades::new(self.tasks.before.iot.clone());
        let actions = grades.of_now(&names, self.service.clock.now()).await?;
        let actions = actions.map_err(|what| Failure::fault("$.auditCheckToActionsMapping", what))?;
        let explanation = explain(self.policy, &requests, &actions);
        if command.dry_run {
            let changes = [change("$", &Value::Null, &starts)];
            let told = json!({
                "dryRun": true, "command": name, "changes": changes, "mitigates": mitigates, "observed": observed,
                "needsApproval": explanation.reasons,
            });
            return answer(&with_impact(told, impact.as_ref()));
        }
        if observed {
            mitigations.observed(&requests, self.service.clock.now()).await?;
            let would =
                json!({"observed": true, "command": name, "wouldStart": starts, "mitigates": mitigates});
            tracing::info!(mitigation.task_id = command.text("taskId"), "would mitigate");
            return answer(&with_impact(would, impact.as_ref()));
        }
        let hold = async |reason: &str, until| {
            self.tasks.hold(command, &requests, (reason, until), &mitigations).await
        };
        let at = (&mitigations, self.service.clock.now());
        let approved = approved(command, explanation, at, hold).await?;
        let grades = by_action(&actions);
        let guarded = Guarded {
            spends: &spends,
            grades: Some(&grades),
            guards: &guards,
            impact: impact.as_ref(),
            approved,
        };
        self.tasks.start(command, &requests, (befores.as_ref(), guarded), &mitigations).await
    }

    /// An audit as the service describes it.
    fn audit(&self, task_id: &Value, started_at: Option<&Value>) -> Result<Audit, Error> {
        let own = (self.service.account.as_str(), &*self.service.iot.region());
        let started_at = started_at.and_then(millis).unwrap_or_default();
        let audit = Audit::new(own, task_id.as_str().unwrap_or_default(), None, started_at);
        audit.map_err(|invalid| Error::Input(invalid.to_string()))
    }

    /// Blocks what a later audit has checked again.
    async fn latest(
        &self,
        audit: &Audit,
        check: &CheckName,
        path: &str,
    ) -> Result<Result<(), Blocked>, Error> {
        let later = self.ledger.later_audit(audit, check).await?;
        Ok(later.map_or(Ok(()), |later| {
            Err(Blocked { name: OVERTAKEN, why: format!("{path}: {}", overtaken(check, &later)) })
        }))
    }

    /// Checks each finding. All must exist, have actions, and be known not to be protected.
    async fn findings(&self, ids: &[Value], command: &Command) -> Result<Asked, Failure> {
        let mapping = command.input.get("auditCheckToActionsMapping");
        let (mut faults, mut blocked, mut mitigates) = (Vec::new(), Vec::new(), Vec::new());
        let registry =
            Registry::new(self.registry.clone(), &self.service.account, &self.service.iot.region());
        let mut requests: Vec<MitigationRequest> = Vec::new();
        let (mut seen, mut audits) = (BTreeSet::new(), BTreeSet::new());
        let (mut befores, mut changes) = (Befores::default(), Changes::new());
        let (limits, mut guard) = (device_limits(command)?, self.device_guard());
        let mut in_groups = InGroups::default();
        for (at, id) in ids.iter().enumerate().filter(|(_, id)| seen.insert(id.as_str())) {
            let path = format!("$.target.findingIds[{at}]");
            let described =
                self.service.ask_if_there("DescribeAuditFinding", json!({"findingId": id})).await?;
            let Some(finding) = described.as_ref().and_then(|answer| answer.get("finding")) else {
                faults.push(Fault { path, what: "there is no such finding".to_owned() });
                continue;
            };
            let check = CheckName::new(finding.get("checkName").and_then(Value::as_str).unwrap_or_default());
            let Some(actions) = mapping.and_then(|mapping| mapping.get(check.as_str())) else {
                let what = format!(
                    "auditCheckToActionsMapping has no actions for {check}, the check of the finding"
                );
                faults.push(Fault { path, what });
                continue;
            };
            let resource = finding.pointer("/nonCompliantResource/resourceIdentifier");
            let wanted: Vec<String> = serde_json::from_value(actions.clone()).unwrap_or_default();
            let identifier: ResourceIdentifier = resource
                .and_then(|resource| serde_json::from_value(resource.clone()).ok())
                .unwrap_or_default();
            let audit =
                self.audit(finding.get("taskId").unwrap_or(&Value::Null), finding.get("taskStartTime"))?;
            // Once for an audit and check.
            if audits.insert((audit.task_id.clone(), check.clone())) {
                blocked.extend(self.latest(&audit, &check, &path).await?.err());
            }
            if let Err(Blocked { name, why }) =
                check_protection(self.policy, &identifier, &registry, self.policy.may_protect(&check)).await
            {
                blocked.push(Blocked { name, why: format!("{path}: {why}") });
            }
            let about = About {
                finding_id: id.as_str().unwrap_or_default(),
                resource: Some(&identifier).filter(|identifier| !identifier.is_empty()),
                things: None,
            };
            if let Err(what) = self.tasks.before.read(&mut befores, about, &wanted, &mut changes).await? {
                faults.push(Fault { path: path.clone(), what });
            } else {
                let asked = guard.ask(about, &of_actions(&changes, &wanted), limits).await?;
                blocked.extend(devices::blocked(&path, asked));
            }
            let things = things_for_budgets(self.policy, &wanted, about.resource, &registry).await;
            let budgets = self.policy.budgets_of(None, &wanted);
            in_groups.add(budgets, id.as_str().unwrap_or_default(), &things);
            mitigates.push(json!({
                "findingId": id,
                "checkName": check,
                "resourceIdentifier": resource,
                "isSuppressed": finding.get("isSuppressed").unwrap_or(&Value::Bool(false)),
                "actions": actions,
            }));
            let finding_id = id.as_str().unwrap_or_default().to_owned();
            let reason = finding.get("reasonForNonComplianceCode").and_then(Value::as_str);
            let named = Some(&identifier).filter(|identifier| !identifier.is_empty());
            let key = FindingKey::new(&check, named, reason, &finding_id);
            let finding_ref = FindingRef { finding_id, key, past: None };
            let of_check = requests.iter_mut().find(|request| request.check == check);
            if let Some(Target::Findings(findings)) = of_check.map(|request| &mut request.target) {
                findings.push(finding_ref);
            } else {
                requests.push(request(command, check, audit, Target::Findings(vec![finding_ref])));
            }
        }
        if !faults.is_empty() {
            return Err(Failure::Input(faults));
        }
        refuse_blocked(&blocked)?;
        let (impact, guards) = guard.sum();
        let (befores, in_groups) = (Some(befores), Some(in_groups));
        Ok(Asked { mitigates: mitigates.into(), requests, befores, impact, guards, in_groups })
    }

    /// A guard of devices that has asked nothing.
    fn device_guard(&self) -> DeviceGuard {
        let Service { account, iot, .. } = self.service;
        DeviceGuard::new(Impacts::new(self.registry.client().clone(), account, &iot.region()))
    }

    /// The devices of a whole check are not counted: so its actions may not be limited.
    async fn check_devices(
        &self,
        command: &Command,
        mapping: Option<&Map<String, Value>>,
    ) -> Result<(), Failure> {
        let limits = device_limits(command)?;
        if limits == DeviceLimits::Any {
            return Ok(());
        }
        let named = mapping.into_iter().flatten().filter_map(|(_, actions)| actions.as_array()).flatten();
        let named: BTreeSet<String> = named.filter_map(Value::as_str).map(ToOwned::to_owned).collect();
        let named: Vec<String> = named.into_iter().collect();
        let changes = match self.tasks.before.states.changes(&named).await? {
            Ok(changes) => changes,
            Err(why) => return Err(Failure::fault("$.auditCheckToActionsMapping", why)),
        };
        if limits.of(changes.values().map(Change::kind)) == DeviceLimit::Any {
            return Ok(());
        }
        let what = "$.target: how many devices stand behind the findings of a whole check is not counted; name the \
                    findings, or give devices: {any: true}";
        Err(Failure::Refused { name: TOO_MANY, what: what.to_owned() })
    }

    /// The resources of a whole check are not checked one by one: so none of them may be protected.
    async fn whole_checks(&self, starts: &Value, command: &Command) -> Result<Asked, Failure> {
        let mapping = starts.get("auditCheckToActionsMapping").and_then(Value::as_object);
        let filter = starts.pointer("/target/auditCheckToReasonCodeFilter").and_then(Value::as_object);
        let checks: Vec<&String> = filter.or(mapping).into_iter().flatten().map(|(check, _)| check).collect();
        // Whether a filter leaves out a check that has actions, AWS does not say: so it does not.
        let mapped = mapping.into_iter().flatten().map(|(check, _)| check);
        let concerned = mapped.filter(|check| self.policy.may_protect(&CheckName::new(check)));
        let concerned: Vec<Blocked> = concerned
            .map(|check| {
                let what = "protect of the policy may concern resources of";
                Blocked { name: PROTECTED, why: format!("$.target: {what} {check}; name the findings") }
            })
            .collect();
        refuse_blocked(&concerned)?;
        self.check_devices(command, mapping).await?;
        let task = starts.pointer("/target/auditTaskId").cloned().unwrap_or_default();
        let Some(audit) = self.service.ask_if_there("DescribeAuditTask", json!({"taskId": task})).await?
        else {
            return Err(Failure::fault("$.target.auditTaskId", "there is no such audit"));
        };
        let of = self.audit(&task, audit.get("taskStartTime"))?;
        let mut later = Vec::new();
        for check in &checks {
            later.extend(self.latest(&of, &CheckName::new(check), "$.target.auditTaskId").await?.err());
        }
        refuse_blocked(&later)?;
        let count = |check: &str, name: &str| {
            let details = audit.get("auditDetails").and_then(|details| details.get(check));
            details.and_then(|details| details.get(name)).cloned().unwrap_or_default()
        };
        let mitigates = checks.iter().map(|check| {
            json!({
                "checkName": check,
                "nonCompliantResourcesCount": count(check, "nonCompliantResourcesCount"),
                "suppressedNonCompliantResourcesCount": count(check, "suppressedNonCompliantResourcesCount"),
                "actions": mapping.and_then(|mapping| mapping.get(*check)),
            })
        });
        let requests = checks.iter().map(|check| {
            let codes = filter.and_then(|filter| filter.get(*check)).and_then(Value::as_array);
            let codes = codes.into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned);
            let count = count(check, "nonCompliantResourcesCount").as_u64().unwrap_or_default();
            let target = Target::WholeCheck { reason_codes: codes.collect(), count };
            request(command, CheckName::new(check), of.clone(), target)
        });
        let (mitigates, requests) = (mitigates.collect(), requests.collect());
        let guards = Vec::new();
        Ok(Asked { mitigates, requests, befores: None, impact: None, guards, in_groups: None })
    }
}

/// What a request counts in budgets.
fn wanted(request: &MitigationRequest) -> Wanted<'_> {
    let ids = match &request.target {
        Target::Findings(findings) => findings.iter().map(|finding| finding.finding_id.as_str()).collect(),
        Target::WholeCheck { .. } => Vec::new(),
    };
    Wanted { actions: &request.actions, count: request.count(), ids }
}

/// The actions of requests, each once.
fn named(requests: &[MitigationRequest]) -> Vec<String> {
    let names: BTreeSet<&String> = requests.iter().flat_map(|request| &request.actions).collect();
    names.into_iter().cloned().collect()
}

/// What a person who approves is told.
fn explain(policy: &Policy, requests: &[MitigationRequest], actions: &[ExplainedAction]) -> Explanation {
    let part = |request: &MitigationRequest| match &request.target {
        Target::Findings(findings) => findings.iter().map(|finding| finding.finding_id.clone()).collect(),
        Target::WholeCheck { reason_codes, .. } => {
            let of_check = format!("{} of {}", request.check, request.audit.task_id);
            std::iter::once(of_check.clone())
                .chain(reason_codes.iter().map(|code| format!("{of_check}: {code}")))
                .collect::<Vec<_>>()
        }
    };
    Explanation {
        reasons: reasons(policy, actions),
        actions: actions.to_vec(),
        parts: requests.iter().flat_map(part).collect(),
        count: requests.iter().map(MitigationRequest::count).sum(),
        ..Explanation::default()
    }
}

/// An answer with how many devices it is about, if that is known.
fn with_impact(mut told: Value, impact: Option<&Impact>) -> Value {
    if let (Some(impact), Some(told)) = (impact, told.as_object_mut()) {
        told.insert("impact".to_owned(), json!(impact));
    }
    told
}

/// A request of the command, for a check of an audit.
fn request(command: &Command, check: CheckName, audit: Audit, target: Target) -> MitigationRequest {
    let actions =
        command.input.get("auditCheckToActionsMapping").and_then(|mapping| mapping.get(check.as_str()));
    MitigationRequest {
        canary: None,
        audit,
        origin: Origin::Command(command.text("taskId").to_owned()),
        mode: Mode::Enforce,
        policy: None,
        actions: actions.and_then(|actions| serde_json::from_value(actions.clone()).ok()).unwrap_or_default(),
        check,
        target,
    }
}

/// Why a finding of an audit is not mitigated when a later one has run its check.
pub(crate) fn overtaken(check: &CheckName, later: &str) -> String {
    let (check, later) = (shown(check.as_str()), shown(later));
    format!("audit {later} has run {check} later; name its finding, if there is one")
}
