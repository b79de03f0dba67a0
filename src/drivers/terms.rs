use crate::simd::{Float, Isa, Lanes, Sum};

/// Vectors that are added as a tree before anything else is done with them: more than one so that
/// their latencies overlap, few enough to stay in registers.
pub(crate) const GROUP: usize = 4;

/// Groups in a block: 16 terms of a lane are added in `T`, as a tree, before they go to f64.
const GROUPS: usize = 4;

/// Sums held in f64 that are gathered before they go to a longer one: a long running sum loses digits
/// of f64.
pub(crate) const SUM_BLOCK: usize = 16;

/// How many values a block has: 256 of f32, 128 of f64.
pub(crate) const fn block<T: Float>() -> usize {
    GROUPS * GROUP * T::LANES
}

/// `J` terms at each position of a run, to be summed; computing them may write outputs on the way.
pub(crate) trait Terms<T: Float, S: Isa, const J: usize> {
    /// A part of the run.
    type Part<'p>: Terms<T, S, J>
    where
        Self: 'p;

    /// The `len` positions from `at` on.
    fn part(&mut self, at: usize, len: usize) -> Self::Part<'_>;

    /// The terms of the vector at `at`. Unless it is `FULL`, the end of the run may cut it off:
    /// terms behind the end are 0.
    fn step<const FULL: bool>(&mut self, at: usize) -> [Lanes<T, S>; J];

    /// Whether whole vectors are worth steps of their own that are `FULL`.
    #[inline(always)]
    fn has_full_steps(&self) -> bool {
        true
    }
}

/// Adds the terms of a run of `len` positions to `sums`.
///
/// Position i belongs to lane i mod `T::LANES`. Per lane, each 16 terms are added as a binary tree
/// in `T` (a running sum of as many loses a digit), and the trees' results one after the other in
/// f64. Positions behind the end count as 0, which changes no bit.
#[inline(always)]
pub(crate) fn sum_terms<T: Float, S: Isa, const J: usize>(
    simd: S,
    terms: &mut impl Terms<T, S, J>,
    len: usize,
    sums: &mut [Sum<S>; J],
) {
    let zero = [Lanes::splat(simd, T::ZERO); J];
    let full = GROUP * T::LANES;
    let mut at = 0;
    while at < len {
        // The two halves of the tree, in registers.
        let (mut before, mut half) = (zero, zero);
        for q in 0..GROUPS {
            let count = full.min(len - at);
            let mut four = terms.part(at, count);
            let part = if count == full && four.has_full_steps() {
                full_group(&mut four)
            } else {
                group(simd, &mut four, count)
            };
            at += count;
            if q % 2 == 0 {
                (before, half) = (half, part);
            } else {
                half = plus(half, part);
            }
            if at == len {
                break;
            }
        }
        let sum = plus(before, half);
        for (total, sum) in sums.iter_mut().zip(sum) {
            total.add(sum);
        }
    }
}

/// The sum of a group of whole vectors.
#[inline(always)]
fn full_group<T: Float, S: Isa, P: Terms<T, S, J>, const J: usize>(
    terms: &mut P,
) -> [Lanes<T, S>; J] {
    let a = step::<_, _, _, true, J>(terms, 0);
    let b = step::<_, _, _, true, J>(terms, T::LANES);
    let c = step::<_, _, _, true, J>(terms, 2 * T::LANES);
    let d = step::<_, _, _, true, J>(terms, 3 * T::LANES);
    tree([a, b, c, d])
}

/// The sum of a group that may end before its last vector, or within one. It is a loop, since every
/// copy of a step is compiled for each formula and level.
#[inline(always)]
fn group<T: Float, S: Isa, P: Terms<T, S, J>, const J: usize>(
    simd: S,
    terms: &mut P,
    len: usize,
) -> [Lanes<T, S>; J] {
    let mut parts = [[Lanes::splat(simd, T::ZERO); J]; GROUP];
    for (k, at) in (0..len).step_by(T::LANES).enumerate() {
        parts[k] = step::<_, _, _, false, J>(terms, at);
    }
    tree(parts)
}

#[inline(always)]
fn step<T: Float, S: Isa, P: Terms<T, S, J>, const FULL: bool, const J: usize>(
    terms: &mut P,
    at: usize,
) -> [Lanes<T, S>; J] {
    if S::IS_SCALAR {
        called::<_, _, _, FULL, J>(terms, at)
    } else {
        terms.step::<FULL>(at)
    }
}

/// A step as a call: several copies of each would keep the compiler busy for minutes on a level that is
/// for correctness, not for speed.
#[inline(never)]
fn called<T: Float, S: Isa, P: Terms<T, S, J>, const FULL: bool, const J: usize>(
    terms: &mut P,
    at: usize,
) -> [Lanes<T, S>; J] {
    terms.step::<FULL>(at)
}

#[inline(always)]
pub(crate) fn tree<T: Float, S: Isa, const J: usize>(
    [a, b, c, d]: [[Lanes<T, S>; J]; 4],
) -> [Lanes<T, S>; J] {
    plus(plus(a, b), plus(c, d))
}

#[inline(always)]
fn plus<T: Float, S: Isa, const J: usize>(
    mut a: [Lanes<T, S>; J],
    b: [Lanes<T, S>; J],
) -> [Lanes<T, S>; J] {
    for (a, b) in a.iter_mut().zip(b) {
        *a = *a + b;
    }
    a
}
