//! The part of the policy file that is about canaries.

use serde::Deserialize;

use super::Minutes;
use super::Texts;
#[cfg(feature = "schema")]
use super::schema;
use crate::policy::de::Spanned;

/// The first few findings of a check and audit that the rule mitigates. They go alone; when their task has ended they are
/// watched. If nothing stops it, the rest follows; otherwise nothing more of this rule, check and audit starts, and what the
/// first ones changed is undone. People are alerted either way.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct Canary {
    /// How many findings go first: a number of 1 to 25, or a share as `1%` of what the rule mitigates of the check in the
    /// audit, rounded up and at most 25. Those whose devices are not connected go first, then the lowest severity; with
    /// `stopIf: disconnected` those whose devices are connected.
    #[cfg_attr(
        feature = "schema",
        schemars(
            extend("type" = ["string", "integer"], "minimum" = 1, "maximum" = 25),
            regex(pattern = r"^([1-9]|1[0-9]|2[0-5]|(100|[0-9]{1,2}(\.[0-9]{1,2})?)%)$"),
            example = "1%"
        )
    )]
    pub(in crate::policy) first: Spanned<String>,
    /// For how long they are watched after their task has ended: `1m` to `7d`. A later audit of the check ends the wait of
    /// the rest, so watch for less time than there is between two audits.
    pub(in crate::policy) watch: Minutes,
    /// What stops the rest: `failures`, an action that did not succeed on all of the first ones; `alarms`, a new alarm about
    /// one of their things (any new alarm, where any thing may be behind one of them); `disconnected`, a thing that was
    /// connected at the start and is not any more, where no action cuts devices off. Left out: `failures` and `alarms`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<schema::OneOrMany<crate::policy::StopIf>>"))]
    pub(in crate::policy) stop_if: Option<Texts>,
}
