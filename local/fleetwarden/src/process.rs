//! A child process that never outlives the command, and what runs below it.
//!
//! The child leads its own process group. Whatever happens to the command line (an error, Ctrl-C, SIGTERM),
//! dropping the guard ends the group: politely first, then by force.

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a child has to end by itself.
const GRACE: Duration = Duration::from_secs(3);

/// A running child and its process group.
#[derive(Debug)]
pub(crate) struct Guarded {
    child: Child,
}

impl Guarded {
    /// Starts a command as the leader of a new process group.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.process_group(0).spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child })
    }

    /// The child's process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the child ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // No such group is what is wanted.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.signal_group(Signal::TERM);
        let until = Instant::now() + GRACE;
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            sleep(Duration::from_millis(20));
        }
        self.signal_group(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// A process below the child: its id and the function that it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bootstrap {
    /// Its process id.
    pub(crate) pid: u32,
    /// The value of `AWS_LAMBDA_FUNCTION_NAME` in its environment.
    pub(crate) function: String,
}

/// Every function process below the process `parent`, at any depth.
pub(crate) fn bootstraps(parent: u32) -> Vec<Bootstrap> {
    let below = descendants(parent);
    below.into_iter().filter_map(|pid| Some(Bootstrap { pid, function: function_of(pid)? })).collect()
}

/// Ends a process at once, as a crash would.
pub(crate) fn crash(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}

fn function_of(pid: u32) -> Option<String> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let executable = fs::read_link(folder.join("exe")).ok()?;
    if executable.file_name()? != "bootstrap" {
        return None;
    }
    let environment = fs::read(folder.join("environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let name = variables.find_map(|variable| variable.strip_prefix(b"AWS_LAMBDA_FUNCTION_NAME="))?;
    Some(String::from_utf8_lossy(name).into_owned())
}

fn descendants(parent: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::from([parent]);
    let processes: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent_of(pid)?)))
        .collect();
    loop {
        let before = found.len();
        for (pid, above) in &processes {
            if found.contains(above) {
                found.insert(*pid);
            }
        }
        if found.len() == before {
            found.remove(&parent);
            return found;
        }
    }
}

fn parent_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// A port on loopback that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("no free port on loopback")?;
    Ok(listener.local_addr()?.port())
}

/// The last lines of a file, for an error.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let all: Vec<_> = text.lines().collect();
    all.iter().skip(all.len().saturating_sub(lines)).copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_the_guard_ends_the_whole_group() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & wait"]);
        let guarded = Guarded::spawn(&mut command).unwrap();
        let leader = guarded.id();
        let until = Instant::now() + Duration::from_secs(5);
        while descendants(leader).is_empty() && Instant::now() < until {
            sleep(Duration::from_millis(10));
        }
        let below = descendants(leader);
        assert_eq!(below.len(), 1);
        drop(guarded);
        sleep(Duration::from_millis(100));
        // Ended, or a zombie that init has still to collect.
        for pid in below {
            let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            assert!(state.is_empty() || state.contains(") Z "), "{state}");
        }
    }

    #[test]
    fn a_command_that_does_not_exist_is_named() {
        let error = Guarded::spawn(&mut Command::new("/no/such/command")).unwrap_err();
        assert!(error.to_string().contains("/no/such/command"));
    }
}
