//! One CTC call in every form, and with everything laid out anywhere.

use lossgrad::{CtcCall, CtcInPlaceCall, CtcLabelLayout, CtcLayout, CtcStatus, Exec, Reduction};
use ndarray::{Array0, Array1, Array3, ArrayD, Ix3, IxDyn};

use super::ctc::{Batch, Ctc, Outcome, assert_same, laid_out, padded};
use super::layouts::{Laid, Layout};
use super::random::Random;
use super::real::assert_same_bits;

/// The setters of a batch, for both kinds of call.
macro_rules! set {
    ($call:expr, $batch:expr, $lengths:expr, $reduction:expr, $exec:expr) => {{
        let mut call = $call
            .pred_lengths($lengths)
            .reduction($reduction)
            .exec($exec);
        if let Some(weight) = &$batch.sample_weight {
            call = call.sample_weight(weight);
        }
        // One for each returned loss.
        if let Some(upstream) = &$batch.upstream
            && !matches!($reduction, Reduction::Mean | Reduction::Sum)
        {
            call = call.upstream(upstream);
        }
        call
    }};
}

/// The one loss of the batch, its samples' mean or sum, and the gradient of it.
pub fn scalar_and_grad<T: Ctc>(
    batch: &Batch<T>,
    reduction: Reduction,
    exec: Exec,
) -> (T, Array3<T>) {
    let (ctc, labels, lengths) = (
        batch.ctc(),
        padded(&batch.labels),
        Array1::from(batch.frames()),
    );
    let mut grad = Array3::from_elem(batch.pred.raw_dim(), T::NAN);
    let call: CtcCall<'_, T, Ix3> = set!(
        ctc.on(&batch.pred, &labels),
        batch,
        &lengths,
        reduction,
        exec
    );
    (call.scalar_and_grad_into(&mut grad).unwrap(), grad)
}

/// Makes the call in every way there is; all give the same bits.
#[track_caller]
pub fn assert_every_form<T: Ctc>(batch: &Batch<T>, reduction: Reduction, exec: Exec) {
    let scalar = matches!(reduction, Reduction::Mean | Reduction::Sum);
    let shape = if scalar { vec![] } else { vec![batch.len()] };
    let (ctc, labels, lengths) = (
        batch.ctc(),
        padded(&batch.labels),
        Array1::from(batch.frames()),
    );
    let call: CtcCall<'_, T, Ix3> = set!(
        ctc.on(&batch.pred, &labels),
        batch,
        &lengths,
        reduction,
        exec
    );
    let new_loss = || ArrayD::from_elem(IxDyn(&shape), T::NAN);
    let new_grad = || Array3::from_elem(batch.pred.raw_dim(), T::NAN);

    let (mut loss, mut grad) = (new_loss(), new_grad());
    call.loss_and_grad_into(&mut loss, &mut grad).unwrap();
    let loss_is = |other: &ArrayD<T>, form: &str| assert_same_bits(other, &loss, form);
    let grad_is = |other: Array3<T>, form: &str| {
        assert_same_bits(&other.into_dyn(), &grad.clone().into_dyn(), form);
    };
    let mut other = new_loss();
    call.loss_into(&mut other).unwrap();
    loss_is(&other, "loss_into");
    let mut other = new_grad();
    call.grad_into(&mut other).unwrap();
    grad_is(other, "grad_into");
    loss_is(&call.loss().unwrap(), "loss");
    grad_is(call.grad().unwrap(), "grad");
    let (both_loss, both_grad) = call.loss_and_grad().unwrap();
    loss_is(&both_loss, "loss_and_grad");
    grad_is(both_grad, "loss_and_grad");
    if scalar {
        let of = |value: T| Array0::from_elem((), value).into_dyn();
        loss_is(&of(call.scalar().unwrap()), "scalar");
        let mut other = new_grad();
        let value = call.scalar_and_grad_into(&mut other).unwrap();
        loss_is(&of(value), "scalar_and_grad_into");
        grad_is(other, "scalar_and_grad_into");
        let mut other = batch.pred.clone();
        let call: CtcInPlaceCall<'_, T> = set!(
            ctc.in_place(&mut other, &labels),
            batch,
            &lengths,
            reduction,
            exec
        );
        let value = call.scalar().unwrap();
        loss_is(&of(value), "scalar in place");
        grad_is(other, "scalar in place");
    }
    let (mut other, mut place) = (new_loss(), batch.pred.clone());
    let call: CtcInPlaceCall<'_, T> = set!(
        ctc.in_place(&mut place, &labels),
        batch,
        &lengths,
        reduction,
        exec
    );
    call.loss_into(&mut other).unwrap();
    loss_is(&other, "loss_into in place");
    grad_is(place, "loss_into in place");
    let mut place = batch.pred.clone();
    let call: CtcInPlaceCall<'_, T> = set!(
        ctc.in_place(&mut place, &labels),
        batch,
        &lengths,
        reduction,
        exec
    );
    call.grad().unwrap();
    grad_is(place, "grad in place");
}

