//! Where things are, and what a function's environment holds.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::cloud::Cloud;

/// Folders of the checkout.
pub(crate) struct Places {
    /// Where this binary and the functions' are.
    pub(crate) binaries: PathBuf,
    /// The root of the checkout.
    pub(crate) root: PathBuf,
}

impl Places {
    /// From where this binary is: `target/release` below the root, or wherever cargo was told to build.
    pub(crate) fn find() -> Result<Self> {
        let binary = std::env::current_exe()?;
        let binaries = binary.parent().context("this binary is nowhere")?.to_path_buf();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("no root")?.to_path_buf();
        Ok(Self { binaries, root })
    }

    /// A binary by its name.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// All functions, by the names of their folders, which their binaries have too.
    pub(crate) fn functions(&self) -> Result<Vec<String>> {
        let folder = self.root.join("functions");
        let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.path().join("Cargo.toml").is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        ensure!(!names.is_empty(), "{}: there are no functions", folder.display());
        names.sort_unstable();
        Ok(names)
    }

    /// What the template gives the functions, all of it to all of them; every service is the one given.
    pub(crate) fn environment(&self, cloud: &Cloud) -> Vec<(&'static str, String)> {
        let url = &cloud.url;
        let queue = |name: &str| format!("{url}/123456789012/{name}");
        let policy = self.root.join("policies/deployed/policy.yaml").to_string_lossy().into_owned();
        vec![
            ("ACCOUNT_ID", "123456789012".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", "bench".into()),
            ("AWS_SECRET_ACCESS_KEY", "bench".into()),
            ("AWS_SESSION_TOKEN", "bench".into()),
            ("AWS_ENDPOINT_URL", url.clone()),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON".into()),
            ("LOG_LEVEL", "INFO".into()),
            ("LEDGER_TABLE", "ledger".into()),
            ("ALERT_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:alerts".into()),
            ("ARCHIVE_BUCKET", "archive".into()),
            ("AUDIT_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:audits".into()),
            ("FINDINGS_LOG_GROUP", "/fleetwarden/findings".into()),
            ("DEAD_LETTER_QUEUE_URL", queue("dead-letter")),
            ("CHECK_QUEUE_URL", queue("check")),
            ("SUPPRESSION_QUEUE_URL", queue("suppression")),
            ("MITIGATION_QUEUE_URL", queue("mitigation")),
            ("FINDING_QUEUE_URL", queue("finding")),
            ("REVIEW_QUEUE_URL", queue("review")),
            ("ALARM_QUEUE_URL", queue("alarm")),
            ("FOLLOW_UP_SECONDS", "60".into()),
            ("POLICY_PATH", policy),
        ]
    }
}
