//! Calls of `CtcLoss` as data, and the reference's idea of them.

use lossgrad::contract::{self, CtcBound};
use lossgrad::{CtcLabelLayout, CtcLayout, CtcLoss, CtcStatus, Exec, Level, Threading, reference};
use ndarray::{Array1, Array2, Array3, ArrayRef3, ArrayViewMut1, Axis, s};

use super::random::Random;
use super::real::{Real, assert_same_bits};

/// A batch, and the options of the loss.
#[derive(Clone, Debug)]
pub struct Batch<T> {
    /// Samples × frames × classes, whatever the layout of the call.
    pub pred: Array3<T>,
    pub labels: Vec<Vec<usize>>,
    /// Frames of each sample; all of them where there are none.
    pub lengths: Option<Vec<usize>>,
    pub blank: usize,
    pub log_probs: bool,
    pub zero_infinity: bool,
    pub per_label: bool,
    pub weight: f64,
    /// By sample; 1 where there are none.
    pub sample_weight: Option<Array1<T>>,
    pub upstream: Option<Array1<T>>,
}

/// What a call gives.
#[derive(Clone, Debug)]
pub struct Outcome<T> {
    pub loss: Array1<T>,
    /// Samples × frames × classes.
    pub grad: Array3<T>,
    pub status: Vec<CtcStatus>,
}

/// What the reference says.
#[derive(Clone, Debug)]
pub struct Expected {
    pub loss: Array1<f64>,
    pub grad: Array3<f64>,
    pub feasible: Vec<bool>,
    /// By what each sample's loss was multiplied.
    pub factor: Vec<f64>,
    /// By what its gradient was.
    pub coefficient: Vec<f64>,
    /// By how much the reference rounds each loss, before its factor, and each gradient.
    pub rounding: Vec<[f64; 2]>,
    pub frames: Vec<usize>,
}

pub trait Ctc: Real {
    const CTC: CtcBound;
}

impl Ctc for f32 {
    const CTC: CtcBound = contract::CTC;
}

impl Ctc for f64 {
    const CTC: CtcBound = contract::CTC_F64;
}

/// The level that a call has by default, on the calling thread.
pub fn serial() -> Exec {
    Exec::new(Level::best(), Threading::Serial)
}

/// Labels as one array, filled up with −1; at least one column, so that the label layouts differ.
pub fn padded(labels: &[Vec<usize>]) -> Array2<i32> {
    let longest = labels.iter().map(Vec::len).max().unwrap_or(0).max(1);
    Array2::from_shape_fn((labels.len(), longest), |(sample, at)| {
        labels[sample].get(at).map_or(-1, |&class| class as i32)
    })
}

impl<T: Ctc> Batch<T> {
    /// Logits, and the blank last as in Gluon.
    pub fn new(pred: Array3<T>, labels: Vec<Vec<usize>>) -> Self {
        let blank = pred.dim().2 - 1;
        Self {
            pred,
            labels,
            lengths: None,
            blank,
            log_probs: false,
            zero_infinity: false,
            per_label: false,
            weight: 1.0,
            sample_weight: None,
            upstream: None,
        }
    }

    /// One sample, frames × classes.
    pub fn single(pred: Array2<T>, label: &[usize]) -> Self {
        Self::new(pred.insert_axis(Axis(0)), vec![label.to_vec()])
    }

    pub fn blank(self, blank: usize) -> Self {
        Self { blank, ..self }
    }

    pub fn log_probs(self) -> Self {
        Self {
            log_probs: true,
            ..self
        }
    }

    pub fn lengths(self, lengths: Vec<usize>) -> Self {
        Self {
            lengths: Some(lengths),
            ..self
        }
    }

    /// Samples.
    pub fn len(&self) -> usize {
        self.pred.dim().0
    }

    /// The loss with its options.
    pub fn ctc(&self) -> CtcLoss {
        CtcLoss::new()
            .weight(self.weight)
            .expect("a weight")
            .blank(self.blank)
            .log_probs(self.log_probs)
            .zero_infinity(self.zero_infinity)
            .per_label(self.per_label)
    }

    /// Frames of each sample.
    pub fn frames(&self) -> Vec<usize> {
        let all = vec![self.pred.dim().1; self.len()];
        self.lengths.clone().unwrap_or(all)
    }

