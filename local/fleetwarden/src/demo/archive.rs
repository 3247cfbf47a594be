//! The archive of a run, kept when the emulator is gone: to replay it, and to explain its findings.

use crate::cloud::Cloud;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path};

/// Copies all objects of the bucket into a folder, in place of what was there, and counts those with findings.
pub(crate) async fn keep(cloud: &Cloud, bucket: &str, folder: &Path) -> Result<u64> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", folder.display()));
        }
        _ => {}
    }
    let mut findings = 0;
    for key in cloud.list_objects(bucket).await? {
        let below = Path::new(&key);
        if !below.components().all(|part| matches!(part, Component::Normal(_))) {
            bail!("s3://{bucket}/{key} is no path below a folder");
        }
        let path = folder.join(below);
        let object = cloud.get_object(bucket, &key).await?;
        let cannot = || format!("cannot write {}", path.display());
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).with_context(cannot)?;
        }
        fs::write(&path, object).with_context(cannot)?;
        findings += u64::from(key.starts_with("findings/"));
    }
    Ok(findings)
}
