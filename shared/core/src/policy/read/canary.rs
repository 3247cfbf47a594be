//! From the canary of a policy file to that of a policy.

use super::Reader;
use super::alarm::DAY;
use super::alarm::MINUTE;
use super::budget::hundredths;
use crate::model::mitigation::MAX_FINDINGS;
use crate::nearest::did_you_mean;
use crate::policy::canary::Canary;
use crate::policy::canary::First;
use crate::policy::canary::StopIf;
use crate::policy::de::Spanned;
use crate::policy::file;

/// The longest watch, in seconds: a week.
const LONGEST: i64 = 7 * DAY;

impl Reader {
    /// The canary. None: it cannot be read.
    pub(super) fn canary(&mut self, entry: Spanned<file::Canary>) -> Option<Canary> {
        let Spanned { place, value } = entry;
        let first = self.parsed(&value.first, first);
        let watch_seconds = self.minutes(&value.watch, "watch", MINUTE, LONGEST);
        let words = value.stop_if.map(|texts| texts.0);
        let stop_if = words.map_or_else(
            || StopIf::DEFAULT.into(),
            |words| words.iter().filter_map(|word| self.parsed(word, stop_if)).collect(),
        );
        Some(Canary { first: first?, watch_seconds: watch_seconds?, stop_if, place })
    }
}

/// How many go first, as `5` or `1%`.
fn first(text: &str) -> Result<First, String> {
    if let Some(share) = hundredths(text) {
        return Ok(First::Share(share));
    }
    let plain = !text.is_empty() && text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
    let count = text.parse::<u32>().ok().filter(|_| plain);
    let most = u32::try_from(MAX_FINDINGS).unwrap_or(u32::MAX);
    count.filter(|count| (1..=most).contains(count)).map(First::Count).ok_or_else(|| {
        format!("'{text}' is no size of a canary; write 1 to {most}, or a share as 1% or 0.25%: one task has at most {most}")
    })
}

fn stop_if(word: &str) -> Result<StopIf, String> {
    let known = || StopIf::ALL.into_iter().map(StopIf::as_str);
    StopIf::ALL.into_iter().find(|stop| stop.as_str() == word).ok_or_else(|| {
        let allowed = known().collect::<Vec<_>>().join(", ");
        format!("'{word}' stops no canary{} (allowed: {allowed})", did_you_mean(word, known()))
    })
}
