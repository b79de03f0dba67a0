//! Every loss, and plain streams of the same traffic over the same memory:
//! `<group>/<loss>/<shape>/<dtype>/t<threads>`.
//!
//! | group | |
//! |---|---|
//! | `loss` | losses alone |
//! | `loss_and_grad` | losses and gradients, which have places of their own |
//! | `in_place` | losses, and the gradients in the place of the predictions |
//! | `offset` | as `loss_and_grad`, every array moved by four bytes |
//! | `limit` | the bytes that a loss of that shape has to move, and no computation; `_streaming` with stores past the caches |
//!
//! Throughput counts what has an entry for each prediction. Outputs are given and were touched
//! before. `LOSSGRAD_LEVEL=v3` (or another level's name) chooses the instruction set; the best is
//! the default.

mod suite;

use criterion::{Criterion, criterion_group, criterion_main};

fn losses(criterion: &mut Criterion) {
    suite::run(criterion, &|_| true);
}

criterion_group! {
    name = benches;
    config = suite::config();
    targets = losses
}
criterion_main!(benches);
