//! `SuppressionUndo`: puts suppressions back that rules have made, as they were before; a part of them an invocation.
//!
//! What rules have done is in the ledger ([`fleetwarden_aws::suppressions`]). A change is marked there before it is put
//! back: from then on no message of its audit makes it again. The mark alone says nothing of the suppression, which is looked
//! at each time; so a repeat goes on wherever an invocation died, and each call can be made twice.
//!
//! The next audit decides by the policy of then, and may suppress again: the answer says which rule does.

mod plan;

use std::collections::BTreeSet;

use aws_sdk_iot::Client;
use aws_sdk_iot::primitives::DateTime;
use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::IndexKey;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::MITIGATIONS;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_aws::suppressions::Record;
use fleetwarden_aws::suppressions::SUPPRESSION;
use fleetwarden_aws::suppressions::identifier;
use fleetwarden_aws::suppressions::state;
use fleetwarden_aws::undo::MARGIN_SECONDS;
use fleetwarden_aws::undo::MOST;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::suppression::Described;
use fleetwarden_core::model::suppression::MARK;
use fleetwarden_core::model::suppression::Maker;
use fleetwarden_core::model::suppression::change::Change;
use fleetwarden_core::model::suppression::change::State;
use fleetwarden_core::model::suppression::change::UndoneBy;
use fleetwarden_core::model::suppression::undo::NextAudit;
use fleetwarden_core::model::suppression::undo::Undone;
use fleetwarden_core::model::suppression::undo::UndoneSuppression;
use fleetwarden_core::policy::Effect;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;
use serde::Deserialize as _;

use self::plan::Choice;
use self::plan::Plan;
use self::plan::Step;
use self::plan::Wanted;
use crate::ReadPolicy;
use crate::approval::refused;
use crate::page::foreign;

/// How many records are read at a time.
const READ: i32 = 25;
/// For so long an invocation that has written a change down may still be about to make it, in seconds.
const ABOUT_TO_SECONDS: i64 = 300;

/// The command, in one invocation.
pub(crate) struct SuppressionUndo<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) iot: &'a Client,
    pub(crate) policy: &'a ReadPolicy,
    pub(crate) clock: &'a Clock,
    /// Who asks.
    pub(crate) by: String,
    /// When the invocation ends.
    pub(crate) deadline: Millis,
}

/// What is asked for.
struct Asked<'c> {
    wanted: Wanted<'c>,
    check: Option<CheckName>,
    dry_run: bool,
    reason: &'c str,
}

