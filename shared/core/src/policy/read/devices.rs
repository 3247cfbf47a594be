//! From the device limits of a policy file to those of a policy.

use super::Reader;
use crate::policy::de::Spanned;
use crate::policy::devices::DeviceLimits;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::file;
use crate::policy::file::Devices;

/// The largest number: no list is read further.
pub(super) const LARGEST: u64 = 5_000;

impl Reader {
    /// How many devices a mitigation may concern.
    pub(super) fn devices(&mut self, entry: Option<Spanned<Devices>>) -> DeviceLimits {
        let file::DeviceLimits { most, connected } = match entry.map(|entry| entry.value) {
            None => return DeviceLimits::Default,
            Some(Devices::Any) => return DeviceLimits::Any,
            Some(Devices::AtMost(limits)) => limits,
        };
        if most.value == 0 {
            self.error(most.place, "0 devices: the rule would mitigate nothing; write 1 or more");
        }
        for number in std::iter::once(&most).chain(&connected) {
            if number.value > LARGEST {
                let what = format!(
                    "{} devices are more than are counted: at most {LARGEST}, or 'devices: any'",
                    number.value
                );
                self.error(number.place, what);
            }
        }
        if let Some(connected) = &connected
            && connected.value >= most.value
        {
            let what =
                format!("'connected' limits nothing: at most {} devices may be there at all", most.value);
            self.doubts.push(Diagnostic::warning(connected.place, what));
        }
        DeviceLimits::AtMost { most: most.value, connected: connected.map(|connected| connected.value) }
    }
}
