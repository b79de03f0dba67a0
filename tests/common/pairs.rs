//! The table's losses of several inputs that each have a gradient.

use lossgrad::reference;
use lossgrad::{CosineEmbeddingLoss, SdmlLoss, TripletLoss};
use ndarray::{ArrayD, ArrayRefD};

use super::call::{Answer, Form, Grads, InPlace, Own};
use super::cases::{Case, Label, Problem, Unit, set};
use super::random::Random;
use super::real::Real;

/// An entry: its name, what has a loss of its own, values of its option, how inputs are drawn, where
/// it is smooth, the loss, how many inputs it has, whether it has labels, and the reference.
macro_rules! entry {
    ($name:expr, $unit:expr, numbers $numbers:expr, $draw:ident, $smooth:expr, $loss:expr,
     [$($other:tt),+],
     $($label:ident)?, $reference:expr) => {
        Case {
            name: $name,
            unit: $unit,
            independent: true,
            least: 0.0,
            numbers: &$numbers,
            curved: true,
            draw: $draw::<T>,
            smooth: $smooth,
            kinks: |_, _| vec![],
            reference: $reference,
            call: |inputs, setters, form| {
                let request = setters.request;
                let make: fn(Own) -> _ = $loss;
                let loss = make(request.own()).weight(request.weight)?.batch_axis(request.batch_axis);
                let pred = &*inputs.pred;
                let call = loss.on(pred, $(&*inputs.others[$other],)+ $(inputs.label.$label())?);
                let call = set!(call, setters);
                let mut answer = Answer::NOTHING;
                match form {
                    Form::LossInto(mut loss) => call.loss_into(&mut loss)?,
                    Form::GradInto(mut grads) => call.grads_into(places(&mut grads))?,
                    Form::BothInto(mut loss, mut grads) => {
                        call.loss_and_grads_into(&mut loss, places(&mut grads))?;
                    }
                    Form::Loss => answer.loss = Some(call.loss()?),
                    Form::Grad => answer.grads = Some(call.grads()?.into()),
                    Form::Both => {
                        let (loss, grads) = call.loss_and_grads()?;
                        answer = Answer { loss: Some(loss), grads: Some(grads.into()) };
                    }
                    Form::Scalar => answer.loss = Some(ndarray::arr0(call.scalar()?).into_dyn()),
                    Form::ScalarAndGradInto(mut grads) => {
                        let loss = call.scalar_and_grads_into(places(&mut grads))?;
                        answer.loss = Some(ndarray::arr0(loss).into_dyn());
                    }
                    Form::EasyLoss => {
                        let losses = loss.loss(
                            pred, $(&*inputs.others[$other],)+ $(inputs.label.$label())?
                        )?;
                        answer.loss = Some(losses.into_dyn());
                    }
                    Form::EasyGrad => {
                        let grads = loss.grads(
                            pred, $(&*inputs.others[$other],)+ $(inputs.label.$label())?
                        )?;
                        answer.grads = Some(grads.into());
                    }
                    Form::EasyBoth => {
                        let (losses, grads) = loss.loss_and_grads(
                            pred, $(&*inputs.others[$other],)+ $(inputs.label.$label())?
                        )?;
                        let loss = Some(losses.into_dyn());
                        answer = Answer { loss, grads: Some(grads.into()) };
                    }
                }
                Ok(answer)
            },
            in_place: |operands, _inputs, setters, form| {
                let request = setters.request;
                let make: fn(Own) -> _ = $loss;
                let loss = make(request.own()).weight(request.weight)?.batch_axis(request.batch_axis);
                let mut operands = operands;
                let (pred, others) = operands.split_first_mut().expect("an input");
                let mut others = others.iter_mut();
                let call = loss.in_place(
                    pred, $(entry!(@next others, $other),)+ $(_inputs.label.$label())?
                );
                let call = set!(call, setters);
                let mut answer = Answer::NOTHING;
                match form {
                    InPlace::LossInto(mut loss) => call.loss_into(&mut loss)?,
                    InPlace::Grad => call.grads()?,
                    InPlace::Scalar => answer.loss = Some(ndarray::arr0(call.scalar()?).into_dyn()),
                }
                Ok(answer)
            },
        }
    };
    (@next $others:ident, $other:tt) => { $others.next().expect("an input") };
}

/// Gradients as the calls take them.
fn places<'g, T, const K: usize>(grads: &'g mut Grads<'_, T>) -> [Option<&'g mut ArrayRefD<T>>; K] {
    assert_eq!(grads.len(), K);
    let mut grads = grads.iter_mut();
    std::array::from_fn(|_| {
        grads
            .next()
            .and_then(Option::as_mut)
            .map(|grad| &mut **grad)
    })
}

