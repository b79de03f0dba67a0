use super::{Common, FlatInputs, Inputs, Problem};
use crate::Error;
use crate::checks::{self, Shapes};
use crate::drivers::Compiled;
use crate::element::Element;
use crate::layout::Grid;
use crate::tensor::{Source, Tensor};
use ndarray::{ArrayRef, Dimension};

/// What a loss of one prediction and one label reads: the labels.
pub(crate) type LabelInput<'a, T> = [Source<'a, T>; 1];

/// The same of a flat call.
pub(crate) type FlatLabel<'a, T> = [&'a [T]; 1];

/// A loss of one prediction and one label at a time.
pub trait Pointwise: Copy {
    /// The options that every loss has.
    fn common(self) -> Common;
}

/// A loss of single elements with its labels, which have pred's shape.
pub struct Labelled<'a, L, T> {
    loss: L,
    label: Tensor<'a, T>,
}

impl<'a, L, T> Labelled<'a, L, T> {
    pub(crate) fn new<E: Dimension>(loss: L, label: &'a ArrayRef<T, E>) -> Self {
        Self {
            loss,
            label: Tensor::new(label),
        }
    }
}

impl<L, T> Problem<T> for Labelled<'_, L, T>
where
    T: Element,
    L: Pointwise
        + for<'c> Compiled<Inputs<'c, T> = LabelInput<'c, T>, FlatInputs<'c, T> = FlatLabel<'c, T>>,
{
    type Loss = L;

    const OPERANDS: [&'static str; 1] = ["pred"];
    const GRADS: [&'static str; 1] = ["grad"];

    fn loss(&self) -> L {
        self.loss
    }

    fn common(&self) -> Common {
        self.loss.common()
    }

    fn check<'c>(
        &'c self,
        shapes: &Shapes<'_>,
        grid: &Grid<'c>,
    ) -> Result<Inputs<'c, Self, T>, Error> {
        checks::shape("label", self.label.shape, shapes.pred)?;
        Ok([Source::of_units(self.label, grid)])
    }

    fn flat<'c>(&'c self, shapes: &Shapes<'_>) -> Option<FlatInputs<'c, Self, T>> {
        Some([shapes.in_order(self.label)?])
    }
}
