use super::integers::{Integer, Integers};
use super::job::{Factors, Job, Results};
use super::labels::{Labels, Limits};
use super::{CtcLoss, CtcStatus};
use crate::call::{Given, scalar, zeros};
use crate::element::Element;
use crate::tensor::{Frames, Source, Target, Tensor, TensorMut};
use crate::workspace::Workspace;
use crate::{Error, Exec, Reduction, checks};
use core::cell::RefCell;
use core::marker::PhantomData;
use ndarray::{Array, Array1, ArrayD, ArrayRef, Dimension, Ix1, IxDyn};

/// [`CtcLoss`] applied to its inputs, to be set up further and then run, as often as wanted.
///
/// The setters cannot fail and come in any order; each of the methods that compute something
/// checks everything first and writes afterwards.
#[must_use]
pub struct CtcCall<'a, T, D> {
    pred: Tensor<'a, T>,
    settings: Settings<'a, T>,
    dimension: PhantomData<D>,
}

/// [`CtcLoss`] applied to its inputs, whose gradient will take the predictions' place.
///
/// It is set up like a [`CtcCall`] and can be run once.
#[must_use]
pub struct CtcInPlaceCall<'a, T> {
    pred: TensorMut<'a, T>,
    settings: Settings<'a, T>,
}

/// What the setters of a call set.
struct Settings<'a, T> {
    loss: CtcLoss,
    labels: Labels<'a>,
    sample_weight: Option<Tensor<'a, T>>,
    upstream: Option<Tensor<'a, T>>,
    reduction: Reduction,
    exec: Exec,
    tools: RefCell<Tools<'a>>,
}

/// What a call uses and writes besides its outputs.
struct Tools<'a> {
    workspace: Option<&'a mut Workspace>,
    status: Option<TensorMut<'a, CtcStatus>>,
}

impl<'a, T> Settings<'a, T> {
    fn new(loss: CtcLoss, label: Integers<'a>) -> Self {
        Self {
            loss,
            labels: Labels {
                label,
                pred_lengths: None,
                label_lengths: None,
            },
            sample_weight: None,
            upstream: None,
            reduction: Reduction::SampleMean,
            exec: Exec::default(),
            tools: RefCell::new(Tools {
                workspace: None,
                status: None,
            }),
        }
    }
}

macro_rules! setters {
    () => {
        /// How many frames each sample has, of shape (N,); all of them where this is not given. What
        /// lies behind is not read, and its gradient is 0.
        pub fn pred_lengths<J: Integer, E: Dimension>(
            mut self,
            lengths: &'a ArrayRef<J, E>,
        ) -> Self {
            self.settings.labels.pred_lengths = Some(J::erase(lengths));
            self
        }

        /// How many labels each sample has, of shape (N,). Where this is not given, padded labels
        /// end at their first −1. Concatenated labels need it.
        pub fn label_lengths<J: Integer, E: Dimension>(
            mut self,
            lengths: &'a ArrayRef<J, E>,
        ) -> Self {
            self.settings.labels.label_lengths = Some(J::erase(lengths));
            self
        }

        /// Multiplies each sample's loss, and its gradient, by a weight: of shape (N,), or of pred's
        /// rank with extent 1 on the axes of frames and classes. A weight of exactly 0 masks: loss
        /// and gradient are 0 even where the input is NaN. Means do not divide by weights.
        pub fn sample_weight<E: Dimension>(mut self, weights: &'a ArrayRef<T, E>) -> Self {
            self.settings.sample_weight = Some(Tensor::new(weights));
            self
        }

        /// The derivative of an objective with respect to each returned loss: the gradient then is
        /// that of the objective. 1 where it is not given. Of the shape of the returned losses, or
        /// of pred's rank with extent 1 on every axis that they lack.
        pub fn upstream<E: Dimension>(mut self, upstream: &'a ArrayRef<T, E>) -> Self {
            self.settings.upstream = Some(Tensor::new(upstream));
            self
        }

        /// What becomes of the samples' losses. `None`, `SampleMean` and `SampleSum` are the same,
        /// one per sample; `Mean` divides their sum by the number of samples.
        pub fn reduction(mut self, reduction: Reduction) -> Self {
            self.settings.reduction = reduction;
            self
        }

        /// With which instructions and on which threads the call runs.
        pub fn exec(mut self, exec: Exec) -> Self {
            self.settings.exec = exec;
            self
        }

        /// The memory that the lattice is computed in. Without it every call allocates its own; with
        /// it only those that need more than any before.
        pub fn workspace(self, workspace: &'a mut Workspace) -> Self {
            self.settings.tools.borrow_mut().workspace = Some(workspace);
            self
        }

        /// Where to write, for each sample, whether any path spells its labels; of shape (N,). It is
        /// written by every method that computes losses or gradient.
        pub fn status<E: Dimension>(self, status: &'a mut ArrayRef<CtcStatus, E>) -> Self {
            self.settings.tools.borrow_mut().status = Some(TensorMut::new(status));
            self
        }
    };
}

