use super::Settings;
use crate::Error;
use crate::checks::Shapes;
use crate::drivers::flat::Losses;
use crate::drivers::{Flat, Operand, Outputs, Plan, Scaling, Work};
use crate::element::Element;
use crate::layout::{Grid, Shelf};
use crate::losses::{Common, Problem};
use crate::simd::Level;
use crate::tensor::{Lines, Source, Target, Tensor, TensorMut};

/// Bytes of inputs and their gradients from which gradients may go past the caches: around the
/// size of a last-level cache, above which they would be evicted before they are read.
const STREAM_BYTES: usize = 32 << 20;

/// An input, and where its gradient goes.
pub(crate) enum Given<'a, T> {
    Read(Tensor<'a, T>),
    Copy(Tensor<'a, T>, TensorMut<'a, T>),
    InPlace(TensorMut<'a, T>),
}

impl<'a, T: Element> Given<'a, T> {
    pub(crate) fn shape(&self) -> &'a [usize] {
        match self {
            Self::Read(input) | Self::Copy(input, _) => input.shape,
            Self::InPlace(input) => input.shape,
        }
    }

    /// All values in their order, if they lie in it without gaps.
    // In a call of its own lines would be handed over in memory, which small calls wait for.
    #[inline(always)]
    fn in_order(&mut self) -> Option<Lines<'_, T>> {
        Some(match self {
            Self::Read(input) => Lines::of_slice(input.in_order()?),
            Self::Copy(input, grad) => {
                let grad = Lines::of_slice_mut(grad.in_order()?);
                Lines::copy(Lines::of_slice(input.in_order()?), grad)
            }
            Self::InPlace(input) => Lines::of_slice_mut(input.in_order()?),
        })
    }

    #[inline]
    fn laid(self, grid: &Grid<'a>) -> Operand<'a, T> {
        match self {
            Self::Read(input) => Operand::Read(Source::of_rows(input, grid)),
            Self::Copy(input, grad) => {
                Operand::Copy(Source::of_rows(input, grid), Target::of_rows(grad, grid))
            }
            Self::InPlace(input) => Operand::InPlace(Target::of_rows(input, grid)),
        }
    }
}

/// Checks everything, then computes.
pub(super) fn run<P: Problem<T, K>, T: Element, const K: usize>(
    problem: &P,
    settings: &Settings<'_, T>,
    mut operands: [Given<'_, T>; K],
    mut loss: Option<TensorMut<'_, T>>,
) -> Result<(), Error> {
    let Common { weight, batch_axis } = problem.common();
    let shapes = Shapes::new(
        operands[0].shape(),
        batch_axis,
        problem.unit(),
        settings.reduction,
    )?;
    for (number, operand) in operands.iter().enumerate() {
        crate::checks::shape(P::OPERANDS[number], operand.shape(), shapes.pred)?;
        if let Given::Copy(_, grad) = operand {
            crate::checks::shape(P::GRADS[number], grad.shape, shapes.pred)?;
        }
    }
    if let Some(loss) = &loss {
        shapes.check_loss(loss.shape)?;
    }
    let scaling = Scaling {
        weight: T::from_f64(weight).to_f64(),
        divisor: shapes.divisor(),
    };
    // A weight of 0 masks all units, whatever they are, which kernels do not.
    let counts_alike =
        settings.sample_weight.is_none() && settings.upstream.is_none() && scaling.weight != 0.0;
    if counts_alike {
        let level = settings.exec.level;
        let done = run_flat(problem, level, scaling, &shapes, &mut operands, &mut loss);
        if done.is_some() {
            return Ok(());
        }
    }

    let shelf = Shelf::new();
    let grid = shapes.grid(&shelf);
    let mut inputs = problem.check(&shapes, &grid)?;
    let elements: usize = shapes.pred.iter().product();
    let bytes = elements.saturating_mul((2 * K + 1) * size_of::<T>());
    let in_place = matches!(operands[0], Given::InPlace(_));
    let plan = Plan {
        exec: settings.exec,
        scaling,
        each_class: shapes.each_class && shapes.writes_each(),
        sample_weight: shapes.sample_weight(settings.sample_weight, &grid)?,
        upstream: shapes.upstream(settings.upstream, &grid)?,
        // In place the caches have just read what is written.
        may_stream: bytes >= STREAM_BYTES && !in_place,
        grid,
    };
    if computes_nothing(&operands, &loss) {
        return Ok(());
    }
    problem.reserve(&mut inputs, in_place)?;

    let grid = &plan.grid;
    let writes_each = shapes.writes_each();
    if shapes.has_no_units() && (writes_each || loss.is_none()) {
        return Ok(());
    }
    let (each, totals) = match writes_each {
        true => (loss, None),
        false => (None, loss),
    };
    let mut outputs = Outputs {
        operands: operands.map(|operand| operand.laid(grid)),
        each: each.map(|loss| shapes.lay_each(loss, grid)),
        totals: totals.map(|loss| Target::of_samples(loss, grid.samples)),
    };
    T::run(
        problem.loss(),
        Work {
            plan: &plan,
            inputs,
            outputs: &mut outputs,
        },
    );
    Ok(())
}

/// Whether a call is made for its checks alone.
fn computes_nothing<T, const K: usize>(
    operands: &[Given<'_, T>; K],
    loss: &Option<TensorMut<'_, T>>,
) -> bool {
    let reads = |operand: &Given<'_, T>| matches!(operand, Given::Read(_));
    loss.is_none() && operands.iter().all(reads)
}

/// Runs a call whose shapes have been checked and whose units all count alike, if it is a flat one; else
/// nothing has been written.
#[inline(always)]
fn run_flat<P: Problem<T, K>, T: Element, const K: usize>(
    problem: &P,
    level: Level,
    scaling: Scaling,
    shapes: &Shapes<'_>,
    operands: &mut [Given<'_, T>; K],
    loss: &mut Option<TensorMut<'_, T>>,
) -> Option<()> {
    let [samples, units, row_len] = shapes.flat_extents()?;
    let inputs = problem.flat(shapes)?;
    if computes_nothing(operands, loss) {
        return Some(());
    }
    let losses = match loss {
        None => Losses::Unwanted,
        Some(loss) => {
            let losses = loss.in_order()?;
            match shapes.writes_each() {
                true => Losses::Units(losses),
                false => Losses::Samples(losses),
            }
        }
    };
    let mut lines = [const { None }; K];
    for (lines, operand) in lines.iter_mut().zip(operands) {
        *lines = Some(operand.in_order()?);
    }
    let flat = Flat {
        level,
        scaling,
        samples,
        units,
        row_len,
        operands: lines.map(|lines| lines.expect("one for each operand")),
        inputs,
        losses,
    };
    T::run_flat(problem.loss(), flat);
    Some(())
}
