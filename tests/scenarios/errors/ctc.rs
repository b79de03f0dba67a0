//! Calls of CTC whose arguments need not fit together.

use super::shape::{Change, everywhere, is_huge, output, spreads, untouched};
use crate::common::levels::levels;
use arbitrary::{Arbitrary, Result, Unstructured};
use lossgrad::{
    CtcGreedy, CtcLabelLayout, CtcLayout, CtcLoss, CtcStatus, Error, Exec, Reduction, Threading,
};
use ndarray::{ArrayD, arr0};

/// The shapes of all arguments, the values of those that are checked, and the options.
#[derive(Debug)]
pub struct CtcCall {
    pred: Vec<usize>,
    label: Vec<usize>,
    /// Every label, every length of frames and every length of labels.
    class: i32,
    pred_length: i64,
    label_length: i64,
    pred_lengths: Option<Vec<usize>>,
    label_lengths: Option<Vec<usize>>,
    sample_weight: Option<Vec<usize>>,
    upstream: Option<Vec<usize>>,
    loss: Vec<usize>,
    grad: Vec<usize>,
    status: Option<Vec<usize>>,
    blank: Option<usize>,
    frames_first: bool,
    labels_first: bool,
    reduction: Reduction,
    level: u8,
}

impl<'a> Arbitrary<'a> for CtcCall {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let samples = bytes.int_in_range(0..=4)?;
        let frames = bytes.int_in_range(0..=6)?;
        let classes = bytes.int_in_range(1..=5)?;
        let longest = bytes.int_in_range(0..=4)?;
        let (frames_first, labels_first) = bytes.arbitrary()?;
        let reduction = *bytes.choose(&[
            Reduction::None,
            Reduction::SampleMean,
            Reduction::SampleSum,
            Reduction::Mean,
            Reduction::Sum,
        ])?;
        let scalar = matches!(reduction, Reduction::Mean | Reduction::Sum);
        let pred = match frames_first {
            true => vec![frames, samples, classes],
            false => vec![samples, frames, classes],
        };
        let label_length = bytes.int_in_range(0..=longest)?;
        let concatenated = bytes.int_in_range(0..=3)? == 0;
        let label = match (concatenated, labels_first) {
            (true, _) => vec![samples * label_length],
            (false, true) => vec![longest, samples],
            (false, false) => vec![samples, longest],
        };
        let some = |bytes: &mut Unstructured<'a>, shape: Vec<usize>| -> Result<_> {
            let is_some: bool = bytes.arbitrary()?;
            Ok(is_some.then_some(shape))
        };
        let loss = if scalar { vec![] } else { vec![samples] };
        let mut call = Self {
            label,
            class: bytes.int_in_range(-1..=classes as i32)?,
            pred_length: bytes.int_in_range(0..=frames as i64)?,
            label_length: label_length as i64,
            pred_lengths: some(bytes, vec![samples])?,
            label_lengths: match concatenated {
                true => Some(vec![samples]),
                false => some(bytes, vec![samples])?,
            },
            sample_weight: some(bytes, vec![samples])?,
            upstream: some(bytes, loss.clone())?,
            loss,
            grad: pred.clone(),
            pred,
            status: some(bytes, vec![samples])?,
            blank: match bytes.arbitrary()? {
                true => Some(bytes.int_in_range(0..=classes)?),
                false => None,
            },
            frames_first,
            labels_first,
            reduction,
            level: bytes.arbitrary()?,
        };
        for _ in 0..bytes.int_in_range(0..=3)? {
            call.spoil(bytes)?;
        }
        Ok(call)
    }
}

