//! The policies that ship, through the operator's command line: each is good, its cases pass, and the cookbook shows
//! the file that is there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn policy(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetwarden"));
    command.arg("policy").args(arguments).current_dir(root()).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The cookbook's policies by name, each with its text.
fn recipes() -> BTreeMap<String, String> {
    let files =
        std::fs::read_dir(root().join("policies/cookbook")).unwrap().map(|entry| entry.unwrap().path());
    let recipes = files.filter(|path| path.is_file());
    recipes
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn every_policy_is_good_and_has_its_cases() {
    let recipes = recipes();
    assert!(recipes.len() >= 10);
    for name in recipes.keys() {
        let checked = policy(&["check", &format!("policies/cookbook/{name}")]);
        assert!(checked.status.success(), "{}", text(&checked));
        assert!(root().join("policies/cookbook/tests").join(name).is_file(), "{name} has no cases");
    }
}

#[test]
fn every_case_passes_and_every_rule_is_reached() {
    let tested = policy(&["test"]);
    let told = text(&tested);
    assert!(tested.status.success() && told.contains(" passed, 0 failed; "), "{told}");
    assert!(!told.contains("No case reaches"), "{told}");
}

#[test]
fn a_case_that_fails_fails_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let (cases, junit) = (folder.path().join("cases.yaml"), folder.path().join("junit.xml"));
    let policies = root().join("policies/deployed/policy.yaml");
    for (rule, failures) in [("logging-disabled", "0"), ("old-certificates", "1")] {
        let text = format!(
            "policy: {}\ncases:\n  - name: one\n    finding: {{ check: LOGGING_DISABLED_CHECK }}\n    expect: {{ rule: {rule} }}\n",
            policies.display()
        );
        std::fs::write(&cases, text).unwrap();
        let tested = policy(&["test", cases.to_str().unwrap(), "--junit", junit.to_str().unwrap()]);
        assert_eq!(tested.status.code(), Some(i32::from(failures == "1")));
        let written = std::fs::read_to_string(&junit).unwrap();
        let mut written = quick_xml::Reader::from_str(&written);
        let root = loop {
            if let quick_xml::events::Event::Start(root) = written.read_event().unwrap() {
                break root;
            }
        };
        let counted = root.try_get_attribute("failures").unwrap().unwrap();
        assert_eq!(&*counted.value, failures);
    }
}

#[test]
fn a_finding_is_explained_from_standard_input_and_again_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("finding.json");
    std::fs::write(
        &file,
        r#"{"finding": {"findingId": "a", "checkName": "LOGGING_DISABLED_CHECK", "taskStartTime": 1}}"#,
    )
    .unwrap();
    let explained = |json: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetwarden"));
        command.args(["policy", "explain", "-f", "-"]).args(json).current_dir(root());
        command.stdin(std::fs::File::open(&file).unwrap()).output().unwrap()
    };
    let (once, again) = (explained(&["--json"]), explained(&["--json"]));
    assert!(once.status.success() && once.stdout == again.stdout, "{}", text(&once));
    let decision: serde_json::Value = serde_json::from_slice(&once.stdout).unwrap();
    assert_eq!(decision["outcome"], "report");
    assert_eq!(decision["passedOver"][0]["failedOn"], "resource");
    assert!(text(&explained(&[])).starts_with("Report a finding without resource"));
}

#[test]
fn the_cookbook_shows_the_files_that_are_there() {
    let book = std::fs::read_to_string(root().join("docs/cookbook.md")).unwrap();
    let mut shown = BTreeMap::new();
    let parts = book.split("\n`policies/cookbook/").filter_map(|part| part.split_once("`:\n\n```yaml\n"));
    for (name, rest) in parts {
        let (text, rest) = rest.split_once("```\n").unwrap();
        assert!(rest.starts_with("\nWatch out:\n- "), "{name} says nothing to watch out for");
        assert!(book.contains(&format!("| `{name}` |\n")), "{name} is not in the table");
        shown.insert(name.to_owned(), text.to_owned());
    }
    assert_eq!(shown, recipes());
}
