use super::common::{common_options, compared};
use super::{Common, Inputs, Problem, SignLabel, Signs};
use crate::Error;
use crate::checks::{Shapes, Unit, finite};
use crate::drivers::pairs::{self, PairLoss};
use crate::drivers::{Work, compiled};
use crate::element::Element;
use crate::layout::Grid;
use crate::math::powers::{exponent, normal_exponent, power_of_two};
use crate::simd::{Isa, Lanes, Sum};
use crate::tensor::Tensor;
use ndarray::{ArrayRef, Dimension};

/// The angle between two vectors that should point the same way, or should not:
/// `1 − cos` for the label 1, `max(0, cos − margin)` for the label −1, with
/// `cos = input1 · input2 / (‖input1‖ ‖input2‖)` along the last axis.
///
/// | | |
/// |---|---|
/// | inputs | input1 and input2 of one shape (N, …, D) |
/// | label | (N, …): exactly 1 or −1, of any integer type or of the inputs' own; others are an error |
/// | loss | one per pair of vectors: (N, …) for [`Reduction::None`](crate::Reduction::None) |
/// | gradient | of the cosine: `(v̂ − cos û) / ‖u‖` for each vector `u`, where `û` and `v̂` are both divided by their lengths; its negative for the label 1; 0 where `cos ≤ margin` for the label −1 |
/// | zero vectors | the cosine with a vector of zeros is 0, and so is the gradient of both |
/// | range | vectors as short or as long as the type holds neither vanish nor overflow, only a gradient beyond the type's range does: that of a vector of length 10⁻³⁰ is as large as 10³⁰. A component 2¹²⁶ (2¹⁰²²) times smaller than its vector counts as 0 |
/// | infinities | an infinite component makes loss and gradients NaN |
/// | NaN | a NaN in either vector is the pair's loss and its gradients |
/// | accuracy | A: 1, or the margin's absolute value, and `Σ \|u v\| / (‖u‖ ‖v‖)`; G: of an entry of `u`, both terms, `(\|v̂\| + \|û\| Σ \|û v̂\|) / ‖u‖` |
///
/// There is no epsilon in the division. The loss is never below 0; that of a vector with itself is
/// exactly 0.
///
/// ```
/// use lossgrad::CosineEmbeddingLoss;
/// use ndarray::array;
///
/// let (input1, input2) = (array![[1.0f32, 2.0], [1.0, 2.0]], array![[2.0, 1.0], [2.0, 1.0]]);
/// let loss = CosineEmbeddingLoss::new().margin(0.2)?;
/// let (loss, _) = loss.loss_and_grads(&input1, &input2, &array![1, -1])?;
/// assert!((loss[0] - 0.2).abs() < 1e-6); // 1 − 4/5
/// assert!((loss[1] - 0.6).abs() < 1e-6); // 4/5 − 0.2
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[doc(alias("CosineSimilarity", "cosine_distance", "cosine_embedding_loss"))]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CosineEmbeddingLoss {
    common: Common,
    margin: f64,
}

impl CosineEmbeddingLoss {
    common_options!();

    /// The cosine up to which vectors with the label −1 cost nothing; 0 where it is not given. An
    /// error if it is not finite.
    pub fn margin(mut self, margin: f64) -> Result<Self, Error> {
        self.margin = finite("margin", margin)?;
        Ok(self)
    }

    compared!(
        2: input1, input2;
        labels: label: I: SignLabel<T>; problem: CosineEmbedding<'a, I>
    );
}

/// A [`CosineEmbeddingLoss`] with its labels.
pub struct CosineEmbedding<'a, I> {
    loss: CosineEmbeddingLoss,
    label: Tensor<'a, I>,
}

impl<'a, I> CosineEmbedding<'a, I> {
    fn new<E: Dimension>(loss: CosineEmbeddingLoss, label: &'a ArrayRef<I, E>) -> Self {
        Self {
            loss,
            label: Tensor::new(label),
        }
    }
}

impl<T: Element, I: SignLabel<T>> Problem<T, 2> for CosineEmbedding<'_, I> {
    type Loss = CosineEmbeddingLoss;

    const OPERANDS: [&'static str; 2] = ["input1", "input2"];
    const GRADS: [&'static str; 2] = ["grad of input1", "grad of input2"];

    fn loss(&self) -> CosineEmbeddingLoss {
        self.loss
    }

    fn common(&self) -> Common {
        self.loss.common
    }

    fn unit(&self) -> Unit {
        Unit::Row { axis: -1 }
    }

    fn check<'c>(
        &'c self,
        shapes: &Shapes<'_>,
        grid: &Grid<'c>,
    ) -> Result<Inputs<'c, Self, T, 2>, Error> {
        Ok((I::check(self.label, shapes, grid)?, grid.row_len))
    }
}

