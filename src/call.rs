use crate::checks::Shapes;
use crate::drivers::{Outputs, Plan, PredGrad, Work};
use crate::element::Element;
use crate::losses::{Common, Problem};
use crate::tensor::{Source, Target, Tensor, TensorMut};
use crate::{Error, Exec, Reduction};
use core::marker::PhantomData;
use ndarray::{Array, Array1, ArrayD, ArrayRef, Dimension, Ix1, IxDyn};

/// Bytes of predictions, gradient and as much again of labels from which a gradient is written past the caches:
/// around the size of a last-level cache, above which it would be evicted before it is read.
const STREAM_BYTES: usize = 32 << 20;

/// A loss applied to its inputs, to be set up further and then run, as often as wanted.
///
/// The setters cannot fail and come in any order; each of the methods that compute something
/// checks everything first and writes afterwards. The `_into` methods allocate nothing up to rank
/// 4.
///
/// `P` is the loss with its labels, `T` the element type, `D` the dimension of pred.
#[must_use]
pub struct Call<'a, P, T, D> {
    pub(crate) problem: P,
    pred: Tensor<'a, T>,
    settings: Settings<'a, T>,
    dimension: PhantomData<D>,
}

/// A loss applied to its inputs, whose gradient will take the predictions' place.
///
/// It is set up like a [`Call`] and can be run once.
#[must_use]
pub struct InPlaceCall<'a, P, T> {
    pub(crate) problem: P,
    pred: TensorMut<'a, T>,
    settings: Settings<'a, T>,
}

/// What the setters of a call set.
struct Settings<'a, T> {
    sample_weight: Option<Tensor<'a, T>>,
    upstream: Option<Tensor<'a, T>>,
    reduction: Reduction,
    exec: Exec,
}

impl<T> Settings<'_, T> {
    fn new() -> Self {
        Self {
            sample_weight: None,
            upstream: None,
            reduction: Reduction::SampleMean,
            exec: Exec::default(),
        }
    }
}

macro_rules! setters {
    () => {
        /// Multiplies each loss, and its gradient, by a weight.
        ///
        /// The weights have pred's rank and spread over it by NumPy's rule (the class axis, where
        /// the loss has one, has extent 1), or the shape of the losses before they are reduced, or
        /// shape (N,) for one per sample. A weight of exactly 0 masks: loss and gradient are 0
        /// even where the input is NaN or infinite. Means do not divide by weights.
        pub fn sample_weight<E: Dimension>(mut self, weights: &'a ArrayRef<T, E>) -> Self {
            self.settings.sample_weight = Some(Tensor::new(weights));
            self
        }

        /// The derivative of an objective with respect to each returned loss: the gradient then is
        /// that of the objective. 1 where it is not given.
        ///
        /// Its shape is that of the returned losses, or pred's rank with 1 on every axis that they
        /// lack; without a reduction it spreads like `sample_weight`.
        pub fn upstream<E: Dimension>(mut self, upstream: &'a ArrayRef<T, E>) -> Self {
            self.settings.upstream = Some(Tensor::new(upstream));
            self
        }

        /// What becomes of the losses; [`Reduction::SampleMean`] where it is not given.
        pub fn reduction(mut self, reduction: Reduction) -> Self {
            self.settings.reduction = reduction;
            self
        }

        /// With which instructions and on which threads the call runs.
        pub fn exec(mut self, exec: Exec) -> Self {
            self.settings.exec = exec;
            self
        }
    };
}

impl<'a, P: Problem<T>, T: Element, D: Dimension> Call<'a, P, T, D> {
    pub(crate) fn new(problem: P, pred: &'a ArrayRef<T, D>) -> Self {
        Self {
            problem,
            pred: Tensor::new(pred),
            settings: Settings::new(),
            dimension: PhantomData,
        }
    }

    setters!();

    /// Writes the losses, whose shape the reduction decides.
    pub fn loss_into<E: Dimension>(&self, loss: &mut ArrayRef<T, E>) -> Result<(), Error> {
        self.run(Some(TensorMut::new(loss)), None)
    }

    /// Writes the gradient of the predictions.
    pub fn grad_into<E: Dimension>(&self, grad: &mut ArrayRef<T, E>) -> Result<(), Error> {
        self.run(None, Some(TensorMut::new(grad)))
    }

