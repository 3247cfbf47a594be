//! The patterns of names that come from outside and become part of keys, paths and names here.
//!
//! A task id stands in a ledger key, in an object's key and in the name of a log stream. What the service
//! would never have given out is refused at the door, so that no name can point elsewhere.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::check::CheckName;
use crate::message::Audit;

/// An audit task's id: `[a-zA-Z0-9-]{1,40}` (`AuditTaskId`).
pub fn is_task_id(text: &str) -> bool {
    is_of(text, 40, |c| c.is_ascii_alphanumeric() || c == '-')
}

/// The name of a scheduled audit or a mitigation action, or the id of a finding: `[a-zA-Z0-9_-]{1,128}`
/// (`ScheduledAuditName`, `MitigationActionName`, `FindingId`).
pub fn is_name(text: &str) -> bool {
    is_of(text, 128, |c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// A thing's name: `[a-zA-Z0-9:_-]{1,128}` (`ThingName`).
pub fn is_thing_name(text: &str) -> bool {
    is_of(text, 128, in_thing_name)
}

/// A violation's id: `[a-zA-Z0-9-]{1,128}` (`ViolationId`).
pub fn is_violation_id(text: &str) -> bool {
    is_of(text, 128, |c| c.is_ascii_alphanumeric() || c == '-')
}

/// A character of the name of a thing, a thing group or a thing type.
pub(crate) const fn in_thing_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-')
}

/// The name of a thing's attribute: `[a-zA-Z0-9_.,@/:#-]{1,128}` (`AttributeName`).
pub(crate) fn is_attribute_name(text: &str) -> bool {
    is_of(text, 128, |c| c.is_ascii_alphanumeric() || "_.,@/:#-".contains(c))
}

/// A region, as `us-gov-west-1`: `[a-z0-9-]{1,32}`.
pub fn is_region(text: &str) -> bool {
    is_of(text, 32, in_region)
}

/// A character of a region's name.
pub(crate) const fn in_region(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

/// The regions of today.
///
/// Source: the partitions in the AWS SDK for Rust of November 2026.
pub(crate) const REGIONS: [&str; 46] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-isoe-west-1",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-iso-west-1",
    "us-isob-east-1",
    "us-isob-west-1",
    "us-isof-east-1",
    "us-isof-south-1",
    "us-west-1",
    "us-west-2",
];

/// A check's name as every known one is made. The service declares a plain string, so this is our own rule:
/// letters, digits and `_`, at most 128.
pub fn is_check_name(text: &str) -> bool {
    is_of(text, 128, |c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_of(text: &str, most: usize, good: impl Fn(char) -> bool) -> bool {
    (1..=most).contains(&text.len()) && text.chars().all(good)
}

impl Audit {
    /// Finds what is wrong with an audit and a check of it, as a member's path with a reason.
    ///
    /// # Errors
    /// The first member whose value could not have come from the service, or is of another account.
    pub fn verify(&self, account: &str, check: &CheckName) -> Result<(), String> {
        if self.account != account {
            return Err(format!("audit.account: this is account {account}, not '{}'", shown(&self.account)));
        }
        if !is_region(&self.region) {
            return Err(format!("audit.region: '{}' is no region", shown(&self.region)));
        }
        if !is_task_id(&self.task_id) {
            return Err(format!("audit.taskId: '{}' is no task id", shown(&self.task_id)));
        }
        if !is_check_name(check.as_str()) {
            return Err(format!("check: '{}' is no check name", shown(check.as_str())));
        }
        Ok(())
    }
}

/// A text from outside as it can stand in an error: its start, without characters that are not seen.
pub fn shown(text: &str) -> String {
    text.chars().take(64).map(|c| if is_unseen(c) { ' ' } else { c }).collect()
}

/// Whether a character is not seen and changes how others are: control characters, which command a terminal, what
/// reverses the direction of a text, what has no width, and separators of lines.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A text from outside on one line of a terminal: characters that are not seen are escaped as in JSON, so that a reader
/// sees them and does not obey them.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, is_unseen)
}

/// The same for a text that may have several lines. JSON stays the same JSON.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_unseen(c))
}

fn escaped(text: &str, is: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' if is(c) => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Millis;

    #[test]
    fn what_the_service_gives_out_is_taken_and_nothing_else() {
        assert!(is_task_id("4e2bcd1ccbc2a5dd15292a82ab80c380"));
        for bad in ["", "a/b", "a#b", "a:b", "ä", "a\n", &"a".repeat(41)] {
            assert!(!is_task_id(bad), "{bad}");
        }
        assert!(is_name("my_weekly-audit") && !is_name("my weekly"));
        assert!(crate::check::KNOWN.into_iter().all(is_check_name));
        assert!(is_check_name("QUANTUM_CHECK") && !is_check_name("../CHECK") && !is_check_name("A*"));
    }

    #[test]
    fn what_is_not_seen_is_escaped_and_the_rest_is_left_alone() {
        let text = "a\u{1b}[2J\r\n\tü\u{202e}\u{200b}\u{e0041}😀\u{85}";
        assert_eq!(visible(text), r"a\u001b[2J\r\n\tü\u202e\u200b\udb40\udc41😀\u0085");
        assert_eq!(visible_lines("a\nb\u{2066}"), "a\nb\\u2066");
        assert!(matches!(visible("Prüfung 泵"), Cow::Borrowed(_)));
        let json = serde_json::to_string_pretty(&[text]).unwrap();
        assert_eq!(serde_json::from_str::<[String; 1]>(&visible_lines(&json)).unwrap(), [text]);
        assert_eq!(shown("a\u{202e}b\n"), "a b ");
    }

    proptest::proptest! {
        #[test]
        fn nothing_unseen_is_left(text in "\\PC*|[\u{0}-\u{2070}]*|.*") {
            proptest::prop_assert!(!visible(&text).contains(is_unseen));
            proptest::prop_assert!(!visible_lines(&text).replace('\n', "").contains(is_unseen));
        }
    }

    #[test]
    fn the_member_that_is_wrong_is_named() {
        let audit = |account: &str, task_id: &str| Audit {
            account: account.into(),
            region: "us-east-1".into(),
            task_id: task_id.into(),
            schedule: None,
            started_at: Millis(0),
        };
        let wrong = |audit: Audit, check| audit.verify("123456789012", &CheckName::new(check)).unwrap_err();
        assert!(wrong(audit("210987654321", "t"), "A_CHECK").starts_with("audit.account: "));
        assert!(wrong(audit("123456789012", "t/.."), "A_CHECK").starts_with("audit.taskId: "));
        let nowhere = Audit { region: "../x".into(), ..audit("123456789012", "t") };
        assert!(wrong(nowhere, "A_CHECK").starts_with("audit.region: "));
        assert!(wrong(audit("123456789012", "t"), "A:CHECK").starts_with("check: "));
        assert_eq!(audit("123456789012", "t").verify("123456789012", &CheckName::new("A_CHECK")), Ok(()));
    }
}
