//! The description of a suppression: all that says later why it is there.
//!
//! A suppression has no id, no tags and no owner in the service, only a description of at most 1000 printable
//! characters (`AuditSuppressionDescription`, `[\p{Graph}\x20]*`).

use std::fmt;

use crate::policy::Suppress;

/// The longest description that the service takes, in characters.
pub const MAX_DESCRIPTION: usize = 1000;
/// How every description made here begins. What begins otherwise was made by somebody else.
pub const MARK: &str = "Fleetwarden: ";

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
            Some(part)
        };
        let (owner, ticket) = (part("owner "), part("ticket "));
        Some(Self { maker, owner, ticket, reason: rest })
    }
}

/// The description of a suppression that the policy makes.
pub fn description(maker: Maker<'_>, suppress: &Suppress) -> String {
    let owner = suppress.owner.as_deref().map(|owner| format!("; owner {owner}"));
    let ticket = suppress.ticket.as_deref().map(|ticket| format!("; ticket {ticket}"));
    let text = format!(
        "{MARK}{maker}{}{}; {}",
        owner.unwrap_or_default(),
        ticket.unwrap_or_default(),
        suppress.reason
    );
    printable(&text, MAX_DESCRIPTION)
}

/// Keeps what is printable, makes a space of every run of the rest, and cuts at a number of characters.
///
/// Printable is taken narrowly, as ASCII: what Java's `\p{Graph}` takes beyond it depends on a flag that the
/// service does not document.
fn printable(text: &str, most: usize) -> String {
    let words = text.split(|c: char| !c.is_ascii_graphic()).filter(|word| !word.is_empty());
    let mut out = String::with_capacity(text.len().min(most));
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    if out.len() > most {
        out.truncate(most.saturating_sub(3));
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::SuppressEnd;

    fn described(reason: &str) -> String {
        let suppress = Suppress {
            end: SuppressEnd::Never,
            reason: reason.into(),
            owner: Some("lab@example.com".into()),
            ticket: Some("SEC-7".into()),
        };
        description(Maker::Rule("lab"), &suppress)
    }

    #[test]
    fn says_rule_owner_ticket_and_reason() {
        insta::assert_snapshot!(described("devices are\n\treplaced"), @"Fleetwarden: rule lab; owner lab@example.com; ticket SEC-7; devices are replaced");
    }

    #[test]
    fn what_is_described_is_read_again() {
        let text = described("devices; are replaced");
        let read = Described {
            maker: Maker::Rule("lab"),
            owner: Some("lab@example.com"),
            ticket: Some("SEC-7"),
            reason: "devices; are replaced",
        };
        assert_eq!(Described::read(&text), Some(read));
        let short = Described { maker: Maker::Standing("x"), owner: None, ticket: None, reason: "why" };
        assert_eq!(Described::read("Fleetwarden: standing x; why"), Some(short));
        assert_eq!(Described::read("made by hand"), None);
        assert_eq!(Described::read("Fleetwarden: is a nice tool"), None);
    }

    proptest::proptest! {
        #[test]
        fn fits_the_service(reason in "(?s).{0,1500}") {
            let text = described(&reason);
            assert!(text.chars().count() <= MAX_DESCRIPTION && text.starts_with(MARK));
            assert!(text.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{text}");
        }
    }
}
