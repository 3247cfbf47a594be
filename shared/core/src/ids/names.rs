//! The patterns of names that come from outside and become part of keys, paths and names here.
//!
//! A task id stands in a ledger key, in an object's key and in the name of a log stream. What the service
//! would never have given out is refused at the door, so that no name can point elsewhere.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_gives_out_is_taken_and_nothing_else() {
        assert!(is_task_id("4e2bcd1ccbc2a5dd15292a82ab80c380"));
        for bad in ["", "a/b", "a#b", "a:b", "ä", "a\n", &"a".repeat(41)] {
            assert!(!is_task_id(bad), "{bad}");
        }
        assert!(is_name("my_weekly-audit") && !is_name("my weekly"));
        assert!(crate::ids::check::KNOWN.into_iter().all(is_check_name));
        assert!(is_check_name("QUANTUM_CHECK") && !is_check_name("../CHECK") && !is_check_name("A*"));
    }
}
