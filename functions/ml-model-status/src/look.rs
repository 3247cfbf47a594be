//! One look at all models: what the service says, what becomes of it, and what is kept and told.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use aws_sdk_iot::operation::describe_security_profile::DescribeSecurityProfileOutput;
use fleetwarden_aws::Error;
use fleetwarden_aws::kept::Kept;
use fleetwarden_aws::ledger::about;
use fleetwarden_aws::model_status;
use fleetwarden_core::metrics::models::model_lines;
use fleetwarden_core::model::alarm::Confidence;
use fleetwarden_core::model::ml::Model;
use fleetwarden_core::model::ml::ModelsStatus;
use fleetwarden_core::model::ml::NOTE;
use fleetwarden_core::model::ml::Subject;
use fleetwarden_core::model::ml::WithoutTargets;
use fleetwarden_core::timestamp::Millis;

use crate::MlModelStatus;
use crate::STATUS_BYTES;
use crate::calls::Listed;
use crate::devices::Counted;
use crate::judge;
use crate::judge::Training;
use crate::memory;
use crate::memory::Memory;
use crate::memory::Profile;
use crate::notify;
use crate::notify::Blind;
use crate::notify::Seen;

/// How many profiles are named that were not looked at.
const NAMED: usize = 20;

/// The training of each behavior, by profile.
type Trainings = BTreeMap<String, BTreeMap<String, Training>>;

/// The profiles with models, as far as they were looked at.
struct Visited {
    profiles: BTreeMap<String, Profile>,
    /// Those that were looked at now.
    seen: BTreeSet<String>,
    /// Those for which there was no time, the first of them first.
    left: Vec<String>,
}

impl MlModelStatus {
    /// Looks at all models, keeps what it saw, and tells what is due.
    pub(crate) async fn look(&self, deadline: Millis) -> Result<ModelsStatus, Error> {
        let (now, stop_at) = (self.clock.now(), self.stop_at(deadline));
        let kept = Kept::new(self.ledger.clone(), about::model_watch());
        let memory: Memory = kept.read().await?;
        let mut blind = Vec::new();
        let all = seen(self.profiles(stop_at).await, &mut blind);
        let summaries = seen(self.summaries(stop_at).await, &mut blind);
        let (are_listed, are_summed) = (is_all(all.as_ref()), is_all(summaries.as_ref()));
        let trainings = judge::trainings(summaries.map_or_else(Vec::new, |listed| listed.entries));
        let visited = self.visit(&trainings, memory.next.as_deref(), stop_at, &mut blind).await?;
        let Visited { mut profiles, seen, left } = visited;
        let models = self.judge(&trainings, &mut profiles, &memory, now).await?;
        memory::keep(&self.ledger, &profiles, now).await?;
        let names = all.map_or_else(Vec::new, |listed| listed.entries);
        let report = report(now, self.limit, &names, &profiles, models, &left, &blind, !are_summed);
        let look = Seen {
            account: &self.account,
            region: &self.region,
            now,
            names: are_listed.then(|| names.iter().map(String::as_str).collect()),
            are_summed,
            looked_at: &seen,
            is_complete: are_summed && left.is_empty(),
            report: &report,
            blind: &blind,
        };
        let mut kept_now: Memory = kept
            .change(now, |memory: &mut Memory| {
                memory.next = left.first().cloned();
                notify::notice(&mut memory.notices, &look);
            })
            .await?;
        for line in model_lines(&report) {
            (self.emit)(&line);
        }
        let told = kept.tell(&self.alerts, &mut kept_now, now).await.map(drop);
        let mut report = report;
        report.fit(STATUS_BYTES);
        Error::of_both(told, model_status::keep(&self.ledger, &report).await)?;
        Ok(report)
    }

    /// Looks at each profile with models, from the one on for which the last look had no time.
    async fn visit(
        &self,
        trainings: &Trainings,
        first: Option<&str>,
        stop_at: Millis,
        blind: &mut Vec<Blind>,
    ) -> Result<Visited, Error> {
        let mut profiles = memory::recall(&self.ledger, trainings.keys()).await?;
        let from = first.map_or(0, |first| trainings.keys().take_while(|name| name.as_str() < first).count());
        let order: Vec<&String> = trainings.keys().skip(from).chain(trainings.keys().take(from)).collect();
        let (mut seen, mut left, mut counted) = (BTreeSet::new(), Vec::new(), Counted::default());
        for name in order {
            let profile = profiles.entry(name.clone()).or_default();
            profile.known_since.get_or_insert(self.clock.now());
            if !blind.is_empty() || self.clock.now() >= stop_at {
                left.push(name.clone());
                continue;
            }
            match self.visit_one(name, profile, &mut counted).await {
                Ok(true) => drop(seen.insert(name.clone())),
                // It is gone, and its models with it.
                Ok(false) => drop(profiles.remove(name)),
                // Who is refused one profile is refused the others.
                Err(error) => {
                    blind.push(Blind::of(&error));
                    left.push(name.clone());
                }
            }
        }
        Ok(Visited { profiles, seen, left })
    }

