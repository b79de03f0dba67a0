use crate::Error;
use crate::checks::{Shapes, finite};
use crate::drivers::Compiled;
use crate::element::Element;
use crate::layout::Grid;

/// The options that every loss has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Common {
    pub(crate) weight: f64,
    pub(crate) batch_axis: isize,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            weight: 1.0,
            batch_axis: 0,
        }
    }
}

impl Common {
    pub(crate) fn with_weight(self, weight: f64) -> Result<Self, Error> {
        Ok(Self {
            weight: finite("weight", weight)?,
            ..self
        })
    }
}

/// What a problem's loss reads beside the predictions.
pub type Inputs<'a, P, T> = <<P as Problem<T>>::Loss as Compiled>::Inputs<'a, T>;

/// A loss with its labels: what a call needs to know to check and run it.
pub trait Problem<T: Element> {
    /// The loss, whose kernels are compiled in this crate.
    type Loss: Compiled;

    /// The loss.
    fn loss(&self) -> Self::Loss;

    /// The options that every loss has.
    fn common(&self) -> Common;

    /// The class axis, for a loss of rows.
    fn class_axis(&self) -> Option<isize> {
        None
    }

    /// Checks the labels, and whatever else is read beside the predictions, against the shapes of
    /// the call and lays them out.
    fn check<'c>(&'c self, shapes: &Shapes, grid: &Grid) -> Result<Inputs<'c, Self, T>, Error>;
}

/// The methods that every loss has, whatever its labels; `but new` where it makes itself otherwise.
macro_rules! common_options {
    () => {
        /// The loss with its default options.
        pub fn new() -> Self {
            Self::default()
        }

        common_options!(but new);
    };
    (but new) => {
        /// Multiplies every loss and gradient; 1 where it is not given. It is rounded once to the
        /// type computed in. An error if it is not finite.
        pub fn weight(mut self, weight: f64) -> Result<Self, crate::Error> {
            self.common = self.common.with_weight(weight)?;
            Ok(self)
        }

        /// The axis of the samples, counted from the back if negative; 0 where it is not given.
        pub fn batch_axis(mut self, batch_axis: isize) -> Self {
            self.common.batch_axis = batch_axis;
            self
        }
    };
}

/// The methods that apply a loss to predictions of `T` and labels of `$label`.
macro_rules! applied {
    (labels: $label:ident $(: $bound:path)?, problem: $problem:ty) => {
        /// Applies the loss to predictions and labels; the call can be set up further.
        pub fn on<'a, T: crate::Element, $($label: $bound,)? D, E>(
            self,
            pred: &'a ndarray::ArrayRef<T, D>,
            label: &'a ndarray::ArrayRef<$label, E>,
        ) -> crate::Call<'a, $problem, T, D>
        where
            D: ndarray::Dimension,
            E: ndarray::Dimension,
        {
            crate::Call::new(<$problem>::new(self, label), pred)
        }

        /// As [`on`](Self::on), the gradient taking the place of the predictions.
        pub fn in_place<'a, T: crate::Element, $($label: $bound,)? D, E>(
            self,
            pred: &'a mut ndarray::ArrayRef<T, D>,
            label: &'a ndarray::ArrayRef<$label, E>,
        ) -> crate::InPlaceCall<'a, $problem, T>
        where
            D: ndarray::Dimension,
            E: ndarray::Dimension,
        {
            crate::InPlaceCall::new(<$problem>::new(self, label), pred)
        }

        /// Each sample's loss, as a new array.
        pub fn loss<T: crate::Element, $($label: $bound,)? D, E>(
            self,
            pred: &ndarray::ArrayRef<T, D>,
            label: &ndarray::ArrayRef<$label, E>,
        ) -> Result<ndarray::Array1<T>, crate::Error>
        where
            D: ndarray::Dimension,
            E: ndarray::Dimension,
        {
            self.on(pred, label).sample_loss()
        }

        /// The gradient of the sum of the samples' losses, as a new array.
        pub fn grad<T: crate::Element, $($label: $bound,)? D, E>(
            self,
            pred: &ndarray::ArrayRef<T, D>,
            label: &ndarray::ArrayRef<$label, E>,
        ) -> Result<ndarray::Array<T, D>, crate::Error>
        where
            D: ndarray::Dimension,
            E: ndarray::Dimension,
        {
            self.on(pred, label).grad()
        }

        /// Each sample's loss and the gradient of their sum, as new arrays.
        pub fn loss_and_grad<T: crate::Element, $($label: $bound,)? D, E>(
            self,
            pred: &ndarray::ArrayRef<T, D>,
            label: &ndarray::ArrayRef<$label, E>,
        ) -> Result<(ndarray::Array1<T>, ndarray::Array<T, D>), crate::Error>
        where
            D: ndarray::Dimension,
            E: ndarray::Dimension,
        {
            self.on(pred, label).sample_loss_and_grad()
        }
    };
}

pub(crate) use {applied, common_options};