    /// One of the samples alone.
    pub fn sample(&self, sample: usize) -> Self {
        let kept = sample..sample + 1;
        Self {
            pred: self.pred.slice(s![kept.clone(), .., ..]).to_owned(),
            labels: self.labels[kept.clone()].to_vec(),
            lengths: self.lengths.as_ref().map(|all| all[kept.clone()].to_vec()),
            sample_weight: self
                .sample_weight
                .as_ref()
                .map(|all| all.slice(s![kept.clone()]).to_owned()),
            upstream: self
                .upstream
                .as_ref()
                .map(|all| all.slice(s![kept]).to_owned()),
            ..self.clone()
        }
    }

    /// The fused call, frames in the second axis, labels filled up.
    #[track_caller]
    pub fn run(&self, exec: Exec) -> Outcome<T> {
        let labels = padded(&self.labels);
        // Poison, so that what is not written shows.
        let mut loss = Array1::from_elem(self.len(), T::NAN);
        let mut grad = Array3::from_elem(self.pred.raw_dim(), T::NAN);
        let mut status = Array1::from_elem(self.len(), CtcStatus::Infeasible);
        let lengths = Array1::from(self.frames());
        let ctc = self.ctc();
        let mut call = ctc.on(&self.pred, &labels).exec(exec).status(&mut status);
        if self.lengths.is_some() {
            call = call.pred_lengths(&lengths);
        }
        if let Some(weight) = &self.sample_weight {
            call = call.sample_weight(weight);
        }
        if let Some(upstream) = &self.upstream {
            call = call.upstream(upstream);
        }
        call.loss_and_grad_into(&mut loss, &mut grad).unwrap();
        Outcome {
            loss,
            grad,
            status: status.to_vec(),
        }
    }

    /// The reference's results for the same numbers.
    pub fn expected(&self) -> Expected {
        let frames = self.frames();
        let mut expected = Expected {
            loss: Array1::zeros(self.len()),
            grad: Array3::zeros(self.pred.raw_dim()),
            feasible: Vec::new(),
            factor: Vec::new(),
            coefficient: Vec::new(),
            rounding: Vec::new(),
            frames: frames.clone(),
        };
        for (sample, label) in self.labels.iter().enumerate() {
            let seen = s![sample, ..frames[sample], ..];
            let mut input = self.pred.slice(seen).mapv(T::wide);
            let taken_out = if self.log_probs {
                take_out_largest(&mut input)
            } else {
                vec![]
            };
            let mut result = reference::ctc(&input, label, self.blank, self.log_probs);
            // Every frame rounds the reference's logarithms, which grow to the size of the loss.
            let epsilon = frames[sample] as f64 * f64::EPSILON;
            let of_grad = epsilon * finite_size(result.loss);
            let size: f64 = taken_out.iter().map(|largest| largest.abs()).sum();
            result.loss -= taken_out.iter().sum::<f64>();
            expected
                .rounding
                .push([of_grad + epsilon * finite_size(size), of_grad]);
            let labels = if self.per_label {
                label.len().max(1)
            } else {
                1
            };
            let of =
                |factors: &Option<Array1<T>>| factors.as_ref().map_or(1.0, |f| f[sample].wide());
            let weight = T::of(self.weight).wide() * of(&self.sample_weight);
            let factor = weight / labels as f64;
            let coefficient = factor * of(&self.upstream);
            let forgiven = self.zero_infinity && !result.feasible;
            if weight != 0.0 {
                expected.loss[sample] = if forgiven { 0.0 } else { result.loss * factor };
                expected
                    .grad
                    .slice_mut(seen)
                    .assign(&(result.grad * coefficient));
            }
            expected.feasible.push(result.feasible);
            expected.factor.push(factor);
            expected.coefficient.push(coefficient);
        }
        expected
    }

    /// Runs the batch at this level and holds it to the reference.
    #[track_caller]
    pub fn check(&self, exec: Exec, expected: &Expected, what: &str) {
        let what = format!("{what} at {}, {}", exec.level, T::NAME);
        let outcome = self.run(exec);
        assert_near(&outcome, expected, &what);
        if !self.log_probs {
            assert!(
                outcome
                    .loss
                    .iter()
                    .all(|loss| loss.wide().is_nan() || loss.wide() >= 0.0),
                "{what}: a negative loss of logits: {}",
                outcome.loss
            );
        }
    }