impl CtcCall {
    /// Changes one of the arguments.
    fn spoil(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let change = |bytes: &mut Unstructured<'_>, shapes: Vec<&mut Vec<usize>>| -> Result<()> {
            let change = Change::arbitrary(bytes)?;
            shapes.into_iter().for_each(|shape| change.apply(shape));
            Ok(())
        };
        match bytes.int_in_range(0..=13)? {
            0 => change(bytes, vec![&mut self.pred])?,
            1 => change(bytes, vec![&mut self.label])?,
            2 => change(bytes, self.pred_lengths.iter_mut().collect())?,
            3 => change(bytes, self.label_lengths.iter_mut().collect())?,
            4 => change(bytes, self.sample_weight.iter_mut().collect())?,
            5 => change(bytes, self.upstream.iter_mut().collect())?,
            6 => change(bytes, vec![&mut self.loss])?,
            7 => change(bytes, vec![&mut self.grad])?,
            8 => change(bytes, self.status.iter_mut().collect())?,
            9 => self.class = bytes.arbitrary()?,
            10 => self.pred_length = bytes.arbitrary()?,
            11 => self.label_length = bytes.arbitrary()?,
            12 => self.blank = bytes.arbitrary()?,
            _ => change(bytes, vec![&mut self.pred, &mut self.grad])?,
        }
        Ok(())
    }

    fn samples_axis(&self) -> usize {
        usize::from(self.frames_first)
    }

    fn is_scalar(&self) -> bool {
        matches!(self.reduction, Reduction::Mean | Reduction::Sum)
    }

    /// Whether the predictions, the blank and the lengths of frames fit together.
    fn frames_fit(&self) -> bool {
        let [_, _, classes] = self.pred[..] else {
            return false;
        };
        let samples = self.pred[self.samples_axis()];
        let frames = self.pred[1 - self.samples_axis()];
        let lengths_fit = match &self.pred_lengths {
            Some(shape) => {
                *shape == [samples] && (samples == 0 || within(self.pred_length, frames))
            }
            None => true,
        };
        classes > 0 && self.blank.is_none_or(|blank| blank < classes) && lengths_fit
    }

    /// Whether the call, its outputs apart, is one that the documentation describes.
    fn fits(&self) -> bool {
        if !self.frames_fit() {
            return false;
        }
        let samples = self.pred[self.samples_axis()];
        let classes = self.pred[2];
        let (longest, concatenated) = match self.label[..] {
            [all] => (all, true),
            [longest, of] if self.labels_first && of == samples => (longest, false),
            [of, longest] if !self.labels_first && of == samples => (longest, false),
            _ => return false,
        };
        let length = match &self.label_lengths {
            None if concatenated => return false,
            // Every padded label is as long as it can be, or ends with its first entry.
            None if self.class == -1 => 0,
            None => longest,
            Some(shape) if *shape != [samples] => return false,
            Some(_) if samples == 0 => 0,
            Some(_) if !within(self.label_length, longest) => return false,
            Some(_) => self.label_length as usize,
        };
        if concatenated && samples.checked_mul(length) != Some(longest) {
            return false;
        }
        let blank = self.blank.unwrap_or(classes - 1);
        let is_label = usize::try_from(self.class).is_ok_and(|c| c < classes && c != blank);
        let mut spread = vec![1; 3];
        spread[self.samples_axis()] = samples;
        let per_sample = |shape: &Vec<usize>| spreads(shape, &spread) || *shape == [samples];
        let upstream_fits = |shape: &Vec<usize>| match self.is_scalar() {
            true => shape.is_empty() || *shape == [1; 3],
            false => per_sample(shape),
        };
        (is_label || samples == 0 || length == 0)
            && !(self.reduction == Reduction::Mean && samples == 0)
            && self.status.as_ref().is_none_or(|shape| *shape == [samples])
            && self.sample_weight.as_ref().is_none_or(per_sample)
            && self.upstream.as_ref().is_none_or(upstream_fits)
    }

    pub fn check(&self) {
        // A workspace has room for all classes, even of no frames.
        let huge = is_huge(&self.pred) || self.pred.iter().any(|&extent| is_huge(&[extent]));
        let samples = self.pred.get(self.samples_axis()).copied().unwrap_or(0);
        // Work that has no end: a call in order, or labels and lengths to be checked one by one.
        if is_huge(&[samples]) || (huge && self.fits()) || is_huge(&self.label) {
            return;
        }
        let _ = self.run();
        let _ = self.greedy();
    }

    fn run(&self) -> Option<()> {
        let half = arr0(0.5_f32).into_dyn();
        let one = arr0(1.0_f32).into_dyn();
        let class = arr0(self.class).into_dyn();
        let [pred_length, label_length] =
            [self.pred_length, self.label_length].map(|length| arr0(length).into_dyn());
        let pred = everywhere(&half, &self.pred)?;
        let label = everywhere(&class, &self.label)?;
        macro_rules! optional {
            ($value:expr, $shape:expr) => {
                match &$shape {
                    Some(shape) => Some(everywhere(&$value, shape)?),
                    None => None,
                }
            };
        }
        let pred_lengths = optional!(pred_length, self.pred_lengths);
        let label_lengths = optional!(label_length, self.label_lengths);
        let sample_weight = optional!(one, self.sample_weight);
        let upstream = optional!(one, self.upstream);
        let ctc = self.loss();
        let levels = levels();
        let exec = Exec::new(
            levels[usize::from(self.level) % levels.len()],
            Threading::Auto,
        );
        let status = self.status.as_ref();
        let mut status = status.map(|shape| output(shape, CtcStatus::Infeasible));
        if let (Some(status), Some(shape)) = (&status, &self.status)
            && status.shape() != *shape
        {
            return None;
        }
        let mut loss = output(&self.loss, BEFORE);
        let mut grad = output(&self.grad, BEFORE);
        let fits = self.fits();
        let scalar = self.is_scalar();
        let right: &[usize] = match (fits, scalar) {
            (true, false) => &[self.pred[self.samples_axis()]],
            _ => &[],
        };
        let loss_fits = fits && loss.shape() == right;
        let grad_fits = fits && grad.shape() == self.pred;
        macro_rules! call {
            ($call:expr) => {{
                let mut call = $call.reduction(self.reduction).exec(exec);
                if let Some(lengths) = &pred_lengths {
                    call = call.pred_lengths(lengths);
                }
                if let Some(lengths) = &label_lengths {
                    call = call.label_lengths(lengths);
                }
                if let Some(weight) = &sample_weight {
                    call = call.sample_weight(weight);
                }
                if let Some(upstream) = &upstream {
                    call = call.upstream(upstream);
                }
                if let Some(status) = &mut status {
                    call = call.status(status);
                }
                call
            }};
        }
        for form in 0..8 {
            let call = call!(ctc.on(&pred, &label));
            let (answer, expected) = match form {
                0 => (call.loss_into(&mut loss), loss_fits),
                1 => (call.grad_into(&mut grad), grad_fits),
                2 => (
                    call.loss_and_grad_into(&mut loss, &mut grad),
                    loss_fits && grad_fits,
                ),
                3 => (call.loss().map(drop), fits),
                4 => (call.grad().map(drop), fits),
                5 => (call.loss_and_grad().map(drop), fits),
                6 => (call.scalar().map(drop), fits && scalar),
                _ => (
                    call.scalar_and_grad_into(&mut grad).map(drop),
                    grad_fits && scalar,
                ),
            };
            judge(answer, expected, form);
            if !expected {
                assert!(untouched(&loss, &BEFORE), "the losses after an error");
                assert!(untouched(&grad, &BEFORE), "the gradient after an error");
                let status = status.as_ref();
                let same = status.is_none_or(|s| untouched(s, &CtcStatus::Infeasible));
                assert!(same, "the status after an error");
            }
            loss.fill(BEFORE);
            grad.fill(BEFORE);
            if let Some(status) = &mut status {
                status.fill(CtcStatus::Infeasible);
            }
        }
        if is_huge(&self.pred) {
            return Some(());
        }
        for form in 0..3 {
            let mut pred: ArrayD<f32> = output(&self.pred, 0.5);
            let call = call!(ctc.in_place(&mut pred, &label));
            let (answer, expected) = match form {
                0 => (call.loss_into(&mut loss), loss_fits),
                1 => (call.grad(), fits),
                _ => (call.scalar().map(drop), fits && scalar),
            };
            judge(answer, expected, 10 + form);
            if !expected {
                assert!(
                    untouched(&loss, &BEFORE),
                    "the losses after an error in place"
                );
                assert!(
                    untouched(&pred, &0.5),
                    "the predictions after an error in place"
                );
                let status = status.as_ref();
                let same = status.is_none_or(|s| untouched(s, &CtcStatus::Infeasible));
                assert!(same, "the status after an error in place");
            }
            loss.fill(BEFORE);
            if let Some(status) = &mut status {
                status.fill(CtcStatus::Infeasible);
            }
        }
        Some(())
    }

    fn loss(&self) -> CtcLoss {
        let layout = match self.frames_first {
            true => CtcLayout::Tnc,
            false => CtcLayout::Ntc,
        };
        let label_layout = match self.labels_first {
            true => CtcLabelLayout::Tn,
            false => CtcLabelLayout::Nt,
        };
        let loss = CtcLoss::new().layout(layout).label_layout(label_layout);
        match self.blank {
            Some(blank) => loss.blank(blank),
            None => loss,
        }
    }

    /// The decoder takes the same predictions, blank and lengths.
    fn greedy(&self) -> Option<()> {
        let samples = self.pred.get(self.samples_axis()).copied().unwrap_or(0);
        if is_huge(&self.pred) || is_huge(&[samples]) {
            return None;
        }
        let half = arr0(0.5_f32).into_dyn();
        let length = arr0(self.pred_length).into_dyn();
        let pred = everywhere(&half, &self.pred)?;
        let mut greedy = CtcGreedy::new().layout(match self.frames_first {
            true => CtcLayout::Tnc,
            false => CtcLayout::Ntc,
        });
        if let Some(blank) = self.blank {
            greedy = greedy.blank(blank);
        }
        let answer = match &self.pred_lengths {
            Some(shape) => greedy.decode_lengths(&pred, &everywhere(&length, shape)?),
            None => greedy.decode(&pred),
        };
        judge(answer.map(drop), self.frames_fit(), 20);
        Some(())
    }
}

const BEFORE: f32 = 42.0;

fn within(length: i64, limit: usize) -> bool {
    usize::try_from(length).is_ok_and(|length| length <= limit)
}

#[track_caller]
fn judge(answer: std::result::Result<(), Error>, expected: bool, form: u8) {
    match answer {
        Ok(()) => assert!(expected, "form {form} was accepted"),
        Err(error) => assert!(!expected, "form {form} was refused: {error}"),
    }
}
