//! Misbehaviour on order: what real services and networks do to clients, one operation at a time.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A kind of misbehaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// 400 `ThrottlingException`.
    Throttle,
    /// 500 `InternalFailureException`, nothing done.
    InternalFailure,
    /// 503 with an HTML page, as a load balancer answers.
    Html,
    /// The right answer, late.
    Delay,
    /// The connection is closed without an answer, nothing done.
    Reset,
    /// The call takes effect, and the connection is closed without an answer.
    LostAnswer,
    /// The call takes effect, and the answer is 500 `InternalFailureException`.
    DoneButFailed,
    /// 200 with half of the right answer.
    BrokenJson,
    /// The same nextToken for ever.
    RepeatToken,
    /// Every member of the answer is null.
    Nulls,
    /// Status, severity and type words that no client knows.
    UnknownEnum,
    /// Members that no client knows.
    UnknownMembers,
    /// Findings without their nonCompliantResource.
    NoResource,
}

impl Kind {
    pub(crate) fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Whether the operation is carried out.
    pub(crate) const fn executes(self) -> bool {
        !matches!(self, Self::Throttle | Self::InternalFailure | Self::Html | Self::Reset)
    }
}

/// An order to misbehave.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Fault {
    /// An operation's name, or `*`.
    pub(crate) operation: String,
    pub(crate) kind: Kind,
    /// How many calls it hits. None: all.
    #[serde(default)]
    pub(crate) count: Option<u64>,
    /// How many calls it lets pass first.
    #[serde(default)]
    pub(crate) skip: u64,
    /// How late, for `delay`.
    #[serde(default)]
    pub(crate) delay_ms: u64,
}

/// The orders that stand. The first that fits a call hits it.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

impl Faults {
    /// The fault that hits this call.
    pub(crate) fn strike(&mut self, operation: &str) -> Option<Fault> {
        let mut struck = None;
        for fault in &mut self.0 {
            let other = fault.operation != "*" && fault.operation != operation;
            if other || fault.count == Some(0) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if let Some(count) = &mut fault.count {
                *count = count.saturating_sub(1);
            }
            struck = Some(fault.clone());
            break;
        }
        self.0.retain(|fault| fault.count != Some(0));
        struck
    }
}

/// The answer as the fault leaves it. `token` is the request's own nextToken.
pub(crate) fn spoil(kind: Kind, body: String, token: Option<&str>) -> String {
    if kind == Kind::BrokenJson {
        return body.chars().take(body.chars().count() / 2).collect();
    }
    let Ok(mut answer) = serde_json::from_str::<Value>(&body) else { return body };
    match kind {
        Kind::RepeatToken => {
            if let Some(answer) = answer.as_object_mut() {
                let name = if answer.contains_key("nextMarker") { "nextMarker" } else { "nextToken" };
                let own = answer.get(name).and_then(Value::as_str).unwrap_or("again").to_owned();
                answer.insert(name.to_owned(), token.map_or(own, str::to_owned).into());
            }
        }
        Kind::Nulls => {
            for value in answer.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
                *value = Value::Null;
            }
        }
        Kind::UnknownEnum | Kind::UnknownMembers | Kind::NoResource => visit(kind, &mut answer),
        _ => return body,
    }
    answer.to_string()
}

/// Maps of text to text: they have no members, and anything but text in one is no answer at all to a client.
const TEXT_MAPS: [&str; 2] = ["additionalInfo", "attributes"];

fn visit(kind: Kind, value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| visit(kind, item)),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                if !TEXT_MAPS.contains(&name.as_str()) {
                    visit(kind, member);
                }
            }
            match kind {
                Kind::UnknownEnum => {
                    for name in [
                        "severity",
                        "taskStatus",
                        "taskType",
                        "resourceType",
                        "checkRunStatus",
                        "status",
                        "actionType",
                    ] {
                        if let Some(word) = members.get_mut(name) {
                            *word = "SOMETHING_NEW".into();
                        }
                    }
                }
                Kind::NoResource => {
                    members.remove("nonCompliantResource");
                }
                _ => {
                    members.insert("somethingNew".to_owned(), json!({ "nested": [1, null] }));
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(operation: &str, skip: u64, count: Option<u64>) -> Fault {
        Fault { operation: operation.to_owned(), kind: Kind::Throttle, count, skip, delay_ms: 0 }
    }

    #[test]
    fn faults_strike_as_ordered() {
        let mut faults = Faults(vec![fault("List", 1, Some(2))]);
        let struck: Vec<bool> = (0..5).map(|_| faults.strike("List").is_some()).collect();
        assert_eq!(struck, [false, true, true, false, false]);
        let mut always = Faults(vec![fault("*", 0, None)]);
        assert!((0..9).all(|_| always.strike("Any").is_some()));
    }

    #[test]
    fn answers_are_spoilt() {
        let body = r#"{"findings":[{"severity":"LOW","nonCompliantResource":{}}],"nextToken":"b"}"#;
        let spoilt = |kind| spoil(kind, body.to_owned(), Some("a"));
        assert!(spoilt(Kind::RepeatToken).contains(r#""nextToken":"a""#));
        assert!(!spoilt(Kind::NoResource).contains("nonCompliantResource"));
        assert!(spoilt(Kind::UnknownEnum).contains("SOMETHING_NEW"));
        assert!(spoilt(Kind::UnknownMembers).contains("somethingNew"));
        let thing = r#"{"attributes":{"site":"north"}}"#.to_owned();
        let thing: Value = serde_json::from_str(&spoil(Kind::UnknownMembers, thing, None)).unwrap();
        assert_eq!(thing["attributes"], json!({ "site": "north" }));
        assert!(thing["somethingNew"].is_object());
        assert_eq!(spoilt(Kind::Nulls), r#"{"findings":null,"nextToken":null}"#);
        assert!(serde_json::from_str::<Value>(&spoilt(Kind::BrokenJson)).is_err());
    }
}
