//! The phases of a review from its beginning to its end, over as many invocations as it takes.

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::keys;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::metrics;
use serde_json::Value;
use serde_json::json;

use crate::Handler;
use crate::alerts;
use crate::answer;
use crate::apply::Applier;
use crate::drift::compare;
use crate::iot::Budget;
use crate::iot::Iot;
use crate::last_audits::last_audits;
use crate::lease::Lease;
use crate::list::Lister;
use crate::members::Finder;
use crate::owners;
use crate::plan;
use crate::returned;
use crate::settle;
use crate::snapshot::Header;
use crate::snapshot::IN_FLIGHT;
use crate::snapshot::Snapshot;
use crate::snapshot::seconds;
use crate::state::Phase;
use crate::state::State;
use crate::store::Continuation;
use crate::store::Store;
use crate::summary::Facts;

/// A review in one invocation.
pub(crate) struct Review<'h> {
    pub(crate) handler: &'h Handler,
    pub(crate) budget: Budget<'h>,
}

impl<'h> Review<'h> {
    /// Begins a review and gets as far as there is time for. If another review reconciles the standing suppressions, this
    /// one leaves them as they are.
    pub(crate) async fn begin(self, slot: String, dry_run: bool) -> Result<Value, Error> {
        let other = if dry_run { None } else { self.lease().other_holder(&slot).await? };
        let state = State::begin(&self.handler.policy, slot, dry_run, other, self.handler.clock.now());
        Box::pin(self.proceed(state)).await
    }

    /// Continues a review from its checkpoint. It begins again if the policy is another one by now, or if so much time has
    /// passed that another review reconciles: then it reads and reports only.
    pub(crate) async fn resume(self, message: &Continuation) -> Result<Value, Error> {
        let Handler { policy, clock, .. } = self.handler;
        let mut state = self.store().checkpoint(message).await?;
        let reads_only = state.dry_run || state.reconciler.is_some();
        let other = if reads_only { None } else { self.lease().other_holder(&message.slot).await? };
        if state.policy != policy.hash() || other.is_some() {
            let reconciler = other.or(state.reconciler);
            tracing::info!(
                slot = message.slot,
                reconciler,
                "the policy changed or another review reconciles: the review begins again"
            );
            let begun = State::begin(policy, state.slot, state.dry_run, reconciler, clock.now());
            state = State { step: state.step, ..begun };
        }
        Box::pin(self.proceed(state)).await
    }

    /// Goes through the phases until the end or until the time is over. Returns the answer.
    async fn proceed(&self, mut state: State) -> Result<Value, Error> {
        loop {
            let done = match state.phase {
                Phase::Members => self.members().find_all(&mut state).await,
                Phase::Read => self.read(&mut state).await?,
                Phase::Change => self.change(&mut state).await?,
                Phase::Tell if self.budget.is_over() => false,
                Phase::Tell => return self.end(state).await,
            };
            if !done {
                return self.pause(&state).await;
            }
            self.next_phase(&mut state);
        }
    }

    fn next_phase(&self, state: &mut State) {
        state.phase = match state.phase {
            Phase::Members => {
                state.read_at = self.handler.clock.now();
                Phase::Read
            }
            Phase::Read => {
                state.listing.seen.sort_unstable();
                state.listing.seen.dedup_by_key(|entry| entry.key);
                settle::count(state);
                Phase::Change
            }
            Phase::Change | Phase::Tell => Phase::Tell,
        };
    }

    /// Stores a checkpoint, and has the next invocation continue from there.
    async fn pause(&self, state: &State) -> Result<Value, Error> {
        let store = self.store();
        store.save_checkpoint(state).await?;
        self.lease().extend(state).await?;
        store.enqueue(state).await?;
        Ok(json!({"slot": state.slot, "continues": true, "phase": state.phase}))
    }

    async fn read(&self, state: &mut State) -> Result<bool, Error> {
        if state.audits.is_empty() {
            match last_audits(self.iot(), &self.budget, state.began).await {
                Ok(audits) => {
                    let hidden = audits.iter().filter(|(_, audit)| audit.suppressed > 0);
                    state.hidden.left = hidden.map(|(check, _)| check.clone()).collect();
                    state.audits = audits;
                }
                Err(error) => state.gaps.push(format!("the last audits: {error}")),
            }
        }
        self.lister().read(&self.handler.policy, state).await
    }

    async fn change(&self, state: &mut State) -> Result<bool, Error> {
        if state.drift.is_none() {
            self.before_changes(state).await?;
        }
        let Handler { policy, .. } = self.handler;
        let targets = plan::targets(policy);
        let applier =
            Applier { iot: self.iot(), budget: self.budget, mode: policy.mode(), targets: &targets };
        Ok(applier.apply(state).await)
    }

