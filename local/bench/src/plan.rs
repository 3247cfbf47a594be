//! A recording on disk: the calls, and in which order they began and ended.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};

/// One call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// Scheme and authority, as `https://127.0.0.1:4567`.
    pub origin: String,
    /// The method.
    pub method: String,
    /// Path and query, percent-encoded.
    pub target: String,
    /// The headers that the caller chose, signature included.
    pub headers: BTreeMap<String, String>,
    /// The answer's status: a replay has to get the same.
    pub status: u16,
    /// How many bytes the body has.
    bytes: usize,
    /// The body.
    #[serde(skip)]
    pub body: Bytes,
}

impl Call {
    /// A call whose answer is not known yet.
    pub const fn new(
        origin: String,
        method: String,
        target: String,
        headers: BTreeMap<String, String>,
        body: Bytes,
    ) -> Self {
        Self { origin, method, target, headers, status: 0, bytes: body.len(), body }
    }
}

/// The begin or end of a call, by its place in the list. A call begins when all that ended before it have
/// ended: so what waited for something else waits for it again, and what went side by side does so again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// It begins.
    Begin(usize),
    /// It has its answer.
    End(usize),
}

/// The calls of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The calls in the order in which they began.
    pub calls: Vec<Call>,
    /// Their order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Writes the plan to a folder.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let bodies: Vec<u8> = self.calls.iter().flat_map(|call| call.body.clone()).collect();
        fs::write(folder.join("plan.json"), serde_json::to_vec(self)?)?;
        fs::write(folder.join("bodies"), bodies)?;
        Ok(())
    }

    /// Reads a plan from its folder.
    ///
    /// # Errors
    /// If there is none.
    pub fn read(folder: &Path) -> Result<Self> {
        let plan = fs::read(folder.join("plan.json")).context("the plan")?;
        let mut plan: Self = serde_json::from_slice(&plan).context("the plan")?;
        let mut bodies = Bytes::from(fs::read(folder.join("bodies")).context("the plan's bodies")?);
        for call in &mut plan.calls {
            anyhow::ensure!(call.bytes <= bodies.len(), "the plan's bodies end early");
            call.body = bodies.split_to(call.bytes);
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let call = |body: &'static [u8]| {
            let headers = BTreeMap::from([("x-amz-target".to_owned(), "T".to_owned())]);
            Call::new("http://h".into(), "POST".into(), "/".into(), headers, Bytes::from_static(body))
        };
        let steps = vec![Step::Begin(0), Step::Begin(1), Step::End(1), Step::End(0)];
        let plan = Plan { calls: vec![call(b"one"), call(&[0, 255])], steps };
        let folder = tempfile::tempdir().unwrap();
        plan.write(folder.path()).unwrap();
        let read = Plan::read(folder.path()).unwrap();
        assert_eq!(read.steps, plan.steps);
        assert_eq!(read.calls[1].body, plan.calls[1].body);
        assert_eq!(read.calls[0].headers, plan.calls[0].headers);
    }
}
