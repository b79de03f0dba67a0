use super::{Common, Problem};
use crate::Error;
use crate::checks::{self, Shapes};
use crate::drivers::elementwise::{self, Elementwise};
use crate::drivers::{Outputs, Plan};
use crate::element::Element;
use crate::layout::Grid;
use crate::tensor::{Source, Tensor};
use ndarray::{ArrayRef, Dimension};

/// A loss of one prediction and one label at a time.
pub trait Pointwise: Copy {
    /// The options that every loss has.
    fn common(self) -> Common;

    /// Its formula, with the options rounded to `T`.
    fn formula<T: Element>(self) -> impl Elementwise<T, 1>;
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

impl<'a, L: Pointwise, T: Element> Problem<T> for Labelled<'a, L, T> {
    type Inputs = Source<'a, T>;

    fn common(&self) -> Common {
        self.loss.common()
    }

    fn check(&self, shapes: &Shapes, grid: &Grid) -> Result<Source<'a, T>, Error> {
        checks::shape("label", &self.label.shape, &shapes.pred)?;
        Ok(Source::new(&self.label, grid, None))
    }

    fn run(&self, label: Source<'a, T>, plan: &Plan<'_, T>, outputs: Outputs<'_, T>) {
        elementwise::run(self.loss.formula(), plan, [label], outputs);
    }
}
