use crate::Error;
use crate::checks::{Shapes, Unit, finite};
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

/// What a problem's loss reads beside its operands.
pub type Inputs<'a, P, T, const K: usize = 1> =
    <<P as Problem<T, K>>::Loss as Compiled<K>>::Inputs<'a, T>;

/// The same of a flat call.
pub type FlatInputs<'a, P, T, const K: usize = 1> =
    <<P as Problem<T, K>>::Loss as Compiled<K>>::FlatInputs<'a, T>;

/// A loss of `K` operands with its labels: what a call needs to know to check and run it.
pub trait Problem<T: Element, const K: usize = 1> {
    /// The loss, whose kernels are compiled in this crate.
    type Loss: Compiled<K>;

    /// What the operands are called, the first of them pred.
    const OPERANDS: [&'static str; K];

    /// What their gradients are called.
    const GRADS: [&'static str; K];

    /// The loss.
    fn loss(&self) -> Self::Loss;

    /// The options that every loss has.
    fn common(&self) -> Common;

    /// What has a loss of its own.
    fn unit(&self) -> Unit {
        Unit::Element
    }

    /// Checks the labels, and whatever else is read beside the operands, against the shapes of
    /// the call and lays them out.
    fn check<'c>(
        &'c self,
        shapes: &Shapes<'_>,
        grid: &Grid<'c>,
    ) -> Result<Inputs<'c, Self, T, K>, Error>;

    /// What the loss reads in a flat call, unless that does not lie in the order of visits, or there is
    /// something wrong with it, which [`check`](Self::check) tells.
    fn flat<'c>(&'c self, _shapes: &Shapes<'_>) -> Option<FlatInputs<'c, Self, T, K>> {
        None
    }

    /// Makes room for what the loss keeps while it runs, for the losses that do: after every other
    /// check, and only in calls that compute something.
    fn reserve(&self, _inputs: &mut Inputs<'_, Self, T, K>, _in_place: bool) -> Result<(), Error> {
        Ok(())
    }
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
            crate::Call::new(<$problem>::new(self, label), [pred])
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
            crate::InPlaceCall::new(<$problem>::new(self, label), [pred])
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

/// The methods that apply a loss to several inputs of one shape, which each have a gradient, and
/// perhaps to labels.
macro_rules! compared {
    (
        $count:literal: $($input:ident),+;
        $(labels: $label:ident: $Label:ident: $bound:path;)? problem: $problem:ty
    ) => {
        /// Applies the loss to its inputs; the call can be set up further.
        pub fn on<'a, T: crate::Element, D: ndarray::Dimension $(, $Label: $bound, E)?>(
            self,
            $($input: &'a ndarray::ArrayRef<T, D>,)+
            $($label: &'a ndarray::ArrayRef<$Label, E>,)?
        ) -> crate::Call<'a, $problem, T, D, $count>
        $(where E: ndarray::Dimension, $Label: Copy)?
        {
            crate::Call::new(<$problem>::new(self $(, $label)?), [$($input),+])
        }

        /// As [`on`](Self::on), each gradient taking the place of its input.
        pub fn in_place<'a, T: crate::Element, D: ndarray::Dimension $(, $Label: $bound, E)?>(
            self,
            $($input: &'a mut ndarray::ArrayRef<T, D>,)+
            $($label: &'a ndarray::ArrayRef<$Label, E>,)?
        ) -> crate::InPlaceCall<'a, $problem, T, $count>
        $(where E: ndarray::Dimension, $Label: Copy)?
        {
            crate::InPlaceCall::new(<$problem>::new(self $(, $label)?), [$($input),+])
        }

        /// Each sample's loss, as a new array.
        pub fn loss<T: crate::Element, D: ndarray::Dimension $(, $Label: $bound, E)?>(
            self,
            $($input: &ndarray::ArrayRef<T, D>,)+
            $($label: &ndarray::ArrayRef<$Label, E>,)?
        ) -> Result<ndarray::Array1<T>, crate::Error>
        $(where E: ndarray::Dimension, $Label: Copy)?
        {
            self.on($($input,)+ $($label)?).sample_loss()
        }

        /// The gradients of the sum of the samples' losses, one for each input, as new arrays.
        pub fn grads<T: crate::Element, D: ndarray::Dimension $(, $Label: $bound, E)?>(
            self,
            $($input: &ndarray::ArrayRef<T, D>,)+
            $($label: &ndarray::ArrayRef<$Label, E>,)?
        ) -> Result<[ndarray::Array<T, D>; $count], crate::Error>
        $(where E: ndarray::Dimension, $Label: Copy)?
        {
            self.on($($input,)+ $($label)?).grads()
        }

        /// Each sample's loss and the gradients of their sum, one for each input, as new arrays.
        #[allow(clippy::type_complexity, reason = "losses and gradients, spelled out")]
        pub fn loss_and_grads<T: crate::Element, D: ndarray::Dimension $(, $Label: $bound, E)?>(
            self,
            $($input: &ndarray::ArrayRef<T, D>,)+
            $($label: &ndarray::ArrayRef<$Label, E>,)?
        ) -> Result<(ndarray::Array1<T>, [ndarray::Array<T, D>; $count]), crate::Error>
        $(where E: ndarray::Dimension, $Label: Copy)?
        {
            self.on($($input,)+ $($label)?).sample_loss_and_grads()
        }
    };
}

pub(crate) use {applied, common_options, compared};
