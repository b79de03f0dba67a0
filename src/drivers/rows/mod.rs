//! Losses of rows along a class axis: softmax cross entropy and its relatives.
//!
//! A row goes through three passes, the last two of which find it in the first-level cache: the first
//! finds the largest logit; the second sums the exponentials, which are multiples of that one's, and
//! whatever the label adds, and keeps the exponentials; the third scales them to the gradient.
//! A vector holds classes of one row ([`row`]) or, where rows are short or the classes no neighbours
//! in memory, one class of several rows ([`beside`]); both add in the same order, so both give the
//! same bits. What finds the rows of a leaf in memory and writes their losses ([`short`]) is no part of
//! a kernel. Gradients that go past the caches do so a row at a time, beside the passes over the row
//! that follows ([`direct`]). The few rows of a small call go from slices to the same kernel
//! ([`flat`]). Rows too long for the first-level cache, or for one thread, are cut into chunks
//! ([`long`]).

mod beside;
mod classes;
mod direct;
mod flat;
mod leaf;
mod long;
mod outcome;
mod packing;
mod pieces;
mod place;
mod room;
mod row;
mod short;
mod tile;

use super::schedule;
use super::{Integers, Work};
use crate::element::Element;
use crate::simd::{Isa, Lanes};
use crate::tensor::Source;
use classes::Classes;
pub(crate) use flat::{FlatClasses, run_flat};
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
    /// Whether pred holds logits, which a softmax turns into probabilities, rather than their logarithms.
    fn normalises(self) -> bool;

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
    work: Work<'_, '_, T, (Source<'_, T>, usize)>,
) {
    let Work {
        plan,
        inputs: (shares, classes),
        outputs,
    } = work;
    let rows = Rows::<_, _, true> {
        loss,
        label: RowLabel::Shares(shares),
        classes,
        grad: outputs.wants_gradient(),
    };
    if plan.is_by_class() {
        schedule::run(plan, outputs, &Classes { rows });
    } else {
        schedule::run(plan, outputs, &rows);
    }
}

/// Computes a loss of rows, its gradient, or both, given the labels and the number of classes.
pub(crate) fn run<T: Element>(
    loss: impl RowLoss<T>,
    work: Work<'_, '_, T, (RowLabel<'_, T>, usize)>,
) {
    let Work {
        plan,
        inputs: (label, classes),
        outputs,
    } = work;
    let grad = outputs.wants_gradient();
    match label {
        RowLabel::Class(_) => {
            let rows = Rows::<_, _, false> {
                loss,
                label,
                classes,
                grad,
            };
            schedule::run(plan, outputs, &rows);
        }
        RowLabel::Shares(_) => {
            let rows = Rows::<_, _, true> {
                loss,
                label,
                classes,
                grad,
            };
            schedule::run(plan, outputs, &rows);
        }
    }
}
