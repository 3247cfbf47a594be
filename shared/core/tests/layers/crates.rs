//! The crates of the workspace: which may depend on which, as Cargo reads it from their manifests.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The folders of crates from the bottom. A crate depends only on crates of folders before its own; local tools may
/// depend on each other.
const ORDER: [&str; 7] = [
    "shared/hostile",
    "shared/core",
    "shared/behaviors",
    "shared/aws",
    "shared/commands",
    "functions/",
    "local/",
];

/// What the core does not know: AWS clients, an async runtime, HTTP. The names of crates begin so.
const NOT_IN_THE_CORE: [&str; 6] = ["aws", "lambda", "tokio", "hyper", "reqwest", "http"];

/// Dependencies of tests against the order, by crate and what it depends on, each with its reason. They are
/// dev-dependencies, or optional and of a feature `testing`: nothing of them is deployed.
const FOR_TESTS: [(&str, &str, &str); 16] = [
    ("alarm-watch", "detect-alarm", "reads what the watch sends"),
    ("audit-commands", "apply-mitigations", "starts what a command asks for"),
    ("detect-commands", "apply-mitigations", "starts what a command asks for"),
    ("mitigation-commands", "apply-mitigations", "follows what is undone to its end"),
    ("mitigation-commands", "apply-suppressions", "makes the suppressions that are undone"),
    ("mitigation-commands", "audit-commands", "starts what is undone"),
    ("suppression-review", "audit-notification", "reads a notification that is sent again"),
    ("audit-watch", "audit-notification", "reads a notification that is sent again"),
    ("audit-commands", "device-defender", "answers as Device Defender does"),
    ("detect-commands", "device-defender", "answers as Device Defender does"),
    ("mitigation-commands", "device-defender", "answers as Device Defender does"),
    ("suppression-review", "device-defender", "answers as Device Defender does"),
    ("audit-watch", "device-defender", "answers as Device Defender does"),
    ("triage-findings", "device-defender", "answers as Device Defender does"),
    ("fleetwarden-commands", "device-defender", "answers as Device Defender does"),
    ("fleetwarden-aws", "dynamodb-table", "is the ledger's table in memory"),
];

/// A dependency of a crate of the workspace.
struct Dependency<'m> {
    of: &'m str,
    folder: &'m str,
    on: &'m str,
    /// The folder of what it depends on, if that is of the workspace.
    on_folder: Option<&'m str>,
    for_tests: bool,
}

/// What Cargo knows of the workspace. It reads manifests only.
fn metadata() -> Value {
    let answer = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    serde_json::from_slice(&answer.stdout).unwrap()
}

fn dependencies<'m>(metadata: &'m Value) -> Vec<Dependency<'m>> {
    let root = Path::new(metadata["workspace_root"].as_str().unwrap());
    let within = |path: &'m str| Path::new(path).strip_prefix(root).unwrap().to_str().unwrap();
    let of_package = |package: &'m Value| {
        let folder = within(package["manifest_path"].as_str().unwrap());
        package["dependencies"].as_array().unwrap().iter().map(move |on| Dependency {
            of: package["name"].as_str().unwrap(),
            folder,
            on: on["name"].as_str().unwrap(),
            on_folder: on["path"].as_str().map(within),
            for_tests: on["kind"] == "dev" || on["optional"] == true,
        })
    };
    metadata["packages"].as_array().unwrap().iter().flat_map(of_package).collect()
}

fn place(folder: &str) -> usize {
    let known = ORDER.iter().position(|place| folder.starts_with(place));
    known.unwrap_or_else(|| panic!("'{folder}' has no place: add it to ORDER in this test"))
}

fn fault(of: &Dependency<'_>) -> Option<String> {
    let on_folder = of.on_folder?;
    let (own, other) = (place(of.folder), place(on_folder));
    let is_local = own == ORDER.len() - 1;
    let is_itself = of.of == of.on;
    let is_justified = of.for_tests && FOR_TESTS.iter().any(|(one, on, _)| (*one, *on) == (of.of, of.on));
    let is_in_order = other < own || (is_local && other == own);
    (!is_in_order && !is_itself && !is_justified)
        .then(|| format!("{} may not depend on {} ({} is not above {on_folder})", of.of, of.on, of.folder))
}

#[test]
fn a_crate_depends_only_on_crates_below_it() {
    let metadata = metadata();
    let dependencies = dependencies(&metadata);
    assert!(
        dependencies.iter().filter(|of| of.on_folder.is_some()).count() > 30,
        "too few dependencies were read"
    );
    let faults: Vec<String> = dependencies.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_core_knows_no_client() {
    let metadata = metadata();
    let dependencies = dependencies(&metadata);
    let known: Vec<&str> = dependencies
        .iter()
        .filter(|of| of.of == "fleetwarden-core" && !of.for_tests)
        .filter(|of| NOT_IN_THE_CORE.iter().any(|start| of.on.starts_with(start)))
        .map(|of| of.on)
        .collect();
    assert_eq!(known, [""; 0]);
}

#[test]
fn a_dependency_against_the_order_is_named() {
    let dependency = |of, folder, on, on_folder, for_tests| Dependency {
        of,
        folder,
        on,
        on_folder: Some(on_folder),
        for_tests,
    };
    let (watch, alarm) = ("functions/alarm-watch/Cargo.toml", "functions/detect-alarm");
    let of = |for_tests| fault(&dependency("alarm-watch", watch, "detect-alarm", alarm, for_tests));
    assert_eq!(of(true), None);
    let named = "alarm-watch may not depend on detect-alarm (functions/alarm-watch/Cargo.toml is not above \
                 functions/detect-alarm)";
    assert_eq!(of(false).as_deref(), Some(named));
    let core = "shared/core/Cargo.toml";
    assert!(fault(&dependency("fleetwarden-core", core, "fleetwarden-aws", "shared/aws", true)).is_some());
    assert!(
        fault(&dependency("detect-alarm", alarm, "device-defender", "local/device-defender", true)).is_some()
    );
}
