//! Members of a command that are ours and none of the service's, described as those are.

use super::Operation;
use super::input::TOKEN;
use super::shape::Member;
use super::shape::NAME;
use super::shape::Shape;
use super::shape::may;
use super::shape::pattern;
use super::shape::text;

/// Things to try a profile on.
pub const TRY_ON: &str = "tryOn";
/// For how many hours back.
pub const TRY_HOURS: &str = "tryHours";

/// The token of an operation that has none in AWS: long enough for the name of any execution of a workflow.
static START_TOKEN: Shape = pattern(1, 128, &NAME);
static OF_A_START: [Member; 1] = [may(TOKEN, &START_TOKEN)];

static THING: Shape = text(1, 128);
static THINGS: Shape = Shape::List { of: &THING, min: 1, max: 10 };
/// Detect keeps metrics for 14 days.
static HOURS: Shape = Shape::Whole { min: 1, max: 336 };
static OF_A_PROFILE: [Member; 2] = [may(TRY_ON, &THINGS), may(TRY_HOURS, &HOURS)];

/// How many devices may stand behind what a command mitigates.
pub const DEVICES: &str = "devices";

static MOST: Shape = Shape::Whole { min: 1, max: 5_000 };
static CONNECTED: Shape = Shape::Whole { min: 0, max: 5_000 };
static OF_DEVICES: [Member; 3] = [may("most", &MOST), may("connected", &CONNECTED), may("any", &Shape::Flag)];
static LIMITS: Shape = Shape::Record(&OF_DEVICES);
static OF_A_MITIGATION: [Member; 1] = [may(DEVICES, &LIMITS)];

impl Operation {
    /// The members that a command has beside those of the operation.
    pub fn own_members(&self) -> &'static [Member] {
        match self.name {
            "StartOnDemandAuditTask" => &OF_A_START,
            "CreateSecurityProfile" | "UpdateSecurityProfile" | "AttachSecurityProfile" => &OF_A_PROFILE,
            "StartAuditMitigationActionsTask" | "StartDetectMitigationActionsTask" => &OF_A_MITIGATION,
            _ => &[],
        }
    }
}
