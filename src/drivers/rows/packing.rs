use crate::element::Element;
use crate::simd::{Isa, Lanes};
use crate::tensor::Lines;
use core::ops::Range;

/// How many classes ahead memory is asked for: where classes lie a power of two apart the caches can
/// keep but a few of them.
const CLASSES_AHEAD: usize = 2;

/// Copies rows whose classes are neighbours side by side, a vector of rows and of classes at a time.
#[inline(always)]
pub(super) fn pack_lines<T: Element, S: Isa>(
    simd: S,
    mut lines: Lines<'_, T>,
    rows: Range<usize>,
    width: usize,
    to: &mut [T],
) {
    for first in rows.clone().step_by(T::LANES) {
        let some = first..rows.end.min(first + T::LANES);
        for start in (0..lines.line_len()).step_by(T::LANES) {
            let mut vectors = [Lanes::splat(simd, T::ZERO); 16];
            for (vector, row) in vectors.iter_mut().zip(some.clone()) {
                *vector = lines.line(row).load::<S, false>(simd, start);
            }
            let turned = Lanes::transpose(vectors);
            for (class, lanes) in (start..lines.line_len()).zip(turned).take(T::LANES) {
                lanes.store(&mut to[class * width + first - rows.start..]);
            }
        }
    }
}

/// Copies rows that stand side by side to where their classes are neighbours.
#[inline(always)]
pub(super) fn unpack_lines<T: Element, S: Isa>(
    simd: S,
    mut lines: Lines<'_, T>,
    rows: Range<usize>,
    width: usize,
    from: &[T],
) {
    for first in rows.clone().step_by(T::LANES) {
        let some = first..rows.end.min(first + T::LANES);
        for start in (0..lines.line_len()).step_by(T::LANES) {
            let mut vectors = [Lanes::splat(simd, T::ZERO); 16];
            let classes = (start..lines.line_len()).take(T::LANES);
            for (vector, class) in vectors.iter_mut().zip(classes) {
                *vector = Lanes::load(simd, &from[class * width + first - rows.start..]);
            }
            let turned = Lanes::transpose(vectors);
            for (row, lanes) in some.clone().zip(turned) {
                lines.line(row).store::<S, false>(start, lanes);
            }
        }
    }
}

/// Copies some classes of rows side by side.
#[inline(always)]
pub(super) fn pack_columns<T: Element, S: Isa>(
    simd: S,
    columns: &mut Lines<'_, T>,
    classes: Range<usize>,
    width: usize,
    to: &mut [T],
) {
    let rows = columns.line_len();
    for (class, to) in classes.zip(to.chunks_exact_mut(width)) {
        // Behind the last class of all, the first ones of the rows that are taken next.
        let (mut next, mut behind) = (class + CLASSES_AHEAD, 0);
        if next >= columns.count() {
            (next, behind) = (next % columns.count(), rows);
        }
        let mut at = 0;
        while rows - at >= T::LANES {
            columns.prefetch(simd, next, behind + at);
            let run = columns.line(class);
            run.load::<S, true>(simd, at).store(&mut to[at..]);
            at += T::LANES;
        }
        if at < rows {
            let run = columns.line(class);
            run.load::<S, false>(simd, at)
                .store_partial(&mut to[at..rows]);
        }
    }
}

/// Copies some classes of rows that stand side by side to where the rows are neighbours, past the
/// caches if `stream`.
#[inline(always)]
pub(super) fn unpack_columns<T: Element, S: Isa>(
    simd: S,
    columns: &mut Lines<'_, T>,
    classes: Range<usize>,
    width: usize,
    from: &[T],
    stream: bool,
) {
    let rows = columns.line_len();
    for (class, from) in classes.zip(from.chunks_exact(width)) {
        let mut run = columns.line(class);
        let mut at = 0;
        if stream && run.first_line() > 0 {
            at = run.first_line().min(rows);
            let head = Lanes::load_partial(simd, &from[..at]);
            run.part(0, at).store::<S, false>(0, head);
        }
        while rows - at >= T::LANES {
            let lanes = Lanes::load(simd, &from[at..]);
            if stream {
                run.stream(at, lanes);
            } else {
                run.store::<S, true>(at, lanes);
            }
            at += T::LANES;
        }
        if at < rows {
            let tail = Lanes::load_partial(simd, &from[at..rows]);
            run.store::<S, false>(at, tail);
        }
    }
}
