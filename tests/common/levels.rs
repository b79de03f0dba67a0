//! The levels that this CPU can run and those that it was promised to run, and how large tests are
//! where everything is slow.

use std::io::Write;
use std::sync::{LazyLock, Once};

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
/// architecture are left untested because the CPU lacks them; fails where `LOSSGRAD_LEVELS` names
/// one that is missing.
#[track_caller]
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
    if let Some(promised) = variable("LOSSGRAD_LEVELS")
        && let Err(broken) = holds(&promised, &names)
    {
        panic!("LOSSGRAD_LEVELS is {promised:?}: {broken}");
    }
    levels
}

/// Whether a CPU that has the levels `present` has all of `promised`, names separated by commas.
pub fn holds(promised: &str, present: &[String]) -> Result<(), String> {
    for name in promised.split(',').map(str::trim) {
        if !["scalar", "v3", "v4", "neon"].contains(&name) {
            return Err(format!(
                "{name:?} is no level, there are scalar, v3, v4 and neon"
            ));
        }
        if !present.iter().any(|level| level == name) {
            let present = present.join(", ");
            return Err(format!("this CPU lacks {name}, it has {present}"));
        }
    }
    Ok(())
}

/// Runs `test` once per level, on the calling thread.
pub fn for_each_level(mut test: impl FnMut(Exec)) {
    for level in levels() {
        test(Exec::new(level, Threading::Serial));
    }
}

/// By what the largest tests shrink, 1 unless `LOSSGRAD_SHRINK` says otherwise: under emulation and
/// under a sanitizer many times the time buys nothing more.
static SHRINK: LazyLock<usize> = LazyLock::new(|| match variable("LOSSGRAD_SHRINK") {
    None => 1,
    Some(factor) => match factor.parse() {
        Ok(factor @ 1..) => factor,
        _ => panic!("LOSSGRAD_SHRINK is {factor:?}, expected a whole number from 1 on"),
    },
});

/// A size, a length or a number of rounds that takes long, as it is on this machine.
pub fn shrunk(size: usize) -> usize {
    size.div_ceil(*SHRINK)
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}
