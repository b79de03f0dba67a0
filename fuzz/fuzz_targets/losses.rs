//! Every loss on matrices of f32, at every level: the same bits as the scalar level.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use lossgrad::ndarray::{Array1, Array2, ArrayD};
use lossgrad::{Error, Exec, L2Loss, Level, Reduction, SigmoidBceLoss, SoftmaxCeLoss, Threading};

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Loss {
    L2,
    SigmoidBce { from_sigmoid: bool },
    SoftmaxSparse { from_logits: bool },
    SoftmaxDense { from_logits: bool },
}

#[derive(Arbitrary, Debug)]
struct Input {
    loss: Loss,
    rows: u8,
    columns: u16,
    /// Read again from the start where there are too few.
    values: Vec<f32>,
    labels: Vec<f32>,
    weights: Option<Vec<f32>>,
    reduction: u8,
    threads: bool,
    reversed: bool,
}

impl Input {
    fn array(&self, values: &[f32]) -> Array2<f32> {
        let shape = (usize::from(self.rows) % 40, usize::from(self.columns) % 700);
        let mut values = values.iter().copied().cycle();
        let mut array = Array2::from_shape_simple_fn(shape, || values.next().unwrap_or(0.5));
        if self.reversed {
            array.invert_axis(lossgrad::ndarray::Axis(1));
        }
        array
    }

    fn reduction(&self) -> Reduction {
        let all = [
            Reduction::None,
            Reduction::SampleMean,
            Reduction::SampleSum,
            Reduction::Mean,
            Reduction::Sum,
        ];
        all[usize::from(self.reduction) % all.len()]
    }

    fn run(&self, level: Level) -> Result<(ArrayD<f32>, Array2<f32>), Error> {
        let threading = if self.threads {
            Threading::Auto
        } else {
            Threading::Serial
        };
        let exec = Exec::new(level, threading);
        let (pred, label) = (self.array(&self.values), self.array(&self.labels));
        let (rows, columns) = pred.dim();
        let class = Array1::from_shape_fn(rows, |row| row % columns.max(1));
        let weights = self.weights.as_ref().map(|weights| {
            let mut weights = weights.iter().copied().cycle();
            Array2::from_shape_simple_fn((rows, 1), || weights.next().unwrap_or(1.0))
        });
        macro_rules! run {
            ($call:expr) => {{
                let mut call = $call.reduction(self.reduction()).exec(exec);
                if let Some(weights) = &weights {
                    call = call.sample_weight(weights);
                }
                call.loss_and_grad()
            }};
        }
        match self.loss {
            Loss::L2 => run!(L2Loss::new().on(&pred, &label)),
            Loss::SigmoidBce { from_sigmoid } => {
                run!(
                    SigmoidBceLoss::new()
                        .from_sigmoid(from_sigmoid)
                        .on(&pred, &label)
                )
            }
            Loss::SoftmaxSparse { from_logits } => {
                run!(
                    SoftmaxCeLoss::new()
                        .from_logits(from_logits)
                        .on(&pred, &class)
                )
            }
            Loss::SoftmaxDense { from_logits } => {
                run!(
                    SoftmaxCeLoss::new()
                        .from_logits(from_logits)
                        .on(&pred, &label)
                )
            }
        }
    }
}

/// The bits, all NaNs made one.
fn bits<'a>(values: impl Iterator<Item = &'a f32>) -> Vec<u32> {
    values
        .map(|value| {
            if value.is_nan() {
                u32::MAX
            } else {
                value.to_bits()
            }
        })
        .collect()
}

fuzz_target!(|input: Input| {
    let expected = input.run(Level::scalar());
    for level in Level::all().skip(1) {
        match (&expected, input.run(level)) {
            (Ok((loss, grad)), Ok((level_loss, level_grad))) => {
                assert_eq!(
                    bits(loss.iter()),
                    bits(level_loss.iter()),
                    "loss at {level}"
                );
                assert_eq!(
                    bits(grad.iter()),
                    bits(level_grad.iter()),
                    "gradient at {level}"
                );
            }
            (Err(expected), Err(error)) => assert_eq!(expected, &error),
            (expected, found) => panic!("{expected:?} at scalar, {found:?} at {level}"),
        }
    }
});
