//! Describes a suppression again right before it is changed.
//!
//! A review changes what it has listed, and with many changes the list is hours old by then. A suppression that differs
//! from the list is not the one that was decided on: it stays as it is, and the next review decides.

use fleetwarden_aws::Error;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::resource::ResourceIdentifier;
use serde::Deserialize;
use serde_json::json;

use crate::drift::Drift;
use crate::drift::Modification;
use crate::drift::modified_outside;
use crate::iot::Iot;
use crate::plan;
use crate::plan::Target;
use crate::plan::standing_of;
use crate::snapshot::DELETED;
use crate::snapshot::NEVER;
use crate::snapshot::OTHERS;
use crate::snapshot::Source;
use crate::state::Listing;
use crate::state::State;

/// A suppression as the service describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    expiration_date: Option<f64>,
    suppress_indefinitely: Option<bool>,
    description: Option<String>,
}

/// What a list had of a suppression.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    end: u32,
    source: Source,
}

/// What `DescribeAuditSuppression` found.
#[derive(Debug)]
pub(crate) struct Found {
    end: u32,
    description: String,
}

/// The end of a suppression, from a list or a description.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
pub(crate) fn end(indefinitely: Option<bool>, expiration_date: Option<f64>) -> u32 {
    match (indefinitely, expiration_date) {
        (Some(true), _) | (_, None) => NEVER,
        (_, Some(end)) => (end as u32).min(NEVER - 1),
    }
}

/// A suppression as it is now. None if there is none.
pub(crate) async fn describe(
    iot: Iot<'_>,
    check: &CheckName,
    resource: &ResourceIdentifier,
) -> Result<Option<Found>, Error> {
    let input = json!({"checkName": check, "resourceIdentifier": resource});
    let described: Described = match iot.ask("DescribeAuditSuppression", input).await {
        Err(error) if error.is_code("ResourceNotFoundException") => return Ok(None),
        described => described?,
    };
    let end = end(described.suppress_indefinitely, described.expiration_date);
    Ok(Some(Found { end, description: described.description.unwrap_or_default() }))
}

impl Found {
    /// Whether it is as it was listed.
    pub(crate) fn is_as(&self, listed: Option<&Listed>) -> bool {
        let source = plan::source(&self.description);
        listed.is_some_and(|listed| {
            // Of a source without a number only this much is known: it is a standing suppression.
            let same =
                listed.source == source || (listed.source.by == OTHERS && standing_of(&source.by).is_some());
            same && listed.end == self.end
        })
    }

    /// Whether it is as a standing suppression wants it.
    pub(crate) fn fulfils(&self, target: &Target<'_>) -> bool {
        self.end == target.end && self.description == target.description
    }
}

impl Listing {
    /// What was listed under a key.
    pub(crate) fn listed(&self, key: u128) -> Option<Listed> {
        let at = self.seen.binary_search_by_key(&key, |entry| entry.key).ok()?;
        let entry = self.seen.get(at)?;
        Some(Listed { end: entry.end, source: self.names.source_of(entry)?.clone() })
    }
}

impl State {
    /// Notes a suppression that differs from the list, or is gone: it is reported as drift, and is in the snapshot as it
    /// is now.
    pub(crate) fn note_modified(&mut self, key: u128, found: Option<Found>) {
        let Some(Listed { end, source: before }) = self.listing.listed(key) else { return };
        let what = match &found {
            None => Modification::Deleted,
            Some(_) => Modification::Changed,
        };
        let now = found.map(|found| (found.end, plan::source(&found.description)));
        let drifted = match &now {
            None => before.by != plan::BY_HAND,
            Some((end_now, source)) => modified_outside((&before, end), (source, *end_now)),
        };
        tracing::info!(
            by = before.by,
            what = what.word(),
            outside = drifted,
            "not changed: it differs from the list"
        );
        let now = now.map(|(end, source)| (end, self.listing.names.source(&source)));
        self.listing.mark(key, |entry| match now {
            Some((end, source)) => (entry.end, entry.source) = (end, source),
            None => entry.flags |= DELETED,
        });
        if !drifted {
            return;
        }
        let Source { by, owner } = before;
        let alike = |drift: &&mut Drift| drift.by == by && drift.owner == owner && drift.what == what;
        match self.modified.iter_mut().find(alike) {
            Some(drift) => drift.suppressions += 1,
            None => self.modified.push(Drift { by, owner, what, suppressions: 1 }),
        }
    }
}
