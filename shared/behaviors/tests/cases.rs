//! The developer guide's and the command line's own behaviors: read where the handbook stands beside the checkout.

#![cfg(test)]

use std::fs;
use std::path::PathBuf;

use fleetwarden_behaviors::Behaviors;
use serde_json::Value;

/// The samples of behaviors: each file's name and the behaviors in it.
fn samples() -> Vec<(String, Vec<Value>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases");
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let mut samples = Vec::new();
    for file in files.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let is_wanted =
            ["devguide-detect-", "awscli-", "sns-detect-"].iter().any(|start| name.starts_with(start));
        let Some(value) = fs::read_to_string(file.path()).ok().filter(|_| is_wanted) else { continue };
        let Ok(value) = serde_json::from_str::<Value>(&value) else { continue };
        let mut found = Vec::new();
        collect(&value, &mut found);
        if !found.is_empty() {
            samples.push((name, found));
        }
    }
    samples
}

/// Whatever has a name, a metric and criteria, also in a notification's text and in a command line.
fn collect(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(members)
            if ["name", "metric", "criteria"].iter().all(|key| members.contains_key(*key)) =>
        {
            found.push(value.clone());
        }
        Value::Object(members) => members.values().for_each(|member| collect(member, found)),
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, found)),
        Value::String(text) => {
            if let Ok(inner @ Value::Object(_)) = serde_json::from_str(text) {
                collect(&inner, found);
            }
            let list = text.split_once("--behaviors \"").and_then(|(_, rest)| rest.rsplit_once('"'));
            if let Some((list, _)) = list
                && let Ok(inner) = serde_json::from_str(&list.replace("\\\"", "\""))
            {
                collect(&inner, found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_sample_is_read_and_written_again() {
    for (file, behaviors) in samples() {
        for mut behavior in behaviors {
            let name = behavior["name"].as_str().unwrap().to_owned();
            // The service's own pattern forbids the spaces that most samples have.
            if name.contains(' ') {
                let invalid = Behaviors::parse(&Value::from(vec![behavior.clone()]).to_string(), |_| None);
                let paths: Vec<String> =
                    invalid.unwrap_err().into_iter().map(|invalid| invalid.path).collect();
                assert_eq!(paths, ["behaviors[0].name"], "{file}");
                behavior["name"] = name.replace(' ', "-").into();
            }
            let read = Behaviors::parse(&Value::from(vec![behavior.clone()]).to_string(), |_| None)
                .unwrap_or_else(|invalid| panic!("{file}: {invalid:?}"));
            let written = serde_json::to_value(&read).unwrap();
            for (member, value) in behavior["criteria"].as_object().unwrap() {
                assert_eq!(&written[0]["criteria"][member], value, "{file}: {member}");
            }
            let again = Behaviors::parse(&written.to_string(), |_| None).unwrap();
            assert_eq!(again, read, "{file}");
        }
    }
}

#[test]
fn the_samples_are_found_if_the_handbook_is() {
    let samples = samples();
    if !samples.is_empty() {
        let behaviors: usize = samples.iter().map(|(_, behaviors)| behaviors.len()).sum();
        assert!(behaviors >= 30, "{behaviors} of {} files", samples.len());
    }
}
