//! Calls of the table's losses whose arguments need not fit together.

use super::shape::{Change, everywhere, is_huge, output, spreads, untouched};
use crate::common::call::{
    Answer, Form, Grads, InPlace, Inputs, LabelView, REDUCTIONS, Request, Setters,
};
use crate::common::cases::{Case, Label, Unit, case, table_and_variants};
use crate::common::levels::levels;
use crate::common::random::Random;
use arbitrary::{Arbitrary, Result, Unstructured};
use lossgrad::{Error, Exec, Reduction, Threading};
use ndarray::{ArrayD, arr0};

/// The shapes of all arguments, and whatever else can be wrong.
#[derive(Debug)]
pub struct LossCall {
    name: &'static str,
    pred: Vec<usize>,
    others: Vec<Vec<usize>>,
    label: Vec<usize>,
    /// The label of every row, where labels are integers.
    class: i32,
    pos_weight: Vec<usize>,
    sample_weight: Option<Vec<usize>>,
    upstream: Option<Vec<usize>>,
    loss: Vec<usize>,
    grads: Vec<Vec<usize>>,
    batch_axis: isize,
    class_axis: isize,
    weight: f64,
    reduction: Reduction,
    level: u8,
}

impl<'a> Arbitrary<'a> for LossCall {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let cases = table_and_variants::<f32>();
        let case = &cases[bytes.choose_index(cases.len())?];
        let rank = bytes.int_in_range(1..=5)?;
        let mut pred = Vec::new();
        for _ in 0..rank {
            pred.push(bytes.int_in_range(0..=4)?);
        }
        let reduction = *bytes.choose(&REDUCTIONS)?;
        let batch_axis = bytes.int_in_range(0..=rank as isize - 1)?;
        let class_axis = match case.unit {
            Unit::LastRow => rank as isize - 1,
            _ => bytes.int_in_range(0..=rank as isize - 1)?,
        };
        let request = Request::<f32> {
            batch_axis,
            class_axis,
            ..Request::reduction(reduction)
        };
        let plain = Request::<f32> {
            reduction: Reduction::None,
            ..request.clone()
        };
        let losses = plain.loss_shape(&pred, case);
        let units = plain.units(&pred, case);
        let loss = request.loss_shape(&pred, case);
        let others = (case.draw)(&[1, 1], 1, &mut Random::new(0)).others.len();
        let factor = |bytes: &mut Unstructured<'a>, of_losses: &Vec<usize>| {
            Ok(match bytes.int_in_range(0..=4)? {
                0 => Some(units.clone()),
                1 => Some(of_losses.clone()),
                2 => Some(vec![pred[batch_axis as usize]]),
                _ => None,
            })
        };
        let mut call = Self {
            name: case.name,
            others: vec![pred.clone(); others],
            label: match case.unit {
                Unit::LastRow => losses.clone(),
                Unit::Row if case.name.contains("sparse") => losses.clone(),
                _ => pred.clone(),
            },
            class: bytes.int_in_range(-1..=1)?,
            pos_weight: pred.clone(),
            sample_weight: factor(bytes, &losses)?,
            upstream: factor(bytes, &loss)?,
            grads: vec![pred.clone(); 1 + others],
            pred,
            loss,
            batch_axis,
            class_axis,
            weight: 1.0,
            reduction,
            level: bytes.arbitrary()?,
        };
        for _ in 0..bytes.int_in_range(0..=3)? {
            call.spoil(bytes)?;
        }
        Ok(call)
    }
}

