//! Trains a small network to read handwritten digits; the loss and its gradient come from
//! `lossgrad`.
//!
//! ```text
//! cargo run --release --example digits            # the usual split and start
//! cargo run --release --example digits -- 7       # another seed
//! ```
//!
//! The part to look at is [`train_epoch`]: a training step needs one call of the loss, which hands
//! back the number to report and writes the gradient from which back-propagation starts.

mod batches;
mod data;
mod most_likely;
mod network;
mod noise;
mod picture;

use std::error::Error;
use std::path::Path;

use data::Digits;
use fastrand::Rng;
use indicatif::{ProgressBar, ProgressStyle};
use lossgrad::{Reduction, SoftmaxCeLoss};
use most_likely::most_likely;
use ndarray::{Array2, s};
use network::Network;

const EPOCHS: usize = 40;
/// Images a step.
const BATCH: usize = 32;
/// Neurons between pixels and logits.
const HIDDEN: usize = 128;
/// Step length at the start.
const RATE: f32 = 0.1;
/// The most that is added to a pixel, which goes from 0 to 1.
const NOISE: f32 = 0.5;

/// What one epoch is remembered by.
struct Epoch {
    train_loss: f32,
    held_out_loss: f32,
    /// Share of the held-out images whose digit was read correctly, 0 to 1.
    accuracy: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let seed = match std::env::args().nth(1) {
        Some(argument) => argument.parse()?,
        None => 1,
    };
    let mut rng = Rng::with_seed(seed);
    let (train, held_out) = Digits::load()?.shuffled(&mut rng).split(4, 5);
    println!(
        "{} images to learn from, {} held out",
        train.len(),
        held_out.len()
    );

    let mut network = Network::new([data::PIXELS, HIDDEN, data::CLASSES], &mut rng);
    let bar = ProgressBar::new(EPOCHS as u64)
        .with_style(ProgressStyle::with_template("{bar:40} epoch {pos}/{len}")?);
    let mut history = Vec::with_capacity(EPOCHS);
    for number in 1..=EPOCHS {
        // Fresh noise each time: the network cannot learn the images by heart.
        let noisy = train.shuffled(&mut rng).noisy(NOISE, &mut rng);
        // The rate falls in a straight line: large steps first, small ones to settle.
        let rate = RATE * (EPOCHS + 1 - number) as f32 / EPOCHS as f32;
        let train_loss = train_epoch(&mut network, &noisy, rate)?;
        let (held_out_loss, accuracy) = evaluate(&network, &held_out)?;
        bar.inc(1);
        // `suspend`, unlike the bar's own `println`, also prints where there is no terminal.
        bar.suspend(|| {
            println!(
                "epoch {number:2}: loss {train_loss:.4}, held out {held_out_loss:.4} and {:.1} %",
                100.0 * accuracy
            );
        });
        history.push(Epoch {
            train_loss,
            held_out_loss,
            accuracy,
        });
    }
    bar.finish_and_clear();

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/digits.svg");
    picture::draw(&history, &path)?;
    println!("curves: {}", path.display());
    if let Some(last) = history.last() {
        println!("held-out accuracy {:.1} %", 100.0 * last.accuracy);
    }
    Ok(())
}

/// One pass over the training images in mini-batches; the mean loss seen on the way.
fn train_epoch(network: &mut Network, train: &Digits, rate: f32) -> Result<f32, lossgrad::Error> {
    let loss = SoftmaxCeLoss::new();
    let mut grad = Array2::zeros((BATCH, data::CLASSES));
    let mut total = 0.0;
    for (images, labels) in train.batches(BATCH) {
        let activations = network.forward(&images);
        let mut grad = grad.slice_mut(s![..images.nrows(), ..]);
        let mean = loss
            .on(&activations.outputs, &labels)
            .reduction(Reduction::Mean)
            .scalar_and_grad_into(&mut grad)?;
        network.learn(&images, &activations, &grad, rate);
        total += mean * images.nrows() as f32;
    }
    Ok(total / train.len() as f32)
}

/// Mean loss on these images, and the share of them read correctly.
fn evaluate(network: &Network, digits: &Digits) -> Result<(f32, f64), lossgrad::Error> {
    let logits = network.forward(&digits.images).outputs;
    let loss = SoftmaxCeLoss::new()
        .on(&logits, &digits.labels)
        .reduction(Reduction::Mean)
        .scalar()?;
    let right = most_likely(&logits)
        .zip(&digits.labels)
        .filter(|&(read, &label)| read == usize::from(label))
        .count();
    Ok((loss, right as f64 / digits.len() as f64))
}
