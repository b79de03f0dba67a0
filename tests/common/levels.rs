//! The levels that this CPU can run, and a word about those it cannot.

use std::io::Write;
use std::sync::Once;

use lossgrad::{Exec, Level, Threading};

/// The levels that exist on this kind of processor.
#[cfg(target_arch = "x86_64")]
const OF_THIS_ARCHITECTURE: [&str; 3] = ["scalar", "v3", "v4"];
#[cfg(target_arch = "aarch64")]
const OF_THIS_ARCHITECTURE: [&str; 2] = ["scalar", "neon"];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OF_THIS_ARCHITECTURE: [&str; 1] = ["scalar"];

static SAID: Once = Once::new();

/// Every level of this CPU. Says once, past the test runner's capture, which levels of this
/// architecture are left untested because the CPU lacks them.
pub fn levels() -> Vec<Level> {
    let levels: Vec<Level> = Level::all().collect();
    let names: Vec<String> = levels.iter().map(Level::to_string).collect();
    let missing: Vec<_> = OF_THIS_ARCHITECTURE
        .iter()
        .filter(|name| !names.iter().any(|n| n == *name))
        .collect();
    SAID.call_once(|| {
        let mut stderr = std::io::stderr();
        // Not eprintln!, which the test runner would swallow.
        let _ = writeln!(stderr, "levels under test: {}", names.join(", "));
        if !missing.is_empty() {
            let _ = writeln!(
                stderr,
                "WARNING: NOT TESTED, this CPU lacks them: levels {missing:?}"
            );
        }
    });
    levels
}

/// Runs `test` once per level, on the calling thread.
pub fn for_each_level(mut test: impl FnMut(Exec)) {
    for level in levels() {
        test(Exec::new(level, Threading::Serial));
    }
}

/// Whether the CPU is real. Under emulation a hundred times the time buys nothing more, so the
/// largest tests shrink; `LOSSGRAD_EMULATED` says so.
pub fn emulated() -> bool {
    std::env::var_os("LOSSGRAD_EMULATED").is_some()
}
