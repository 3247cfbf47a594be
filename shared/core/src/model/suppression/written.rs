//! The words on a suppression in the characters and the length that Device Defender takes.
//!
//! Its pattern `[\p{Graph}\x20]*` is one of Java's regular expressions, which without a flag know only ASCII there. So
//! what is written in other characters is transliterated: `jürgen` is `jurgen` and `设备` is `She Bei`.

use crate::model::suppression::Described;
use crate::model::suppression::MARK;
use crate::model::suppression::MAX_DESCRIPTION;
use crate::model::suppression::Maker;
use crate::model::suppression::Words;

/// The longest owner or ticket in a description, in characters: so that neither takes the other's room.
const MAX_PART: usize = 200;
/// What stands for a character that has no likeness in ASCII.
const UNKNOWN: &str = "?";

/// The words on a suppression as Device Defender has them.
#[derive(Debug)]
pub struct Written<'w> {
    maker: Maker<'w>,
    /// Who answers for it.
    pub owner: Option<Part<'w>>,
    /// Where it was agreed.
    pub ticket: Option<Part<'w>>,
    /// Why it is right.
    pub reason: Part<'w>,
}

/// An owner, a ticket or a reason as Device Defender has it. It is never empty.
#[derive(Debug)]
pub struct Part<'w> {
    /// As the operator wrote it.
    pub original: &'w str,
    /// As it stands in the description.
    pub text: String,
    /// How many characters it has before it is cut.
    whole: usize,
    /// Whether it has other characters than the original, or others in their place.
    pub transliterated: bool,
}

impl<'w> Written<'w> {
    /// The words of a maker's suppressions.
    pub fn new(maker: Maker<'w>, words: &'w Words) -> Self {
        // Where one part ends and the next begins is said by "; ".
        let part = |text: &'w Option<String>| {
            let text = text.as_deref()?;
            Some(Part::new(text, plain(text).replace("; ", ", "), MAX_PART))
        };
        let (owner, ticket) = (part(&words.owner), part(&words.ticket));
        let mut reason = plain(&words.reason);
        if ["owner ", "ticket "].iter().any(|word| reason.starts_with(word)) {
            reason = reason.replace("; ", ", ");
        }
        let left = MAX_DESCRIPTION.saturating_sub(head(maker, owner.as_ref(), ticket.as_ref()).len());
        let reason = Part::new(&words.reason, reason, left);
        Self { maker, owner, ticket, reason }
    }

    /// What made it.
    pub const fn maker(&self) -> Maker<'w> {
        self.maker
    }

    /// The description: at most 1000 printable ASCII characters.
    pub fn description(&self) -> String {
        head(self.maker, self.owner.as_ref(), self.ticket.as_ref()) + &self.reason.text
    }

    /// Each part.
    pub fn parts(&self) -> impl Iterator<Item = &Part<'w>> {
        [Some(&self.reason), self.owner.as_ref(), self.ticket.as_ref()].into_iter().flatten()
    }

    /// The parts as whoever reads the description finds them.
    pub fn described(&self) -> Described<'_> {
        let [owner, ticket] =
            [&self.owner, &self.ticket].map(|part| part.as_ref().map(|part| part.text.as_str()));
        Described { maker: self.maker, owner, ticket, reason: &self.reason.text }
    }
}

fn head(maker: Maker<'_>, owner: Option<&Part<'_>>, ticket: Option<&Part<'_>>) -> String {
    let said = |word: &str, part: Option<&Part<'_>>| {
        part.map(|part| format!("; {word} {}", part.text)).unwrap_or_default()
    };
    format!("{MARK}{maker}{}{}; ", said("owner", owner), said("ticket", ticket))
}

impl<'w> Part<'w> {
    fn new(original: &'w str, mut text: String, most: usize) -> Self {
        if text.is_empty() {
            UNKNOWN.clone_into(&mut text);
        }
        let transliterated = !original.split_whitespace().eq(text.split_whitespace());
        let whole = text.len();
        if whole > most {
            text.truncate(most.saturating_sub(3));
            text.push_str("...");
        }
        Self { original, text, whole, transliterated }
    }

    /// How many characters at its end Device Defender does not have, of how many. None if it has all.
    pub fn cut(&self) -> Option<(usize, usize)> {
        (self.whole > self.text.len()).then(|| (self.whole + 3 - self.text.len(), self.whole))
    }