impl LossCall {
    /// Changes one of the arguments, or all arrays of pred's shape alike.
    fn spoil(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let change = |bytes: &mut Unstructured<'_>, shapes: Vec<&mut Vec<usize>>| -> Result<()> {
            let change = Change::arbitrary(bytes)?;
            shapes.into_iter().for_each(|shape| change.apply(shape));
            Ok(())
        };
        match bytes.int_in_range(0..=12)? {
            0 => change(bytes, vec![&mut self.pred])?,
            1 => change(bytes, self.others.iter_mut().collect())?,
            2 => change(bytes, vec![&mut self.label])?,
            3 => change(bytes, vec![&mut self.pos_weight])?,
            4 => change(bytes, self.sample_weight.iter_mut().collect())?,
            5 => change(bytes, self.upstream.iter_mut().collect())?,
            6 => change(bytes, vec![&mut self.loss])?,
            7 => {
                let which = bytes.choose_index(self.grads.len())?;
                change(bytes, vec![&mut self.grads[which]])?;
            }
            8 => self.batch_axis = axis(bytes)?,
            9 => self.class_axis = axis(bytes)?,
            10 => self.class = bytes.arbitrary()?,
            11 => self.weight = *bytes.choose(&[f64::NAN, f64::INFINITY, 0.0, -1.5])?,
            _ => {
                let mut all = vec![&mut self.pred, &mut self.label];
                all.extend(&mut self.others);
                all.extend(&mut self.grads);
                change(bytes, all)?;
            }
        }
        Ok(())
    }

    /// Whether the call, its outputs apart, is one that the documentation describes.
    fn fits(&self, case: &Case<f32>, label: &Label<f32>) -> bool {
        let rank = self.pred.len() as isize;
        let resolved = |axis: isize| {
            let found = if axis < 0 {
                axis.checked_add(rank)?
            } else {
                axis
            };
            (0..rank).contains(&found).then_some(found as usize)
        };
        let class_axis = match case.unit {
            Unit::LastRow => -1,
            _ => self.class_axis,
        };
        let (Some(batch), class) = (resolved(self.batch_axis), resolved(class_axis)) else {
            return false;
        };
        let samples = self.pred[batch];
        let lacking: Vec<usize> = match (case.unit, class) {
            (Unit::Element, _) => vec![],
            (Unit::Sample, _) => (0..self.pred.len()).filter(|&axis| axis != batch).collect(),
            (_, None) => return false,
            (_, Some(class)) if class == batch || self.pred[class] == 0 => return false,
            (Unit::Class, _) => vec![],
            (_, Some(class)) => vec![class],
        };
        let mut units = self.pred.clone();
        lacking.iter().for_each(|&axis| units[axis] = 1);
        let mut losses = self.pred.clone();
        for &axis in lacking.iter().rev() {
            losses.remove(axis);
        }
        let none = units.contains(&0);
        let averages_nothing = match self.reduction {
            Reduction::Mean => none,
            Reduction::SampleMean => none && samples > 0,
            _ => false,
        };
        let label_fits = match label {
            Label::None => true,
            Label::Dense(_) => self.label == self.pred,
            Label::Sparse(_) => {
                let named = match case.unit {
                    Unit::LastRow => [-1, 1].contains(&self.class),
                    _ => usize::try_from(self.class)
                        .is_ok_and(|label| class.is_some_and(|axis| label < self.pred[axis])),
                };
                self.label == losses && (named || losses.contains(&0))
            }
        };
        let per_unit =
            |shape: &Vec<usize>| spreads(shape, &units) || *shape == losses || *shape == [samples];
        let mut one_per_sample = vec![1; self.pred.len()];
        one_per_sample[batch] = samples;
        let upstream_fits = |shape: &Vec<usize>| match self.reduction {
            Reduction::None => per_unit(shape),
            Reduction::SampleMean | Reduction::SampleSum => {
                spreads(shape, &one_per_sample) || *shape == [samples]
            }
            _ => shape.is_empty() || *shape == vec![1; self.pred.len()],
        };
        self.weight.is_finite()
            && !averages_nothing
            && self.others.iter().all(|other| *other == self.pred)
            && label_fits
            && (!has_pos_weight(case) || spreads(&self.pos_weight, &self.pred))
            && self.sample_weight.as_ref().is_none_or(per_unit)
            && self.upstream.as_ref().is_none_or(upstream_fits)
    }

    fn request(&self, case: &Case<f32>) -> Request<f32> {
        let levels = levels();
        let level = levels[usize::from(self.level) % levels.len()];
        Request {
            weight: self.weight,
            batch_axis: self.batch_axis,
            class_axis: match case.unit {
                Unit::LastRow => -1,
                _ => self.class_axis,
            },
            exec: Exec::new(level, Threading::Auto),
            ..Request::reduction(self.reduction)
        }
    }

    pub fn check(&self) {
        let case = &case::<f32>(self.name);
        let like = (case.draw)(&[1, 1], 1, &mut Random::new(0));
        let fits = self.fits(case, &like.label);
        // Work that has no end: a call in order, or classes to be checked one by one.
        let scans = matches!(like.label, Label::Sparse(_)) && is_huge(&self.label);
        // Vectors of no entries have a loss each.
        let many = || is_huge(&self.request(case).units(&self.pred, case));
        if (fits && (is_huge(&self.pred) || many())) || scans {
            return;
        }
        // Nothing is run where no array has one of the shapes.
        let _ = self.run(case, &like.label, fits);
    }

    fn run(&self, case: &Case<f32>, like: &Label<f32>, fits: bool) -> Option<()> {
        let half = arr0(0.5_f32).into_dyn();
        let one = arr0(1.0_f32).into_dyn();
        let class = arr0(self.class).into_dyn();
        let inputs = Inputs {
            pred: everywhere(&half, &self.pred)?,
            others: (self.others.iter())
                .map(|shape| everywhere(&half, shape))
                .collect::<Option<_>>()?,
            label: match like {
                Label::None => LabelView::None,
                Label::Dense(_) => LabelView::Dense(everywhere(&one, &self.label)?),
                Label::Sparse(_) => LabelView::Sparse(everywhere(&class, &self.label)?),
            },
            pos_weight: match has_pos_weight(case) {
                true => Some(everywhere(&one, &self.pos_weight)?),
                false => None,
            },
        };
        let factor = |shape: &Option<Vec<usize>>| match shape {
            Some(shape) => everywhere(&one, shape).map(Some),
            None => Some(None),
        };
        let request = self.request(case);
        let setters = Setters {
            request: &request,
            sample_weight: factor(&self.sample_weight)?,
            upstream: factor(&self.upstream)?,
        };
        let mut loss = output(&self.loss, BEFORE);
        let mut grads: Vec<ArrayD<f32>> = (self.grads.iter())
            .map(|shape| output(shape, BEFORE))
            .collect();

        let scalar = request.is_scalar();
        let loss_fits = fits && loss.shape() == request.loss_shape(&self.pred, case);
        let grads_fit = fits && grads.iter().all(|grad| grad.shape() == self.pred);
        let mut form = |number: u8, expected: bool| {
            let form = match number {
                0 => Form::LossInto(loss.view_mut()),
                1 => Form::GradInto(places(&mut grads)),
                2 => Form::BothInto(loss.view_mut(), places(&mut grads)),
                3 => Form::Loss,
                4 => Form::Grad,
                5 => Form::Both,
                6 => Form::Scalar,
                _ => Form::ScalarAndGradInto(places(&mut grads)),
            };
            let answer = (case.call)(&inputs, &setters, form);
            self.judge(answer, expected, number);
            if !expected {
                assert!(untouched(&loss, &BEFORE), "the losses after an error");
                let mut grads = grads.iter();
                assert!(
                    grads.all(|g| untouched(g, &BEFORE)),
                    "gradients after an error"
                );
            }
            loss.fill(BEFORE);
            grads.iter_mut().for_each(|grad| grad.fill(BEFORE));
        };
        form(0, loss_fits);
        form(1, grads_fit);
        form(2, loss_fits && grads_fit);
        // Arrays of the shape of a huge pred are refused too, but only where nothing else is wrong.
        form(3, fits);
        form(4, fits);
        form(5, fits);
        form(6, fits && scalar);
        form(7, grads_fit && scalar);

        let shapes = || [&self.pred].into_iter().chain(&self.others);
        if shapes().any(|shape| is_huge(shape)) {
            return Some(());
        }
        for number in 0..3 {
            let mut operands: Vec<_> = shapes().map(|shape| output(shape, 0.5)).collect();
            let views = operands.iter_mut().map(|operand| operand.view_mut());
            let (form, expected) = match number {
                0 => (InPlace::LossInto(loss.view_mut()), loss_fits),
                1 => (InPlace::Grad, fits),
                _ => (InPlace::Scalar, fits && scalar),
            };
            let answer = (case.in_place)(views.collect(), &inputs, &setters, form);
            self.judge(answer, expected, 10 + number);
            if !expected {
                assert!(
                    untouched(&loss, &BEFORE),
                    "the losses after an error in place"
                );
                let mut operands = operands.iter();
                assert!(
                    operands.all(|o| untouched(o, &0.5)),
                    "inputs after an error in place"
                );
            }
            loss.fill(BEFORE);
        }
        Some(())
    }

    #[track_caller]
    fn judge(&self, answer: std::result::Result<Answer<f32>, Error>, expected: bool, form: u8) {
        match answer {
            Ok(answer) => {
                assert!(expected, "form {form} was accepted");
                let grads = answer.grads.iter().flatten();
                for grad in grads {
                    assert_eq!(grad.shape(), self.pred, "form {form}");
                }
            }
            Err(error) => {
                assert!(!expected, "form {form} was refused: {error}");
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

const BEFORE: f32 = 42.0;

fn has_pos_weight(case: &Case<f32>) -> bool {
    case.name.contains("pos_weight")
}

fn places(grads: &mut [ArrayD<f32>]) -> Grads<'_, f32> {
    grads.iter_mut().map(|grad| Some(grad.view_mut())).collect()
}

/// Near the axes that there are, or anywhere.
fn axis(bytes: &mut Unstructured<'_>) -> Result<isize> {
    match bytes.int_in_range(0..=3)? {
        0 => bytes.arbitrary(),
        _ => bytes.int_in_range(-6..=6),
    }
}
