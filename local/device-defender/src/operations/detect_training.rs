//! How far the models of behaviors are.

use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::clock::seconds;
use crate::operations::Outcome;
use crate::operations::detect_violations::known;
use crate::operations::schedules::listing;
use crate::paging::Pager;
use crate::world::World;
use fleetwarden_behaviors::Summary;

/// The page size when a request names none, and the largest that there is.
const PAGE: u64 = 10;

/// `GetBehaviorModelTrainingSummaries`: behaviors with a model, by profile in the order of creation, then as the
/// profile lists them. Both dates are missing until there is a datapoint and a model.
pub(crate) fn summaries(world: &mut World, args: &Args) -> Outcome {
    let wanted = args.text("securityProfileName");
    if let Some(profile) = wanted {
        known(world, profile)?;
    }
    let mut paging = args.0.clone();
    paging.entry("maxResults").or_insert_with(|| PAGE.into());
    let pager = Pager::new(world.seed(), "GetBehaviorModelTrainingSummaries", &paging)?;
    let mut all = Vec::new();
    for (name, profile) in &world.detect.profiles {
        if wanted.is_some_and(|wanted| wanted != name) {
            continue;
        }
        let Some(watch) = world.watching.watch_of(name) else { continue };
        for (place, (behavior, summary)) in (0..).zip(watch.models(world.now())) {
            all.push(((profile.number.into(), place), described(name, behavior, &summary)));
        }
    }
    let (page, next) = pager.page(all.into_iter());
    Ok(listing("summaries", page, next))
}

fn described(profile: &str, behavior: &str, summary: &Summary) -> Value {
    let mut described = Map::new();
    let mut put = |name: &str, value: Value| described.insert(name.to_owned(), value);
    put("securityProfileName", profile.into());
    put("behaviorName", behavior.into());
    if let Some(started) = summary.collection_started_at {
        put("trainingDataCollectionStartDate", json!(seconds(started.0)));
    }
    put("modelStatus", json!(summary.status));
    put("datapointsCollectionPercentage", json!(summary.datapoints_percentage));
    if let Some(refreshed) = summary.refreshed_at {
        put("lastModelRefreshDate", json!(seconds(refreshed.0)));
    }
    Value::Object(described)
}
