//! Connectionist temporal classification.

use super::Scenario;
use super::specials::Special;
use super::threads::for_each_pool;
use crate::common::ctc::{
    Batch, Ctc as Real, Data, LAYOUTS, Outcome, assert_near, assert_same, label, logits,
};
use crate::common::ctc_forms::{assert_every_form, assert_laid_out, scalar_and_grad};
use crate::common::layouts::Layout;
use crate::common::levels::levels;
use crate::common::random::Random;
use arbitrary::{Arbitrary, Result, Unstructured};
use lossgrad::{Exec, Level, Reduction, Threading};
use ndarray::{Array1, Array3, s};

/// A call of `CtcLoss`. What is not spelled out follows from the seeds.
#[derive(Clone, Debug)]
pub struct Ctc {
    double: bool,
    frames: usize,
    classes: usize,
    blank: usize,
    kind: Kind,
    /// How many labels each sample has.
    labels: Vec<usize>,
    /// One label in so many is like the one before; 0 for none.
    repeats: usize,
    /// Frames of each sample.
    lengths: Option<Vec<usize>>,
    log_probs: bool,
    zero_infinity: bool,
    per_label: bool,
    weight: f64,
    sample_weight: bool,
    upstream: bool,
    reduction: Reduction,
    /// Which order of axes.
    layout: usize,
    /// Of inputs and factors.
    seed: u64,
    layouts: u64,
    /// The level of the forms.
    level: u8,
    sprinkles: Vec<(u16, Special)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    Plain,
    Sharp,
    Extreme,
    Peaky,
    Collapsed,
    /// A class in three has probability 0.
    Masked,
}

impl<'a> Arbitrary<'a> for Ctc {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let samples = bytes.int_in_range(0..=4)?;
        let frames = match bytes.int_in_range(0..=7)? {
            0 => bytes.int_in_range(0..=300)?,
            1..=3 => bytes.int_in_range(0..=60)?,
            _ => bytes.int_in_range(0..=12)?,
        };
        let classes = match bytes.int_in_range(0..=4)? {
            0 => bytes.int_in_range(1..=70)?,
            // These have a way of their own.
            1 => bytes.int_in_range(65..=300)?,
            _ => bytes.int_in_range(1..=8)?,
        };
        let has_lengths: bool = bytes.arbitrary()?;
        let mut labels = Vec::new();
        let mut lengths = Vec::new();
        for _ in 0..samples {
            let length = if has_lengths {
                bytes.int_in_range(0..=frames)?
            } else {
                frames
            };
            lengths.push(length);
            // Mostly no more than there are frames for.
            let most = match bytes.int_in_range(0..=5)? {
                0 => length + 2,
                1 => length,
                _ => length / 2,
            };
            // No class but the blank leaves no label.
            labels.push(if classes == 1 {
                0
            } else {
                bytes.int_in_range(0..=most)?
            });
        }
        Ok(Self {
            double: bytes.arbitrary()?,
            frames,
            classes,
            blank: bytes.choose_index(classes)?,
            kind: bytes.arbitrary()?,
            labels,
            repeats: if classes == 2 {
                1
            } else {
                *bytes.choose(&[0, 2, 10])?
            },
            lengths: has_lengths.then_some(lengths),
            log_probs: bytes.arbitrary()?,
            zero_infinity: bytes.arbitrary()?,
            per_label: bytes.arbitrary()?,
            weight: *bytes.choose(&[1.0, 0.5, -2.0, 0.0])?,
            sample_weight: bytes.arbitrary()?,
            upstream: bytes.arbitrary()?,
            reduction: *bytes.choose(&[
                Reduction::None,
                Reduction::SampleMean,
                Reduction::SampleSum,
                Reduction::Mean,
                Reduction::Sum,
            ])?,
            layout: bytes.choose_index(LAYOUTS.len())?,
            seed: bytes.arbitrary()?,
            layouts: bytes.arbitrary()?,
            level: bytes.arbitrary()?,
            sprinkles: {
                let count = if bytes.arbitrary()? {
                    bytes.int_in_range(1..=4)?
                } else {
                    0
                };
                (0..count)
                    .map(|_| bytes.arbitrary())
                    .collect::<Result<_>>()?
            },
        })
    }
}

