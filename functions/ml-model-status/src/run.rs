//! One run over all models: what the service reports, what follows, the snapshot, the alerts and the status.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::model_status;
use fleetwarden_aws::schedule::Span;
use fleetwarden_aws::state_item::StateItem;
use fleetwarden_core::metrics::models::model_lines;
use fleetwarden_core::model::ml::ModelsStatus;

use crate::MlModelStatus;
use crate::STATUS_BYTES;
use crate::alerts;
use crate::alerts::Blind;
use crate::alerts::Seen;
use crate::detect::Detect;
use crate::detect::Listed;
use crate::detect::if_there;
use crate::devices::DeviceCounts;
use crate::plan;
use crate::plan::Found;
use crate::plan::Trainings;
use crate::snapshot;
use crate::snapshot::Profile;
use crate::snapshot::Snapshot;

/// The profiles with models, as far as there was time for them.
struct Visited {
    profiles: BTreeMap<String, Profile>,
    /// Those that were visited now.
    seen: BTreeSet<String>,
    /// Those for which there was no time, the first of them first.
    left: Vec<String>,
}

impl MlModelStatus {
    /// Asks for all models, writes the snapshot and the status, and raises the alerts that are due.
    pub(crate) async fn run(&self, Span { now, stop_at }: Span) -> Result<ModelsStatus, Error> {
        let detect = Detect { iot: &self.iot, pace: &self.pace, clock: &self.clock, stop_at };
        let kept = StateItem::new(self.ledger.clone(), keys::model_watch());
        let snapshot: Snapshot = kept.read().await?;
        let mut blind = Vec::new();
        let all = answered(detect.profiles().await, &mut blind);
        let summaries = answered(detect.summaries().await, &mut blind);
        let (are_listed, are_summed) = (is_all(all.as_ref()), is_all(summaries.as_ref()));
        let trainings = plan::trainings(summaries.map_or_else(Vec::new, |listed| listed.entries));
        let visited = self.visit(&detect, &trainings, snapshot.next.as_deref(), &mut blind).await?;
        let Visited { mut profiles, seen, left } = visited;
        let open = self.alarms().open().await?;
        let alarmed_often = |profile: &str, behavior: &str| {
            snapshot.notices.is_standing(&alerts::alarms_often(profile, behavior))
        };
        let models = plan::models(&trainings, &mut profiles, &open, (self.limit, now), alarmed_often);
        snapshot::write_profiles(&self.ledger, &profiles, now).await?;
        let names = all.map_or_else(Vec::new, |listed| listed.entries);
        let mut status = plan::status(Found {
            at: now,
            limit: self.limit,
            names: &names,
            profiles: &profiles,
            models,
            left: &left,
            refused: blind.iter().map(|blind| blind.message.clone()).collect(),
            incomplete: !are_summed,
        });
        let run = Seen {
            account: &self.account,
            region: &self.region,
            now,
            names: are_listed.then(|| names.iter().map(String::as_str).collect()),
            are_summed,
            looked_at: &seen,
            is_complete: are_summed && left.is_empty(),
            report: &status,
            blind: &blind,
        };
        let mut after: Snapshot = kept
            .change(now, |snapshot: &mut Snapshot| {
                snapshot.next = left.first().cloned();
                alerts::notice(&mut snapshot.notices, &run);
            })
            .await?;
        for line in model_lines(&status) {
            (self.emit)(&line);
        }
        let alerted = kept.raise_pending(&self.alerts, &mut after, now).await.map(drop);
        status.fit(STATUS_BYTES);
        Error::of_both(alerted, model_status::keep(&self.ledger, &status).await)?;
        Ok(status)
    }

    /// Visits each profile with models, from the one on for which the last run had no time.
    async fn visit(
        &self,
        detect: &Detect<'_>,
        trainings: &Trainings,
        first: Option<&str>,
        blind: &mut Vec<Blind>,
    ) -> Result<Visited, Error> {
        let mut profiles = snapshot::read_profiles(&self.ledger, trainings.keys()).await?;
        let (mut seen, mut left) = (BTreeSet::new(), Vec::new());
        let mut counts = DeviceCounts::new(&self.devices);
        for name in plan::order(trainings, first) {
            let profile = profiles.entry(name.clone()).or_default();
            profile.known_since.get_or_insert(self.clock.now());
            if !blind.is_empty() || self.clock.now() >= detect.stop_at {
                left.push(name.clone());
                continue;
            }
            match self.visit_one(detect, name, profile, &mut counts).await {
                Ok(true) => drop(seen.insert(name.clone())),
                // It was deleted, and its models with it.
                Ok(false) => drop(profiles.remove(name)),
                // If one profile is refused, the others are too.
                Err(error) => {
                    blind.push(Blind::of(&error));
                    left.push(name.clone());
                }
            }
        }
        Ok(Visited { profiles, seen, left })
    }

    /// Visits a profile. False if there is none of this name any more.
    async fn visit_one(
        &self,
        detect: &Detect<'_>,
        name: &str,
        profile: &mut Profile,
        counts: &mut DeviceCounts<'_>,
    ) -> Result<bool, Error> {
        let (described, targets) =
            futures_util::future::join(detect.describe(name), self.devices.targets(name)).await;
        let (Some(described), Some(targets)) = (described?, if_there(targets)?) else { return Ok(false) };
        plan::describe(profile, &described);
        profile.set_targets(targets.len());
        profile.devices = counts.of(&targets).await;
        Ok(true)
    }
}

fn is_all<T>(listed: Option<&Listed<T>>) -> bool {
    listed.is_some_and(|listed| listed.are_all)
}

/// What a call gave, if it was not refused: that is a problem to alert on.
fn answered<T>(outcome: Result<T, Error>, blind: &mut Vec<Blind>) -> Option<T> {
    match outcome {
        Ok(given) => Some(given),
        Err(error) => {
            blind.push(Blind::of(&error));
            None
        }
    }
}
