//! What people undo stays undone: the suppression is as it was before, and no message of its audit makes it again.

use std::collections::BTreeSet;

use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use super::Judge;
use super::identifier;
use super::list;
use super::text;

impl Judge<'_> {
    /// Judges the suppressions that rules have made.
    pub(super) fn undone_suppressions_are_as_before(&mut self) {
        for ((pk, sk), item) in self.world.cloud.items("suppression#") {
            let of = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
            let changes: Value = serde_json::from_str(of("changes")).unwrap_or_default();
            let changes: Vec<&Value> = list(&changes, "").collect();
            if sk != "suppression" {
                continue;
            }
            for (nth, undone) in changes.iter().enumerate().filter(|(_, change)| is_undone(change)) {
                let audit = &undone["auditTaskId"];
                let later = changes[nth + 1..]
                    .iter()
                    .find(|later| later["auditTaskId"] == *audit && !is_undone(later));
                self.unless(later.is_none(), || format!("{pk}: {audit} has made it again: {later:?}"));
            }
            let Some(last) = changes.last().filter(|last| is_undone(last)) else { continue };
            let at = text(last, "/undone/at");
            let with = changes.iter().rev().take_while(|change| text(change, "/undone/at") == at);
            let first = with.last().copied().unwrap_or(last);
            let resource: Value = serde_json::from_str(of("resource")).unwrap_or_default();
            let asked = json!({"checkName": of("check"), "resourceIdentifier": resource});
            let found = self.world.ask("POST", "/audit/suppressions/describe", "", &asked).ok();
            self.judged.suppressions_undone += 1;
            let now = self.world.now();
            let (wanted, found) =
                (in_force(&first["before"], now), found.and_then(|found| in_force(&found, now)));
            self.unless(wanted == found, || {
                format!("{pk} was undone at {at}, and is {found:?} instead of {wanted:?}")
            });
        }
    }

    /// The suppressions that people have undone: they need not have been made.
    pub(super) fn undone_suppressions(&self) -> BTreeSet<(String, String)> {
        let items = self.world.cloud.items("suppression#");
        let undone = items.values().filter_map(|item| {
            let of = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
            let changes: Value = serde_json::from_str(of("changes")).ok()?;
            let resource: Value = serde_json::from_str(of("resource")).ok()?;
            let is_any = list(&changes, "").any(is_undone);
            is_any.then(|| (of("check").to_owned(), identifier(&resource)))
        });
        undone.collect()
    }
}

fn is_undone(change: &Value) -> bool {
    change["undone"].is_object()
}

/// The end and the description of a suppression, if it suppresses anything at a time.
fn in_force(state: &Value, at: Millis) -> Option<(Option<i64>, String)> {
    if !state.is_object() {
        return None;
    }
    let end = ["expiresAt", "expirationDate"].iter().find_map(|name| state[*name].as_f64());
    #[expect(clippy::cast_possible_truncation, reason = "seconds since the epoch")]
    let end = end.map(|end| end as i64);
    let is_over = end.is_some_and(|end| end <= at.seconds());
    (!is_over).then(|| (end, text(state, "/description").to_owned()))
}
