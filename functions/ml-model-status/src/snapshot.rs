//! What a run leaves in the ledger for the next one: the notices, and of each profile its targets and a sample a day of
//! each behavior.

use std::collections::BTreeMap;

use fleetwarden_aws::Error;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::state_item::HasNotices;
use fleetwarden_core::alert::notices::Notices;
use fleetwarden_core::model::alarm::Confidence;
use fleetwarden_core::model::ml::Sample;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

const LATEST: &str = "latest";
const MODELS: &str = "models";
const PROFILE: &str = "profile";

/// The notices, and where the next run begins.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Snapshot {
    pub(crate) notices: Notices,
    /// The first profile that the last run had no time for.
    pub(crate) next: Option<String>,
}

/// A security profile with models.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Profile {
    /// When it was created, or first seen.
    pub(crate) known_since: Option<Millis>,
    /// How many targets it has. None: unknown.
    pub(crate) targets: Option<u64>,
    /// How many it had when it was last seen with any.
    pub(crate) had: u64,
    /// How many devices these are, if that is known.
    pub(crate) devices: Option<u64>,
    pub(crate) behaviors: BTreeMap<String, Behavior>,
}

/// One of its behaviors that a model judges.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Behavior {
    pub(crate) metric: Option<String>,
    pub(crate) confidence: Option<Confidence>,
    pub(crate) samples: Vec<Sample>,
}

impl HasNotices for Snapshot {
    fn notices(&mut self) -> &mut Notices {
        &mut self.notices
    }
}

impl Profile {
    /// Whether it has targets, as far as is known.
    pub(crate) fn has_targets(&self) -> bool {
        self.targets != Some(0)
    }

    /// Records how many targets it has.
    pub(crate) fn set_targets(&mut self, targets: usize) {
        let targets = u64::try_from(targets).unwrap_or(u64::MAX);
        self.targets = Some(targets);
        if targets > 0 {
            self.had = targets;
        }
    }
}

/// Reads what is known of these profiles.
pub(crate) async fn read_profiles(
    ledger: &Ledger,
    profiles: impl Iterator<Item = &String>,
) -> Result<BTreeMap<String, Profile>, Error> {
    let keys: Vec<(String, &str)> = profiles.map(|profile| (keys::models(profile), LATEST)).collect();
    let items = ledger.get_all(&keys).await?.into_iter();
    let read = |item: Item| {
        let profile = serde_json::from_str(item.get_text(MODELS)?).ok()?;
        Some((item.get_text(PROFILE)?.to_owned(), profile))
    };
    Ok(items.filter_map(read).collect())
}

/// Writes what is known of profiles, at each run: an item of the ledger expires.
pub(crate) async fn write_profiles(
    ledger: &Ledger,
    profiles: &BTreeMap<String, Profile>,
    now: Millis,
) -> Result<(), Error> {
    let item = |(name, profile): (&String, &Profile)| {
        Item::new(&keys::models(name), LATEST, now).text(PROFILE, name).json(MODELS, profile)
    };
    ledger.put_all(profiles.iter().map(item).collect()).await
}
