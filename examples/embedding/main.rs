//! Places handwritten digits in the plane, near those that show the same digit and far from the
//! others; the loss of the distances and its gradients come from `lossgrad`.
//!
//! ```text
//! cargo run --release --example embedding               # trained with SdmlLoss
//! cargo run --release --example embedding -- triplet    # trained with TripletLoss
//! cargo run --release --example embedding -- sdml 7     # another seed
//! ```
//!
//! The part to look at is [`objective`]: the network's outputs go to the loss as they are, and the
//! gradients of all that a loss compares are written into parts of one array, from which
//! back-propagation starts.

#[path = "../digits/data.rs"]
mod data;
#[path = "../digits/network.rs"]
mod network;
#[path = "../digits/noise.rs"]
mod noise;

mod batches;
mod neighbours;
mod objective;
mod picture;

use std::error::Error;
use std::path::Path;

use batches::Batches;
use data::Digits;
use fastrand::Rng;
use indicatif::{ProgressBar, ProgressStyle};
use ndarray::{Array2, Axis};
use network::Network;
use objective::Objective;

const EPOCHS: usize = 300;
/// Neurons between pixels and the plane.
const HIDDEN: usize = 256;
/// Coordinates of an embedding.
const DIMENSIONS: usize = 2;
/// Step length at the start.
const RATE: f32 = 0.02;
/// The most that is added to a pixel, which goes from 0 to 1.
const NOISE: f32 = 0.2;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut objective = Objective::named(arguments.next().as_deref().unwrap_or("sdml"))?;
    let seed = match arguments.next() {
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

    let mut network = Network::new([data::PIXELS, HIDDEN, DIMENSIONS], &mut rng);
    let bar = ProgressBar::new(EPOCHS as u64)
        .with_style(ProgressStyle::with_template("{bar:40} epoch {pos}/{len}")?);
    for number in 1..=EPOCHS {
        // Other pairs and fresh noise each time: the network cannot learn the images by heart.
        let noisy = train.shuffled(&mut rng).noisy(NOISE, &mut rng);
        // The rate falls in a straight line: large steps first, small ones to settle.
        let rate = RATE * (EPOCHS + 1 - number) as f32 / EPOCHS as f32;
        let loss = train_epoch(&mut network, &noisy, &mut objective, rate)?;
        bar.inc(1);
        if number % 20 == 0 {
            // `suspend`, unlike the bar's own `println`, also prints where there is no terminal.
            bar.suspend(|| println!("epoch {number:3}: loss {loss:.4}"));
        }
    }
    bar.finish_and_clear();

    let places = network.forward(&held_out.images).outputs;
    let read = neighbours::labels(
        &places,
        &network.forward(&train.images).outputs,
        &train.labels,
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/embedding.svg");
    picture::draw(&places, &held_out.labels, &read, &path)?;
    println!("picture: {}", path.display());
    let right = read.iter().zip(&held_out.labels).filter(|(a, b)| a == b);
    println!(
        "held-out images whose nearest training image shows their digit: {:.1} %",
        100.0 * right.count() as f64 / held_out.len() as f64
    );
    Ok(())
}

/// One pass over the training images; the mean loss seen on the way.
fn train_epoch(
    network: &mut Network,
    train: &Digits,
    objective: &mut Objective,
    rate: f32,
) -> Result<f32, lossgrad::Error> {
    let batches = Batches::new(&train.labels);
    let mut total = 0.0;
    for number in 0..batches.len() {
        let rows = batches.rows(number, objective.roles());
        let images = train.images.select(Axis(0), &rows);
        let activations = network.forward(&images);
        let mut grad = Array2::zeros(activations.outputs.raw_dim());
        total += objective.loss_and_grad(&activations.outputs, &mut grad)?;
        network.learn(&images, &activations, &grad, rate);
    }
    Ok(total / batches.len() as f32)
}
