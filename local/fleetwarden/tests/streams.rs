//! What becomes of a command when what it writes to takes no more of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn fleetwarden(arguments: &[&str], stdout: impl Into<Stdio>) -> Output {
    command(arguments).stdout(stdout).output().unwrap()
}

fn command(arguments: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetwarden"));
    command.args(arguments).current_dir(root).stdin(Stdio::null());
    command
}

const RESULTS: [&[&str]; 10] = [
    &["policy", "schema"],
    &["policy", "reference"],
    &["policy", "check"],
    &["policy", "check", "--json"],
    &["policy", "test"],
    &["policy", "explain", "-f", FINDING],
    &["policy", "explain", "--json", "-f", FINDING],
    &["things", "schema"],
    &["--help"],
    &["--version"],
];
/// A file of cases: `policy explain` takes what `policy test` takes.
const FINDING: &str = "policies/tests/policy.yaml";

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn a_result_that_cannot_be_written_fails_the_command() {
    for arguments in RESULTS {
        let output = fleetwarden(arguments, full());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(
            said.contains("standard output is incomplete: No space left on device"),
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn a_reader_that_has_had_enough_fails_nothing() {
    for arguments in RESULTS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = fleetwarden(arguments, writer);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What runs until it is stopped says first where it is.
#[test]
fn an_endpoint_that_cannot_say_where_it_is_ends() {
    let output = fleetwarden(&["device-defender", "--port", "0", "--findings", "1"], full());
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_remark_that_cannot_be_written_fails_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    let warned = "version: 1\nrules:\n  - name: r\n    match: { check: LOGGING_DISABLED_CHECK }\n    \
                  suppress: { for: 1d, reason: x }\n";
    std::fs::write(&policy, warned).unwrap();
    let check = |stderr: Stdio| {
        let arguments = ["policy", "check", "--no-template", policy.to_str().unwrap()];
        command(&arguments).stdout(Stdio::piped()).stderr(stderr).output().unwrap().status.code()
    };
    assert_eq!(check(Stdio::piped()), Some(0));
    assert_eq!(check(full().into()), Some(1));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(check(writer.into()), Some(0));
}

#[test]
fn a_file_that_cannot_be_written_fails_the_command() {
    let output = fleetwarden(&["policy", "test", "--junit", "/dev/full"], Stdio::piped());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write /dev/full: No space left on device"), "{said}");
}
