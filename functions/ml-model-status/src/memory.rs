//! What the ledger keeps of the models: of each profile what was seen of it and a sample a day of each behavior, and
//! what is told of all of them.

use std::collections::BTreeMap;

use fleetwarden_aws::Error;
use fleetwarden_aws::kept::HasNotices;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::about;
use fleetwarden_core::alert::notices::Notices;
use fleetwarden_core::model::alarm::Confidence;
use fleetwarden_core::model::ml::Sample;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

const LATEST: &str = "latest";
const MODELS: &str = "models";
const PROFILE: &str = "profile";

/// What is told, and where the next look begins.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Memory {
    pub(crate) notices: Notices,
    /// The first profile that the last look had no time for.
    pub(crate) next: Option<String>,
}

/// A security profile with models.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Profile {
    /// When it was created, or first seen.
    pub(crate) known_since: Option<Millis>,
    /// How many targets it has. None: never looked at.
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

impl HasNotices for Memory {
    fn notices(&mut self) -> &mut Notices {
        &mut self.notices
    }
}

impl Profile {
    /// Whether it has targets, as far as anyone knows.
    pub(crate) fn has_targets(&self) -> bool {
        self.targets != Some(0)
    }

    /// Takes in how many targets it has.
    pub(crate) fn saw_targets(&mut self, targets: usize) {
        let targets = u64::try_from(targets).unwrap_or(u64::MAX);
        self.targets = Some(targets);
        if targets > 0 {
            self.had = targets;
        }
    }
}

/// What is known of these profiles.
pub(crate) async fn recall(
    ledger: &Ledger,
    profiles: impl Iterator<Item = &String>,
) -> Result<BTreeMap<String, Profile>, Error> {
    let keys: Vec<(String, &str)> = profiles.map(|profile| (about::models(profile), LATEST)).collect();
    let items = ledger.get_all(&keys).await?.into_iter();
    let read = |item: Item| {
        let profile = serde_json::from_str(item.get_text(MODELS)?).ok()?;
        Some((item.get_text(PROFILE)?.to_owned(), profile))
    };
    Ok(items.filter_map(read).collect())
}

/// Keeps it, each time anew: an item of the ledger ends.
pub(crate) async fn keep(
    ledger: &Ledger,
    profiles: &BTreeMap<String, Profile>,
    now: Millis,
) -> Result<(), Error> {
    let item = |(name, profile): (&String, &Profile)| {
        Item::new(&about::models(name), LATEST, now).text(PROFILE, name).json(MODELS, profile)
    };
    ledger.put_all(profiles.iter().map(item).collect()).await
}