    /// Writes losses and gradient in one pass.
    pub fn loss_and_grad_into<E: Dimension, F: Dimension>(
        &self,
        loss: &mut ArrayRef<T, E>,
        grad: &mut ArrayRef<T, F>,
    ) -> Result<(), Error> {
        self.run(Some(TensorMut::new(loss)), Some(TensorMut::new(grad)))
    }

    /// The loss as one number, for [`Reduction::Mean`] and [`Reduction::Sum`].
    pub fn scalar(&self) -> Result<T, Error> {
        scalar(self.settings.reduction, |loss| self.run(Some(loss), None))
    }

    /// As [`scalar`](Self::scalar), and writes the gradient in the same pass.
    pub fn scalar_and_grad_into<E: Dimension>(
        &self,
        grad: &mut ArrayRef<T, E>,
    ) -> Result<T, Error> {
        let grad = TensorMut::new(grad);
        scalar(self.settings.reduction, |loss| {
            self.run(Some(loss), Some(grad))
        })
    }

    /// The losses as a new array.
    pub fn loss(&self) -> Result<ArrayD<T>, Error> {
        let mut loss = self.new_loss()?;
        self.loss_into(&mut loss)?;
        Ok(loss)
    }

    /// The gradient as a new array.
    pub fn grad(&self) -> Result<Array<T, D>, Error> {
        let mut grad = self.new_grad()?;
        self.grad_into(&mut grad)?;
        Ok(grad)
    }

    /// Losses and gradient as new arrays.
    pub fn loss_and_grad(&self) -> Result<(ArrayD<T>, Array<T, D>), Error> {
        let (mut loss, mut grad) = (self.new_loss()?, self.new_grad()?);
        self.loss_and_grad_into(&mut loss, &mut grad)?;
        Ok((loss, grad))
    }

    /// The losses of the samples as a new array, for the reductions that give one per sample.
    pub(crate) fn sample_loss(&self) -> Result<Array1<T>, Error> {
        let mut loss = self.new_sample_loss()?;
        self.loss_into(&mut loss)?;
        Ok(loss)
    }

    /// As [`sample_loss`](Self::sample_loss), and the gradient.
    pub(crate) fn sample_loss_and_grad(&self) -> Result<(Array1<T>, Array<T, D>), Error> {
        let (mut loss, mut grad) = (self.new_sample_loss()?, self.new_grad()?);
        self.loss_and_grad_into(&mut loss, &mut grad)?;
        Ok((loss, grad))
    }

    // New arrays are made after the checks: a call that is refused allocates nothing.

    fn new_loss(&self) -> Result<ArrayD<T>, Error> {
        self.run(None, None)?;
        zeros(IxDyn(&self.shapes()?.reduced()))
    }

    fn new_sample_loss(&self) -> Result<Array1<T>, Error> {
        self.run(None, None)?;
        zeros(Ix1(self.shapes()?.reduced()[0]))
    }

    fn new_grad(&self) -> Result<Array<T, D>, Error> {
        self.run(None, None)?;
        let mut shape = D::zeros(self.pred.shape.len());
        shape.slice_mut().copy_from_slice(&self.pred.shape);
        zeros(shape)
    }

    fn shapes(&self) -> Result<Shapes, Error> {
        let Common { batch_axis, .. } = self.problem.common();
        let class_axis = self.problem.class_axis();
        let reduction = self.settings.reduction;
        Shapes::new(&self.pred.shape, batch_axis, class_axis, reduction)
    }

    /// Checks everything and writes what there is a place for.
    fn run(
        &self,
        loss: Option<TensorMut<'_, T>>,
        grad: Option<TensorMut<'_, T>>,
    ) -> Result<(), Error> {
        let pred = match grad {
            None => Pred::Read(&self.pred),
            Some(grad) => Pred::Copy(&self.pred, grad),
        };
        run(&self.problem, &self.settings, pred, loss)
    }
}

impl<'a, P: Problem<T>, T: Element> InPlaceCall<'a, P, T> {
    pub(crate) fn new<D: Dimension>(problem: P, pred: &'a mut ArrayRef<T, D>) -> Self {
        Self {
            problem,
            pred: TensorMut::new(pred),
            settings: Settings::new(),
        }
    }

    setters!();

    /// Writes the losses, and the gradient in place of the predictions.
    pub fn loss_into<E: Dimension>(self, loss: &mut ArrayRef<T, E>) -> Result<(), Error> {
        let loss = TensorMut::new(loss);
        run(
            &self.problem,
            &self.settings,
            Pred::InPlace(self.pred),
            Some(loss),
        )
    }

