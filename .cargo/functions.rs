//! Links the functions without unwind tables, a tenth of each binary: their panics abort, so nothing reads them. Lambda loads less
//! at each cold start. A panic's message and place are logged as before; of its backtrace, the frames are not.

#![expect(clippy::print_stdout, reason = "cargo reads what a build script prints")]

fn main() {
    println!("cargo::rerun-if-changed=../../.cargo/functions.rs");
    println!("cargo::rerun-if-changed=../../.cargo/no-unwind-tables.ld");
    // A build script is not told which panics a profile has: `release` and what inherits from it abort.
    let aborts = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let is_linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if let (true, true, Ok(package)) = (aborts, is_linux, std::env::var("CARGO_MANIFEST_DIR")) {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{package}/../../.cargo/no-unwind-tables.ld");
    }
}