    /// As [`check`](Self::check), at every level.
    #[track_caller]
    pub fn check_at_every_level(&self, what: &str) {
        let expected = self.expected();
        let mut first: Option<Outcome<T>> = None;
        for level in super::levels::levels() {
            let exec = Exec::new(level, Threading::Serial);
            self.check(exec, &expected, what);
            let outcome = self.run(exec);
            let what = format!("{what}: {level} and the first level");
            match &first {
                Some(first) => assert_same(&outcome, first, &what),
                None => first = Some(outcome),
            }
        }
    }
}

impl Expected {
    /// How far the contract lets a sample's loss be off.
    pub fn allowed<T: Ctc>(&self, sample: usize) -> f64 {
        let factor = self.factor[sample].abs();
        let of_itself = T::CTC.loss * finite_size(self.loss[sample]);
        let of_frames = T::CTC.loss_per_frame * self.frames[sample] as f64 * factor;
        of_itself.max(of_frames) + self.rounding[sample][0] * factor
    }
}

impl Batch<f32> {
    /// The same numbers in `f64`.
    pub fn widen(&self) -> Batch<f64> {
        Batch {
            pred: self.pred.mapv(f64::from),
            labels: self.labels.clone(),
            lengths: self.lengths.clone(),
            blank: self.blank,
            log_probs: self.log_probs,
            zero_infinity: self.zero_infinity,
            per_label: self.per_label,
            weight: self.weight,
            sample_weight: self.sample_weight.as_ref().map(|all| all.mapv(f64::from)),
            upstream: self.upstream.as_ref().map(|all| all.mapv(f64::from)),
        }
    }
}

/// Fails unless loss and gradient are as near to the reference as the contract promises, and the
/// status is right.
#[track_caller]
pub fn assert_near<T: Ctc>(outcome: &Outcome<T>, expected: &Expected, what: &str) {
    for (sample, &frames) in expected.frames.iter().enumerate() {
        let status = outcome.status[sample];
        let feasible = expected.feasible[sample];
        // A masked sample is not read.
        let masked = expected.factor[sample] == 0.0;
        assert!(
            masked || (status == CtcStatus::Feasible) == feasible,
            "{what}: sample {sample} is {status:?}"
        );
        let (loss, exact) = (outcome.loss[sample].wide(), expected.loss[sample]);
        let allowed = expected.allowed::<T>(sample) + 2.0 * T::SMALLEST;
        let error = (loss - exact).abs();
        let beyond = exact.abs() > T::LARGEST && loss == exact.signum() * f64::INFINITY;
        assert!(
            loss == exact || beyond || error <= allowed || (loss.is_nan() && exact.is_nan()),
            "{what}: loss {sample} is {loss:e}, expected {exact:e}: off by {error:e}, allowed {allowed:e}"
        );
        let coefficient = expected.coefficient[sample].abs();
        let allowed =
            (T::CTC.grad + expected.rounding[sample][1]) * coefficient + 2.0 * T::SMALLEST;
        let rows = expected.grad.index_axis(Axis(0), sample);
        for ((frame, class), &exact) in rows.indexed_iter() {
            let grad = outcome.grad[[sample, frame, class]].wide();
            let error = (grad - exact).abs();
            let right = if frame < frames && feasible && !masked {
                grad == exact || error <= allowed || (grad.is_nan() && exact.is_nan())
            } else {
                grad == 0.0
            };
            assert!(
                right,
                "{what}: gradient at {:?} is {grad:e}, expected {exact:e}: off by {error:e}, \
                 allowed {allowed:e}",
                [sample, frame, class]
            );
        }
    }
}

/// Subtracts each frame's largest log-probability, which no posterior depends on, and returns them.
/// In sums as large as these may be the reference would lose what paths differ by.
fn take_out_largest(input: &mut Array2<f64>) -> Vec<f64> {
    let out = |mut row: ArrayViewMut1<'_, f64>| {
        let finite = row.iter().copied().filter(|x| x.is_finite());
        let largest = finite.reduce(f64::max).unwrap_or(0.0);
        row -= largest;
        largest
    };
    input.rows_mut().into_iter().map(out).collect()
}

