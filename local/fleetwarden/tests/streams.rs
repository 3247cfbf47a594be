//! What becomes of the result when standard output takes no more of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn fleetwarden(arguments: &[&str], stdout: impl Into<Stdio>) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetwarden"));
    command.args(arguments).current_dir(root).stdin(Stdio::null()).stdout(stdout).output().unwrap()
}

const RESULTS: [&[&str]; 5] =
    [&["policy", "schema"], &["policy", "check"], &["policy", "test"], &["--help"], &["--version"]];

#[test]
fn a_result_that_cannot_be_written_fails_the_command() {
    for arguments in RESULTS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = fleetwarden(arguments, full);
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
