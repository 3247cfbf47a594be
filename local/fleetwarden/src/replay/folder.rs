//! An archive that lies in a folder: a copy of the bucket, or what the demonstration leaves.

use super::partition::Days;
use super::{Content, Object};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;
use std::sync::mpsc::SyncSender;

/// The objects of an archive's folder, in the order of their keys.
#[derive(Debug)]
pub(crate) struct Folder {
    objects: Vec<Object>,
}

impl Folder {
    /// Looks for findings of these days below a folder, which is the archive or a part of it.
    pub(crate) fn list(folder: &Path, days: Days) -> Result<Self> {
        let shown = folder.display();
        let top = fs::canonicalize(folder).with_context(|| format!("there is no archive in {shown}"))?;
        let mut objects = Vec::new();
        let mut folders = vec![top.clone()];
        while let Some(folder) = folders.pop() {
            let cannot = || format!("cannot list {}", folder.display());
            for entry in fs::read_dir(&folder).with_context(cannot)? {
                let entry = entry.with_context(cannot)?;
                let path = entry.path();
                // A link to a folder is not followed: it could lead to where it is.
                if entry.file_type().with_context(cannot)?.is_dir() {
                    folders.push(path);
                } else if days.take(&path.to_string_lossy()) {
                    // A file that cannot be read is told when its turn comes.
                    let bytes = fs::metadata(&path).map_or(0, |about| about.len());
                    let key = path.strip_prefix(&top).unwrap_or(&path).to_string_lossy().into_owned();
                    objects.push(Object { key, bytes, content: Ok(Content::File(path)) });
                }
            }
        }
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { objects })
    }

    /// How many objects there are, and their size in bytes.
    pub(crate) fn size(&self) -> (usize, u64) {
        (self.objects.len(), self.objects.iter().map(|object| object.bytes).sum())
    }

    /// Sends all objects, until nobody takes any more.
    pub(crate) fn feed(self, to: &SyncSender<Object>) {
        for object in self.objects {
            if to.send(object).is_err() {
                return;
            }
        }
    }
}
