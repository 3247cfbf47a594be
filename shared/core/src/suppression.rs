//! The description of a suppression: all that says later why it is there.
//!
//! A suppression has no id, no tags and no owner in the service, only a description of at most 1000 printable
//! characters (`AuditSuppressionDescription`, `[\p{Graph}\x20]*`).

use crate::policy::Suppress;

/// The longest description that the service takes, in characters.
pub const MAX_DESCRIPTION: usize = 1000;
/// How every description made here begins. What begins otherwise was made by somebody else.
pub const MARK: &str = "Fleetwarden: ";

/// The description of a suppression that a rule makes.
pub fn description(rule: &str, suppress: &Suppress) -> String {
    let owner = suppress.owner.as_deref().map(|owner| format!("; owner {owner}"));
    let ticket = suppress.ticket.as_deref().map(|ticket| format!("; ticket {ticket}"));
    let text = format!(
        "{MARK}rule {rule}{}{}; {}",
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
        description("lab", &suppress)
    }

    #[test]
    fn says_rule_owner_ticket_and_reason() {
        insta::assert_snapshot!(described("devices are\n\treplaced"), @"Fleetwarden: rule lab; owner lab@example.com; ticket SEC-7; devices are replaced");
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
