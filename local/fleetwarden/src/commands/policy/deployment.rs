//! What a stack is deployed with: parameters from the command line, or from where `sam deploy` reads them.

use anyhow::{Context as _, Result};
use fleetwarden_core::policy::Deployment;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use toml::{Table, Value};

/// A parameter as `NAME=VALUE`.
pub(super) fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or("a parameter is NAME=VALUE, as CreateMitigationActions=true")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What is known of a stack: by these parameters, or by those in the samconfig.toml beside its template. If some are
/// known, all others have the template's defaults; the two that matter are false by default.
pub(super) fn read(given: &[(String, String)], template: Option<&Path>) -> Result<Deployment> {
    let mut parameters: BTreeMap<String, String> = match template {
        Some(template) => overrides(&template.with_file_name("samconfig.toml"))?,
        None => BTreeMap::new(),
    };
    parameters.extend(given.iter().cloned());
    if parameters.is_empty() {
        return Ok(Deployment::default());
    }
    let is_true = |name: &str| Some(parameters.get(name).is_some_and(|value| value == "true"));
    Ok(Deployment {
        creates_actions: is_true("CreateMitigationActions"),
        allows_mitigation: is_true("AllowMitigation"),
    })
}

/// The `parameter_overrides` of a file for `sam deploy`, in its default environment. None, if there is no such file.
///
/// Source: "AWS SAM CLI configuration file" in the AWS SAM developer guide.
fn overrides(path: &Path) -> Result<BTreeMap<String, String>> {
    let shown = path.display();
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        text => text.with_context(|| format!("cannot read {shown}"))?,
    };
    let config: Table = text.parse().with_context(|| format!("{shown} is not valid TOML"))?;
    let of =
        |command: &str| config.get("default")?.get(command)?.get("parameters")?.get("parameter_overrides");
    Ok(of("deploy").or_else(|| of("global")).map(pairs).unwrap_or_default())
}

/// The pairs of one text or of a list of texts, each `NAME=VALUE` or `ParameterKey=NAME,ParameterValue=VALUE`.
fn pairs(overrides: &Value) -> BTreeMap<String, String> {
    let texts = match overrides {
        Value::String(text) => vec![text.as_str()],
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let words = texts.into_iter().flat_map(str::split_whitespace);
    let pair = |word: &str| {
        let (name, value) = match word.strip_prefix("ParameterKey=") {
            Some(rest) => rest.split_once(",ParameterValue=")?,
            None => word.split_once('=')?,
        };
        let bare = |text: &str| text.trim_matches(['"', '\'']).to_owned();
        Some((bare(name), bare(value)))
    };
    words.filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_read_as_sam_takes_them() {
        let text = r#"A="x" ParameterKey=B,ParameterValue=true ParameterKey="C",ParameterValue="y" D='z'"#;
        let of = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(pairs(&text.into()), of(&[("A", "x"), ("B", "true"), ("C", "y"), ("D", "z")]));
        assert_eq!(pairs(&vec!["A=1", "B=2"].into()), of(&[("A", "1"), ("B", "2")]));
        assert!(parameter("CreateMitigationActions").is_err());
    }
}