fn finite_size(value: f64) -> f64 {
    if value.is_finite() { value.abs() } else { 0.0 }
}

/// Fails unless both are equal bit for bit.
#[track_caller]
pub fn assert_same<T: Real>(outcome: &Outcome<T>, other: &Outcome<T>, what: &str) {
    let dynamic = |loss: &Array1<T>| loss.clone().into_dyn();
    assert_same_bits(
        &dynamic(&outcome.loss),
        &dynamic(&other.loss),
        &format!("{what}, loss"),
    );
    assert_same_bits(
        &outcome.grad.clone().into_dyn(),
        &other.grad.clone().into_dyn(),
        &format!("{what}, gradient"),
    );
    assert_eq!(outcome.status, other.status, "{what}, status");
}

/// Frames × classes from rows of numbers.
pub fn rows<T: Real>(classes: usize, values: &[f64]) -> Array2<T> {
    let shape = (values.len() / classes, classes);
    let values = values.iter().map(|&v| T::of(v)).collect();
    Array2::from_shape_vec(shape, values).expect("whole rows")
}

/// What data of recognisers looks like, and worse.
#[derive(Clone, Copy, Debug)]
pub enum Data {
    /// Normal logits of this scale.
    Normal(f64),
    /// Frames that are sure of something, mostly of the blank.
    Peaky,
    /// The blank has a probability of 0.999 at every frame, as early in training.
    Collapsed,
}

/// Logits of this kind.
pub fn logits<T: Real>(
    shape: [usize; 3],
    blank: usize,
    data: Data,
    random: &mut Random,
) -> Array3<T> {
    let [samples, frames, classes] = shape;
    let mut logits = Array3::from_shape_simple_fn(shape, || random.normal());
    match data {
        Data::Normal(scale) => logits *= scale,
        Data::Peaky => {
            for sample in 0..samples {
                for frame in 0..frames {
                    let sure = if random.once_in(4) {
                        random.below(classes)
                    } else {
                        blank
                    };
                    logits[[sample, frame, sure]] += 10.0;
                }
            }
        }
        Data::Collapsed => {
            logits *= 0.01;
            let odds = 999.0 * (classes - 1) as f64;
            logits
                .slice_mut(s![.., .., blank])
                .mapv_inplace(|x| x + odds.ln());
        }
    }
    logits.mapv(T::of)
}

/// A label of this many classes, without the blank; about one in `repeats` like the one before.
pub fn label(
    length: usize,
    classes: usize,
    blank: usize,
    repeats: usize,
    random: &mut Random,
) -> Vec<usize> {
    let mut label = Vec::with_capacity(length);
    while label.len() < length {
        let class = match label.last() {
            Some(&last) if repeats > 0 && random.once_in(repeats) => last,
            _ => random.below(classes),
        };
        // Without repeats on purpose there are to be none by chance.
        if class != blank && (repeats > 0 || label.last() != Some(&class)) {
            label.push(class);
        }
    }
    label
}

/// How many frames a label takes.
pub fn shortest(label: &[usize]) -> usize {
    label.len() + label.windows(2).filter(|pair| pair[0] == pair[1]).count()
}

/// The layouts of a call.
pub const LAYOUTS: [(CtcLayout, CtcLabelLayout); 4] = [
    (CtcLayout::Ntc, CtcLabelLayout::Nt),
    (CtcLayout::Ntc, CtcLabelLayout::Tn),
    (CtcLayout::Tnc, CtcLabelLayout::Nt),
    (CtcLayout::Tnc, CtcLabelLayout::Tn),
];

/// Samples × frames × classes as a layout has them, and back: each is the other's inverse.
pub fn laid_out<T: Clone>(pred: &ArrayRef3<T>, layout: CtcLayout) -> Array3<T> {
    let view = pred.view();
    match layout {
        CtcLayout::Ntc => view.to_owned(),
        CtcLayout::Tnc => view
            .permuted_axes([1, 0, 2])
            .as_standard_layout()
            .into_owned(),
    }
}
