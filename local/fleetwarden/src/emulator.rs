//! ministack, the emulator of everything on AWS that is not Device Defender.
//!
//! It runs the functions' real binaries, and hands its own environment down to them: that is how they get
//! the address of the Device Defender endpoint and the path of the policy (a layer is not mounted at `/opt`
//! here) while the template stays as it ships.

use crate::cloud::{ACCOUNT, Cloud, REGION};
use crate::http::Http;
use crate::process::{Guarded, free_port, tail};
use anyhow::{Context as _, Result, bail};
use hyper::Method;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// It is up in a second; a busy machine needs longer.
const START: Duration = Duration::from_mins(1);
/// Somebody else may take the port between the look and the start.
const ATTEMPTS: usize = 3;

/// What the emulator lacks: Lambda's recursive-loop detection through queues, emails as files, and the redrive of dead-letter
/// queues. The first file has the name by which Python loads it at its start.
const EXTENSION: [(&str, &str); 4] = [
    ("sitecustomize.py", include_str!("emulator/sitecustomize.py")),
    ("lineage.py", include_str!("emulator/lineage.py")),
    ("mail.py", include_str!("emulator/mail.py")),
    ("redrive.py", include_str!("emulator/redrive.py")),
];

/// How the emulator is started.
#[derive(Debug, Clone)]
pub(crate) struct Start<'a> {
    /// The command.
    pub(crate) command: &'a Path,
    /// Its port, or nothing for a free one.
    pub(crate) port: Option<u16>,
    /// The folder for its log and its temporary files.
    pub(crate) folder: &'a Path,
    /// What the functions find in their environment beside the template's variables.
    pub(crate) environment: &'a [(&'static str, String)],
}

/// The running emulator. Dropping it ends it and every function process below it.
#[derive(Debug)]
pub(crate) struct Emulator {
    process: Guarded,
    /// Its services.
    pub(crate) cloud: Cloud,
    /// Where it writes what it does.
    pub(crate) log: PathBuf,
}

impl Emulator {
    /// Starts the emulator and waits until it answers.
    pub(crate) async fn start(http: &Http, start: &Start<'_>) -> Result<Self> {
        if !start.command.exists() {
            bail!(
                "no emulator at {}: run make, which puts it into .venv, or name it with --ministack",
                start.command.display()
            );
        }
        for _ in 0..ATTEMPTS {
            let port = start.port.map_or_else(free_port, Ok)?;
            let mut emulator = Self::spawn(start, port)?;
            if emulator.answers(http).await? {
                return Ok(emulator);
            }
            if start.port.is_some() {
                bail!("the emulator did not start on port {port}:\n{}", tail(&emulator.log, 15));
            }
        }
        bail!("the emulator did not start:\n{}", tail(&start.folder.join("ministack.log"), 15))
    }

    /// The process id, below which the functions run.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    fn spawn(start: &Start<'_>, port: u16) -> Result<Self> {
        let url = format!("http://127.0.0.1:{port}");
        let log = start.folder.join("ministack.log");
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let extension = start.folder.join("python");
        fs::create_dir_all(&extension).with_context(|| format!("cannot make {}", extension.display()))?;
        for (name, text) in EXTENSION {
            let path = extension.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let mut command = Command::new(start.command);
        // What the caller's shell says of AWS must not reach a function.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_aws(name)) {
            command.env_remove(name);
        }
        command
            .envs([
                ("BIND_HOST", "127.0.0.1"),
                ("MINISTACK_HOST", "127.0.0.1"),
                ("MINISTACK_ACCOUNT_ID", ACCOUNT),
                ("MINISTACK_REGION", REGION),
                ("SFTP_ENABLED", "0"),
                ("IOT_MTLS_ENABLED", "0"),
                ("AWS_ACCESS_KEY_ID", ACCOUNT),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                // The template's LoggingConfig says so; the emulator does not make a variable of it.
                ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ])
            .env("GATEWAY_PORT", port.to_string())
            .env("AWS_ENDPOINT_URL", &url)
            .env("TMPDIR", start.folder)
            .env("PYTHONPATH", extension)
            .envs(start.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let process = Guarded::spawn(&mut command)?;
        Ok(Self { process, cloud: Cloud::new(url)?, log })
    }

    /// Whether it answers: false when it ended, which it does when its port is taken.
    async fn answers(&mut self, http: &Http) -> Result<bool> {
        let url = format!("{}/_ministack/health", self.cloud.url());
        let until = Instant::now() + START;
        while Instant::now() < until {
            if self.process.ended()?.is_some() {
                return Ok(false);
            }
            let answer = http.send(Method::GET, &url, &[], "").await;
            // A server on a port that was taken is not ours: the process has to be alive as well.
            if answer.is_ok_and(|reply| reply.status == 200) {
                tokio::time::sleep(Duration::from_millis(100)).await;
                return Ok(self.process.ended()?.is_none());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the emulator did not answer in {} s:\n{}", START.as_secs(), tail(&self.log, 15))
    }
}

fn is_aws(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("AWS_") && name != "AWS_CA_BUNDLE")
}
