//! The state of a resource before a mitigation task: what the task's actions will change of it, as it is read right before
//! the start. AWS takes no mitigation back, and nothing else says later what was there.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;

/// The state of one resource before a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Before {
    /// The id of a certificate, the name of a thing or of a policy; nothing for the logging of the account.
    pub name: String,
    /// What it was, with what the task makes of it where that is not always the same.
    pub state: State,
    /// The findings or violations of the task that it belongs to, by their ids.
    pub parts: BTreeSet<String>,
}

/// What a mitigation action changes, as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum State {
    /// Of a device certificate. The task leaves it `INACTIVE`.
    Certificate {
        /// As `ACTIVE`.
        status: String,
    },
    /// Of a CA certificate. The task leaves it `INACTIVE`.
    CaCertificate {
        /// As `ACTIVE`.
        status: String,
        /// As `ENABLE`, if it was said.
        auto_registration: Option<String>,
    },
    /// Of an AWS IoT policy. The task makes a version that is none of these, and makes it the default.
    Policy {
        /// The default version.
        default_version: String,
        /// All versions.
        versions: BTreeSet<String>,
    },
    /// Of a thing. The task leaves it in the groups that it adds, too.
    Thing {
        /// The groups that it was in directly.
        groups: BTreeSet<String>,
        /// Of each action, the groups that it adds the thing to and that the thing was not in.
        adds: BTreeMap<String, Vec<String>>,
        /// Whether an action may take it out of dynamic groups (`overrideDynamicGroups`).
        overrides: bool,
    },
    /// Of the account's logging.
    Logging {
        /// The options. None: they were never set.
        options: Option<LoggingOptions>,
        /// The older options. None: they were never set.
        first: Option<LoggingRole>,
        /// What the task sets.
        sets: LoggingRole,
    },
}

/// `GetV2LoggingOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoggingOptions {
    /// The role.
    pub role: Option<String>,
    /// As `INFO`.
    pub level: Option<String>,
    /// Whether nothing is logged, whatever the level.
    pub disabled: bool,
}

/// `GetLoggingOptions`, and what `ENABLE_IOT_LOGGING` sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoggingRole {
    /// The role.
    pub role: String,
    /// As `INFO`.
    pub level: String,
}

/// The resources of a task with their states, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Befores(BTreeMap<String, Before>);

impl Before {
    /// Which resource it is, among those of all kinds.
    pub fn key(&self) -> String {
        key(self.state.kind(), &self.name)
    }
}

impl State {
    /// The kind of resource.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Certificate { .. } => "certificate",
            Self::CaCertificate { .. } => "ca-certificate",
            Self::Policy { .. } => "policy",
            Self::Thing { .. } => "thing",
            Self::Logging { .. } => "logging",
        }
    }

    /// Whether the task changes what a finding is about, so that the finding is expected to be gone. To put a thing into a
    /// group repairs nothing.
    pub const fn is_repaired(&self) -> bool {
        !matches!(self, Self::Thing { .. })
    }
}

/// The key of a resource of a kind.
pub fn key(kind: &str, name: &str) -> String {
    format!("{kind}#{name}")
}

impl Befores {
    /// Whether the state of a resource is known; then it belongs to this finding or violation, too.
    pub fn has(&mut self, key: &str, part: &str) -> bool {
        let before = self.0.get_mut(key);
        before.map(|before| before.parts.insert(part.to_owned())).is_some()
    }

    /// Adds a resource that belongs to a finding or violation. What several actions add a thing to is added up.
    pub fn add(&mut self, name: &str, state: State, part: &str) {
        let key = key(state.kind(), name);
        let parts = BTreeSet::from([part.to_owned()]);
        let before = self.0.entry(key).or_insert_with(|| Before {
            name: name.to_owned(),
            state: state.clone(),
            parts: BTreeSet::new(),
        });
        before.parts.extend(parts);
        if let (State::Thing { adds, overrides, .. }, State::Thing { adds: more, overrides: also, .. }) =
            (&mut before.state, state)
        {
            adds.extend(more);
            *overrides |= also;
        }
    }

    /// Only what belongs to one of these findings or violations.
    #[must_use]
    pub fn of(&self, wanted: &BTreeSet<String>) -> Vec<Before> {
        let of = |before: &&Before| before.parts.iter().any(|part| wanted.contains(part));
        self.0.values().filter(of).cloned().collect()
    }

    /// All of them.
    pub fn all(self) -> Vec<Before> {
        self.0.into_values().collect()
    }
}

/// Of each violation and action of a task, the thing groups that the thing was not in before the start.
pub type Additions = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// What a task was to add to thing groups.
pub fn additions(befores: &[Before]) -> Additions {
    let mut additions = Additions::new();
    for Before { state, parts, .. } in befores {
        let State::Thing { adds, .. } = state else { continue };
        for part in parts {
            additions.entry(part.clone()).or_default().extend(adds.clone());
        }
    }
    additions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(action: &str) -> State {
        let adds = BTreeMap::from([(action.to_owned(), vec!["quarantine".to_owned()])]);
        State::Thing { groups: BTreeSet::from(["lab".to_owned()]), adds, overrides: action == "B" }
    }

    #[test]
    fn a_resource_of_several_findings_is_one() {
        let mut befores = Befores::default();
        befores.add("lamp", thing("A"), "f-1");
        befores.add("lamp", thing("B"), "f-1");
        assert!(befores.has("thing#lamp", "f-2") && !befores.has("policy#lamp", "f-2"));
        let known = befores.of(&BTreeSet::from(["f-2".to_owned()]));
        assert_eq!((known.len(), befores.of(&BTreeSet::new()).len()), (1, 0));
        let State::Thing { adds, overrides, .. } = &known[0].state else { panic!("a thing") };
        assert!(adds.len() == 2 && *overrides);
        let added = additions(&known);
        assert_eq!(added["f-1"], added["f-2"]);
        assert_eq!(added["f-1"]["A"], ["quarantine"]);
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        for state in [
            thing("A"),
            State::CaCertificate { status: "ACTIVE".into(), auto_registration: None },
            State::Logging {
                options: Some(LoggingOptions::default()),
                first: None,
                sets: LoggingRole::default(),
            },
        ] {
            let before = Before { name: "x".into(), state, parts: BTreeSet::from(["f".to_owned()]) };
            let text = serde_json::to_string(&before).unwrap();
            assert_eq!(serde_json::from_str::<Before>(&text).unwrap(), before, "{text}");
        }
    }
}