    /// Alerts on what nobody can find out once it is changed, and notes in the snapshot what is about to be changed:
    /// otherwise, if this review does not end, the next one would take its changes for drift.
    async fn before_changes(&self, state: &mut State) -> Result<(), Error> {
        let Handler { policy, ledger, clock, .. } = self.handler;
        let mut snapshot = self.store().snapshot().await?;
        let since = snapshot.header.alerted_at;
        // Otherwise what this review listed is older than the snapshot, whose review has alerted on it.
        if snapshot.header.read_at <= state.read_at {
            let comparison = compare(state, policy, snapshot, seconds(clock.now()));
            let (names, read_at, hash) = (comparison.names, state.read_at, state.policy.clone());
            let header = Header { read_at, alerted_at: since, policy: hash, names };
            snapshot = Snapshot { header, entries: comparison.present };
            snapshot.entries.extend(comparison.absent);
            snapshot.entries.sort_unstable_by_key(|entry| entry.key);
            if !state.dry_run {
                let mut drift = comparison.drift.clone();
                if !drift.is_empty() {
                    owners::find(ledger, [&snapshot.header.names]).await?.put_into(&mut drift);
                }
                self.raise(&alerts::before_changes(policy, state, &drift, since)).await?;
            }
            state.drift = Some(comparison.drift);
        }
        state.drift.get_or_insert_default();
        owners::save_words(ledger, policy, state).await?;
        let in_flight = plan::in_flight(policy, state);
        if !in_flight.is_empty() {
            for entry in snapshot.entries.iter_mut().filter(|entry| in_flight.contains(&entry.key)) {
                entry.flags |= IN_FLIGHT;
            }
            self.store().save_snapshot(&snapshot).await?;
        }
        Ok(())
    }

    async fn end(&self, mut state: State) -> Result<Value, Error> {
        let Handler { policy, ledger, clock, .. } = self.handler;
        let before = self.store().snapshot().await?;
        let owners = owners::find(ledger, [&state.listing.names, &before.header.names]).await?;
        for drift in [state.drift.as_deref_mut().unwrap_or_default(), &mut state.modified] {
            owners.put_into(drift);
        }
        let mut alerts = alerts::not_reconciled(policy, &state);
        if !state.modified.is_empty() {
            alerts.push(alerts::drifted(&state.modified, before.header.alerted_at));
        }
        if before.header.read_at > state.read_at {
            // What this review listed is older than the snapshot, whose review has alerted on it.
            if !state.dry_run {
                self.raise(&alerts).await?;
                self.lease().release(&state).await?;
            }
            return Ok(json!({"slot": state.slot, "overtaken": true}));
        }
        state.hidden.keys.sort_unstable();
        let hidden = (!state.hidden.unknown).then_some(state.hidden.keys.as_slice());
        let facts = Facts { state: &state, policy, now: clock.now(), before, hidden, owners: &owners };
        let mut summary = facts.summarize();
        if !state.dry_run {
            let gap = returned::count(&self.lister(), &state.audits, &mut summary).await;
            state.gaps.extend(gap.err());
            alerts.extend(alerts::at_end(policy, &state, &summary));
            self.raise(&alerts).await?;
            self.store().save_snapshot(&summary.snapshot).await?;
            let debt = Item::new(&keys::debt(), "latest", state.began).json("debt", &summary.debt);
            ledger.put(debt).await?;
            self.lease().release(&state).await?;
            for line in metrics::debt::debt_lines(&summary.debt) {
                (self.handler.emit)(&line);
            }
        }
        answer::log(policy, &state, &summary, alerts.len());
        Ok(answer::answer(policy, &state, &summary, alerts.len()))
    }

    /// Alerts people, unless they were alerted to the same before.
    async fn raise(&self, alerts: &[Alert]) -> Result<(), Error> {
        for alert in alerts {
            self.handler.alerts.raise(alert).await?;
        }
        Ok(())
    }

    fn iot(&self) -> Iot<'h> {
        Iot { api: &self.handler.iot, pace: &self.handler.pace }
    }

    fn members(&self) -> Finder<'h> {
        let Handler { account, region, policy, .. } = self.handler;
        Finder { iot: self.iot(), budget: self.budget, account, region, policy }
    }

    fn lister(&self) -> Lister<'h> {
        Lister { iot: self.iot(), budget: self.budget }
    }

    fn lease(&self) -> Lease<'h> {
        Lease { ledger: &self.handler.ledger, clock: &self.handler.clock }
    }

    fn store(&self) -> Store<'h> {
        let Handler { account, region, archive, queue, .. } = self.handler;
        Store { account, region, archive, queue }
    }
}
