//! The telling cases of `losses`, with their limits, in two minutes.

mod suite;

use criterion::{Criterion, criterion_group, criterion_main};

/// Each with one thread and with two.
const CHOSEN: [&str; 27] = [
    "loss_and_grad/l2/(1,16)/f32",
    "loss_and_grad/l2/(64,1024)/f32",
    "loss_and_grad/sigmoid_bce/(64,1024)/f32",
    "loss_and_grad/poisson_nll/(64,1024)/f32",
    "limit/read_two_write_one/(64,1024)/f32",
    "loss/l2/(4096,4096)/f32",
    "loss_and_grad/l2/(4096,4096)/f32",
    "in_place/l2/(4096,4096)/f32",
    "offset/l2/(4096,4096)/f32",
    "loss_and_grad/sigmoid_bce/(4096,4096)/f32",
    "limit/read_two/(4096,4096)/f32",
    "limit/read_two_write_one_streaming/(4096,4096)/f32",
    "limit/read_one_in_place/(4096,4096)/f32",
    "loss_and_grad/softmax_ce/(1,1000)/f32",
    "loss_and_grad/softmax_ce/(4096,1000)/f32",
    "limit/read_one_write_one/(4096,1000)/f32",
    "loss_and_grad/softmax_ce/(65536,10)/f32",
    "loss_and_grad/softmax_ce/(256,128256)/f32",
    "limit/read_one_write_one_streaming/(256,128256)/f32",
    "loss_and_grad/softmax_ce/(8,21,512,512)/f32",
    "loss_and_grad/triplet/(65536,128)/f32",
    "limit/read_three_write_three_streaming/(65536,128)/f32",
    "loss_and_grad/sdml/(256,512)/f32",
    "loss_and_grad/ctc_A/(32,500,32)/f32",
    "loss_and_grad/ctc_D/(1,10000,32)/f32",
    "loss_and_grad/ctc_C/(16,1500,5000)/f32",
    "limit/read_one_write_one_streaming/(16,1500,5000)/f32",
];

fn quick(criterion: &mut Criterion) {
    let names = suite::run(criterion, &|name| CHOSEN.contains(&name));
    for chosen in CHOSEN {
        // There are limits only where their instructions are.
        let found = names.iter().any(|name| name == chosen);
        assert!(found || chosen.starts_with("limit/"), "no case {chosen}");
    }
}

criterion_group! {
    name = benches;
    config = suite::config();
    targets = quick
}
criterion_main!(benches);
