//! The text of a record.

use fleetwarden_aws::Error;
use fleetwarden_core::message::FindingRecord;
use fleetwarden_core::model::thing::Things;
use serde_json::value::RawValue;

/// A record larger than this loses what is not needed to act on it (bytes): CloudWatch Logs took events of
/// 256 KiB for years, and tools that read them may still count on it.
const MAX_RECORD: usize = 240 << 10;

/// A record's text. One that is far too large is brief.
pub(crate) fn text(record: &FindingRecord<'_>) -> Result<Box<RawValue>, Error> {
    let text = serde_json::value::to_raw_value(record).map_err(unwritable(record))?;
    if text.get().len() <= MAX_RECORD { Ok(text) } else { brief(record) }
}

/// A record's text without its related resources, its additional information, the rules that were passed over, and
/// all of its things but their names.
fn brief(record: &FindingRecord<'_>) -> Result<Box<RawValue>, Error> {
    let mut finding = record.finding.clone();
    finding.related.clear();
    finding.reason = finding.reason.map(|reason| reason.chars().take(1000).collect());
    if let Some(resource) = &mut finding.resource {
        resource.additional_info.clear();
    }
    let mut things = record.things.clone();
    if let Things::Known(things) = &mut things {
        for thing in things {
            (thing.described, thing.groups) = (None, None);
        }
    }
    let decision = record.decision.brief();
    let brief = FindingRecord { finding: &finding, things: &things, decision: &decision, ..record.clone() };
    serde_json::value::to_raw_value(&brief).map_err(unwritable(record))
}

fn unwritable(record: &FindingRecord<'_>) -> impl FnOnce(serde_json::Error) -> Error {
    move |e| Error::Input(format!("finding {}: {e}", record.finding.finding_id))
}
