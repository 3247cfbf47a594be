//! `fleetwarden man`: a manual page for each command.

use crate::exit::Exit;
use crate::output::line;
use anyhow::{Context as _, Result};
use clap::{Args, Command};
use std::fs;
use std::path::{Path, PathBuf};

/// Arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden man ~/.local/share/man/man1
  man fleetwarden-audit-list-audit-findings")]
pub(crate) struct Arguments {
    /// Folder that gets the pages; it is created if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes the pages of the whole command line.
pub(crate) fn run(arguments: &Arguments, command: Command) -> Result<Exit> {
    let pages = write(&arguments.folder, command)?;
    line(format!("{pages} pages in {}", arguments.folder.display()));
    Ok(Exit::Done)
}

/// Writes the pages and gives their number.
fn write(folder: &Path, command: Command) -> Result<usize> {
    let cannot = || format!("cannot write manual pages to {}", folder.display());
    fs::create_dir_all(folder).with_context(cannot)?;
    // A page for each `help` below a command would only list the same commands again.
    let command = command.disable_help_subcommand(true);
    let count = count(&command);
    clap_mangen::generate_to(command, folder).with_context(cannot)?;
    Ok(count)
}

/// A command and all below it.
fn count(command: &Command) -> usize {
    1 + command.get_subcommands().map(count).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_with_its_examples() {
        let folder = tempfile::tempdir().unwrap();
        let pages = write(folder.path(), crate::command()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), pages);
        let page = fs::read_to_string(folder.path().join("fleetwarden-audit-list-audit-findings.1")).unwrap();
        for part in [".TH fleetwarden-audit-list-audit-findings 1", "\\-\\-task\\-id", "Example:"] {
            assert!(page.contains(part), "{part}\n{page}");
        }
    }
}
