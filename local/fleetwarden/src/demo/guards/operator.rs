//! What the operator does in the scenes: a command of this command line, in a process of its own, as from any shell.

use crate::stack::Stack;
use anyhow::{Context as _, Result};
use std::process::Stdio;
use tokio::process::Command;

/// A command that was given.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    /// As one types it.
    pub(super) line: String,
    /// Why it failed, if it did.
    pub(super) failure: Option<String>,
}

/// Gives a command: `fleetwarden mitigation …`.
pub(super) async fn mitigation(stack: &Stack, words: &[&str]) -> Result<Given> {
    let own = std::env::current_exe().context("this command line has no file")?;
    let mut command = Command::new(own);
    // What the caller's shell says of AWS is of another stack.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
    }
    command.arg("mitigation").args(words).envs(stack.variables()).stdin(Stdio::null());
    let done = command.output().await.context("cannot start this command line again")?;
    let quoted = |word: &&str| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() };
    let typed = words.iter().map(quoted).collect::<Vec<_>>().join(" ");
    let said = || {
        let all = [done.stdout.as_slice(), done.stderr.as_slice()].concat();
        format!("{}: {}", done.status, String::from_utf8_lossy(&all).trim())
    };
    let failure = (!done.status.success()).then(said);
    Ok(Given { line: format!("fleetwarden mitigation {typed}"), failure })
}
