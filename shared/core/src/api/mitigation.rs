//! The inputs of our own commands on mitigations and suppressions.

use super::inputs::ANY;
use super::inputs::AUDIT_ID;
use super::inputs::FLAG;
use super::inputs::MAX_RESULTS;
use super::inputs::NAME;
use super::inputs::NEXT_TOKEN;
use super::inputs::RESOURCE as IDENTIFIER;
use super::inputs::TIME;
use super::shape::GRAPHIC;
use super::shape::HEXADECIMAL;
use super::shape::Member;
use super::shape::Shape;
use super::shape::may;
use super::shape::must;
use super::shape::pattern;
use super::shape::text;
use crate::model::mitigation::STATES;

static STATE: Shape = Shape::Choice(&STATES);
/// What people say of a change: it stands in the ledger, in the log and on terminals.
static REASON: Shape = pattern(1, 500, &GRAPHIC);
pub(super) static BY: Shape = pattern(1, 200, &GRAPHIC);

static RESOURCE: Shape = text(1, 1000);

static EXPLANATION: Shape = pattern(1, 64, &HEXADECIMAL);

pub(super) static NOTHING: [Member; 0] = [];
pub(super) static UNDO: [Member; 8] = [
    may("taskId", &NAME),
    may("findingId", &NAME),
    may("violationId", &NAME),
    may("resource", &RESOURCE),
    may("since", &TIME),
    may("force", &FLAG),
    must("reason", &REASON),
    NEXT_TOKEN,
];
static RULE: Shape = text(1, 200);
pub(super) static UNDO_SUPPRESSIONS: [Member; 8] = [
    may("auditTaskId", &AUDIT_ID),
    may("rule", &RULE),
    may("checkName", &ANY),
    may("resourceIdentifier", &IDENTIFIER),
    may("since", &TIME),
    may("force", &FLAG),
    must("reason", &REASON),
    NEXT_TOKEN,
];
pub(super) static APPROVE: [Member; 4] =
    [must("taskId", &NAME), must("by", &BY), must("reason", &REASON), may("explanation", &EXPLANATION)];
pub(super) static CANCEL: [Member; 3] = [must("taskId", &NAME), must("by", &BY), must("reason", &REASON)];
pub(super) static SHOW: [Member; 3] = [must("taskId", &NAME), MAX_RESULTS, NEXT_TOKEN];
pub(super) static LIST: [Member; 6] = [
    may("auditTaskId", &AUDIT_ID),
    may("state", &STATE),
    may("startTime", &TIME),
    may("endTime", &TIME),
    MAX_RESULTS,
    NEXT_TOKEN,
];
pub(super) static PAUSE: [Member; 3] = [must("reason", &REASON), may("by", &BY), may("suppressions", &FLAG)];
pub(super) static RESUME: [Member; 2] = [may("reason", &REASON), may("by", &BY)];
