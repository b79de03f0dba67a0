mod run;

pub(crate) use run::Given;

use crate::checks::Shapes;
use crate::element::Element;
use crate::losses::{Common, Problem};
use crate::tensor::{Tensor, TensorMut};
use crate::{Error, Exec, Reduction};
use core::marker::PhantomData;
use ndarray::{Array, Array1, ArrayD, ArrayRef, Dimension, Ix1, IxDyn};
use run::run;

/// A loss applied to its inputs, to be set up further and then run, as often as wanted.
///
/// The setters cannot fail and come in any order; each of the methods that compute something
/// checks everything first and writes afterwards. The `_into` methods allocate nothing up to rank
/// 4, once a loss that needs a workspace was lent one.
///
/// Calls of up to 4096 predictions cost least where all arrays are contiguous in their logical order,
/// without `sample_weight`, `upstream` and `pos_weight`: losses of single predictions, of up to 8
/// samples where each has a sum of its own, and of up to 7 rows along the last axis with a class each
/// then go straight to their kernels.
///
/// `P` is the loss with its labels, `T` the element type, `D` the dimension of pred, and `K` the
/// number of inputs that have a gradient: pred alone, or two or three embeddings.
#[must_use]
pub struct Call<'a, P, T, D, const K: usize = 1> {
    pub(crate) problem: P,
    operands: [Tensor<'a, T>; K],
    settings: Settings<'a, T>,
    dimension: PhantomData<D>,
}

/// A loss applied to its inputs, whose gradients will take the inputs' places.
///
/// It is set up like a [`Call`] and can be run once.
#[must_use]
pub struct InPlaceCall<'a, P, T, const K: usize = 1> {
    pub(crate) problem: P,
    operands: [TensorMut<'a, T>; K],
    settings: Settings<'a, T>,
}

/// `K` inputs that have a gradient.
pub struct Operands<const K: usize>;

/// More inputs than one have a gradient.
pub trait Several {}

impl Several for Operands<2> {}
impl Several for Operands<3> {}

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
        /// The weights have pred's rank and spread over it by NumPy's rule (with extent 1 on every
        /// axis that the losses lack before they are reduced), or the shape of those losses, or
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

/// No gradient of any operand.
fn no_grads<'a, T, const K: usize>() -> [Option<TensorMut<'a, T>>; K] {
    [const { None }; K]
}

