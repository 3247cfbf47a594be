//! What a variable says that is there and empty.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};

const VARIABLES: [&str; 6] = [
    "FLEETWARDEN_ROOT",
    "FLEETWARDEN_BINARIES",
    "FLEETWARDEN_MINISTACK",
    "FLEETWARDEN_STACK",
    "FINDINGS",
    "SEED",
];

/// What a command says in an environment that has nothing but these variables, all of them empty.
fn said(arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetwarden"));
    command.args(arguments).current_dir(root).stdin(Stdio::null()).env_clear();
    command.envs(VARIABLES.map(|name| (name, "")));
    String::from_utf8(command.output().unwrap().stderr).unwrap()
}

#[test]
fn a_variable_that_is_empty_is_none() {
    let missing = said(&["invoke", "no-such-function", "--event", "Cargo.toml"]);
    assert!(missing.contains("the template has no function no-such-function"), "{missing}");
    let missing = said(&["up", "--policy", "/no/such/policy"]);
    assert!(missing.contains("no policy file at /no/such/policy"), "{missing}");
    let keys = ["--region", "eu-central-1", "--endpoint-url", "localhost", "--cli-input-json", "{}"];
    let missing = said(&[&["audit", "describe-audit-task"][..], &keys].concat());
    assert!(missing.contains("--endpoint-url must begin with http:// or https://"), "{missing}");
}
