//! Reading JSON so that an error says where.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Deserializer;

/// What is wrong in a JSON text, and where.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct JsonError {
    /// The member's path, as `auditDetails[3].checkName`; `the top level` if it is none's fault.
    pub path: String,
    /// What is wrong with it.
    pub reason: serde_json::Error,
}

/// Reads a member that may be null as if it was missing then.
pub(crate) fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads a list that may be null or have nulls as if they were missing.
pub(crate) fn list<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let list: Vec<Option<T>> = or_default(deserializer)?;
    Ok(list.into_iter().flatten().collect())
}

/// Reads a map that may be null or have nulls as if they were missing.
pub(crate) fn map<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    let map: BTreeMap<String, Option<String>> = or_default(deserializer)?;
    Ok(map.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

/// Reads a text that holds one JSON value and nothing after it.
///
/// # Errors
/// What is wrong, with the path of the member.
pub fn read<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, JsonError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let top = || "the top level".to_owned();
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        JsonError { path: if path == "." { top() } else { path }, reason: error.into_inner() }
    })?;
    json.end().map_err(|reason| JsonError { path: top(), reason })?;
    Ok(value)
}
