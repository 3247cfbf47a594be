//! What operators asked for holds: nothing starts while mitigation is paused, and what is undone is as it was before.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use super::Judge;
use super::list;
use super::text;

/// How long a start may take that was under way when mitigation was paused, in milliseconds: a call that hangs is given up
/// after that.
const UNDER_WAY_MS: i64 = 60_000;
/// The states of a task that was started.
const STARTED: [&str; 5] = ["started", "completed", "failed", "canceled", "lost"];

impl Judge<'_> {
    /// Judges it.
    pub(super) fn operators_are_obeyed(&mut self) {
        let violations = self.world.state().acts.started_while_paused(UNDER_WAY_MS);
        self.judged.violations.extend(violations);
        self.what_is_undone_is_as_before();
    }

    /// A resource that one task alone has changed, and whose undo ended well, has the state that the ledger says it had.
    fn what_is_undone_is_as_before(&mut self) {
        let items = self.world.cloud.items("mitigation#");
        let mut started: BTreeSet<String> = BTreeSet::new();
        let mut changed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut befores: Vec<(String, String, Value)> = Vec::new();
        let mut undone: BTreeSet<(String, String)> = BTreeSet::new();
        for ((pk, sk), item) in &items {
            let of = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
            if sk == "task" && STARTED.contains(&of("state")) {
                started.insert(pk.clone());
            } else if let Some(resource) = sk.strip_prefix("before#") {
                changed.entry(resource.to_owned()).or_default().insert(pk.clone());
                let before = serde_json::from_str(of("before")).unwrap_or_default();
                befores.push((pk.clone(), resource.to_owned(), before));
            } else if let Some(resource) = sk.strip_prefix("undo#")
                && ["undone", "as-before"].contains(&of("state"))
            {
                undone.insert((pk.clone(), resource.to_owned()));
            }
        }
        for (task, resource, before) in befores {
            let others = changed.get(&resource).into_iter().flatten().filter(|of| started.contains(*of));
            let is_alone = others.eq([&task]);
            if !is_alone || !undone.contains(&(task.clone(), resource.clone())) {
                continue;
            }
            self.judged.undone += 1;
            let found = self.difference(&before);
            self.unless(found.is_none(), || {
                format!("{task} has undone {resource}, and it is {found:?} instead of {}", before["state"])
            });
        }
    }

    /// What differs now from a state before. None: nothing.
    fn difference(&self, before: &Value) -> Option<String> {
        let name = text(before, "/name");
        let ask = |path: String| self.world.ask("GET", &path, "", &Value::Null);
        let state = &before["state"];
        let compare = |found: Result<Value, String>, at: &str, wanted: &str| match found {
            Ok(found) if text(&found, at) == wanted => None,
            Ok(found) => Some(text(&found, at).to_owned()),
            Err(refused) => Some(refused),
        };
        match text(state, "/kind") {
            "certificate" => compare(
                ask(format!("/certificates/{name}")),
                "/certificateDescription/status",
                text(state, "/status"),
            ),
            "ca-certificate" => compare(
                ask(format!("/cacertificate/{name}")),
                "/certificateDescription/status",
                text(state, "/status"),
            ),
            "policy" => {
                compare(ask(format!("/policies/{name}")), "/defaultVersionId", text(state, "/defaultVersion"))
            }
            "thing" => {
                let found = match ask(format!("/things/{name}/thing-groups")) {
                    Ok(found) => found,
                    Err(refused) => return Some(refused),
                };
                let groups: BTreeSet<&str> =
                    list(&found, "/thingGroups").map(|group| text(group, "/groupName")).collect();
                let adds = state["adds"].as_object().into_iter().flatten();
                let added = adds.flat_map(|(_, groups)| groups.as_array().into_iter().flatten());
                let left = added.filter_map(Value::as_str).find(|group| groups.contains(group));
                left.map(|group| format!("in {group}"))
            }
            // One account has one: another task, or a person, may have set it since.
            _ => None,
        }
    }
}