impl<'a, T: Element, D: Dimension> CtcCall<'a, T, D> {
    pub(super) fn new(loss: CtcLoss, pred: &'a ArrayRef<T, D>, label: Integers<'a>) -> Self {
        Self {
            pred: Tensor::new(pred),
            settings: Settings::new(loss, label),
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
        let mut loss = zeros(IxDyn(self.check()?.loss()))?;
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
        let (mut loss, mut grad) = (zeros(IxDyn(self.check()?.loss()))?, self.new_grad()?);
        self.loss_and_grad_into(&mut loss, &mut grad)?;
        Ok((loss, grad))
    }

    /// The losses of the samples as a new array.
    pub(super) fn sample_loss(&self) -> Result<Array1<T>, Error> {
        let mut loss = zeros(Ix1(self.check()?.samples[0]))?;
        self.loss_into(&mut loss)?;
        Ok(loss)
    }

    /// As [`sample_loss`](Self::sample_loss), and the gradient.
    pub(super) fn sample_loss_and_grad(&self) -> Result<(Array1<T>, Array<T, D>), Error> {
        let (mut loss, mut grad) = (zeros(Ix1(self.check()?.samples[0]))?, self.new_grad()?);
        self.loss_and_grad_into(&mut loss, &mut grad)?;
        Ok((loss, grad))
    }

    /// Every check: a call that is refused allocates nothing.
    fn check(&self) -> Result<Shapes, Error> {
        let tools = self.settings.tools.borrow();
        Ok(Checked::new(&self.settings, &tools, self.pred.shape)?.shapes)
    }

    fn new_grad(&self) -> Result<Array<T, D>, Error> {
        self.check()?;
        let mut shape = D::zeros(self.pred.shape.len());
        shape.slice_mut().copy_from_slice(self.pred.shape);
        zeros(shape)
    }

    fn run(
        &self,
        loss: Option<TensorMut<'_, T>>,
        grad: Option<TensorMut<'_, T>>,
    ) -> Result<(), Error> {
        let pred = match grad {
            None => Given::Read(self.pred),
            Some(grad) => Given::Copy(self.pred, grad),
        };
        run(&self.settings, pred, loss)
    }
}

impl<'a, T: Element> CtcInPlaceCall<'a, T> {
    pub(super) fn new<D: Dimension>(
        loss: CtcLoss,
        pred: &'a mut ArrayRef<T, D>,
        label: Integers<'a>,
    ) -> Self {
        Self {
            pred: TensorMut::new(pred),
            settings: Settings::new(loss, label),
        }
    }

    setters!();

    /// Writes the losses, and the gradient in place of the predictions.
    pub fn loss_into<E: Dimension>(self, loss: &mut ArrayRef<T, E>) -> Result<(), Error> {
        let loss = TensorMut::new(loss);
        run(&self.settings, Given::InPlace(self.pred), Some(loss))
    }

    /// The loss as one number, for [`Reduction::Mean`] and [`Reduction::Sum`]; the gradient takes
    /// the place of the predictions.
    pub fn scalar(self) -> Result<T, Error> {
        scalar(self.settings.reduction, |loss| {
            run(&self.settings, Given::InPlace(self.pred), Some(loss))
        })
    }

    /// Writes the gradient in place of the predictions.
    pub fn grad(self) -> Result<(), Error> {
        run(&self.settings, Given::InPlace(self.pred), None)
    }
}

/// The shapes of a call.
struct Shapes {
    /// Of the samples' losses.
    samples: [usize; 1],
    scalar: bool,
    /// The axes of samples, frames and classes.
    axes: [usize; 3],
}

impl Shapes {
    /// The shape of the returned losses.
    fn loss(&self) -> &[usize] {
        if self.scalar { &[] } else { &self.samples }
    }
}

/// What the checks leave.
struct Checked<'c, T> {
    shapes: Shapes,
    limits: Limits,
    factors: Factors<'c, T>,
    divisor: f64,
}

