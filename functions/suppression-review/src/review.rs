//! A review from its beginning to its end, over as many invocations as it takes.

use std::collections::BTreeMap;

use fleetwarden_aws::Error;
use fleetwarden_aws::archive::known_suppressions_key;
use fleetwarden_aws::archive::review_key;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::about;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_aws::telemetry;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::metrics;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::policy::Standing;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::SuppressionReview;
use crate::calls::Budget;
use crate::change;
use crate::compared::Drift;
use crate::compared::compare;
use crate::memory::Header;
use crate::memory::IN_HAND;
use crate::memory::Memory;
use crate::memory::TOLD;
use crate::memory::seconds;
use crate::outcome::Facts;
use crate::outcome::Outcome;
use crate::read::Wanted;
use crate::state::Kept;
use crate::state::Phase;
use crate::state::Progress;
use crate::state::State;
use crate::told;

const BINARY: &str = "application/octet-stream";
/// How long nothing is heard of a review that still goes on, in milliseconds: its message comes back five times, 90
/// minutes apart.
const SILENT_MS: i64 = 8 * 3_600_000;
/// How long a failure is let pass before a review goes on, in seconds.
const AFTER_FAILURE_SECONDS: u32 = 300;
/// How many entries of each list an answer has.
const ANSWERED: usize = 1_000;

/// What the next invocation needs to go on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Resume {
    pub(crate) slot: String,
    pub(crate) step: u32,
}

impl SuppressionReview {
    /// A review that begins now. If another one keeps the standing suppressions, this one leaves them as they are.
    pub(crate) fn begin(&self, slot: String, step: u32, dry_run: bool, kept_by: Option<String>) -> State {
        let left = kept_by.is_some();
        let count = self.policy.standing().len();
        let kept = |standing: &Standing| {
            let unknown = if left { standing.checks() } else { &[] };
            let unknown = unknown.iter().map(|check| (check.clone(), "another review keeps it".to_owned()));
            Kept { unknown: unknown.collect(), ..Kept::default() }
        };
        State {
            slot,
            step,
            dry_run,
            began: self.clock.now(),
            policy: self.policy.hash().to_owned(),
            standing: self.policy.standing().iter().map(kept).collect(),
            members: Progress { standing: if left { count } else { 0 }, ..Progress::default() },
            kept_by,
            ..State::default()
        }
    }

    /// A review that an earlier invocation put aside. If the policy is another one by now, it begins anew; so does one
    /// of which nothing was heard for so long that another keeps, and only looks from then on.
    pub(crate) async fn take_up(&self, resume: &Resume) -> Result<State, Error> {
        let key = review_key(&resume.slot, resume.step);
        let Some(bytes) = self.archive.read(&key).await? else {
            return Err(Error::Input(format!(
                "{key}: the review that was put aside is gone; the next one finds all"
            )));
        };
        let mut state = State::decode(&bytes, &key)?;
        state.step = resume.step;
        let looks = state.dry_run || state.kept_by.is_some();
        let replaced_by = if looks { None } else { self.other_that_keeps(&resume.slot).await? };
        if state.policy != self.policy.hash() || replaced_by.is_some() {
            let kept_by = replaced_by.or(state.kept_by);
            tracing::info!(slot = resume.slot, kept_by, "another policy or review: the review begins anew");
            return Ok(self.begin(state.slot, state.step, state.dry_run, kept_by));
        }
        Ok(state)
    }

    /// Puts a review aside, and lets the next invocation go on with it.
    async fn put_aside(&self, state: &State) -> Result<(), Error> {
        let resume = Resume { slot: state.slot.clone(), step: state.step + 1 };
        let key = review_key(&resume.slot, resume.step);
        self.archive.put(&key, BINARY, state.encode()).await?;
        self.note_keeping(state, self.clock.now()).await?;
        let body = serde_json::to_string(&resume).map_err(|e| Error::Input(e.to_string()))?;
        let Progress { position, failed_at, .. } = state.members;
        let failed = state.phase == Phase::Members && position > 0 && position == failed_at;
        let delay_seconds = if failed { AFTER_FAILURE_SECONDS } else { 0 };
        self.queue.send(&[Outgoing { body, delay_seconds }]).await
    }

