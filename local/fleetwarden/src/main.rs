//! `fleetwarden`: the operator's command line.
//!
//! One module per subcommand below [`commands`]. What they share: [`stack`] puts one machine together out of
//! the [`emulator`], the Device Defender endpoint ([`defender`]) and the [`template`]; [`cloud`] asks the
//! emulator what became of it. [`aws`] speaks to a stack wherever it is.

mod aws;
mod cloud;
mod commands;
mod defender;
mod demo;
mod emulator;
mod exit;
mod fleet;
mod http;
mod input;
mod no_stack;
mod output;
mod process;
mod replay;
mod runtime;
mod shell;
mod stack;
mod template;

use clap::builder::Resettable;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use exit::Exit;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Acts on what AWS IoT Device Defender finds: tools for the operator and for one machine.
#[derive(Debug, Parser)]
#[command(name = "fleetwarden", version)]
#[command(after_help = "\
Examples:
  fleetwarden policy check policies/deployed/policy.yaml
  fleetwarden audit list-audit-suppressions
  fleetwarden mitigation list --state failed
  fleetwarden review --dry-run
  fleetwarden demo")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer as Device Defender does, over a simulated fleet
    DeviceDefender(commands::device_defender::Arguments),
    /// Check, explain, test and replay a policy before it is deployed
    Policy(commands::policy::Arguments),
    /// Export the things and groups of an account, for the commands of `policy`
    Things(commands::things::Arguments),
    /// Bring the whole stack up on this machine and keep it up
    Up(commands::up::Arguments),
    /// Run an audit command in a stack, in AWS or on this machine
    #[command(after_help = "\
Examples:
  fleetwarden audit list-audit-findings --check-name LOGGING_DISABLED_CHECK
  fleetwarden audit audit-report --format html > report.html
  fleetwarden audit create-scheduled-audit --cli-input-json file://audit.json")]
    Audit(commands::audit::Arguments<commands::audit::Audit>),
    /// Run a command of Detect in a stack, in AWS or on this machine
    #[command(after_help = "\
Examples:
  fleetwarden detect list-active-violations --security-profile-name lamps
  fleetwarden detect alarm-report --hours 24
  fleetwarden detect alarm-incident --incident-id 7 --decision leave")]
    Detect(commands::audit::Arguments<commands::detect::Detect>),
    /// Show what a mitigation did, or list mitigations, of a stack in AWS or on this machine
    Mitigation(commands::mitigation::Arguments),
    /// Put back suppressions that the rules of a stack have made
    Suppression(commands::suppression::Arguments),
    /// Review the suppressions of a stack now, or show what a review would do
    Review(commands::review::Arguments),
    /// Run one function with an event and print its answer
    Invoke(commands::invoke::Arguments),
    /// Run two audits through the stack on this machine and count what became of every finding
    Demo(commands::demo::Arguments),
    /// Print a script by which a shell completes commands and options
    Completion(commands::completion::Arguments),
    /// Write a manual page for each command
    Man(commands::man::Arguments),
}

/// The whole command line.
fn command() -> clap::Command {
    Arguments::command()
}

#[tokio::main]
async fn main() -> ExitCode {
    let matches = without_empty(command()).try_get_matches();
    let command = match matches.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments.command,
        Err(unparsed) => return output::of_parser(&unparsed).into(),
    };
    // Dropping a command that was interrupted ends everything that it started.
    let ended = tokio::select! {
        ended = run(command) => ended,
        (name, number) = interrupted() => {
            output::note(format!("fleetwarden: stopped by {name}"));
            Ok(Exit::Stopped(number))
        }
    };
    let complete = output::finish();
    let exit = complete.and(ended).unwrap_or_else(|error| {
        output::note(format!("fleetwarden: {error:#}"));
        Exit::Failed
    });
    exit.into()
}

/// Takes a variable that is empty for one that is not set: so a file of variables says that there is none.
fn without_empty(command: clap::Command) -> clap::Command {
    let reset = |option: clap::Arg| {
        let value = option.get_env().and_then(std::env::var_os);
        if value.is_some_and(|value| value.is_empty()) { option.env(Resettable::Reset) } else { option }
    };
    command.mut_args(reset).mut_subcommands(without_empty)
}

async fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::DeviceDefender(arguments) => commands::device_defender::run(arguments).await,
        Command::Policy(arguments) => commands::policy::run(arguments).await,
        Command::Things(arguments) => commands::things::run(arguments).await,
        Command::Audit(arguments) => commands::audit::run(arguments).await,
        Command::Detect(arguments) => commands::audit::run(arguments).await,
        Command::Mitigation(arguments) => commands::mitigation::run(arguments).await,
        Command::Suppression(arguments) => commands::suppression::run(arguments).await,
        Command::Review(arguments) => commands::review::run(arguments).await,
        Command::Up(arguments) => commands::up::run(arguments).await,
        Command::Invoke(arguments) => commands::invoke::run(arguments).await,
        Command::Demo(arguments) => commands::demo::run(arguments).await,
        Command::Completion(arguments) => commands::completion::run(&arguments, self::command()),
        Command::Man(arguments) => commands::man::run(&arguments, self::command()),
    }
}

/// Waits until somebody wants this process to end, and gives the signal's name and number.
async fn interrupted() -> (&'static str, u8) {
    let on = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            // Without a handler the signal ends the process by itself.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = on(SignalKind::interrupt()) => ("Ctrl-C", 2),
        () = on(SignalKind::terminate()) => ("SIGTERM", 15),
        () = on(SignalKind::hangup()) => ("SIGHUP", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::command;
    use clap::Command;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn each_help_has_an_example() {
        fn look(command: &Command, path: &str) {
            let path = format!("{path}{} ", command.get_name());
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.contains(&format!("\n  {}", path.trim_end())) || command.has_subcommands(),
                "{path}: {help}"
            );
            assert!(help.starts_with("Example"), "{path}: {help}");
            assert!(help.lines().all(|line| line.len() <= 80), "{path} is broken by a terminal: {help}");
            command.get_subcommands().for_each(|command| look(command, &path));
        }
        look(&command(), "");
    }
}