    /// The loss as one number, for [`Reduction::Mean`] and [`Reduction::Sum`]; the gradient takes
    /// the place of the predictions.
    pub fn scalar(self) -> Result<T, Error> {
        scalar(self.settings.reduction, |loss| {
            run(
                &self.problem,
                &self.settings,
                Pred::InPlace(self.pred),
                Some(loss),
            )
        })
    }

    /// Writes the gradient in place of the predictions.
    pub fn grad(self) -> Result<(), Error> {
        run(
            &self.problem,
            &self.settings,
            Pred::InPlace(self.pred),
            None,
        )
    }
}

fn scalar<T: Element>(
    reduction: Reduction,
    run: impl FnOnce(TensorMut<'_, T>) -> Result<(), Error>,
) -> Result<T, Error> {
    if !reduction.is_scalar() {
        return Err(Error::NotScalar { reduction });
    }
    let mut loss = T::ZERO;
    run(TensorMut::of_value(&mut loss))?;
    Ok(loss)
}

/// A new array of zeros, where there is memory for it.
fn zeros<T: Element, D: Dimension>(shape: D) -> Result<Array<T, D>, Error> {
    let elements: usize = shape.slice().iter().product();
    let mut values = Vec::new();
    if values.try_reserve_exact(elements).is_err() {
        return Err(Error::Memory { elements });
    }
    values.resize(elements, T::ZERO);
    Array::from_shape_vec(shape, values).map_err(|_| Error::Memory { elements })
}

/// The predictions, and where their gradient goes.
enum Pred<'p, 'a, T> {
    Read(&'p Tensor<'a, T>),
    Copy(&'p Tensor<'a, T>, TensorMut<'p, T>),
    InPlace(TensorMut<'p, T>),
}

impl<T> Pred<'_, '_, T> {
    fn shape(&self) -> &[usize] {
        match self {
            Self::Read(pred) | Self::Copy(pred, _) => &pred.shape,
            Self::InPlace(pred) => &pred.shape,
        }
    }
}

/// Checks everything, then computes.
fn run<T: Element>(
    problem: &impl Problem<T>,
    settings: &Settings<'_, T>,
    pred: Pred<'_, '_, T>,
    loss: Option<TensorMut<'_, T>>,
) -> Result<(), Error> {
    let Common { weight, batch_axis } = problem.common();
    let reduction = settings.reduction;
    let shapes = Shapes::new(pred.shape(), batch_axis, problem.class_axis(), reduction)?;
    if let Pred::Copy(_, grad) = &pred {
        crate::checks::shape("grad", &grad.shape, &shapes.pred)?;
    }
    let loss = match loss {
        Some(loss) => Some(shapes.loss_place(loss)?),
        None => None,
    };
    let grid = shapes.grid();
    let inputs = problem.check(&shapes, &grid)?;
    let elements: usize = shapes.pred.iter().product();
    let plan = Plan {
        exec: settings.exec,
        weight: T::from_f64(weight).to_f64(),
        divisor: shapes.divisor(),
        sample_weight: shapes.sample_weight(settings.sample_weight.as_ref(), &grid)?,
        upstream: shapes.upstream(settings.upstream.as_ref(), &grid)?,
        stream: elements.saturating_mul(3 * size_of::<T>()) >= STREAM_BYTES,
        grid,
    };

    if loss.is_none() && matches!(pred, Pred::Read(_)) {
        return Ok(());
    }

    let grid = &plan.grid;
    let (mut each, mut totals) = (None, None);
    if shapes.writes_each() {
        each = loss.map(|loss| Target::new(loss, grid, None));
    } else {
        totals = loss.map(|loss| Target::new(loss, &grid.totals(), None));
    }
    let class_axis = shapes.class_axis;
    let pred = match pred {
        Pred::Read(pred) => PredGrad::Read(Source::new(pred, grid, class_axis)),
        Pred::Copy(pred, grad) => PredGrad::Copy(
            Source::new(pred, grid, class_axis),
            Target::new(grad, grid, class_axis),
        ),
        Pred::InPlace(pred) => PredGrad::InPlace(Target::new(pred, grid, class_axis)),
    };
    if shapes.pred.contains(&0) && totals.is_none() {
        return Ok(());
    }
    let outputs = Outputs { pred, each, totals };
    T::run(
        problem.loss(),
        Work {
            plan: &plan,
            inputs,
            outputs,
        },
    );
    Ok(())
}
