//! Whatever a file holds, reading it ends with a policy or with errors that can be shown.
#![no_main]

use fleetwarden_core::policy::Policy;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(errors) = Policy::parse(bytes) {
        let text = String::from_utf8_lossy(bytes);
        for error in errors.all() {
            assert!(!error.render("policy.yaml", &text).is_empty());
        }
    }
});
