//! Losses of rows along a class axis: softmax cross entropy and its relatives.
//!
//! A row goes through two passes. The first subtracts the row's maximum, sums the exponentials and
//! whatever the label adds, and leaves the exponentials in the gradient's place; the second scales
//! them to the gradient. Where the classes are neighbours in memory a vector holds classes of one
//! row ([`row`]), else one class of several rows ([`columns`]); both add in the same order, so both
//! give the same bits. Rows too long for the first-level cache, or for one thread, are cut into
//! chunks with a maximum each ([`long`]).

mod classes;
mod columns;
mod leaf;
mod long;
mod row;

use super::schedule;
use super::{Integers, Work};
use crate::element::Element;
use crate::simd::{Isa, Lanes};
use crate::tensor::Source;
use classes::Classes;
use leaf::Rows;

/// What a row is compared with.
pub enum RowLabel<'a, T> {
    /// One class, which has the whole share.
    Class(Integers<'a>),
    /// A share for every class.
    Shares(Source<'a, T>),
}

/// A loss of a row: the sum over its classes of a term of the label's share and of the surprise,
/// which is minus the logarithm of the class's probability.
pub trait RowLoss<T: Element>: Copy + Send + Sync {
    /// Whether pred holds logits, which a softmax turns into probabilities, or their logarithms.
    const NORMALISE: bool;

    /// A share as it counts in the gradient: as it is, unless the loss is not defined for it.
    #[inline(always)]
    fn share<S: Isa>(self, share: Lanes<T, S>) -> Lanes<T, S> {
        share
    }

    /// The term of a class, linear in the surprise with the share as its slope. It must be 0 for a
    /// share of 0, even of an infinite surprise, but not of a NaN.
    fn term<S: Isa>(self, share: Lanes<T, S>, surprise: Lanes<T, S>) -> Lanes<T, S>;
}

/// Computes a loss of rows whose classes each have a loss, its gradient, or both, given the shares
/// and the number of classes.
pub(crate) fn run_classes<T: Element>(
    loss: impl RowLoss<T>,
    work: Work<'_, T, (Source<'_, T>, usize)>,
) {
    let Work {
        plan,
        inputs: (shares, classes),
        mut outputs,
    } = work;
    let label = RowLabel::Shares(shares);
    let grad = outputs.wants_gradient();
    if !plan.is_by_class() {
        if grad {
            let rows = Rows::<_, _, true, true> {
                loss,
                label,
                classes,
            };
            schedule::run(plan, outputs, &rows);
        } else {
            let rows = Rows::<_, _, true, false> {
                loss,
                label,
                classes,
            };
            schedule::run(plan, outputs, &rows);
        }
        return;
    }
    let rows = Rows {
        loss,
        label,
        classes,
    };
    if grad {
        schedule::run(plan, outputs, &Classes::<_, _, true> { rows });
    } else {
        schedule::run(plan, outputs, &Classes::<_, _, false> { rows });
    }
}

/// Computes a loss of rows, its gradient, or both, given the labels and the number of classes.
pub(crate) fn run<T: Element>(loss: impl RowLoss<T>, work: Work<'_, T, (RowLabel<'_, T>, usize)>) {
    let Work {
        plan,
        inputs: (label, classes),
        mut outputs,
    } = work;
    let grad = outputs.wants_gradient();
    let dense = matches!(label, RowLabel::Shares(_));
    match (dense, grad) {
        (false, false) => {
            schedule::run(
                plan,
                outputs,
                &Rows::<_, _, false, false> {
                    loss,
                    label,
                    classes,
                },
            );
        }
        (false, true) => {
            schedule::run(
                plan,
                outputs,
                &Rows::<_, _, false, true> {
                    loss,
                    label,
                    classes,
                },
            );
        }
        (true, false) => {
            schedule::run(
                plan,
                outputs,
                &Rows::<_, _, true, false> {
                    loss,
                    label,
                    classes,
                },
            );
        }
        (true, true) => {
            schedule::run(
                plan,
                outputs,
                &Rows::<_, _, true, true> {
                    loss,
                    label,
                    classes,
                },
            );
        }
    }
}
