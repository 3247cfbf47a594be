//! How the records of a page are cut into messages.
//!
//! Each part of a page has a log stream and an archive object of its own. A page that is sent again, with decisions of
//! another length, has to be cut as before: else a record would be in two parts, or in none. A page that was not
//! sent before is cut where a message is full. If that makes more than one part, the parts are recorded before they
//! are sent. A page that may have been sent keeps the parts that are recorded, or else stays whole; where a part
//! does not fit then, its records are brief.

use fleetwarden_core::pack;
use fleetwarden_core::pack::Limits;
use serde_json::value::RawValue;

/// How much of a page goes into one message, in bytes: an SQS message with room for its envelope.
const PART: Limits = Limits { entries: usize::MAX, bytes: 900 << 10, overhead: 1 };

/// A record's text.
pub(crate) struct Text {
    pub(crate) full: Box<RawValue>,
    /// Without what is not needed to act on it; made only for a page that may have been sent.
    pub(crate) brief: Option<Box<RawValue>>,
}

/// Whether a page may have been sent before.
pub(crate) enum Attempt {
    /// It was not.
    First,
    /// An earlier try may have sent it, in parts of these many records if it was more than one.
    Repeat(Option<Vec<usize>>),
}

/// The parts of a page.
pub(crate) fn split<'t>(texts: &'t [Text], attempt: &Attempt) -> Vec<Vec<&'t RawValue>> {
    match attempt {
        Attempt::First => full(pack::runs(texts, PART, |text| text.full.get().len())),
        Attempt::Repeat(lengths) => {
            let (mut rest, mut parts) = (texts, Vec::new());
            for length in lengths.iter().flatten() {
                let (part, after) = rest.split_at((*length).min(rest.len()));
                parts.extend(fit(part));
                rest = after;
            }
            parts.extend(fit(rest));
            parts
        }
    }
}

/// The records of one part: in full if they fit into a message, else brief. What does not fit then did not fit in
/// the first try either.
fn fit(texts: &[Text]) -> Vec<Vec<&RawValue>> {
    let runs = pack::runs(texts, PART, |text| text.full.get().len());
    if runs.len() <= 1 {
        return full(runs);
    }
    let brief: Vec<&RawValue> =
        texts.iter().map(|text| &**text.brief.as_ref().unwrap_or(&text.full)).collect();
    pack::runs(&brief, PART, |text| text.get().len()).into_iter().map(<[_]>::to_vec).collect()
}

fn full(runs: Vec<&[Text]>) -> Vec<Vec<&RawValue>> {
    runs.into_iter().map(|run| run.iter().map(|text| &*text.full).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records whose full and brief texts have these many KiB.
    fn texts(sizes: &[(usize, usize)]) -> Vec<Text> {
        let raw = |kib: usize| RawValue::from_string(format!("\"{}\"", "x".repeat((kib << 10) - 2))).unwrap();
        sizes.iter().map(|(full, brief)| Text { full: raw(*full), brief: Some(raw(*brief)) }).collect()
    }

    fn lengths(parts: &[Vec<&RawValue>]) -> Vec<usize> {
        parts.iter().map(Vec::len).collect()
    }

    #[test]
    fn a_page_that_was_not_sent_is_cut_where_a_message_is_full() {
        let page = texts(&[(200, 1); 10]);
        assert_eq!(lengths(&split(&page, &Attempt::First)), [4, 4, 2]);
        assert!(split(&[], &Attempt::First).is_empty());
    }

    #[test]
    fn a_page_that_may_have_been_sent_keeps_its_parts() {
        let page = texts(&[(200, 1); 10]);
        let sent = |lengths: &[usize]| Attempt::Repeat((!lengths.is_empty()).then(|| lengths.to_vec()));
        assert_eq!(lengths(&split(&page, &sent(&[]))), [10], "it was sent whole");
        let parts = split(&page, &sent(&[6, 4]));
        assert_eq!(lengths(&parts), [6, 4]);
        assert!(parts[0].iter().all(|text| text.get().len() == 1 << 10), "brief, because it does not fit");
        assert!(parts[1].iter().all(|text| text.get().len() == 200 << 10));
        assert_eq!(
            lengths(&split(&texts(&[(1, 1); 10]), &sent(&[6, 4]))),
            [6, 4],
            "also if it would fit in one"
        );
    }

    #[test]
    fn what_never_fitted_into_one_message_is_cut() {
        assert_eq!(lengths(&split(&texts(&[(200, 200); 10]), &Attempt::Repeat(None))), [4, 4, 2]);
    }
}
