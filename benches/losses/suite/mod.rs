//! The cases, in the order of the memory that they share.

#[cfg(target_arch = "x86_64")]
mod avx;
mod cases;
mod classes;
mod ctc;
mod data;
mod dense;
mod embeddings;
mod forms;
mod traffic;

use cases::Cases;
use criterion::Criterion;
use std::time::Duration;

/// Few and short samples: there are hundreds of cases.
pub fn config() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .nresamples(10_000)
        .warm_up_time(Duration::from_millis(200))
        .without_plots()
}

/// Times the cases that are chosen by their names (without the number of threads), and names all.
pub fn run(criterion: &mut Criterion, chosen: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut cases = Cases::new(criterion, chosen);
    dense::run(&mut cases);
    classes::run(&mut cases);
    embeddings::run(&mut cases);
    ctc::run(&mut cases);
    cases.names
}
