use super::beside::SEVERAL;
use super::direct::Direct;
use super::leaf::{LEAF_ELEMENTS, LONGEST_CHUNK, Rows};
use super::place::Place;
use super::{RowLabel, RowLoss};
use crate::drivers::Flat;
use crate::drivers::flat::{Losses, MOST_ROWS, MOST_VALUES};
use crate::drivers::unit_scale::{UnitScale, UnitScales};
use crate::element::Element;
use crate::simd::dispatch;
use crate::tensor::Source;

// Each row is computed as one chunk, and all of them are one leaf, as they would be in any other call.
const _: () = assert!(MOST_VALUES <= LONGEST_CHUNK && MOST_VALUES <= LEAF_ELEMENTS);
const _: () = assert!(MOST_ROWS < SEVERAL);

/// The classes of a flat call's rows; behind the last row, zeros.
pub(crate) type FlatClasses = [usize; MOST_ROWS];

/// Computes a loss of a few rows that each have a class.
pub(crate) fn run_flat<T: Element>(loss: impl RowLoss<T>, flat: Flat<'_, T, FlatClasses>) {
    let Flat {
        level,
        scaling,
        samples,
        units,
        row_len,
        operands: [pred],
        inputs: classes,
        losses,
    } = flat;
    let count = samples * units;
    let rows = Rows::<_, _, false> {
        loss,
        label: RowLabel::Class(Source::of_slice(&classes[..count]).into()),
        classes: row_len,
        grad: pred.is_written(),
    };
    let scale = UnitScale::from(scaling.scale(1.0, 1.0));
    let mut values = [T::ZERO; MOST_ROWS];
    let direct = Direct::<_, _, false, false> {
        rows: &rows,
        scales: &UnitScales::Same(Some(scale)),
        lines: pred.cut(count, row_len),
        shares: None,
        at: Place { sample: 0, unit: 0 },
        number: 0,
        units: 0..count,
        stream: false,
        trailing: None,
        last: true,
        losses: &mut values[..count],
    };
    dispatch(level, direct);
    match losses {
        Losses::Unwanted => {}
        Losses::Units(each) => {
            for (each, &loss) in each.iter_mut().zip(&values) {
                *each = scale.scaled(loss);
            }
        }
        Losses::Samples(totals) => {
            for (total, losses) in totals.iter_mut().zip(values.chunks(units)) {
                let mut sum = 0.0;
                scale.add_terms(losses, &mut sum);
                *total = scaling.total(1.0, sum);
            }
        }
    }
}