pub fn table<T: Real>() -> Vec<Case<T>> {
    vec![
        entry!("triplet", Unit::Sample, numbers [1.0, 0.2, 5.0], draw_triplets, |x| x,
        |own| TripletLoss::new().margin(own.or(1.0)).expect("a margin"),
        [0, 1], ,
        |p, own, how| {
            let [positive, negative] = &p.others[..] else { unreachable!() };
            let margin = own.or(1.0);
            let terms = reference::triplet(&p.pred, positive, negative, margin, how.batch_axis);
            terms.map(|terms| terms.reduce(how)).into()
        }),
        entry!("cosine_embedding", Unit::LastRow, numbers [0.0, 0.3, -0.5], draw_pairs, of_unit_size,
        |own| {
            let margin = own.or(0.0);
            CosineEmbeddingLoss::new().margin(margin).expect("a margin")
        },
        [0], sparse,
        |p, own, how| {
            let (label, margin) = (p.label.sparse().mapv(f64::from), own.or(0.0));
            let terms = reference::cosine_embedding(&p.pred, &p.others[0], &label, margin);
            terms.map(|terms| terms.reduce(how)).into()
        }),
        Case {
            independent: false,
            ..entry!("sdml", Unit::Sample, numbers [0.3, 0.0, 0.9], draw_batch, |x| x,
            |own| {
                let smoothing = own.or(0.3);
                SdmlLoss::new().smoothing_parameter(smoothing).expect("a share")
            },
            [0], ,
            |p, own, how| {
                let smoothing = own.or(0.3);
                reference::sdml(&p.pred, &p.others[0], smoothing, how).into()
            })
        },
    ]
}

fn filled<T: Real>(shape: &[usize], mut value: impl FnMut() -> f64) -> ArrayD<T> {
    ArrayD::from_shape_simple_fn(shape, || T::of(value()))
}

fn operands<T: Real>(operands: impl IntoIterator<Item = ArrayD<T>>, label: Label<T>) -> Problem<T> {
    let mut operands = operands.into_iter();
    Problem {
        pred: operands.next().expect("an input"),
        others: operands.collect(),
        label,
        pos_weight: None,
    }
}

/// Examples near and far, sometimes with a common offset.
fn draw_triplets<T: Real>(shape: &[usize], _: usize, random: &mut Random) -> Problem<T> {
    let offset = [0.0, 0.0, 30.0][random.below(3)];
    let pred: ArrayD<T> = filled(shape, || offset + random.normal());
    let mut example = |scale: f64| pred.mapv(|x| T::of(x.wide() + scale * random.normal()));
    let (near, far) = (example(0.7), example(1.0));
    operands([pred, near, far], Label::None)
}

/// Vectors of every direction and length, some nearly parallel.
fn draw_pairs<T: Real>(shape: &[usize], axis: usize, random: &mut Random) -> Problem<T> {
    let scale = [1.0, 1e-3, 1e8][random.below(3)];
    let input1: ArrayD<T> = filled(shape, || scale * random.normal());
    let spread = [5.0, 1.0, 0.01][random.below(3)];
    let input2 = input1.mapv(|x| T::of(3.0 * x.wide() + spread * scale * random.normal()));
    let mut pairs = shape.to_vec();
    pairs.remove(axis);
    let label = ArrayD::from_shape_simple_fn(pairs, || if random.once_in(2) { 1 } else { -1 });
    operands([input1, input2], Label::Sparse(label))
}

/// Any number but a small or large one, which as a component of a vector bends its angle too sharply
/// for finite differences.
fn of_unit_size(x: f64) -> f64 {
    x.signum() * (0.3 + (x.abs() * 1e4) % 1.0)
}

/// Vectors beside their partners, some of them as near to others.
fn draw_batch<T: Real>(shape: &[usize], _: usize, random: &mut Random) -> Problem<T> {
    // Distances of some units, whatever the length of the vectors.
    let len = shape.iter().product::<usize>().max(1) as f64;
    let scale = [1.0, 3.0][random.below(2)] / len.sqrt().max(1.0);
    let offset = [0.0, 0.0, 10.0][random.below(3)];
    let x1: ArrayD<T> = filled(shape, || offset + scale * random.normal());
    let x2 = x1.mapv(|x| T::of(x.wide() + 0.5 * scale * random.normal()));
    operands([x1, x2], Label::None)
}
