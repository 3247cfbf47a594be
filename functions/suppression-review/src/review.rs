//! A review from its beginning to its end, over as many invocations as it takes.

use std::collections::BTreeMap;

use fleetwarden_aws::Error;
use fleetwarden_aws::archive::known_suppressions_key;
use fleetwarden_aws::archive::review_key;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::about;
use fleetwarden_aws::telemetry;
use fleetwarden_core::check::CheckName;
use fleetwarden_core::metrics;
use fleetwarden_core::policy::Standing;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::SuppressionReview;
use crate::calls::Budget;
use crate::change;
use crate::memory::Memory;
use crate::memory::TOLD;
use crate::outcome::Facts;
use crate::outcome::Outcome;
use crate::read::Wanted;
use crate::state::Kept;
use crate::state::Phase;
use crate::state::State;

const BINARY: &str = "application/octet-stream";

/// What the next invocation needs to go on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Resume {
    pub(crate) slot: String,
    pub(crate) step: u32,
}

impl SuppressionReview {
    /// A review that begins now.
    pub(crate) fn begin(&self, slot: String, step: u32, dry_run: bool) -> State {
        State {
            slot,
            step,
            dry_run,
            began: self.clock.now(),
            policy: self.policy.hash().to_owned(),
            standing: vec![Kept::default(); self.policy.standing().len()],
            ..State::default()
        }
    }

    /// A review that an earlier invocation put aside. If the policy is another one by now, it begins anew.
    pub(crate) async fn take_up(&self, resume: &Resume) -> Result<State, Error> {
        let key = review_key(&resume.slot, resume.step);
        let Some(bytes) = self.archive.read(&key).await? else {
            return Err(Error::Input(format!(
                "{key}: the review that was put aside is gone; the next one finds all"
            )));
        };
        let mut state = State::decode(&bytes, &key)?;
        state.step = resume.step;
        if state.policy != self.policy.hash() {
            tracing::info!(slot = resume.slot, "the policy is another one: the review begins anew");
            return Ok(self.begin(state.slot, state.step, state.dry_run));
        }
        Ok(state)
    }

    /// Puts a review aside, and lets the next invocation go on with it.
    async fn put_aside(&self, state: &State) -> Result<(), Error> {
        let resume = Resume { slot: state.slot.clone(), step: state.step + 1 };
        let key = review_key(&resume.slot, resume.step);
        self.archive.put(&key, BINARY, state.encode()).await?;
        let body = serde_json::to_string(&resume).map_err(|e| Error::Input(e.to_string()))?;
        self.queue.send(&[body.into()]).await
    }

    /// Does as much of a review as there is time for, and gives what there is to say.
    pub(crate) async fn go_on(&self, mut state: State, budget: &Budget) -> Result<Value, Error> {
        loop {
            let done = match state.phase {
                Phase::Members => self.find_members(&mut state, budget).await,
                Phase::Read => {
                    if state.audits.is_empty() {
                        self.look_at_audits(&mut state, budget).await;
                    }
                    self.read(&mut state, budget).await?
                }
                Phase::Change => self.change(&mut state, budget).await,
                Phase::Tell if budget.is_over() => false,
                Phase::Tell => return self.end(state, budget).await,
            };
            if !done {
                self.put_aside(&state).await?;
                return Ok(json!({"slot": state.slot, "continues": true, "phase": state.phase}));
            }
            state.phase = match state.phase {
                Phase::Members => Phase::Read,
                Phase::Read => {
                    change::count(&mut state);
                    Phase::Change
                }
                Phase::Change | Phase::Tell => Phase::Tell,
            };
        }
    }

    async fn look_at_audits(&self, state: &mut State, budget: &Budget) {
        match self.last_audits(state.began, budget).await {
            Ok(audits) => {
                let hidden = audits.iter().filter(|(_, audit)| audit.suppressed > 0);
                state.hidden.left = hidden.map(|(check, _)| check.clone()).collect();
                state.audits = audits;
            }
            Err(error) => state.gaps.push(format!("the last audits: {error}")),
        }
    }

