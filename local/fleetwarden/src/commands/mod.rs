//! One module per subcommand: its arguments, and what it does with them.

pub(crate) mod answer;
pub(crate) mod audit;
pub(crate) mod completion;
pub(crate) mod demo;
pub(crate) mod detect;
pub(crate) mod device_defender;
pub(crate) mod invoke;
pub(crate) mod man;
pub(crate) mod mitigation;
pub(crate) mod policy;
pub(crate) mod review;
pub(crate) mod suppression;
pub(crate) mod things;
pub(crate) mod up;

use self::device_defender::Fleet;
use crate::stack;
use anyhow::{Context as _, Result};
use clap::Args;
use std::path::{Path, PathBuf};

/// Where things are: the same for every command that works with the functions.
#[derive(Debug, Args)]
pub(crate) struct Places {
    /// Folder that holds template.yaml; the nearest above the working folder if left out
    #[arg(long, env = "FLEETWARDEN_ROOT")]
    root: Option<PathBuf>,
    /// Folder of the functions' release binaries; target/release if left out
    #[arg(long, env = "FLEETWARDEN_BINARIES")]
    binaries: Option<PathBuf>,
}

/// The nearest folder that holds template.yaml: the given one or one above it.
pub(crate) fn above(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|folder| folder.join("template.yaml").exists()).map(Path::to_owned)
}

impl Places {
    /// The folder of the template.
    pub(crate) fn root(&self) -> Result<PathBuf> {
        if let Some(root) = &self.root {
            return std::path::absolute(root).context("the root is no path");
        }
        let here = std::env::current_dir().context("the working folder is gone")?;
        above(&here).context("no template.yaml here or above: give the checkout by --root")
    }

    /// The folder of the binaries.
    pub(crate) fn binaries(&self, root: &Path) -> PathBuf {
        self.binaries.clone().unwrap_or_else(|| root.join("target/release"))
    }
}

/// How a stack on this machine is made: the same for `up` and `demo`.
#[derive(Debug, Args)]
pub(crate) struct Local {
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) fleet: Fleet,
    /// Command of ministack, the emulator; .venv/bin/ministack below the root if left out
    #[arg(long, env = "FLEETWARDEN_MINISTACK")]
    ministack: Option<PathBuf>,
    /// Handle alarms of Detect too, of the template's example profiles; the demonstration is then of alarms
    #[arg(long)]
    pub(crate) detect: bool,
    /// Value for a parameter of the template; may be repeated
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = pair)]
    parameters: Vec<(String, String)>,
    /// Seconds that a function has at most, and after which a message that it did not finish comes back
    //
    // From 16 on: a message is parked after five receives, and a crashed export holds its stream for a minute.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(16..))]
    retry_seconds: u64,
}

impl Local {
    /// The plan of a stack whose functions read the policy file `policy`.
    pub(crate) fn plan(&self, policy: &Path, port: Option<u16>, defender_port: u16) -> Result<stack::Plan> {
        let root = self.places.root()?;
        let ministack = self.ministack.clone();
        // What the caller says of a parameter comes last and counts.
        let detect = if self.detect { stack::DETECT.as_slice() } else { &[] };
        let detect = detect.iter().map(|parameter| ((*parameter).to_owned(), "true".to_owned()));
        Ok(stack::Plan {
            binaries: self.places.binaries(&root),
            ministack: ministack.unwrap_or_else(|| root.join(".venv/bin/ministack")),
            policy: std::path::absolute(policy).context("the policy is no path")?,
            port,
            defender: self.fleet.settings(defender_port),
            parameters: detect.chain(self.parameters.iter().cloned()).collect(),
            retry: std::time::Duration::from_secs(self.retry_seconds),
            root,
        })
    }
}

/// A `NAME=VALUE` argument.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
