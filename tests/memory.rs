//! How much memory a call takes beside its inputs and outputs; a program of its own, since the
//! largest resident size belongs to the process.

#![cfg(target_os = "linux")]

use lossgrad::SdmlLoss;
use ndarray::{Array1, Array2};

/// The largest resident size so far, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let size = line.and_then(|line| line.split_whitespace().nth(1));
    1024 * size.expect("a size").parse::<usize>().expect("a number")
}

#[test]
fn sdml_keeps_a_part_of_the_matrix_of_distances() {
    let (vectors, len) = (4096, 512);
    let vector = |i: usize, k: usize| ((i * 31 + k * 17) % 97) as f32 / 970.0;
    let x1 = Array2::from_shape_fn([vectors, len], |(i, k)| vector(i, k));
    let x2 = Array2::from_shape_fn([vectors, len], |(i, k)| vector(i, k + 3));
    let mut loss = Array1::<f32>::ones(vectors);
    let (mut x1_grad, mut x2_grad) = (Array2::ones([vectors, len]), Array2::ones([vectors, len]));
    let before = peak();
    let grads = [Some(&mut *x1_grad), Some(&mut *x2_grad)];
    let call = SdmlLoss::new();
    let call = call.on(&x1, &x2);
    call.loss_and_grads_into(&mut loss, grads)
        .expect("a valid call");
    let added = peak() - before;
    println!(
        "SDML of ({vectors}, {len}) added {:.1} MB",
        added as f64 / 1e6
    );
    assert!(added <= 16_000_000, "{added} bytes");
    assert!(loss.iter().all(|loss| loss.is_finite()));
}
