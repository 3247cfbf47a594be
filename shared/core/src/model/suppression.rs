//! The description of a suppression: all that says later why it is there.
//!
//! A suppression has no id, no tags and no owner in the service, only a description of at most 1000 printable
//! characters (`AuditSuppressionDescription`, `[\p{Graph}\x20]*`). What an operator wrote in other characters is
//! [transliterated](Written) for it; the ledger keeps the [words](Words) as they were written.

pub mod change;
pub mod undo;
mod written;

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de;

use crate::digest::Digest;
use crate::timestamp::Millis;

pub use written::Part;
pub use written::Written;

/// The longest description that the service takes, in characters.
pub const MAX_DESCRIPTION: usize = 1000;
/// The longest reason, owner or ticket that a policy may have, in characters: they travel in messages.
pub const MAX_WORDS: usize = 4000;
/// How every description made here begins. What begins otherwise was made by somebody else.
pub const MARK: &str = "Fleetwarden: ";

/// What an operator says of a suppression, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Words {
    /// Why it is right.
    pub reason: String,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub owner: Option<String>,
    /// Where it was agreed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ticket: Option<String>,
}

/// The words on which a rule suppresses for a length of time, as a short hash. Whoever changes one of them means it
/// anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms(pub(crate) u32);

impl Terms {
    /// The hash of a rule's words.
    pub(crate) fn new(rule: &str, seconds: i64, words: &Words) -> Self {
        let Words { reason, owner, ticket } = words;
        let digest = Digest::new("terms").part(rule).part(&seconds.to_string()).part(reason);
        let digest = digest.parts(owner.as_deref().into_iter()).parts(ticket.as_deref().into_iter());
        let [a, b, c, d, ..] = digest.bytes();
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}

impl Serialize for Terms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:08x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Terms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom("terms are 8 hexadecimal digits");
        if text.len() != 8 || text.starts_with('+') {
            return Err(wrong());
        }
        u32::from_str_radix(&text, 16).map(Self).map_err(|_| wrong())
    }
}

/// Since when the policy has suppressed a finding on the same words. The length that a rule gives counts from here, so
/// that no audit prolongs it, and what has lapsed is not renewed until somebody says so in other words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstSuppressed {
    /// The start of the audit in which it was first decided.
    pub at: Millis,
    /// The words.
    pub terms: Terms,
}

/// What makes a suppression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Maker<'a> {
    /// A rule of the policy, for what an audit found.
    Rule(&'a str),
    /// A standing suppression of the policy, for one of its members.
    Standing(&'a str),
}

impl fmt::Display for Maker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(name) => write!(f, "rule {name}"),
            Self::Standing(name) => write!(f, "standing {name}"),
        }
    }
}

/// What the description of a suppression that was made here says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Described<'a> {
    /// What made it.
    pub maker: Maker<'a>,
    /// Who answers for it.
    pub owner: Option<&'a str>,
    /// Where it was agreed.
    pub ticket: Option<&'a str>,
    /// Why it is right.
    pub reason: &'a str,
}

impl<'a> Described<'a> {
    /// Reads a description. None if somebody else made the suppression.
    pub fn read(description: &'a str) -> Option<Self> {
        let text = description.strip_prefix(MARK)?;
        let (maker, mut rest) = text.split_once("; ").unwrap_or((text, ""));
        let maker = match maker.split_once(' ')? {
            ("rule", name) => Maker::Rule(name),
            ("standing", name) => Maker::Standing(name),
            _ => return None,
        };
        let mut part = |word: &str| {
            let (part, left) = rest.strip_prefix(word)?.split_once("; ")?;
            rest = left;
            (!part.is_empty()).then_some(part)
        };
        let (owner, ticket) = (part("owner "), part("ticket "));
        Some(Self { maker, owner, ticket, reason: rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(reason: &str) -> Words {
        Words { reason: reason.into(), owner: Some("lab@example.com".into()), ticket: Some("SEC-7".into()) }
    }

    fn described(words: &Words) -> String {
        Written::new(Maker::Rule("lab"), words).description()
    }

    #[test]
    fn what_is_described_is_read_again() {
        let text = described(&words("devices; are replaced"));
        let read = Described {
            maker: Maker::Rule("lab"),
            owner: Some("lab@example.com"),
            ticket: Some("SEC-7"),
            reason: "devices; are replaced",
        };
        assert_eq!(Described::read(&text), Some(read));
        let short = Described { maker: Maker::Standing("x"), owner: None, ticket: None, reason: "why" };
        assert_eq!(Described::read("Fleetwarden: standing x; why"), Some(short));
        // An owner without a name is none.
        assert_eq!(Described::read("Fleetwarden: standing x; owner ; ticket ; why"), Some(short));
        assert_eq!(Described::read("made by hand"), None);
        assert_eq!(Described::read("Fleetwarden: is a nice tool"), None);
    }

    #[test]
    fn each_word_counts_for_the_terms() {
        let of = |reason: &str, owner: Option<&str>, ticket: Option<&str>| Words {
            reason: reason.into(),
            owner: owner.map(Into::into),
            ticket: ticket.map(Into::into),
        };
        let terms = Terms::new("lab", 60, &of("x", Some("y"), None));
        let others = [
            Terms::new("lab-2", 60, &of("x", Some("y"), None)),
            Terms::new("lab", 61, &of("x", Some("y"), None)),
            Terms::new("lab", 60, &of("z", Some("y"), None)),
            Terms::new("lab", 60, &of("x", None, Some("y"))),
            Terms::new("lab", 60, &of("x", Some("y"), Some("SEC-7"))),
        ];
        assert!(others.iter().all(|other| *other != terms));
        let written = serde_json::to_string(&terms).unwrap();
        assert_eq!(written.len(), 10, "{written}");
        assert_eq!(serde_json::from_str::<Terms>(&written).unwrap(), terms);
        for wrong in ["\"\"", "\"+1234567\"", "\"123456789\"", "\"1234567g\"", "7"] {
            assert!(serde_json::from_str::<Terms>(wrong).is_err(), "{wrong}");
        }
    }
}