    /// The other review that keeps the standing suppressions, by its slot, if one is under way. Two would share the
    /// account's rates, and with a million members neither would end before the next one begins.
    pub(crate) async fn other_that_keeps(&self, slot: &str) -> Result<Option<String>, Error> {
        let noted = self.ledger.get(&about::keeping_review(), "latest").await?;
        let noted =
            noted.and_then(|noted| Some((noted.get_text("slot")?.to_owned(), noted.get_number("step_at")?)));
        let goes_on = |at: i64| self.clock.now().0 < at.saturating_add(SILENT_MS);
        Ok(noted.filter(|(other, at)| other != slot && goes_on(*at)).map(|(other, _)| other))
    }

    async fn note_keeping(&self, state: &State, at: Millis) -> Result<(), Error> {
        if state.dry_run || state.kept_by.is_some() {
            return Ok(());
        }
        let item = Item::new(&about::keeping_review(), "latest", self.clock.now());
        self.ledger.put(item.text("slot", &state.slot).number("step_at", at.0)).await
    }

    /// Lets the next review keep. One that was never put aside has noted nothing, and leaves the note of another.
    async fn note_end(&self, state: &State) -> Result<(), Error> {
        if state.step > 0 { self.note_keeping(state, Millis(0)).await } else { Ok(()) }
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
                Phase::Change => {
                    if state.drift.is_none() {
                        self.tell_before_changes(&mut state).await?;
                    }
                    self.change(&mut state, budget).await
                }
                Phase::Tell if budget.is_over() => false,
                Phase::Tell => return self.end(state, budget).await,
            };
            if !done {
                self.put_aside(&state).await?;
                return Ok(json!({"slot": state.slot, "continues": true, "phase": state.phase}));
            }
            state.phase = match state.phase {
                Phase::Members => {
                    state.read_at = self.clock.now();
                    Phase::Read
                }
                Phase::Read => {
                    state.listing.seen.sort_unstable();
                    state.listing.seen.dedup_by_key(|known| known.key);
                    change::count(&mut state);
                    Phase::Change
                }
                Phase::Change | Phase::Tell => Phase::Tell,
            };
        }
    }

    /// What the last review left.
    async fn memory(&self) -> Result<Memory, Error> {
        let key = known_suppressions_key(&self.account, &self.region);
        let bytes = self.archive.read(&key).await?;
        Ok(bytes.map(|bytes| Memory::decode(&bytes, &key)).transpose()?.unwrap_or_default())
    }

    async fn remember(&self, memory: &Memory) -> Result<(), Error> {
        let key = known_suppressions_key(&self.account, &self.region);
        self.archive.put(&key, BINARY, memory.encode()).await
    }

    /// Tells what nobody could tell any more once it is changed, and notes what is about to be changed: if this
    /// review does not come to its end, the next one takes its changes for nobody's.
    async fn tell_before_changes(&self, state: &mut State) -> Result<(), Error> {
        let mut memory = self.memory().await?;
        let since = memory.header.told;
        // Otherwise what this one saw is older than what is remembered, and told by now.
        if memory.header.read_at <= state.read_at {
            let compared = compare(state, &self.policy, memory, seconds(self.clock.now()));
            let (names, read_at, policy) = (compared.names, state.read_at, state.policy.clone());
            let header = Header { read_at, told: since, policy, names };
            memory = Memory { header, known: compared.there };
            memory.known.extend(compared.gone);
            memory.known.sort_unstable_by_key(|known| known.key);
            if !state.dry_run {
                let mut drift = compared.drift.clone();
                if !drift.is_empty() {
                    self.owners([&memory.header.names]).await?.put_into(&mut drift);
                }
                self.raise(&told::before_changes(&self.policy, state, &drift, since)).await?;
            }
            state.drift = Some(compared.drift);
        }
        state.drift.get_or_insert_default();
        self.keep_words(state).await?;
        let in_hand = self.in_hand(state);
        if !in_hand.is_empty() {
            for known in memory.known.iter_mut().filter(|known| in_hand.contains(&known.key)) {
                known.flags |= IN_HAND;
            }
            self.remember(&memory).await?;
        }
        Ok(())
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
        let before = self.memory().await?;
        let owners = self.owners([&state.listing.names, &before.header.names]).await?;
        for drift in [state.drift.as_deref_mut().unwrap_or_default(), &mut state.modified] {
            owners.put_into(drift);
        }
        let mut alerts = told::not_kept(&self.policy, &state);
        if !state.modified.is_empty() {
            alerts.push(told::drifted(&state.modified, before.header.told));
        }
        if before.header.read_at > state.read_at {
            // What this one saw is older than what is remembered and told by now.
            if !state.dry_run {
                self.raise(&alerts).await?;
                self.note_end(&state).await?;
            }
            return Ok(json!({"slot": state.slot, "overtaken": true}));
        }
        state.hidden.keys.sort_unstable();
        let hidden = (!state.hidden.unknown).then_some(state.hidden.keys.as_slice());
        let now = self.clock.now();
        let facts = Facts { state: &state, policy: &self.policy, now, before, hidden, owners: &owners };
        let mut outcome = facts.outcome();
        if !state.dry_run {
            self.look_for_what_is_back(&mut state, &mut outcome, budget).await;
            alerts.extend(told::alerts(&self.policy, &state, &outcome));
            self.raise(&alerts).await?;
            self.remember(&outcome.memory).await?;
            let debt = Item::new(&about::debt(), "latest", state.began).json("debt", &outcome.debt);
            self.ledger.put(debt).await?;
            self.note_end(&state).await?;
            for line in metrics::debt_lines(&outcome.debt) {
                telemetry::emit(&line);
            }
        }
        Ok(self.answer(&state, &outcome, alerts.len()))
    }

    /// What a review says, and logs: nobody reads what a schedule is answered.
    fn answer(&self, state: &State, outcome: &Outcome, alerts: usize) -> Value {
        let standing: BTreeMap<&str, Value> = self
            .policy
            .standing()
            .iter()
            .zip(&state.standing)
            .map(|(s, of)| (s.name(), kept(s, of)))
            .collect();
        let all_kept = json!(standing).to_string();
        let drift: Vec<&Drift> = state.drift.iter().flatten().chain(&state.modified).collect();
        tracing::info!(
            slot = state.slot,
            suppressions = outcome.debt.suppressions,
            standing = all_kept,
            gone_from_policy = state.orphans,
            kept_by = state.kept_by,
            alerts,
            "a review ended"
        );
        json!({
            "slot": state.slot,
            "dryRun": state.dry_run,
            "mode": self.policy.mode(),
            "keptBy": state.kept_by,
            "pages": {"suppressions": state.listing.pages, "findings": state.hidden.pages},
            "standing": standing,
            "goneFromPolicy": state.orphans,
            "debt": outcome.debt,
            "makers": some(&outcome.tallies),
            "ending": some(&outcome.ending),
            "ended": some(&outcome.ended),
            "drift": some(&drift),
            "gaps": state.gaps,
            "alerts": alerts,
        })
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
            let mut at = Pages::default();
            loop {
                if budget.is_over() {
                    state.gaps.push("what is back: there was no time to look through all findings".into());
                    return;
                }
                let wanted_findings = Wanted { task: &audit.task, check, suppressed: false };
                match self.findings(wanted_findings, &mut at).await {
                    Ok(keys) => {
                        found.extend(keys.into_iter().filter(|key| wanted.binary_search(key).is_ok()));
                    }
                    Err(error) => {
                        state.gaps.push(format!("what is back: {error}"));
                        return;
                    }
                }
                if at.token().is_none() {
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

/// As much of a list as an answer takes.
fn some<T>(all: &[T]) -> &[T] {
    all.get(..ANSWERED).unwrap_or(all)
}

/// What is told of a standing suppression.
fn kept(standing: &Standing, kept: &Kept) -> Value {
    let mut told = serde_json::to_value(kept).unwrap_or_default();
    if let Some(members) = told.as_object_mut() {
        members.retain(|_, value| !value.is_null() && *value != Value::Bool(false) && *value != json!({}));
        if !standing.is_live() {
            members.insert("stage".into(), "shadow".into());
        }
    }
    told
}
