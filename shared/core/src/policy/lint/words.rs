//! What Device Defender will have of the words on a suppression, where it is not what stands in the file.

use super::super::Diagnostic;
use super::super::Place;
use crate::model::suppression::Part;
use crate::model::suppression::Written;

/// How much is shown of the end of what is cut, in characters.
const END: usize = 40;

/// Says what of the words is written otherwise, or cut. The places are those of the reason, the owner and the ticket.
pub(super) fn lint_words(
    written: &Written<'_>,
    [reason, owner, ticket]: [Place; 3],
    found: &mut Vec<Diagnostic>,
) {
    let parts = [
        ("reason", reason, Some(&written.reason)),
        ("owner", owner, written.owner.as_ref()),
        ("ticket", ticket, written.ticket.as_ref()),
    ];
    found.extend(parts.into_iter().filter_map(|(key, place, part)| otherwise(key, place, part?)));
}

fn otherwise(key: &str, place: Place, part: &Part<'_>) -> Option<Diagnostic> {
    let text = &part.text;
    let elsewhere = "ledger, reports and alerts have it as it stands here";
    let will = "Device Defender will have this";
    let Some((cut, whole)) = part.cut() else {
        let what = format!("{will} {key} as '{text}', since it takes only printable ASCII; {elsewhere}");
        return part.transliterated.then(|| Diagnostic::note(place, what));
    };
    let has = if part.transliterated {
        format!("as '{text}', since it takes only printable ASCII")
    } else {
        let (_, end) = text.split_at_checked(text.len().saturating_sub(END))?;
        format!("up to '{end}'")
    };
    let what = format!(
        "{will} {key} {has}, without the last {cut} of {whole} characters, since it takes 1000 for reason, owner and \
         ticket together; {elsewhere}"
    );
    Some(Diagnostic::warning(place, what))
}
