//! The inputs of our own commands on mitigations.

use super::inputs::AUDIT_ID;
use super::inputs::MAX_RESULTS;
use super::inputs::NAME;
use super::inputs::NEXT_TOKEN;
use super::inputs::TIME;
use super::shape::Member;
use super::shape::Shape;
use super::shape::may;
use super::shape::must;
use crate::model::mitigation::STATES;

static STATE: Shape = Shape::Choice(&STATES);

pub(super) static SHOW: [Member; 3] = [must("taskId", &NAME), MAX_RESULTS, NEXT_TOKEN];
pub(super) static LIST: [Member; 6] = [
    may("auditTaskId", &AUDIT_ID),
    may("state", &STATE),
    may("startTime", &TIME),
    may("endTime", &TIME),
    MAX_RESULTS,
    NEXT_TOKEN,
];
