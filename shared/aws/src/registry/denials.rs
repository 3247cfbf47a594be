//! Operations that are not permitted, and are not asked again.

use super::Unknown;

/// An operation that was denied so often, and never answered, is denied for all resources: it is not asked again. A
/// few are asked about before that, because one resource can be denied by itself.
pub(super) const DENIALS: u32 = 10;

/// How often an operation was denied.
#[derive(Debug, Default)]
pub(super) struct Denials {
    count: u32,
    /// In words.
    last: Unknown,
    /// It was answered for some resource, so that each may be worth a call.
    pub(super) answered: bool,
}

impl Denials {
    /// Counts a denial.
    pub(super) fn add(&mut self, why: &Unknown) {
        self.count += 1;
        self.last.clone_from(why);
    }

    /// Why no resource is worth a call, if it is so.
    pub(super) fn for_all(&mut self) -> Option<Unknown> {
        (self.count >= DENIALS && !self.answered).then(|| self.last.clone())
    }
}
