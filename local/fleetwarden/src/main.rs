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
mod fleet;
mod http;
mod input;
mod output;
mod process;
mod replay;
mod runtime;
mod shell;
mod stack;
mod template;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Acts on what AWS IoT Device Defender finds: tools for the operator and for one machine.
#[derive(Debug, Parser)]
#[command(name = "fleetwarden", version)]
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
    /// Have an audit command done by a stack, in AWS or on this machine
    Audit(commands::audit::Arguments),
    /// Have a command of Detect done by a stack, in AWS or on this machine
    Detect(commands::audit::Arguments),
    /// Run one function with an event and print its answer
    Invoke(commands::invoke::Arguments),
    /// Run two audits through the stack on this machine and count what became of every finding
    Demo(commands::demo::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = match Arguments::try_parse() {
        Ok(arguments) => arguments.command,
        Err(unparsed) => return output::of_parser(&unparsed),
    };
    // Dropping a command that was interrupted ends everything that it started.
    let ended = tokio::select! {
        ended = run(command) => ended,
        name = interrupted() => {
            output::note(format!("fleetwarden: stopped by {name}"));
            Ok(ExitCode::from(130))
        }
    };
    let complete = output::finish();
    complete.and(ended).unwrap_or_else(|error| {
        output::note(format!("fleetwarden: {error:#}"));
        ExitCode::FAILURE
    })
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::DeviceDefender(arguments) => commands::device_defender::run(arguments).await,
        Command::Policy(arguments) => commands::policy::run(arguments).await,
        Command::Things(arguments) => commands::things::run(arguments).await,
        Command::Audit(arguments) => commands::audit::run(arguments).await,
        Command::Detect(arguments) => commands::detect::run(arguments).await,
        Command::Up(arguments) => commands::up::run(arguments).await,
        Command::Invoke(arguments) => commands::invoke::run(arguments).await,
        Command::Demo(arguments) => commands::demo::run(arguments).await,
    }
}

/// Waits until somebody wants this process to end, and says how.
async fn interrupted() -> &'static str {
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
        () = on(SignalKind::interrupt()) => "Ctrl-C",
        () = on(SignalKind::terminate()) => "SIGTERM",
        () = on(SignalKind::hangup()) => "SIGHUP",
    }
}
