//! What is in a fleet, as its operator lists it in a file.

use anyhow::{Context as _, Result, bail};
use fleetwarden_core::policy::{Inventory, yaml};
use serde::Deserialize;
use std::path::Path;

/// An inventory file. A list that is left out is not known.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Listed {
    things: Option<Vec<Thing>>,
    groups: Option<Vec<String>>,
    certificates: Option<Vec<String>>,
    policies: Option<Vec<String>>,
}

/// A thing, and the groups that it is in; without these its name will do.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Thing {
    Name(String),
    Described { name: String, groups: Option<Vec<String>> },
}

/// Reads an inventory: YAML, or JSON for what is larger than a policy may be.
pub(super) fn read(path: &Path) -> Result<Inventory> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    parse(&shown.to_string(), &bytes)
}

fn parse(file: &str, bytes: &[u8]) -> Result<Inventory> {
    let listed: Listed = if bytes.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice(bytes).with_context(|| format!("{file} is no inventory"))?
    } else {
        match yaml::read(bytes) {
            Ok(listed) => listed,
            Err(error) => bail!("{}", error.render(file, &String::from_utf8_lossy(bytes))),
        }
    };
    let Listed { things, groups, certificates, policies } = listed;
    let mut inventory = Inventory {
        things: None,
        groups: groups.map(|groups| groups.into_iter().collect()),
        certificates: certificates.map(|ids| ids.into_iter().collect()),
        policies: policies.map(|names| names.into_iter().collect()),
    };
    for thing in things.into_iter().flatten() {
        let (name, groups) = match thing {
            Thing::Name(name) => (name, None),
            Thing::Described { name, groups } => (name, groups),
        };
        inventory.things.get_or_insert_default().insert(name);
        if let Some(groups) = groups {
            inventory.groups.get_or_insert_default().extend(groups);
        }
    }
    Ok(inventory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = "
things:
  - { name: pump-1, groups: [lab, fleet] }
  - gate-1
certificates: [1f00]
";
        let json = r#"{"things": [{"name": "pump-1", "groups": ["lab", "fleet"]}, "gate-1"], "certificates": ["1f00"]}"#;
        let inventory = parse("f", yaml.as_bytes()).unwrap();
        assert_eq!(inventory, parse("f", json.as_bytes()).unwrap());
        let names = |names: &Option<std::collections::BTreeSet<String>>| {
            names.as_ref().map(|names| names.iter().cloned().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(names(&inventory.things).as_deref(), Some("gate-1 pump-1"));
        assert_eq!(names(&inventory.groups).as_deref(), Some("fleet lab"));
        assert_eq!(names(&inventory.certificates).as_deref(), Some("1f00"));
        assert_eq!(inventory.policies, None);
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        let error = parse("fleet.yaml", b"thigns: []\n").unwrap_err().to_string();
        assert!(
            error.starts_with("fleet.yaml:1:1: error: unknown key 'thigns'; did you mean 'things'?"),
            "{error}"
        );
        assert!(parse("fleet.json", b"{\"thigns\": []}").is_err());
    }
}
