//! The states before a task on a whole check, which can have any number of findings: page by page, from where an earlier try
//! has stopped.
//!
//! A page is read, then the service is asked whether there is such a task, then the page is written: so no state after the
//! start is ever written. States that were read more than a day ago are read again.

use std::collections::BTreeSet;

use aws_sdk_iot::Client;
use fleetwarden_core::model::mitigation::before::Befores;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;

use crate::Error;
use crate::clock::Clock;
use crate::mitigations::Mitigations;
use crate::mitigations::before::BeforeRead;
use crate::states::About;
use crate::states::Changes;
use crate::states::States;
use crate::states::identifier;

/// The findings of a page: each costs a call or two, of which the account has ten a second.
const PAGE: i32 = 50;
/// How often a list is begun again whose token the service does not take any more.
const RESTARTS: u32 = 3;
/// For how long states that were read stand, in milliseconds: a day, for which a mitigation waits for its start.
const STAND_MS: i64 = 86_400_000;

/// The findings of a check that a task takes.
#[derive(Clone, Copy, Debug)]
pub struct WholeCheck<'a> {
    /// The mitigation task.
    pub task_id: &'a str,
    /// The audit.
    pub audit_task_id: &'a str,
    /// The check.
    pub check: &'a str,
    /// The reason codes of the findings. Empty: of all.
    pub reason_codes: &'a [String],
    /// What its actions change.
    pub changes: &'a Changes,
}

/// How far the states of a check are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All of them.
    All,
    /// The task runs, or has run.
    Started,
    /// The time is up: another try goes on.
    InPart,
}

/// Reads and writes the states of a check.
pub struct CheckStates<'a> {
    /// AWS IoT.
    pub iot: &'a Client,
    /// Reads states.
    pub states: &'a States,
    /// The ledger.
    pub mitigations: &'a Mitigations,
    /// The time.
    pub clock: &'a Clock,
}

impl CheckStates<'_> {
    /// Reads and writes the states that a task on these checks will change, until a moment. `is_started` asks the service
    /// whether there is such a task.
    ///
    /// # Errors
    /// If the service or the table does not answer.
    pub async fn store(
        &self,
        checks: &[WholeCheck<'_>],
        until: Millis,
        is_started: impl AsyncFn() -> Result<bool, Error>,
    ) -> Result<Progress, Error> {
        let now = self.clock.now();
        let Some(WholeCheck { task_id, .. }) = checks.first() else { return Ok(Progress::All) };
        let known = self.mitigations.before_read(task_id).await?;
        let stands = |read: &BeforeRead| read.began_at.0.saturating_add(STAND_MS) > now.0;
        let mut read = known.filter(stands).unwrap_or(BeforeRead { began_at: now, ..BeforeRead::default() });
        if read.complete {
            return Ok(if is_started().await? { Progress::Started } else { Progress::All });
        }
        loop {
            if self.clock.now() >= until {
                return Ok(Progress::InPart);
            }
            let Some(whole) = checks.get(read.checks) else {
                read.complete = true;
                self.mitigations.put_before(task_id, &[], &read, self.clock.now()).await?;
                return Ok(Progress::All);
            };
            let (befores, next) = match self.page(*whole, &read).await {
                Err(error)
                    if read.pages.token().is_some() && error.is_permanent() && read.restarts < RESTARTS =>
                {
                    tracing::warn!(mitigation.task_id = whole.task_id, %error, "the list of findings begins again");
                    let restarts = read.restarts.saturating_add(1);
                    read = BeforeRead { restarts, pages: Pages::default(), ..read };
                    continue;
                }
                page => page?,
            };
            if is_started().await? {
                return Ok(Progress::Started);
            }
            let befores = befores.all();
            read.resources = read.resources.saturating_add(befores.len() as u64);
            if !read.pages.turn(next).map_err(|endless| Error::Later(endless.to_string()))? {
                read.checks = read.checks.saturating_add(1);
                read.complete = read.checks >= checks.len();
            }
            self.mitigations.put_before(task_id, &befores, &read, self.clock.now()).await?;
            if read.complete {
                return Ok(Progress::All);
            }
        }
    }

    /// The states of the findings on a page, and the token of the next one. A policy that is full is left to the service,
    /// which fails for its finding alone; and what is gone has no state.
    async fn page(
        &self,
        whole: WholeCheck<'_>,
        read: &BeforeRead,
    ) -> Result<(Befores, Option<String>), Error> {
        let operation = "ListAuditFindings";
        let list = self.iot.list_audit_findings().task_id(whole.audit_task_id).check_name(whole.check);
        let list = list.list_suppressed_findings(false).max_results(PAGE);
        let list = list.set_next_token(read.pages.token().map(ToOwned::to_owned));
        let page = list.send().await.map_err(Error::aws(operation, whole.audit_task_id))?;
        let nothing = || Error::Later(format!("{operation}: an answer without findings"));
        let codes: BTreeSet<&str> = whole.reason_codes.iter().map(String::as_str).collect();
        let mut befores = Befores::default();
        for finding in page.findings.ok_or_else(nothing)? {
            let code = finding.reason_for_non_compliance_code.as_deref();
            let is_of_task = codes.is_empty() || code.is_some_and(|code| codes.contains(code));
            let (Some(id), false, true) =
                (finding.finding_id, finding.is_suppressed.unwrap_or(false), is_of_task)
            else {
                continue;
            };
            let resource = finding.non_compliant_resource.and_then(|resource| resource.resource_identifier);
            let resource = resource.map(identifier);
            let about = About { finding_id: &id, resource: resource.as_ref(), things: None };
            if let Err(why) = self.states.read(&mut befores, about, whole.changes).await? {
                tracing::warn!(mitigation.task_id = whole.task_id, finding.id = id, why, "no state is read");
            }
        }
        Ok((befores, page.next_token))
    }
}