impl Scenario for Ctc {
    fn check(&self) {
        if self.double {
            self.check_as::<f64>();
        } else {
            self.check_as::<f32>();
        }
    }
}

impl Ctc {
    fn batch<T: Real>(&self) -> Batch<T> {
        let random = &mut Random::new(self.seed);
        let data = match self.kind {
            Kind::Plain | Kind::Masked => Data::Normal(1.0),
            Kind::Sharp => Data::Normal(5.0),
            Kind::Extreme => Data::Normal(50.0),
            Kind::Peaky => Data::Peaky,
            Kind::Collapsed => Data::Collapsed,
        };
        let shape = [self.labels.len(), self.frames, self.classes];
        let mut pred = logits(shape, self.blank, data, random);
        if matches!(self.kind, Kind::Masked) {
            let hide = |x: T| match random.once_in(3) {
                true => T::of(f64::NEG_INFINITY),
                false => x,
            };
            pred.mapv_inplace(hide);
        }
        for &(at, value) in &self.sprinkles {
            let len = pred.len().max(1);
            if let Some(place) = pred.iter_mut().nth(usize::from(at) % len) {
                *place = self.in_range(value.of());
            }
        }
        let labels = (self.labels.iter())
            .map(|&length| label(length, self.classes, self.blank, self.repeats, random))
            .collect();
        let mut factor = |wanted: bool| {
            let mut value = || match random.below(6) {
                0 => 0.0,
                1 => -random.unit(),
                _ => 2.0 * random.unit(),
            };
            let samples = self.labels.len();
            wanted.then(|| Array1::from_shape_simple_fn(samples, || T::of(value())))
        };
        Batch {
            lengths: self.lengths.clone(),
            log_probs: self.log_probs,
            zero_infinity: self.zero_infinity,
            per_label: self.per_label,
            weight: self.weight,
            sample_weight: factor(self.sample_weight),
            upstream: factor(self.upstream),
            ..Batch::new(pred, labels).blank(self.blank)
        }
    }

    /// Log-probabilities are at most about 0, and what a path costs is to be within the range of `f64`.
    fn in_range<T: Real>(&self, value: T) -> T {
        let largest = f64::MAX / 4.0 / (1 + self.frames) as f64;
        let wide = value.wide();
        T::of(match wide {
            _ if !wide.is_finite() => wide,
            _ if self.log_probs && wide > 8.0 => -wide.min(largest),
            _ => wide.clamp(-largest, largest),
        })
    }

    fn check_as<T: Real>(&self) {
        let batch = self.batch::<T>();
        let outcome = self.at_every_level(&batch);
        self.judge(&batch, &outcome);
        self.judge_scalar(&batch, &outcome);
        let levels = levels();
        let level = levels[usize::from(self.level) % levels.len()];
        let exec = Exec::new(level, Threading::Auto);
        if batch.len() > 0 || self.reduction != Reduction::Mean {
            assert_every_form(&batch, self.reduction, exec);
        }
        let random = &mut Random::new(self.layouts);
        let place = Layout::random(3, random);
        let layout = LAYOUTS[self.layout];
        assert_laid_out(&batch, layout, &place, random, exec, &outcome);
        self.alone(&batch, &outcome, exec);
    }

    fn at_every_level<T: Real>(&self, batch: &Batch<T>) -> Outcome<T> {
        let expected = batch.run(Exec::new(Level::scalar(), Threading::Serial));
        for level in levels() {
            let serial = batch.run(Exec::new(level, Threading::Serial));
            assert_same(&serial, &expected, &format!("{level}"));
        }
        let shared = Exec::new(Level::best(), Threading::Auto);
        if self.frames * self.classes * batch.len() > 500 {
            for_each_pool(|threads| {
                assert_same(&batch.run(shared), &expected, &format!("{threads} threads"));
            });
        } else {
            assert_same(&batch.run(shared), &expected, "the caller's threads");
        }
        expected
    }

