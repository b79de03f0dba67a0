//! How many instructions a call takes: loss and gradient into given places, on one thread, at level
//! V3 (valgrind knows no AVX-512). Unlike times these are the same on every machine, so a kernel
//! that has grown shows.
//!
//! `limits.txt` holds what each call took, and the compiler that made it. With that compiler the
//! bench fails where a call takes over 3 % more; with another it only reports.

#![allow(
    missing_docs,
    reason = "what the macros make of each call is not documented"
)]

mod calls;

use calls::{Call, ready};
use iai_callgrind::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use std::process::Command;

const LIMITS: &str = include_str!("limits.txt");

/// What a call may take more than was noted, in percent.
const SLACK: u64 = 3;

/// The compiler in use, as it names itself.
fn compiler() -> String {
    let name = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(name).arg("--version").output();
    let version = output.expect("a compiler").stdout;
    String::from_utf8_lossy(&version).trim().to_owned()
}

/// The limit of a call, if it holds for this compiler.
fn limit(name: &str) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    let (noted_for, limits) = LIMITS.split_once('\n').expect("a compiler and limits");
    let found = compiler();
    if noted_for != found {
        eprintln!("{name}: no limit, which is for {noted_for}; this is {found}");
        return config;
    }
    let mut limits = limits.lines().filter_map(|line| line.split_once(' '));
    let (_, count) = limits
        .find(|(of, _)| *of == name)
        .unwrap_or_else(|| panic!("limits.txt has no line for {name}"));
    let count: u64 = count.trim().parse().expect("a number of instructions");
    let most = count + count * SLACK / 100;
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, most)]));
    config
}

/// A function to count for each call, under the call's name.
macro_rules! counted {
    ($($name:ident)*) => {
        $(
            #[library_benchmark(config = limit(stringify!($name)))]
            #[bench::f32(args = (calls::$name()), setup = ready)]
            fn $name(mut call: Call) -> Call {
                call();
                call
            }
        )*

        library_benchmark_group!(name = kernels; benchmarks = $($name),*);
    };
}

counted! {
    l1
    l2
    l2_small
    huber
    hinge
    squared_hinge
    logistic
    sigmoid_bce
    poisson_nll
    kl_div
    kl_div_of_logits
    softmax_ce
    softmax_ce_dense
    softmax_ce_small
    softmax_ce_columns
    softmax_ce_long
    triplet
    cosine_embedding
    sdml
    ctc
    ctc_of_many_classes
}

main!(library_benchmark_groups = kernels);