/// Makes the call in an order of axes, the predictions in `place` and everything else anywhere, and
/// checks that it gives the bits of `expected`.
#[track_caller]
pub fn assert_laid_out<T: Ctc>(
    batch: &Batch<T>,
    (layout, label_layout): (CtcLayout, CtcLabelLayout),
    place: &Layout,
    random: &mut Random,
    exec: Exec,
    expected: &Outcome<T>,
) {
    let what = format!("{layout:?} {label_layout:?} {place:?} at {}", exec.level);
    let samples = batch.len();
    let pred = laid_out(&batch.pred, layout).into_dyn();
    let labels = match label_layout {
        CtcLabelLayout::Tn => padded(&batch.labels).reversed_axes(),
        CtcLabelLayout::Nt => padded(&batch.labels),
    };
    let lengths = Array1::from(batch.frames()).into_dyn();
    let label_lengths: Array1<u16> = batch.labels.iter().map(|l| l.len() as u16).collect();

    let mut pred = Laid::new(&pred, place, T::NAN);
    // −7 is no label: whoever reads it is found out.
    let labels = Laid::new(&labels.into_dyn(), &Layout::random(2, random), -7);
    let line = Layout::random(1, random);
    let lengths = Laid::new(&lengths, &line, usize::MAX);
    let label_lengths = Laid::new(&label_lengths.into_dyn(), &line, u16::MAX);
    let mut factor = |factor: &Option<Array1<T>>| {
        let factor = factor.clone()?.into_dyn();
        Some(Laid::new(&factor, &Layout::random(1, random), T::NAN))
    };
    let (weight, upstream) = (factor(&batch.sample_weight), factor(&batch.upstream));
    let mut loss = Laid::filled(&[samples], &Layout::random(1, random), T::NAN);
    let grad_place = Layout::random(3, random);
    let mut grad = Laid::filled(pred.view().shape(), &grad_place, T::NAN);
    let mut status = Laid::filled(&[samples], &line, CtcStatus::Infeasible);
    let (weight, upstream) = (
        weight.as_ref().map(Laid::view),
        upstream.as_ref().map(Laid::view),
    );
    let ctc = batch.ctc().layout(layout).label_layout(label_layout);
    let (label_view, length_view, label_length_view) =
        (labels.view(), lengths.view(), label_lengths.view());
    macro_rules! set {
        ($call:expr) => {{
            let mut call = $call
                .pred_lengths(&length_view)
                .label_lengths(&label_length_view)
                .exec(exec);
            if let Some(weight) = &weight {
                call = call.sample_weight(weight);
            }
            if let Some(upstream) = &upstream {
                call = call.upstream(upstream);
            }
            call
        }};
    }
    let pred_view = pred.view();
    set!(ctc.on(&pred_view, &label_view))
        .status(&mut status.view_mut())
        .loss_and_grad_into(&mut loss.view_mut(), &mut grad.view_mut())
        .unwrap();
    let same = |a: T, b: T| a.bits() == b.bits();
    assert!(
        loss.margins_hold(same) && grad.margins_hold(same),
        "{what} wrote around"
    );
    let dense: Array3<T> = grad.to_dense().into_dimensionality().unwrap();
    let outcome = Outcome {
        loss: loss.to_dense().into_dimensionality().unwrap(),
        grad: laid_out(&dense, layout),
        status: status.to_dense().into_iter().collect(),
    };
    assert_same(&outcome, expected, &what);

    let mut pred_view = pred.view_mut();
    set!(ctc.in_place(&mut pred_view, &label_view))
        .grad()
        .unwrap();
    assert!(
        pred.margins_hold(same),
        "{what} wrote around the predictions"
    );
    let dense: Array3<T> = pred.to_dense().into_dimensionality().unwrap();
    let grad = laid_out(&dense, layout).into_dyn();
    assert_same_bits(&grad, &expected.grad.clone().into_dyn(), &what);
}
