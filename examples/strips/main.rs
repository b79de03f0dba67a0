//! Trains a network to read strips of handwritten digits without being told where each digit is;
//! the loss, its gradient, the reading and the alignment come from `lossgrad`.
//!
//! ```text
//! cargo run --release --example strips            # the usual strips and start
//! cargo run --release --example strips -- 7       # another seed
//! ```
//!
//! The network is that of the example `digits`, slid over the columns of the strip: at every column
//! it says which digit it sees, or none. The part to look at is [`train_epoch`]: one call of the
//! loss takes what it said, the digits of each strip, and how many columns each strip has.

#[path = "../digits/data.rs"]
mod data;
#[path = "../digits/most_likely.rs"]
mod most_likely;
#[path = "../digits/network.rs"]
mod network;
mod picture;
mod reading;
mod strips;
mod text;

use std::error::Error;
use std::path::Path;

use data::Digits;
use fastrand::Rng;
use indicatif::{ProgressBar, ProgressStyle};
use lossgrad::{CtcLoss, Reduction, Workspace};
use ndarray::{Array2, Array3};
use network::Network;
use strips::Strips;

const EPOCHS: usize = 30;
/// Strips an epoch, drawn anew each time.
const STRIPS: usize = 1600;
/// Strips a step.
const BATCH: usize = 16;
/// Strips that the network is judged by.
const HELD_OUT: usize = 300;
/// Strips that are shown, and one that is misread.
const SHOWN: usize = 3;
/// Their columns at most: a line on the terminal.
const SHOWN_COLUMNS: usize = 76;
/// Ten digits, and the blank, which `CtcLoss` takes to be the last class.
const CLASSES: usize = data::CLASSES + 1;
/// Neurons between pixels and logits.
const HIDDEN: usize = 256;
/// Step length at the start.
const RATE: f32 = 0.1;
/// The most that is added to a pixel, which goes from 0 to 1.
const NOISE: f32 = 0.4;

fn main() -> Result<(), Box<dyn Error>> {
    let seed = match std::env::args().nth(1) {
        Some(argument) => argument.parse()?,
        None => 1,
    };
    let mut rng = Rng::with_seed(seed);
    let (train, held_out) = Digits::load()?.shuffled(&mut rng).split(4, 5);
    println!(
        "strips of {} images to learn from, strips of {} others to be judged by",
        train.len(),
        held_out.len()
    );
    let held_out = Strips::draw(HELD_OUT, &held_out, &mut rng);

    let mut network = Network::new([strips::PIXELS, HIDDEN, CLASSES], &mut rng);
    let mut workspace = Workspace::new();
    let bar = ProgressBar::new(EPOCHS as u64)
        .with_style(ProgressStyle::with_template("{bar:40} epoch {pos}/{len}")?);
    for number in 1..=EPOCHS {
        // The rate falls in a straight line: large steps first, small ones to settle.
        let rate = RATE * (EPOCHS + 1 - number) as f32 / EPOCHS as f32;
        let loss = train_epoch(&mut network, &train, rate, &mut workspace, &mut rng)?;
        let read = reading::read(&logits(&network, &held_out)?, &held_out)?;
        let errors = reading::error_rate(&read, &held_out);
        bar.inc(1);
        // `suspend`, unlike the bar's own `println`, also prints where there is no terminal.
        bar.suspend(|| {
            println!(
                "epoch {number:2}: loss {loss:.4} per digit, {:5.1} % of held-out digits misread",
                100.0 * errors
            );
        });
    }
    bar.finish_and_clear();

    let logits = logits(&network, &held_out)?;
    let read = reading::read(&logits, &held_out)?;
    let shown = worth_showing(&held_out, &read);
    for &strip in &shown {
        text::print(&held_out, &logits, &read, strip);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/strips.svg");
    picture::draw(&held_out, &logits, &shown, &path)?;
    println!("\nthe alignment of these: {}", path.display());
    println!(
        "held-out label error rate {:.1} % of {} digits in {HELD_OUT} strips",
        100.0 * reading::error_rate(&read, &held_out),
        held_out.digits(),
    );
    Ok(())
}

/// One pass over newly drawn strips in mini-batches; the mean loss seen on the way.
fn train_epoch(
    network: &mut Network,
    digits: &Digits,
    rate: f32,
    workspace: &mut Workspace,
    rng: &mut Rng,
) -> Result<f32, Box<dyn Error>> {
    // Each strip's loss is divided by its number of digits, so that long strips weigh no more.
    let loss = CtcLoss::new().per_label(true);
    let mut total = 0.0;
    for _ in 0..STRIPS / BATCH {
        // Fresh strips and fresh noise each time: the network cannot learn them by heart.
        let strips = Strips::draw(BATCH, digits, rng).noisy(NOISE, rng);
        let windows = strips.windows();
        let activations = network.forward(&windows);
        let shape = (BATCH, strips.columns(), CLASSES);
        let logits = activations.outputs.to_shape(shape)?;
        let mut grad = Array3::zeros(shape);
        total += loss
            .on(&logits, &strips.labels)
            .pred_lengths(&strips.lengths)
            .reduction(Reduction::Mean)
            .workspace(workspace)
            .scalar_and_grad_into(&mut grad)?;
        let grad = grad.into_shape_with_order((BATCH * strips.columns(), CLASSES))?;
        network.learn(&windows, &activations, &grad, rate);
    }
    Ok(total / (STRIPS / BATCH) as f32)
}

/// The first few strips that are read correctly and fit on a line, and the first that is not.
fn worth_showing(strips: &Strips, read: &[Vec<usize>]) -> Vec<usize> {
    let (right, wrong): (Vec<usize>, Vec<usize>) = (0..strips.len())
        .filter(|&strip| strips.lengths[strip] <= SHOWN_COLUMNS)
        .partition(|&strip| read[strip] == strips.label(strip));
    let some = right.into_iter().take(SHOWN);
    some.chain(wrong.into_iter().take(1)).collect()
}

/// What the network says: strips × columns × classes.
fn logits(network: &Network, strips: &Strips) -> Result<Array3<f32>, ndarray::ShapeError> {
    let logits: Array2<f32> = network.forward(&strips.windows()).outputs;
    logits.into_shape_with_order((strips.len(), strips.columns(), CLASSES))
}
