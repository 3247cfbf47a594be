//! How large the functions' binaries are: as they lie in the package, and compressed as the package is.

use std::fs;
use std::io::Write as _;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::Bench;
use crate::report::Target;

/// Measures.
pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let (mut largest, mut largest_packed) = (0.0_f64, 0.0_f64);
    for function in bench.places.functions()? {
        let path = bench.places.binary(&function);
        let binary = fs::read(&path).with_context(|| format!("{}: is it built?", path.display()))?;
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::default());
        packed.write_all(&binary)?;
        let name = function.replace('-', "_");
        for (what, bytes, largest) in [
            ("bootstrap", binary.len(), &mut largest),
            ("package", packed.finish()?.len(), &mut largest_packed),
        ] {
            let megabytes = f64::from(u32::try_from(bytes)?) / 1e6;
            *largest = largest.max(megabytes);
            bench.report.note(&format!("{what}_mb_{name}"), megabytes);
        }
    }
    bench.report.row("bootstrap_mb_max", "largest bootstrap, MB", largest, Target::AtMost(8.0));
    bench.report.row("package_mb_max", "the same, compressed, MB", largest_packed, Target::AtMost(3.5));
    Ok(())
}