    /// Whether the original cannot be had back from what Device Defender has.
    pub fn is_changed(&self) -> bool {
        self.transliterated || self.cut().is_some()
    }
}

/// A text in printable ASCII, with one space for each run of what is not printable.
fn plain(text: &str) -> String {
    let ascii = deunicode::deunicode_with_tofu_cow(text, UNKNOWN);
    let words = ascii.split(|c: char| !c.is_ascii_graphic()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(reason: &str, owner: Option<&str>, ticket: Option<&str>) -> Words {
        Words { reason: reason.into(), owner: owner.map(Into::into), ticket: ticket.map(Into::into) }
    }

    fn description(reason: &str, owner: Option<&str>, ticket: Option<&str>) -> String {
        Written::new(Maker::Rule("lab"), &words(reason, owner, ticket)).description()
    }

    #[test]
    fn says_rule_owner_ticket_and_reason() {
        insta::assert_snapshot!(
            description("devices are\n\treplaced", Some("lab@example.com"), Some("SEC-7")),
            @"Fleetwarden: rule lab; owner lab@example.com; ticket SEC-7; devices are replaced"
        );
    }

    #[test]
    fn what_is_not_ascii_is_transliterated() {
        insta::assert_snapshot!(
            [
                description("设备将更换", Some("jürgen.müller@example.com"), Some("№ 7")),
                description("Größenänderung – “später” …", Some("Łukasz Żółć"), None),
                description("оборудование заменят", Some("Борис"), None),
                description("\u{e000}\u{e001}", Some("\u{200b}"), None),
                description("👷 at\u{a0}work\u{7}", Some("a\u{202e}b"), None),
            ]
            .join("\n")
        );
    }

    #[test]
    fn one_part_does_not_run_into_another() {
        for (reason, owner, ticket) in [
            ("x", Some("a; ticket b"), None),
            ("x; y", Some("a;"), Some("；b")),
            ("owner nobody; x", None, None),
            ("ticket 7; x", Some("a"), None),
            ("ticket 7; x", Some("a"), Some("8")),
            ("x", Some(&*"a".repeat(1500)), Some(&*"b; ".repeat(500))),
        ] {
            let words = words(reason, owner, ticket);
            let written = Written::new(Maker::Standing("lab"), &words);
            let text = written.description();
            assert_eq!(Described::read(&text), Some(written.described()), "{text}");
            assert_eq!(
                (written.owner.is_some(), written.ticket.is_some()),
                (owner.is_some(), ticket.is_some())
            );
        }
    }

    #[test]
    fn what_is_cut_is_counted() {
        let long = words(&"é".repeat(1500), Some("lab"), None);
        let written = Written::new(Maker::Rule("lab"), &long);
        let Some((cut, whole)) = written.reason.cut() else { panic!("it is too long") };
        assert_eq!((written.description().len(), whole), (1000, 1500));
        assert_eq!(written.reason.text, "e".repeat(1500 - cut) + "...");
        let fits = words(&"x".repeat(900), None, None);
        assert!(!Written::new(Maker::Rule("lab"), &fits).reason.is_changed());
        // The same words on other lines are the same words.
        assert!(!Written::new(Maker::Rule("lab"), &words("a\n b ", None, None)).reason.is_changed());
        assert!(Written::new(Maker::Rule("lab"), &words("é", None, None)).reason.is_changed());
    }

    proptest::proptest! {
        #[test]
        fn fits_the_service_and_is_read_again(
            reason in "(?s)(owner |ticket )?.{0,1500}",
            owner in proptest::option::of("(?s).{1,300}"),
            ticket in proptest::option::of("(?s).{1,300}"),
        ) {
            let words = Words { reason, owner, ticket };
            let written = Written::new(Maker::Rule("lab"), &words);
            let text = written.description();
            proptest::prop_assert!(text.len() <= MAX_DESCRIPTION && text.starts_with(MARK));
            proptest::prop_assert!(text.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{}", text);
            proptest::prop_assert_eq!(Described::read(&text), Some(written.described()));
            proptest::prop_assert!(written.parts().all(|part| !part.text.is_empty()));
        }
    }
}
