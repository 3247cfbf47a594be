//! What an update would change: from what is there to what was asked for, member by member.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_core::untrusted::shown;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// One change. From nothing and to nothing is null.
pub fn change(path: &str, from: &Value, to: &Value) -> Value {
    json!({"path": path, "from": from, "to": to})
}

/// The changes that an update makes. It leaves what it does not name as it is, but for what it names as a whole.
pub fn updated(now: &Value, input: &Map<String, Value>) -> Vec<Value> {
    let mut changes = Vec::new();
    for (member, to) in input {
        let from = now.get(member).unwrap_or(&Value::Null);
        if member == "targetCheckNames" && set(from) == set(to) {
            continue;
        }
        // An action's parameters are replaced: those of another kind go.
        walk(&format!("$.{member}"), from, to, member == "actionParams", &mut changes);
    }
    changes
}

/// The checks of an audit, of which neither order nor repetition says anything.
fn set(names: &Value) -> BTreeSet<&str> {
    names.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn walk(path: &str, from: &Value, to: &Value, whole: bool, changes: &mut Vec<Value>) {
    if same(from, to) {
        return;
    }
    if let (Some(was), Some(becomes)) = (by_name(from), by_name(to)) {
        let names: BTreeSet<&str> = was.keys().chain(becomes.keys()).copied().collect();
        for name in names {
            let of = |map: &BTreeMap<&str, &Value>| map.get(name).map_or(Value::Null, |one| (*one).clone());
            walk(&format!("{path}['{}']", shown(name)), &of(&was), &of(&becomes), true, changes);
        }
        return;
    }
    let (Value::Object(was), Value::Object(becomes)) = (from, to) else {
        changes.push(change(path, from, to));
        return;
    };
    let names: BTreeSet<&String> = becomes.keys().chain(was.keys().filter(|_| whole)).collect();
    for name in names {
        let of = |map: &Map<String, Value>| map.get(name).cloned().unwrap_or_default();
        walk(&format!("{path}.{name}"), &of(was), &of(becomes), whole, changes);
    }
}

/// The members of a list, if each has a name of its own: of those neither order nor place says anything.
fn by_name(list: &Value) -> Option<BTreeMap<&str, &Value>> {
    let list = list.as_array()?;
    let named: Option<BTreeMap<&str, &Value>> =
        list.iter().map(|one| Some((one.get("name")?.as_str()?, one))).collect();
    named.filter(|named| named.len() == list.len() && !named.is_empty())
}

/// Numbers are the same if they have the same value: a time comes back with a fraction that was not given.
pub fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() < 0.001,
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updated_by(now: &Value, input: Value) -> Value {
        let Value::Object(input) = input else { panic!("{input}") };
        Value::from(updated(now, &input))
    }

    #[test]
    fn only_what_differs_is_a_change() {
        let now = json!({"a": {"x": {"enabled": true, "n": 1.0}, "y": 1}, "l": [1, 2]});
        assert_eq!(updated_by(&now, json!({"a": {"x": {"n": 1}}, "l": [1, 2]})), json!([]));
        assert_eq!(
            updated_by(
                &now,
                json!({"a": {"x": {"enabled": false}, "z": {"enabled": true}}, "l": [2, 1], "new": "v"})
            ),
            json!([
                {"path": "$.a.x.enabled", "from": true, "to": false},
                {"path": "$.a.z", "from": null, "to": {"enabled": true}},
                {"path": "$.l", "from": [1, 2], "to": [2, 1]},
                {"path": "$.new", "from": null, "to": "v"},
            ])
        );
    }

    #[test]
    fn checks_have_no_order() {
        let now = json!({"targetCheckNames": ["A", "B"]});
        assert_eq!(updated_by(&now, json!({"targetCheckNames": ["B", "A", "B"]})), json!([]));
        let other = json!({"targetCheckNames": ["B", "C"]});
        assert_eq!(
            updated_by(&now, other),
            json!([{"path": "$.targetCheckNames", "from": ["A", "B"], "to": ["B", "C"]}])
        );
    }

    #[test]
    fn what_has_a_name_is_compared_by_it() {
        let now = json!({"behaviors": [{"name": "a", "criteria": {"n": 1, "old": 2}}, {"name": "b"}]});
        let same = json!({"behaviors": [{"name": "b"}, {"name": "a", "criteria": {"n": 1, "old": 2}}]});
        assert_eq!(updated_by(&now, same), json!([]));
        let other = json!({"behaviors": [{"name": "a", "criteria": {"n": 3}}, {"name": "c"}]});
        assert_eq!(
            updated_by(&now, other),
            json!([
                {"path": "$.behaviors['a'].criteria.n", "from": 1, "to": 3},
                {"path": "$.behaviors['a'].criteria.old", "from": 2, "to": null},
                {"path": "$.behaviors['b']", "from": {"name": "b"}, "to": null},
                {"path": "$.behaviors['c']", "from": null, "to": {"name": "c"}},
            ])
        );
        let twice = json!({"behaviors": [{"name": "a"}, {"name": "a"}]});
        assert_eq!(updated_by(&now, twice)[0]["path"], "$.behaviors");
    }

    #[test]
    fn the_parameters_of_an_action_are_replaced() {
        let now = json!({"actionParams": {"one": {"action": "DEACTIVATE"}}, "roleArn": "r"});
        assert_eq!(
            updated_by(&now, json!({"actionParams": {"two": {}}})),
            json!([
                {"path": "$.actionParams.one", "from": {"action": "DEACTIVATE"}, "to": null},
                {"path": "$.actionParams.two", "from": null, "to": {}},
            ])
        );
    }
}
