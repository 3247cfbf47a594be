//! `fleetwarden completion`: the commands and options for a shell to complete.

use crate::exit::Exit;
use crate::output::line;
use anyhow::{Context as _, Result};
use clap::{Args, Command};
use clap_complete::{Shell, generate};

/// Arguments of `completion`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetwarden completion bash > /etc/bash_completion.d/fleetwarden
  fleetwarden completion zsh > ~/.zfunc/_fleetwarden
  fleetwarden completion fish > ~/.config/fish/completions/fleetwarden.fish")]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints the script of a shell for the whole command line.
pub(crate) fn run(arguments: &Arguments, command: Command) -> Result<Exit> {
    line(script(arguments.shell, command)?);
    Ok(Exit::Done)
}

fn script(shell: Shell, mut command: Command) -> Result<String> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(shell, &mut command, name, &mut script);
    let script = String::from_utf8(script).context("the script is not UTF-8")?;
    Ok(script.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Painted;
    use clap::ValueEnum as _;
    use std::io::Write as _;
    use std::process::{Command as Process, Stdio};

    fn of(shell: Shell) -> String {
        script(shell, crate::command()).unwrap()
    }

    #[test]
    fn each_shell_gets_its_script_as_it_is() {
        for shell in Shell::value_variants() {
            let script = of(*shell);
            assert!(script.contains("list-audit-findings"), "{shell}");
            assert_eq!(Painted::from(&script).styled(), script, "{shell}: nothing of it is escaped");
        }
    }

    #[test]
    fn bash_reads_the_script_and_completes_by_it() {
        let ask = "\nCOMP_WORDS=(fleetwarden audit list-audit-f); COMP_CWORD=2\n\
                   _fleetwarden fleetwarden list-audit-f audit; echo \"${COMPREPLY[@]}\"\n";
        let mut bash = Process::new("bash");
        let bash = bash.args(["--norc", "-s"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut bash) = bash else { return };
        bash.stdin.take().unwrap().write_all((of(Shell::Bash) + ask).as_bytes()).unwrap();
        let said = bash.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "list-audit-findings");
    }
}
