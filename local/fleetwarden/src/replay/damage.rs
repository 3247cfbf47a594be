//! What of an archive could not be read. It is counted and named, and hides nothing else.

use crate::exit::Exit;
use fleetwarden_core::untrusted::visible;
use serde::Serialize;
use std::collections::BTreeSet;

/// How many are named.
const NAMED: usize = 20;
/// How many of these people see.
const SHOWN: usize = 5;

/// Objects and lines that could not be read.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Damage {
    /// Objects that are not there, are no gzip, or end early.
    pub(crate) objects: u64,
    /// Lines that are no finding.
    pub(crate) lines: u64,
    /// The first of them by key and line.
    pub(crate) named: BTreeSet<Damaged>,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Damaged {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    why: String,
}

impl Damage {
    /// Counts an object.
    pub(crate) fn object(&mut self, key: &str, why: String) {
        self.objects += 1;
        self.name(Damaged { key: key.to_owned(), line: None, why });
    }

    /// Counts a line of an object, by its number.
    pub(crate) fn line(&mut self, key: &str, line: u64, why: String) {
        self.lines += 1;
        self.name(Damaged { key: key.to_owned(), line: Some(line), why });
    }

    /// Whether there is any.
    pub(crate) fn is_any(&self) -> bool {
        self.objects + self.lines > 0
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.objects += other.objects;
        self.lines += other.lines;
        other.named.into_iter().for_each(|damaged| self.name(damaged));
    }

    fn name(&mut self, damaged: Damaged) {
        self.named.insert(damaged);
        if self.named.len() > NAMED {
            self.named.pop_last();
        }
    }

    /// What people read, a line each: how much there is, and the first few.
    pub(crate) fn remarks(&self) -> Vec<String> {
        if !self.is_any() {
            return Vec::new();
        }
        let Self { objects, lines, named } = self;
        let mut remarks = vec![format!(
            "damaged: {objects} objects, {lines} lines; what they hold is not counted, so the exit code is {code}",
            code = Exit::Damaged.code()
        )];
        remarks.extend(named.iter().take(SHOWN).map(Damaged::words));
        let more = (objects + lines).saturating_sub(remarks.len() as u64 - 1);
        if more > 0 {
            let named = named.len();
            remarks.push(format!("  and {more} more (--json names the first {named})"));
        }
        remarks
    }
}

impl Damaged {
    fn words(&self) -> String {
        let Self { key, line, why } = self;
        let (key, why) = (visible(key), visible(why));
        match line {
            Some(line) => format!("  {key}: line {line}: {why}"),
            None => format!("  {key}: {why}"),
        }
    }
}

/// Why a line is no record, in words that do not name our types.
pub(crate) fn why(error: &serde_json::Error) -> String {
    // The parser's own line is always the first.
    let told = error.to_string().replace(" at line 1 column ", ", column ");
    match told.split_once("expected struct ") {
        Some((before, after)) => {
            let column = after.find(", column ").and_then(|at| after.get(at..)).unwrap_or_default();
            format!("{before}expected an object{column}")
        }
        None => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetwarden_core::message::record::RecordedFinding;

    #[test]
    fn thousands_are_a_count_and_a_few_examples() {
        let mut damage = Damage::default();
        assert!(damage.remarks().is_empty());
        (0..5_000).for_each(|n| damage.object(&format!("findings/{n:04}"), "it is empty".to_owned()));
        damage.line("findings/0001", 7, "it is not UTF-8".to_owned());
        insta::assert_snapshot!(damage.remarks().join("\n"));
    }

    #[test]
    fn why_a_line_is_no_record_names_none_of_our_types() {
        let told = [r#"{"decision": 3}"#, r#"{"decision": []}"#, r#"{"account": 7}"#, "{", "{}"]
            .map(|line| why(&serde_json::from_str::<RecordedFinding>(line).unwrap_err()));
        insta::assert_snapshot!(told.join("\n"));
    }
}