impl<'c, T: Element> Checked<'c, T> {
    fn new(
        settings: &'c Settings<'_, T>,
        tools: &Tools<'_>,
        pred: &[usize],
    ) -> Result<Self, Error> {
        let axes = settings.loss.layout.axes(pred)?;
        let [samples, frames, classes] = axes.map(|axis| pred[axis]);
        let reduction = settings.reduction;
        if samples == 0 && reduction == Reduction::Mean {
            return Err(Error::EmptyMean {
                shape: pred.to_vec(),
                reduction,
            });
        }
        let shapes = Shapes {
            samples: [samples],
            scalar: reduction.is_scalar(),
            axes,
        };
        let limits = Limits::new(&settings.loss, samples, frames, classes)?;
        settings.labels.check(limits)?;
        if let Some(status) = &tools.status {
            checks::shape("status", status.shape, &shapes.samples)?;
        }
        let sample_weight = shapes.factor("sample_weight", settings.sample_weight, false)?;
        let upstream = shapes.factor("upstream", settings.upstream, shapes.scalar)?;
        Ok(Self {
            factors: Factors {
                sample_weight,
                upstream,
            },
            divisor: match reduction {
                Reduction::Mean => samples as f64,
                _ => 1.0,
            },
            shapes,
            limits,
        })
    }
}

impl Shapes {
    /// A factor of the samples' losses, one per sample or, for a scalar, one for all.
    fn factor<'c, T: Element>(
        &self,
        argument: &'static str,
        tensor: Option<Tensor<'c, T>>,
        scalar: bool,
    ) -> Result<Option<Source<'c, T>>, Error> {
        let Some(tensor) = tensor else {
            return Ok(None);
        };
        let [samples] = self.samples;
        let mut broadcast = [1; 3];
        if !scalar {
            broadcast[self.axes[0]] = samples;
        }
        let own: &[usize] = if scalar { &[] } else { &self.samples };
        let axis = if tensor.spreads_over(&broadcast) {
            self.axes[0]
        } else if tensor.shape == own {
            0
        } else {
            if scalar {
                checks::shape(argument, tensor.shape, &[])?;
            }
            return Err(Error::Broadcast {
                argument,
                found: tensor.shape.to_vec(),
                broadcast: broadcast.to_vec(),
                losses: self.loss().to_vec(),
                samples,
            });
        };
        Ok(Some(Source::of_samples(tensor, axis, samples)))
    }
}

/// Checks everything, then computes.
fn run<T: Element>(
    settings: &Settings<'_, T>,
    pred: Given<'_, T>,
    loss: Option<TensorMut<'_, T>>,
) -> Result<(), Error> {
    let mut tools = settings.tools.borrow_mut();
    let shape = pred.shape();
    let Checked {
        shapes,
        limits,
        factors,
        divisor,
    } = Checked::new(settings, &tools, shape)?;
    if let Given::Copy(pred, grad) = &pred {
        checks::shape("grad", grad.shape, pred.shape)?;
    }
    if let Some(loss) = &loss {
        checks::shape("loss", loss.shape, shapes.loss())?;
    }
    let axes = shapes.axes;
    let frames = match pred {
        Given::Read(pred) => Frames::read(pred, axes),
        Given::Copy(pred, grad) => Frames::copy(pred, grad, axes),
        Given::InPlace(pred) => Frames::in_place(pred, axes),
    };
    let Tools { workspace, status } = &mut *tools;
    let [samples] = shapes.samples;
    let mut outcome = Outcome {
        sum: 0.0,
        loss: None,
        status: status
            .as_mut()
            .map(|status| Target::of_samples(status.reborrow(), samples)),
    };
    let mut scalar = None;
    match loss {
        Some(loss) if shapes.scalar => {
            scalar = Some(Target::of_samples(loss, 1));
        }
        Some(loss) => outcome.loss = Some(Target::of_samples(loss, samples)),
        None => {}
    }
    let mut own = Workspace::new();
    T::ctc(Job {
        loss: settings.loss,
        exec: settings.exec,
        labels: &settings.labels,
        limits,
        factors,
        divisor,
        frames,
        results: &mut outcome,
        workspace: match workspace {
            Some(workspace) => workspace,
            None => &mut own,
        },
    })?;
    if let Some(mut scalar) = scalar {
        scalar.set(0, 0, T::from_f64(outcome.sum / divisor));
    }
    Ok(())
}

/// Where the samples' losses and states go.
struct Outcome<'o, T> {
    sum: f64,
    loss: Option<Target<'o, T>>,
    status: Option<Target<'o, CtcStatus>>,
}

impl<T: Element> Results for Outcome<'_, T> {
    fn take(&mut self, sample: usize, loss: f64, status: CtcStatus) {
        self.sum += loss;
        if let Some(losses) = &mut self.loss {
            losses.set(sample, 0, T::from_f64(loss));
        }
        if let Some(states) = &mut self.status {
            states.set(sample, 0, status);
        }
    }
}
