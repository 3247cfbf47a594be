//! A page is decided once. Its records are in the archive before anything of it is sent, and the first stay.
//!
//! A try that dies after this is repeated, perhaps under another policy or after a later audit. The repeat finds what was
//! decided, exports and counts that, and acts only where it would decide alike. So the log, the archive and the
//! counts agree, whatever is repeated.
//!
//! A page is recorded in parts, each as large as a message can be. Of a page that was recorded in part, the findings
//! that no part has make further ones.

use std::borrow::Cow;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::archive::Archive;
use fleetwarden_aws::archive::Recorded;
use fleetwarden_aws::archive::findings_key;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::record::RecordedFinding;
use fleetwarden_core::pack;
use fleetwarden_core::pack::Limits;
use serde_json::value::RawValue;

/// How much of a page goes into one message, in bytes: an SQS message with room for its envelope.
const PART: Limits = Limits { entries: usize::MAX, bytes: 900 << 10, overhead: 1 };

/// A page of a check.
#[derive(Clone, Copy)]
pub(crate) struct Page<'m> {
    pub(crate) audit: &'m Audit,
    pub(crate) check: &'m CheckName,
    pub(crate) number: u32,
}

/// A finding of a page with what this try decides on it.
pub(crate) struct Line {
    pub(crate) finding_id: String,
    pub(crate) text: Box<RawValue>,
}

/// What goes into one message.
pub(crate) struct Part<'l> {
    pub(crate) records: Vec<Cow<'l, RawValue>>,
    pub(crate) decided: Decided,
}

/// Who has decided on the findings of a part.
pub(crate) enum Decided {
    /// This try. The places of the findings in the page.
    Now(Vec<usize>),
    /// An earlier one.
    Before(Vec<RecordedFinding>),
}

impl Page<'_> {
    /// Records what no earlier try has recorded of the page, and gives all of its parts. `repeated` says whether there
    /// may have been an earlier try.
    pub(crate) async fn record<'l>(
        &self,
        archive: &Archive,
        lines: &'l [Line],
        mut repeated: bool,
    ) -> Result<Vec<Part<'l>>, Error> {
        let Self { audit, check, number } = *self;
        let mut rest: Vec<(usize, &Line)> = lines.iter().enumerate().collect();
        let mut parts = Vec::new();
        for part in 0.. {
            let key = findings_key(audit, check, number, part);
            let runs = pack::runs(&rest, PART, |(_, line)| line.text.get().len());
            let before = if let Some(run) = runs.first() {
                let texts: Vec<_> = run.iter().map(|(_, line)| Cow::Borrowed(line.text.get())).collect();
                match archive.record(&key, &texts).await? {
                    Recorded::Before(before) => before,
                    Recorded::Now => {
                        let records = run.iter().map(|(_, line)| Cow::Borrowed(&*line.text)).collect();
                        let decided = Decided::Now(run.iter().map(|(at, _)| *at).collect());
                        parts.push(Part { records, decided });
                        rest.drain(..run.len());
                        continue;
                    }
                }
            } else if repeated && let Some(before) = archive.recorded(&key).await? {
                before
            } else {
                break;
            };
            repeated = true;
            let read =
                read(before).map_err(|e| Error::Input(format!("{key} has no records of findings: {e}")))?;
            let known: BTreeSet<&str> =
                read.iter().map(|(_, record)| record.finding.finding_id.as_str()).collect();
            rest.retain(|(_, line)| !known.contains(line.finding_id.as_str()));
            let (records, findings) = read.into_iter().unzip();
            parts.push(Part { records, decided: Decided::Before(findings) });
        }
        Ok(parts)
    }
}

fn read(lines: Vec<String>) -> serde_json::Result<Vec<(Cow<'static, RawValue>, RecordedFinding)>> {
    let read = |line: String| {
        let record = serde_json::from_str(&line)?;
        Ok((Cow::Owned(RawValue::from_string(line)?), record))
    };
    lines.into_iter().map(read).collect()
}