    async fn end(&self, mut state: State, budget: &Budget) -> Result<Value, Error> {
        let key = known_suppressions_key(&self.account, &self.region);
        let before = self.archive.read(&key).await?;
        let before = before.map(|bytes| Memory::decode(&bytes, &key)).transpose()?;
        if before.as_ref().is_some_and(|before| before.header.began > state.began) {
            // What this one saw is older than what is remembered and told by now.
            return Ok(json!({"slot": state.slot, "overtaken": true}));
        }
        state.hidden.keys.sort_unstable();
        let hidden = (!state.hidden.unknown).then_some(state.hidden.keys.as_slice());
        let standing = self.policy.standing().iter().map(Standing::name).collect();
        let now = self.clock.now();
        let mut outcome = Facts { state: &state, now, before, standing, hidden }.outcome();
        let mut alerts = 0;
        if !state.dry_run {
            self.look_for_what_is_back(&mut state, &mut outcome, budget).await;
            alerts = self.tell(&state, &outcome).await?;
            self.archive.put(&key, BINARY, outcome.memory.encode()).await?;
            let debt = Item::new(&about::debt(), "latest", state.began).json("debt", &outcome.debt);
            self.ledger.put(debt).await?;
            for line in metrics::debt_lines(&outcome.debt) {
                telemetry::emit(&line);
            }
        }
        let standing: BTreeMap<&str, Value> = self
            .policy
            .standing()
            .iter()
            .zip(&state.standing)
            .map(|(s, kept)| (s.name(), told(s, kept)))
            .collect();
        Ok(json!({
            "slot": state.slot,
            "dryRun": state.dry_run,
            "mode": self.policy.mode(),
            "pages": {"suppressions": state.listing.pages, "findings": state.hidden.pages},
            "standing": standing,
            "goneFromPolicy": state.orphans,
            "debt": outcome.debt,
            "makers": outcome.tallies,
            "ending": outcome.ending,
            "ended": outcome.ended,
            "drift": outcome.drift,
            "gaps": state.gaps,
            "alerts": alerts,
        }))
    }

    /// Counts what the audits since found again of what suppressions hid until they ended.
    ///
    /// If not all can be looked through, nothing is told of it, and the next review looks again: a part of the
    /// findings does not say that nothing is back.
    async fn look_for_what_is_back(&self, state: &mut State, outcome: &mut Outcome, budget: &Budget) {
        let ready = outcome.ended.iter().filter(|ended| ended.audited);
        let mut wanted: Vec<u128> = ready.clone().flat_map(|ended| ended.keys.iter().copied()).collect();
        wanted.sort_unstable();
        let checks: std::collections::BTreeSet<CheckName> =
            ready.flat_map(|ended| ended.checks.keys().cloned()).collect();
        let mut found = Vec::new();
        for check in &checks {
            let Some(audit) = state.audits.get(check) else { continue };
            let mut token = None;
            loop {
                if budget.is_over() {
                    state.gaps.push("what is back: there was no time to look through all findings".into());
                    return;
                }
                let wanted_findings = Wanted { task: &audit.task, check, suppressed: false };
                match self.findings(wanted_findings, token.as_deref()).await {
                    Ok((keys, next)) => {
                        found.extend(keys.into_iter().filter(|key| wanted.binary_search(key).is_ok()));
                        token = next;
                    }
                    Err(error) => {
                        state.gaps.push(format!("what is back: {error}"));
                        return;
                    }
                }
                if token.is_none() {
                    break;
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        for ended in outcome.ended.iter_mut().filter(|ended| ended.audited) {
            let back = ended.keys.iter().filter(|key| found.binary_search(key).is_ok()).count();
            ended.back = Some(back as u64);
        }
        for known in &mut outcome.memory.known {
            if wanted.binary_search(&known.key).is_ok() {
                known.flags |= TOLD;
            }
        }
    }
}

/// What is told of a standing suppression.
fn told(standing: &Standing, kept: &Kept) -> Value {
    let mut told = serde_json::to_value(kept).unwrap_or_default();
    if let Some(members) = told.as_object_mut() {
        members.retain(|_, value| !value.is_null() && *value != Value::Bool(false));
        if !standing.is_live() {
            members.insert("stage".into(), "shadow".into());
        }
    }
    told
}
