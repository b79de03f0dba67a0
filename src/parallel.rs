//! Work on rows that have nothing to do with each other, spread over threads.

use crate::element::Element;
use crate::tensor::{Along, Target};
use crate::{Exec, Threading};
use core::ops::Range;

/// Elements of work that a task is not split below: waking another thread costs some microseconds,
/// which is what this many elements take.
pub(crate) const TASK_WORK: usize = 1 << 14;

/// What is written for a range of rows.
pub(crate) trait Parts: Sized + Send {
    /// What belongs to the first `rows` of the range `of`, and the rest.
    fn split(self, of: &Range<usize>, rows: usize) -> (Self, Self);
}

impl<T: Element> Parts for Target<'_, T> {
    fn split(self, of: &Range<usize>, rows: usize) -> (Self, Self) {
        self.split(Along::Units, of.start + rows)
    }
}

/// A matrix of whole rows.
pub(crate) struct Rows<'m, T> {
    pub(crate) values: &'m mut [T],
    pub(crate) columns: usize,
}

impl<T: Send> Parts for Rows<'_, T> {
    fn split(self, _: &Range<usize>, rows: usize) -> (Self, Self) {
        let columns = self.columns;
        let (head, tail) = self.values.split_at_mut(rows * columns);
        let rows = |values| Self { values, columns };
        (rows(head), rows(tail))
    }
}

impl<A: Parts, B: Parts> Parts for (A, B) {
    fn split(self, of: &Range<usize>, rows: usize) -> (Self, Self) {
        let (a, rest_of_a) = self.0.split(of, rows);
        let (b, rest_of_b) = self.1.split(of, rows);
        ((a, b), (rest_of_a, rest_of_b))
    }
}

/// Runs `each` on parts of at most `most` rows, which begin at multiples of it from the first row
/// on. `cost` is the work of a row.
pub(crate) fn for_each_part<P: Parts>(
    exec: Exec,
    rows: Range<usize>,
    parts: P,
    most: usize,
    cost: usize,
    each: &(impl Fn(Range<usize>, P) + Sync),
) {
    if rows.len() <= most {
        each(rows, parts);
        return;
    }
    let count = rows.len().div_ceil(most) / 2 * most;
    let middle = rows.start + count;
    let (head, tail) = parts.split(&rows, count);
    let first = || for_each_part(exec, rows.start..middle, head, most, cost, each);
    let second = || for_each_part(exec, middle..rows.end, tail, most, cost, each);
    let work = rows.len().saturating_mul(cost);
    if exec.threading == Threading::Auto && work >= 2 * TASK_WORK {
        rayon::join(first, second);
    } else {
        first();
        second();
    }
}