    /// Looks at a profile. False if there is none of this name any more.
    async fn visit_one(
        &self,
        name: &str,
        profile: &mut Profile,
        counted: &mut Counted,
    ) -> Result<bool, Error> {
        let (described, targets) = futures_util::future::join(self.describe(name), self.targets(name)).await;
        let (Some(described), Some(targets)) = (described?, targets?) else { return Ok(false) };
        describe(profile, &described);
        profile.saw_targets(targets.len());
        profile.devices = self.devices(&targets, counted).await;
        Ok(true)
    }

    async fn judge(
        &self,
        trainings: &Trainings,
        profiles: &mut BTreeMap<String, Profile>,
        memory: &Memory,
        now: Millis,
    ) -> Result<Vec<Model>, Error> {
        let open = self.alarms().open().await?;
        let in_alarm = judge::devices_in_alarm(&open);
        let mut models = Vec::new();
        for (name, trainings) in trainings {
            let Some(profile) = profiles.get_mut(name) else { continue };
            profile.behaviors.retain(|behavior, _| trainings.contains_key(behavior));
            for training in trainings.values() {
                let subject = Subject {
                    known_since: profile.known_since.unwrap_or(now),
                    has_targets: profile.has_targets(),
                    limit: self.limit,
                    alarmed_often: memory
                        .notices
                        .is_standing(&notify::alarms_often(name, &training.behavior)),
                    now,
                };
                let devices = in_alarm.get(&(name.as_str(), training.behavior.as_str()));
                models.push(judge::model(
                    name,
                    training,
                    profile,
                    devices.copied().unwrap_or_default(),
                    subject,
                ));
            }
        }
        Ok(models)
    }
}

/// What a profile says of its behaviors.
fn describe(profile: &mut Profile, described: &DescribeSecurityProfileOutput) {
    if let Some(created) = described.creation_date() {
        profile.known_since = Some(judge::millis(created));
    }
    for behavior in described.behaviors() {
        let model = behavior.criteria().and_then(|criteria| criteria.ml_detection_config());
        let Some(model) = model else { continue };
        let known = profile.behaviors.entry(behavior.name.clone()).or_default();
        known.metric.clone_from(&behavior.metric);
        known.confidence = match model.confidence_level.as_str() {
            "LOW" => Some(Confidence::Low),
            "MEDIUM" => Some(Confidence::Medium),
            "HIGH" => Some(Confidence::High),
            _ => None,
        };
    }
}

#[expect(clippy::too_many_arguments, reason = "each is a part of the report")]
fn report(
    at: Millis,
    limit: f64,
    names: &[String],
    profiles: &BTreeMap<String, Profile>,
    models: Vec<Model>,
    left: &[String],
    blind: &[Blind],
    incomplete: bool,
) -> ModelsStatus {
    let without = profiles.iter().filter(|(_, profile)| !profile.has_targets());
    let mut report = ModelsStatus {
        at,
        profiles: names.len(),
        ml_profiles: profiles.len(),
        not_seen: left.len(),
        not_seen_names: left.iter().take(NAMED).cloned().collect(),
        incomplete,
        refused: blind.iter().map(|blind| blind.message.clone()).collect(),
        counts: fleetwarden_core::model::ml::Counts::default(),
        limit,
        without_targets: without
            .map(|(name, profile)| WithoutTargets { profile: name.clone(), had: profile.had })
            .collect(),
        models,
        left_out: 0,
        note: NOTE.to_owned(),
    };
    let mut counts = report.counts;
    report.models.iter().for_each(|model| counts.count(model));
    report.counts = counts;
    report.sort();
    report
}

fn is_all<T>(listed: Option<&Listed<T>>) -> bool {
    listed.is_some_and(|listed| listed.are_all)
}

/// What a call showed, if it did.
fn seen<T>(looked: Result<T, Error>, blind: &mut Vec<Blind>) -> Option<T> {
    match looked {
        Ok(seen) => Some(seen),
        Err(error) => {
            blind.push(Blind::of(&error));
            None
        }
    }
}
