//! Devices that lose their connection for good after a canary's task has started, although its actions leave them connected:
//! what `stopIf: disconnected` looks for. And things that the index does not know, until the end.
//!
//! They are drawn apart from the rest, so that a seed's other draws do not depend on them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use serde_json::json;
use tokio::time::sleep;

use crate::judge::list;
use crate::judge::text;
use crate::lambda::Lambda;
use crate::policies;
use crate::world::World;

/// How often it is looked whether a task has started: a canary is watched for longer.
const LOOK: Duration = Duration::from_mins(4);

/// Cuts devices off, for as long as the run lasts.
pub(crate) async fn lose(seed: u64, world: Arc<World>, lambda: Rc<Lambda>) {
    let mut rng = Rng::with_seed(seed ^ 0x6c6f_7373);
    loop {
        sleep(LOOK).await;
        let begun = world.state().acts.take_begun();
        for id in begun {
            let is_drawn = rng.u8(..4) > 0;
            let things = watched(&world, &lambda, &id).unwrap_or_default();
            if !is_drawn || things.is_empty() {
                continue;
            }
            for thing in &things {
                let order = json!({"thingName": thing, "connected": false});
                let lost = world.ask("POST", "/_control/connections", "", &order);
                world.note(&format!("{thing} loses its connection: {lost:?}"));
            }
            let now = world.now();
            world.state().acts.lost.insert(id, now);
        }
    }
}

/// People see to it that the index knows each thing: until then no canary starts whose things it does not know.
pub(crate) fn make_known(world: &World, policies: &[String]) {
    if !policies.iter().any(|policy| policies::watches_any_connection(policy)) {
        return;
    }
    let mut token = String::new();
    loop {
        let query = format!("maxResults=250{token}");
        let Ok(page) = world.ask("GET", "/things", &query, &Value::Null) else { return };
        for thing in list(&page, "/things") {
            let name = text(thing, "/thingName");
            let path = format!("/things/{name}/connectivity-data");
            let found = world.ask("POST", &path, "", &Value::Null).unwrap_or_default();
            if found["timestamp"].is_null() {
                let order = json!({"thingName": name, "connected": false});
                world.note(&format!(
                    "the index knows {name}: {:?}",
                    world.ask("POST", "/_control/connections", "", &order)
                ));
            }
        }
        let Some(next) = page["nextToken"].as_str() else { return };
        token = format!("&nextToken={next}");
    }
}

/// The things behind a task that goes first which are connected, if their loss has to stop the rest.
fn watched(world: &World, lambda: &Lambda, id: &str) -> Option<Vec<String>> {
    let pk = format!("mitigation#{id}");
    let task = world.cloud.item(&pk, "task")?;
    let of = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or_default();
    let policy = lambda.policy();
    policies::watches_connections(&policy, of("rule"))?;
    let canary = world
        .cloud
        .item(&format!("audit#{}", of("audit_task_id")), &format!("canary#{}#{}", of("check"), of("rule")))?;
    let goes_first = canary.get("task_id").and_then(Value::as_str) == Some(id);
    let names = world.cloud.items(&pk).into_keys().filter(|(of, _)| goes_first && *of == pk);
    let things = names.filter_map(|(_, sk)| sk.strip_prefix("before#thing#").map(ToOwned::to_owned));
    let is_connected = |thing: &String| {
        let path = format!("/things/{thing}/connectivity-data");
        world.ask("POST", &path, "", &Value::Null).is_ok_and(|found| found["connected"] == true)
    };
    Some(things.filter(is_connected).collect())
}