impl SuppressionUndo<'_> {
    /// `SuppressionUndo`.
    pub(crate) async fn undo(&self, command: &Command) -> Result<Undone, Failure> {
        let given = |member| Some(command.text(member)).filter(|text| !text.is_empty());
        let since = command.input.get("since").and_then(millis).map(Millis::rfc3339);
        let wanted = Wanted {
            audit: given("auditTaskId"),
            rule: given("rule"),
            since: since.as_deref(),
            force: command.flag("force"),
        };
        let check = given("checkName").map(CheckName::new);
        let selects = [wanted.audit, wanted.rule, wanted.since, given("checkName")];
        if selects.iter().all(Option::is_none) {
            let what =
                "give auditTaskId, rule, since, or checkName, with resourceIdentifier for one suppression";
            return Err(Failure::fault("$.auditTaskId", what));
        }
        let asked = Asked { wanted, check, dry_run: command.dry_run, reason: command.text("reason") };
        let mut undone = Undone { dry_run: command.dry_run, ..Undone::default() };
        if let Some(resource) = command.input.get("resourceIdentifier") {
            let Some(check) = &asked.check else {
                let what = "is missing: a suppression is of a check and a resource";
                return Err(Failure::fault("$.checkName", what));
            };
            let resource = ResourceIdentifier::deserialize(resource)
                .map_err(|e| Failure::fault("$.resourceIdentifier", e.to_string()))?;
            let record = self.one(check, &resource).await?;
            undone.suppressions.extend(self.record(record, &asked).await);
            if undone.suppressions.is_empty() {
                return Err(refused("NothingToUndo", "no rule has changed the suppression so".to_owned()));
            }
        } else {
            let after = given("nextToken").map(place).transpose()?;
            undone.next_token = self.all(&asked, after, &mut undone.suppressions).await?;
        }
        undone.next_audit = next_audit(&(self.policy)(), &undone.suppressions);
        if !asked.dry_run {
            let open = undone.suppressions.iter().filter(|of| !of.is_good()).count();
            let (by, reason, count) = (&self.by, asked.reason, undone.suppressions.len());
            tracing::warn!(by, reason, suppressions = count, open, "suppressions are undone");
        }
        Ok(undone)
    }

    /// What the ledger has of one suppression. Why it has nothing is seen at the service.
    async fn one(&self, check: &CheckName, resource: &ResourceIdentifier) -> Result<Record, Failure> {
        if let Some(record) = Record::find(self.ledger, check, resource).await? {
            return Ok(record);
        }
        let label = format!("{check} {}", shown(&resource.label()));
        let Some(current) = self.describe(check, resource).await? else {
            return Err(refused("NoSuppression", format!("there is no suppression of {label}")));
        };
        Err(match Described::read(&current.description).map(|described| described.maker) {
            Some(Maker::Standing(name)) => refused(
                "StandingSuppression",
                format!(
                    "the standing suppression '{}' has made that of {label}: take the resource out of it in the policy, and \
                     deploy; the next review deletes it",
                    shown(name)
                ),
            ),
            _ if current.description.starts_with(MARK) => refused(
                "NoStateBefore",
                format!(
                    "the ledger does not have what was there before the suppression of {label}: delete it with 'fleetwarden \
                     audit delete-audit-suppression'"
                ),
            ),
            _ => refused("NotOurs", format!("Fleetwarden has not made the suppression of {label}")),
        })
    }

    /// Undoes all that is asked for, the newest first. Gives the token of what comes next.
    async fn all(
        &self,
        asked: &Asked<'_>,
        mut after: Option<(String, String)>,
        undone: &mut Vec<UndoneSuppression>,
    ) -> Result<Option<String>, Failure> {
        let first = asked.wanted.since.unwrap_or("0");
        let mut begun = false;
        loop {
            let before = after.as_ref().map(|(range, pk)| IndexKey { pk, sk: SUPPRESSION, range });
            let page = self.ledger.query_index(MITIGATIONS, SUPPRESSION, (first, "9"), before, READ).await?;
            let text = |item: &Item, name| item.get_text(name).unwrap_or_default().to_owned();
            let places: Vec<(String, String)> =
                page.items.iter().map(|item| (text(item, attribute::DECIDED_AT), text(item, "pk"))).collect();
            let keys: Vec<(String, &str)> = places.iter().map(|(_, pk)| (pk.clone(), SUPPRESSION)).collect();
            let items = self.ledger.get_all(&keys).await?;
            for place in places {
                // Whatever time is left, each invocation gets on.
                if let (true, true, Some((range, pk))) = (begun, self.is_closed(undone), &after) {
                    return Ok(Some(format!("{range}/{pk}")));
                }
                begun = true;
                let item = items.iter().find(|item| item.get_text("pk") == Some(&place.1));
                if let Some(item) = item {
                    undone.extend(self.record(Record::read(item)?, asked).await);
                }
                after = Some(place);
            }
            if !page.more || page.items.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Whether nothing more should be begun.
    fn is_closed(&self, undone: &[UndoneSuppression]) -> bool {
        undone.len() >= MOST || self.deadline.plus_seconds(-MARGIN_SECONDS) <= self.clock.now()
    }

    /// Undoes what is asked for of one suppression. None: nothing of it is.
    async fn record(&self, record: Record, asked: &Asked<'_>) -> Option<UndoneSuppression> {
        if asked.check.as_ref().is_some_and(|check| *check != record.check) {
            return None;
        }
        let (from, refused) = match asked.wanted.choose(&record.changes) {
            Choice::Nothing => return None,
            Choice::From(from) => (from, None),
            Choice::Refused(of, why) => (of, Some(why)),
        };
        let chosen = record.changes.get(from..).unwrap_or_default();
        let (first, newest) = (chosen.first()?.clone(), chosen.last()?);
        let last = chosen.iter().rfind(|change| change.undone.is_none()).unwrap_or(newest).clone();
        let mut undone = UndoneSuppression {
            check: record.check.to_string(),
            resource: record.resource.clone(),
            rule: first.rule.clone(),
            audit_task_id: first.audit_task_id.clone(),
            ..UndoneSuppression::default()
        };
        let outcome = match refused {
            Some(why) => Err(("refused", why)),
            None => self.put_back(record, from, (&first, &last), asked).await,
        };
        match outcome {
            Ok((result, step)) => (undone.result, undone.step) = (result.to_owned(), step),
            Err((result, why)) => (undone.result, undone.reason) = (result.to_owned(), Some(why)),
        }
        Some(undone)
    }

    /// Puts back what was there before the first of some changes. Gives the result with the call, or with why there is none.
    async fn put_back(
        &self,
        mut record: Record,
        from: usize,
        (first, last): (&Change, &Change),
        asked: &Asked<'_>,
    ) -> Result<(&'static str, Option<String>), (&'static str, String)> {
        let failed = |error: Error| ("failed", error.to_string());
        let current = self.describe(&record.check, &record.resource).await.map_err(failed)?;
        let now = self.clock.now();
        let plan = plan::plan(first.before.as_ref(), &last.after, current.as_ref(), now, asked.wanted.force);
        let step = match plan {
            Plan::Refused(why) => return Err(("refused", why)),
            Plan::Same => None,
            Plan::Step(step) => Some(step),
        };
        if asked.dry_run {
            let result = if step.is_some() { "would-undo" } else { "as-before" };
            return Ok((result, step.map(|step| step.words())));
        }
        let by = UndoneBy { at: now.rfc3339(), by: self.by.clone(), reason: asked.reason.to_owned() };
        for change in record.changes.iter_mut().skip(from) {
            change.undone.get_or_insert_with(|| by.clone());
        }
        if record.put(self.ledger, now).await.map_err(failed)?.is_some() {
            return Err(("failed", "a rule changes it at this moment: try again".to_owned()));
        }
        let Some(step) = step else {
            // Written down a moment ago and not made: whoever wrote it may be about to.
            let is_young = Millis::parse(&last.at).is_some_and(|at| at.plus_seconds(ABOUT_TO_SECONDS) > now);
            if last.undone.is_none() && is_young {
                let why = "it may be made at this moment: look again in five minutes";
                return Err(("failed", why.to_owned()));
            }
            return Ok(("as-before", None));
        };
        self.call(&record, &step).await.map_err(failed)?;
        Ok(("undone", Some(step.words())))
    }

    async fn describe(
        &self,
        check: &CheckName,
        resource: &ResourceIdentifier,
    ) -> Result<Option<State>, Error> {
        let describe = self.iot.describe_audit_suppression().check_name(check.as_str());
        let described = describe.resource_identifier(identifier(resource)).send().await;
        match described.map_err(Error::aws("DescribeAuditSuppression", &resource.label())) {
            Err(error) if error.is_code("ResourceNotFoundException") => Ok(None),
            described => described.map(|described| Some(state(&described))),
        }
    }

    /// Makes the call. Each can be made again.
    async fn call(&self, record: &Record, step: &Step) -> Result<(), Error> {
        let Record { check, resource, .. } = record;
        let label = resource.label();
        match step {
            Step::Delete => {
                let delete = self.iot.delete_audit_suppression().check_name(check.as_str());
                let deleted = delete.resource_identifier(identifier(resource)).send().await;
                deleted.map(drop).map_err(Error::aws("DeleteAuditSuppression", &label))
            }
            Step::Update(state) => {
                let update = self.iot.update_audit_suppression().check_name(check.as_str());
                let update = update
                    .resource_identifier(identifier(resource))
                    .set_expiration_date(state.expires_at.map(DateTime::from_secs))
                    .suppress_indefinitely(state.expires_at.is_none())
                    .description(&state.description);
                update.send().await.map(drop).map_err(Error::aws("UpdateAuditSuppression", &label))
            }
            Step::Create(state) => {
                let create = self.iot.create_audit_suppression().check_name(check.as_str());
                let create = create
                    .resource_identifier(identifier(resource))
                    .set_expiration_date(state.expires_at.map(DateTime::from_secs))
                    .suppress_indefinitely(state.expires_at.is_none())
                    .description(&state.description);
                create.send().await.map(drop).map_err(Error::aws("CreateAuditSuppression", &label))
            }
        }
    }
}

/// What the next audit does about what was undone, by rule. Pure.
fn next_audit(policy: &Result<Policy, Error>, undone: &[UndoneSuppression]) -> Vec<NextAudit> {
    let rules: BTreeSet<&str> = undone.iter().filter(|of| of.is_good()).map(|of| of.rule.as_str()).collect();
    let next = |rule: &str| {
        let suppresses = |policy: &Policy| {
            let found = policy.rules().iter().find(|own| own.name() == rule);
            policy.mode() == Mode::Enforce
                && found.is_some_and(|own| own.is_live() && matches!(own.effect(), Effect::Suppress(_)))
        };
        let suppresses_again = policy.as_ref().ok().map(suppresses);
        let next = match suppresses_again {
            Some(true) => {
                "the next audit of the check suppresses again by this rule: change the rule or remove it, and deploy"
            }
            Some(false) => {
                "the deployed policy does not suppress by this rule: the next audit decides by the policy"
            }
            None => {
                "the deployed policy cannot be read: unless its rule changes, the next audit suppresses again"
            }
        };
        NextAudit { rule: rule.to_owned(), suppresses_again, next: next.to_owned() }
    };
    rules.into_iter().map(next).collect()
}

/// Where a list goes on, from a token.
fn place(token: &str) -> Result<(String, String), Failure> {
    let (range, pk) = token.split_once('/').ok_or_else(foreign)?;
    let key = pk.strip_prefix(keys::SUPPRESSION).filter(|key| !key.is_empty() && key.len() <= 64);
    let is_hex = |key: &str| key.bytes().all(|byte| byte.is_ascii_hexdigit());
    if Millis::parse(range).is_none() || !key.is_some_and(is_hex) {
        return Err(foreign());
    }
    Ok((range.to_owned(), pk.to_owned()))
}