impl<'a, P, T, D, const K: usize> Call<'a, P, T, D, K>
where
    P: Problem<T, K>,
    T: Element,
    D: Dimension,
{
    pub(crate) fn new(problem: P, operands: [&'a ArrayRef<T, D>; K]) -> Self {
        Self {
            problem,
            operands: operands.map(Tensor::new),
            settings: Settings::new(),
            dimension: PhantomData,
        }
    }

    setters!();

    /// Writes the losses, whose shape the reduction decides.
    pub fn loss_into<E: Dimension>(&self, loss: &mut ArrayRef<T, E>) -> Result<(), Error> {
        self.run(Some(TensorMut::new(loss)), no_grads())
    }

    /// The loss as one number, for [`Reduction::Mean`] and [`Reduction::Sum`].
    pub fn scalar(&self) -> Result<T, Error> {
        scalar(self.settings.reduction, |loss| {
            self.run(Some(loss), no_grads())
        })
    }

    /// The losses as a new array.
    pub fn loss(&self) -> Result<ArrayD<T>, Error> {
        let mut loss = self.checked()?.new_loss()?;
        self.loss_into(&mut loss)?;
        Ok(loss)
    }

    /// The losses of the samples as a new array, for the reductions that give one per sample.
    pub(crate) fn sample_loss(&self) -> Result<Array1<T>, Error> {
        let mut loss = self.checked()?.new_sample_loss()?;
        self.loss_into(&mut loss)?;
        Ok(loss)
    }

    // New arrays are made after the checks: a call that is refused allocates nothing.

    fn checked(&self) -> Result<&Self, Error> {
        self.run(None, no_grads())?;
        Ok(self)
    }

    fn new_loss(&self) -> Result<ArrayD<T>, Error> {
        zeros(IxDyn(&self.shapes()?.reduced()))
    }

    fn new_sample_loss(&self) -> Result<Array1<T>, Error> {
        zeros(Ix1(self.shapes()?.reduced()[0]))
    }

    fn new_grads(&self) -> Result<[Array<T, D>; K], Error> {
        let mut grads = [const { None }; K];
        for (grad, operand) in grads.iter_mut().zip(&self.operands) {
            let mut shape = D::zeros(operand.shape.len());
            shape.slice_mut().copy_from_slice(operand.shape);
            *grad = Some(zeros(shape)?);
        }
        Ok(grads.map(|grad| grad.expect("one for each operand")))
    }

    fn shapes(&self) -> Result<Shapes<'_>, Error> {
        let Common { batch_axis, .. } = self.problem.common();
        let reduction = self.settings.reduction;
        let pred = self.operands[0].shape;
        Shapes::new(pred, batch_axis, self.problem.unit(), reduction)
    }

    /// Checks everything and writes what there is a place for.
    fn run(
        &self,
        loss: Option<TensorMut<'_, T>>,
        mut grads: [Option<TensorMut<'_, T>>; K],
    ) -> Result<(), Error> {
        let operands = core::array::from_fn(|k| match grads[k].take() {
            Some(grad) => Given::Copy(self.operands[k], grad),
            None => Given::Read(self.operands[k]),
        });
        run(&self.problem, &self.settings, operands, loss)
    }
}

impl<'a, P: Problem<T>, T: Element, D: Dimension> Call<'a, P, T, D> {
    /// Writes the gradient of the predictions.
    pub fn grad_into<E: Dimension>(&self, grad: &mut ArrayRef<T, E>) -> Result<(), Error> {
        self.run(None, [Some(TensorMut::new(grad))])
    }

    /// Writes losses and gradient in one pass.
    pub fn loss_and_grad_into<E: Dimension, F: Dimension>(
        &self,
        loss: &mut ArrayRef<T, E>,
        grad: &mut ArrayRef<T, F>,
    ) -> Result<(), Error> {
        self.run(Some(TensorMut::new(loss)), [Some(TensorMut::new(grad))])
    }

    /// As [`scalar`](Self::scalar), and writes the gradient in the same pass.
    pub fn scalar_and_grad_into<E: Dimension>(
        &self,
        grad: &mut ArrayRef<T, E>,
    ) -> Result<T, Error> {
        let grad = TensorMut::new(grad);
        scalar(self.settings.reduction, |loss| {
            self.run(Some(loss), [Some(grad)])
        })
    }

    /// The gradient as a new array.
    pub fn grad(&self) -> Result<Array<T, D>, Error> {
        let [mut grad] = self.checked()?.new_grads()?;
        self.grad_into(&mut grad)?;
        Ok(grad)
    }

    /// Losses and gradient as new arrays.
    pub fn loss_and_grad(&self) -> Result<(ArrayD<T>, Array<T, D>), Error> {
        let (mut loss, [mut grad]) = (self.checked()?.new_loss()?, self.new_grads()?);
        self.loss_and_grad_into(&mut loss, &mut grad)?;
        Ok((loss, grad))
    }

    /// As [`sample_loss`](Self::sample_loss), and the gradient.
    pub(crate) fn sample_loss_and_grad(&self) -> Result<(Array1<T>, Array<T, D>), Error> {
        let (mut loss, [mut grad]) = (self.checked()?.new_sample_loss()?, self.new_grads()?);
        self.loss_and_grad_into(&mut loss, &mut grad)?;
        Ok((loss, grad))
    }
}

/// Gradients of several inputs: one place each, in the order of the inputs. An input without a
/// place gets no gradient.
impl<'a, P, T, D, const K: usize> Call<'a, P, T, D, K>
where
    P: Problem<T, K>,
    T: Element,
    D: Dimension,
    Operands<K>: Several,
{
    /// Writes the gradients of the inputs that have a place.
    pub fn grads_into(&self, grads: [Option<&mut ArrayRef<T, D>>; K]) -> Result<(), Error> {
        self.run(None, places(grads))
    }

    /// Writes losses, and the gradients of the inputs that have a place, in one pass.
    pub fn loss_and_grads_into<E: Dimension>(
        &self,
        loss: &mut ArrayRef<T, E>,
        grads: [Option<&mut ArrayRef<T, D>>; K],
    ) -> Result<(), Error> {
        self.run(Some(TensorMut::new(loss)), places(grads))
    }

    /// As [`scalar`](Self::scalar), and writes the gradients in the same pass.
    pub fn scalar_and_grads_into(
        &self,
        grads: [Option<&mut ArrayRef<T, D>>; K],
    ) -> Result<T, Error> {
        scalar(self.settings.reduction, |loss| {
            self.run(Some(loss), places(grads))
        })
    }

    /// The gradients of all inputs as new arrays.
    pub fn grads(&self) -> Result<[Array<T, D>; K], Error> {
        let mut grads = self.checked()?.new_grads()?;
        self.grads_into(grads.each_mut().map(|grad| Some(&mut **grad)))?;
        Ok(grads)
    }

    /// Losses and the gradients of all inputs as new arrays.
    #[allow(clippy::type_complexity, reason = "losses and gradients, spelled out")]
    pub fn loss_and_grads(&self) -> Result<(ArrayD<T>, [Array<T, D>; K]), Error> {
        let (mut loss, mut grads) = (self.checked()?.new_loss()?, self.new_grads()?);
        let places = grads.each_mut().map(|grad| Some(&mut **grad));
        self.loss_and_grads_into(&mut loss, places)?;
        Ok((loss, grads))
    }

    /// As [`sample_loss`](Self::sample_loss), and the gradients of all inputs.
    #[allow(clippy::type_complexity, reason = "losses and gradients, spelled out")]
    pub(crate) fn sample_loss_and_grads(&self) -> Result<(Array1<T>, [Array<T, D>; K]), Error> {
        let (mut loss, mut grads) = (self.checked()?.new_sample_loss()?, self.new_grads()?);
        let places = grads.each_mut().map(|grad| Some(&mut **grad));
        self.loss_and_grads_into(&mut loss, places)?;
        Ok((loss, grads))
    }
}

fn places<'a, T, D: Dimension, const K: usize>(
    grads: [Option<&'a mut ArrayRef<T, D>>; K],
) -> [Option<TensorMut<'a, T>>; K] {
    grads.map(|grad| grad.map(TensorMut::new))
}

impl<'a, P: Problem<T, K>, T: Element, const K: usize> InPlaceCall<'a, P, T, K> {
    pub(crate) fn new<D: Dimension>(problem: P, operands: [&'a mut ArrayRef<T, D>; K]) -> Self {
        Self {
            problem,
            operands: operands.map(TensorMut::new),
            settings: Settings::new(),
        }
    }

    setters!();

    /// Writes the losses, and each gradient in its input's place.
    pub fn loss_into<E: Dimension>(self, loss: &mut ArrayRef<T, E>) -> Result<(), Error> {
        self.run(Some(TensorMut::new(loss)))
    }

    /// The loss as one number, for [`Reduction::Mean`] and [`Reduction::Sum`]; each gradient takes
    /// its input's place.
    pub fn scalar(self) -> Result<T, Error> {
        scalar(self.settings.reduction, |loss| self.run(Some(loss)))
    }

    fn run(self, loss: Option<TensorMut<'_, T>>) -> Result<(), Error> {
        let operands = self.operands.map(Given::InPlace);
        run(&self.problem, &self.settings, operands, loss)
    }
}

impl<'a, P: Problem<T>, T: Element> InPlaceCall<'a, P, T> {
    /// Writes the gradient in place of the predictions.
    pub fn grad(self) -> Result<(), Error> {
        self.run(None)
    }
}

impl<'a, P: Problem<T, K>, T: Element, const K: usize> InPlaceCall<'a, P, T, K>
where
    Operands<K>: Several,
{
    /// Writes each gradient in its input's place.
    pub fn grads(self) -> Result<(), Error> {
        self.run(None)
    }
}

/// The loss as one number, where the reduction leaves one.
pub(crate) fn scalar<T: Element>(
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
pub(crate) fn zeros<T: Element, D: Dimension>(shape: D) -> Result<Array<T, D>, Error> {
    let elements: usize = shape.slice().iter().product();
    let mut values = Vec::new();
    if values.try_reserve_exact(elements).is_err() {
        return Err(Error::Memory { elements });
    }
    values.resize(elements, T::ZERO);
    Array::from_shape_vec(shape, values).map_err(|_| Error::Memory { elements })
}
