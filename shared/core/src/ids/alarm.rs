//! The ids of alarms.

use super::id::id;
use super::names::is_name;
use super::names::is_violation_id;

id! {
    /// An alarm's id: the id of a violation of Device Defender, or of an alarm of another source. `[a-zA-Z0-9_-]{1,128}`.
    AlarmId, is_name, "no violation's id"
}

id! {
    /// A violation's id at Device Defender: `[a-zA-Z0-9-]{1,128}` (`ViolationId`).
    ViolationId, is_violation_id, "not a violation id"
}