    fn judge<T: Real>(&self, batch: &Batch<T>, outcome: &Outcome<T>) {
        assert_near(outcome, &batch.expected(), T::NAME);
        let weighs = |factor: &Option<Array1<T>>| {
            let mut values = factor.iter().flatten();
            values.any(|value| value.wide() < 0.0)
        };
        if !self.log_probs && self.weight >= 0.0 && !weighs(&batch.sample_weight) {
            let negative = outcome.loss.iter().find(|loss| loss.wide() < 0.0);
            assert!(negative.is_none(), "a loss of logits: {negative:?}");
        }
    }

    /// One loss for the batch has the same bits at every level, and is that of its samples.
    fn judge_scalar<T: Real>(&self, batch: &Batch<T>, outcome: &Outcome<T>) {
        let samples = batch.len();
        let divisor = match self.reduction {
            Reduction::Mean => samples as f64,
            Reduction::Sum => 1.0,
            _ => return,
        };
        if divisor == 0.0 {
            return;
        }
        let plain = Batch {
            upstream: None,
            ..batch.clone()
        };
        let mut expected = plain.expected();
        let on = |level| {
            let exec = Exec::new(level, Threading::Auto);
            scalar_and_grad(&plain, self.reduction, exec)
        };
        let (scalar, grad) = on(Level::scalar());
        let of_scalar = |loss: T, grad: &Array3<T>| Outcome {
            loss: Array1::from_elem(1, loss),
            grad: grad.clone(),
            status: vec![],
        };
        for level in levels() {
            let (other, other_grad) = on(level);
            let what = format!("{:?} at {level}", self.reduction);
            assert_same(
                &of_scalar(other, &other_grad),
                &of_scalar(scalar, &grad),
                &what,
            );
        }
        let exact = expected.loss.sum() / divisor;
        let allowed: f64 = (0..samples).map(|n| expected.allowed::<T>(n)).sum();
        let (scalar, allowed) = (scalar.wide(), allowed / divisor + 2.0 * T::SMALLEST);
        let beyond = exact.abs() > T::LARGEST && scalar == exact.signum() * f64::INFINITY;
        assert!(
            scalar == exact
                || beyond
                || (scalar - exact).abs() <= allowed
                || (scalar.is_nan() && exact.is_nan()),
            "{:?} is {scalar:e}, expected {exact:e}, allowed {allowed:e}",
            self.reduction
        );
        expected.grad /= divisor;
        for coefficient in &mut expected.coefficient {
            *coefficient /= divisor;
        }
        let of_samples = Outcome {
            grad,
            ..outcome.clone()
        };
        assert_near(&of_samples, &expected, &format!("{:?}", self.reduction));
    }

    /// A sample alone, without the frames that it does not have, keeps its bits.
    fn alone<T: Real>(&self, batch: &Batch<T>, whole: &Outcome<T>, exec: Exec) {
        if batch.len() == 0 {
            return;
        }
        let sample = self.layouts as usize % batch.len();
        let frames = batch.frames()[sample];
        let mut alone = batch.sample(sample);
        alone.lengths = None;
        alone.pred = alone.pred.slice(s![.., ..frames, ..]).to_owned();
        let range = sample..sample + 1;
        let expected = Outcome {
            loss: whole.loss.slice(s![range.clone()]).to_owned(),
            grad: whole.grad.slice(s![range, ..frames, ..]).to_owned(),
            status: vec![whole.status[sample]],
        };
        assert_same(
            &alone.run(exec),
            &expected,
            &format!("sample {sample} alone"),
        );
    }
}
