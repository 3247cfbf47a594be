//! Security profiles, and the check of behaviors that nobody has a profile with yet.
//!
//! Where AWS's documents are silent: `behaviors` replaces the whole list, an update of nothing is a version too, a
//! behavior with a dimension that is not defined is refused, and a profile can be deleted while it is attached.

use serde_json::{Value, json};

use crate::args::Args;
use crate::detect::Detect;
use crate::detect::profiles::{Content, Profile};
use crate::failure::{Code, Failure};
use crate::operations::schedules::listing;
use crate::operations::{EMPTY, Outcome};
use crate::paging::Pager;
use crate::world::World;

/// What an update may delete, and the members that it must not set at the same time.
const DELETIONS: [(&str, &[&str]); 4] = [
    ("deleteBehaviors", &["behaviors"]),
    ("deleteAlertTargets", &["alertTargets"]),
    ("deleteAdditionalMetricsToRetain", &["additionalMetricsToRetain", "additionalMetricsToRetainV2"]),
    ("deleteMetricsExportConfig", &["metricsExportConfig"]),
];

/// Takes what a request sets; what it does not name stays.
fn set(content: &mut Content, detect: &Detect, args: &Args) -> Result<(), Failure> {
    if let Some(description) = args.text("securityProfileDescription") {
        content.description = Some(description.to_owned());
    }
    if let Some(given) = args.read::<Vec<Value>>("behaviors")? {
        let read = detect.behaviors(&given);
        content.behaviors = read.map_err(|wrong| Failure::invalid(wrong.join(" ")))?;
        content.given = given;
    }
    if let Some(targets) = args.read("alertTargets")? {
        content.alert_targets = targets;
    }
    let (names, given) = (args.read("additionalMetricsToRetain")?, args.read("additionalMetricsToRetainV2")?);
    if names.is_some() || given.is_some() {
        content.retained_names = names.unwrap_or_else(|| std::mem::take(&mut content.retained_names));
        content.retained_given = given.unwrap_or_else(|| std::mem::take(&mut content.retained_given));
        content.retained =
            detect.retained(&content.retained_names, &content.retained_given).map_err(Failure::invalid)?;
    }
    if let Some(export) = args.read("metricsExportConfig")? {
        content.export = Some(export);
    }
    Ok(())
}

/// Deletes what an update says.
fn delete_members(content: &mut Content, args: &Args) -> Result<(), Failure> {
    for (flag, members) in DELETIONS {
        if args.flag(flag) != Some(true) {
            continue;
        }
        if let Some(member) = members.iter().find(|member| args.0.contains_key(**member)) {
            return Err(Failure::invalid(format!("{member} must not be given when {flag} is true")));
        }
        let none = Content::default();
        match flag {
            "deleteBehaviors" => (content.given, content.behaviors) = (none.given, none.behaviors),
            "deleteAlertTargets" => content.alert_targets = none.alert_targets,
            "deleteMetricsExportConfig" => content.export = none.export,
            _ => {
                content.retained_names = none.retained_names;
                content.retained_given = none.retained_given;
                content.retained = none.retained;
            }
        }
    }
    Ok(())
}

/// `CreateSecurityProfile`.
pub(crate) fn create(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("securityProfileName").to_owned();
    let arn = world.settings.arn(&format!("securityprofile/{name}"));
    if world.detect.profiles.contains_key(&name) {
        return Err(Failure::exists("A security profile with this name already exists", name, arn));
    }
    let mut content = Content::default();
    set(&mut content, &world.detect, args)?;
    let answer = json!({ "securityProfileName": name, "securityProfileArn": arn }).to_string();
    let profile = Profile {
        number: world.number(),
        name: name.clone(),
        arn,
        version: 1,
        created: world.now(),
        modified: world.now(),
        content,
        targets: std::collections::BTreeMap::new(),
    };
    world.detect.profiles.insert(name, profile);
    Ok(answer)
}

/// The profile with a name.
pub(crate) fn find<'a>(world: &'a World, name: &str) -> Result<&'a Profile, Failure> {
    let missing = || Failure::not_found(format!("Security profile {name} does not exist"));
    world.detect.profiles.get(name).ok_or_else(missing)
}

/// Refuses a request that expects another version than there is.
fn expect_version(profile: &Profile, args: &Args) -> Result<(), Failure> {
    match args.0.get("expectedVersion").and_then(Value::as_i64) {
        Some(version) if version != profile.version => {
            let words = format!("expectedVersion is {version}, and the version is {}", profile.version);
            Err(Failure::new(Code::VersionConflict, words))
        }
        _ => Ok(()),
    }
}

/// `UpdateSecurityProfile`. A refused update changes nothing.
pub(crate) fn update(world: &mut World, args: &Args) -> Outcome {
    let mut profile = find(world, args.required("securityProfileName"))?.clone();
    expect_version(&profile, args)?;
    delete_members(&mut profile.content, args)?;
    set(&mut profile.content, &world.detect, args)?;
    profile.version += 1;
    profile.modified = world.now();
    let answer = profile.describe().to_string();
    world.detect.profiles.insert(profile.name.clone(), profile);
    Ok(answer)
}

/// `DescribeSecurityProfile`.
pub(crate) fn describe(world: &mut World, args: &Args) -> Outcome {
    Ok(find(world, args.required("securityProfileName"))?.describe().to_string())
}

/// `ListSecurityProfiles`: all, or those that use a dimension or a custom metric.
pub(crate) fn list(world: &mut World, args: &Args) -> Outcome {
    let pager = Pager::new(world.seed(), "ListSecurityProfiles", &args.0)?;
    let detect = &world.detect;
    let profiles: Vec<&Profile> = match (args.text("dimensionName"), args.text("metricName")) {
        (Some(_), Some(_)) => {
            return Err(Failure::invalid("dimensionName and metricName must not be given together"));
        }
        (Some(name), None) if !detect.dimensions.contains_key(name) => {
            return Err(Failure::not_found(format!("Dimension {name} does not exist")));
        }
        (None, Some(name)) if !detect.custom_metrics.contains_key(name) => {
            return Err(Failure::not_found(format!("Custom metric {name} does not exist")));
        }
        (Some(name), None) => detect.users_of_dimension(name).collect(),
        (None, Some(name)) => detect.users_of_metric(name).collect(),
        (None, None) => detect.profiles.values().collect(),
    };
    let all = profiles.into_iter().map(|profile| ((profile.number.into(), 0), profile.identifier()));
    let (page, next) = pager.page(all);
    Ok(listing("securityProfileIdentifiers", page, next))
}

/// `DeleteSecurityProfile`. Deleting what is not there succeeds: the operation declares no other answer.
pub(crate) fn delete(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("securityProfileName");
    if let Some(profile) = world.detect.profiles.get(name) {
        expect_version(profile, args)?;
    }
    world.detect.profiles.remove(name);
    Ok(EMPTY.to_owned())
}

/// `ValidateSecurityProfileBehaviors`. What is wrong is no error: it is the answer.
pub(crate) fn validate(world: &mut World, args: &Args) -> Outcome {
    let given: Vec<Value> = args.read("behaviors")?.unwrap_or_default();
    let wrong = world.detect.behaviors(&given).err().unwrap_or_default();
    let errors: Vec<Value> = wrong.iter().map(|words| json!({ "errorMessage": words })).collect();
    Ok(json!({ "valid": errors.is_empty(), "validationErrors": errors }).to_string())
}

#[cfg(test)]
#[path = "detect_profiles_tests.rs"]
mod tests;
