//! How large the functions' binaries are, as they lie in the package, not compressed.

use std::fs;

use anyhow::{Context as _, Result};

use super::Bench;
use crate::report::Target;

/// Measures.
pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let mut largest = 0.0_f64;
    for function in bench.places.functions()? {
        let binary = bench.places.binary(&function);
        let bytes =
            fs::metadata(&binary).with_context(|| format!("{}: is it built?", binary.display()))?.len();
        let megabytes = f64::from(u32::try_from(bytes)?) / 1e6;
        largest = largest.max(megabytes);
        bench.report.note(&format!("bootstrap_mb_{}", function.replace('-', "_")), megabytes);
    }
    bench.report.row("bootstrap_mb_max", "largest bootstrap, MB", largest, Target::AtMost(6.0));
    Ok(())
}
