//! `fleetwarden policy schema`: the JSON Schema of the policy file, for editors and other tools.

use crate::exit::Exit;
use crate::output::line;
use anyhow::Result;
use fleetwarden_core::policy;

/// Prints the schema.
pub(crate) fn run() -> Result<Exit> {
    line(text()?);
    Ok(Exit::Done)
}

fn text() -> Result<String> {
    Ok(serde_json::to_string_pretty(&policy::schema())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_that_ships_is_that_of_the_types() {
        let shipped = include_str!("../../../../../policies/policy.schema.json");
        let same = shipped == text().unwrap() + "\n";
        assert!(same, "run: cargo run -p fleetwarden -- policy schema > policies/policy.schema.json");
    }

    #[test]
    fn the_policy_that_ships_names_its_schema() {
        let shipped = include_str!("../../../../../policies/deployed/policy.yaml");
        assert_eq!(shipped.lines().next(), Some("# yaml-language-server: $schema=policy.schema.json"));
    }
}