compiled!(CosineEmbeddingLoss, operands: 2, inputs: (Signs<'a, T>, usize), run: run);

fn run<T: Element>(loss: CosineEmbeddingLoss, work: Work<'_, '_, T, (Signs<'_, T>, usize), 2>) {
    let margin = T::from_f64(loss.margin).to_f64();
    pairs::run::<_, _, 2, 3>(Formula { margin }, work);
}

#[derive(Clone, Copy)]
struct Formula {
    margin: f64,
}

/// What makes the gradients of two vectors `u` and `v`: with `U` and `V` the vectors times powers of
/// 2 that take them near length 1, that of `u` is `(V − projection · U) · across · power`.
///
/// What cancels is subtracted first: whatever the other factors were rounded by is relative to what
/// is left.
#[derive(Clone, Copy)]
struct Factors<T> {
    /// The coefficient divided by the lengths of `U` and `V`.
    across: T,
    /// For each vector, how long the other one's projection on it is, in lengths of its own.
    projections: [T; 2],
    powers: [T; 2],
}

/// Sums of squares between which neither they nor their products leave the range of f64.
const RELIABLE: core::ops::RangeInclusive<f64> = 1e-150..=1e150;

impl<T: Element> PairLoss<T, 2, 3> for Formula {
    type Labels<'a> = Signs<'a, T>;
    /// Whether the vectors should point the same way.
    type Label = bool;
    type Factors = Factors<T>;

    const SCALE_INVARIANT: bool = true;

    fn label(labels: &Signs<'_, T>, sample: usize, unit: usize) -> bool {
        labels.is_one(sample, unit)
    }

    #[inline(always)]
    fn add<S: Isa>(self, [u, v]: [Lanes<T, S>; 2], [uv, uu, vv]: &mut [Sum<S>; 3]) {
        uv.add_product(u, v);
        uu.add_product(u, u);
        vv.add_product(v, v);
    }

    fn are_reliable([_, uu, vv]: [f64; 3]) -> bool {
        RELIABLE.contains(&uu) && RELIABLE.contains(&vv)
    }

    #[inline(always)]
    fn finish(
        self,
        [uv, uu, vv]: [f64; 3],
        exponents: [i32; 2],
        same: bool,
        coefficient: f64,
    ) -> (T, Option<Factors<T>>) {
        // The square root of the product of equal numbers is exact; rounding may take other
        // cosines past 1. The comparisons keep a NaN.
        let mut cosine = uv / (uu * vv).sqrt();
        if cosine.abs() > 1.0 {
            cosine = 1.0_f64.copysign(cosine);
        }
        let is_zero = (uu == 0.0 || vv == 0.0) && uv == 0.0 && (uu + vv).is_finite();
        if is_zero {
            cosine = 0.0;
        }
        let beyond = cosine - self.margin;
        let loss = match same {
            true => 1.0 - cosine,
            false if beyond <= 0.0 => return (T::ZERO, None),
            false => beyond,
        };
        if is_zero {
            return (T::from_f64(loss), None);
        }
        let coefficient = if same { -coefficient } else { coefficient };
        let powers = [
            scaled_by::<T>(uu, exponents[0]),
            scaled_by::<T>(vv, exponents[1]),
        ];
        let [u, v] = [powers[0] - exponents[0], powers[1] - exponents[1]].map(exact_power);
        // All sums become those of `U` and `V`, which no power of 2 rounds.
        let (uv, uu, vv) = (uv * u * v, uu * u * u, vv * v * v);
        let factors = Factors {
            across: T::from_f64(coefficient / (uu * vv).sqrt()),
            projections: [T::from_f64(uv / uu), T::from_f64(uv / vv)],
            powers: powers.map(power_of_two),
        };
        (T::from_f64(loss), Some(factors))
    }

    #[inline(always)]
    fn grads<S: Isa>(self, [u, v]: [Lanes<T, S>; 2], factors: Factors<T>) -> [Lanes<T, S>; 2] {
        let simd = u.simd();
        // Not by `map`, which would be a call without the level's instructions.
        let [u_power, v_power] = factors.powers;
        let (u_power, v_power) = (Lanes::splat(simd, u_power), Lanes::splat(simd, v_power));
        let [on_u, on_v] = factors.projections;
        let (on_u, on_v) = (Lanes::splat(simd, on_u), Lanes::splat(simd, on_v));
        let across = Lanes::splat(simd, factors.across);
        let (u, v) = (u * u_power, v * v_power);
        [
            u.neg_mul_add(on_u, v) * across * u_power,
            v.neg_mul_add(on_v, u) * across * v_power,
        ]
    }
}

/// The exponent of the power of 2 that takes a vector near length 1, whose squared length times 4
/// to the power of `by` is `square`.
fn scaled_by<T: Element>(square: f64, by: i32) -> i32 {
    normal_exponent::<T>(by - exponent(square.sqrt()))
}

/// 2 to a power between those of the smallest and the largest number, in steps that none rounds.
fn exact_power(exponent: i32) -> f64 {
    power_of_two::<f64>(normal_exponent::<f64>(exponent))
}
