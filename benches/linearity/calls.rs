//! The calls that are timed, and their memory.

use fastrand::Rng;
use lossgrad::ndarray::{Array1, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, s};
use lossgrad::{L2Loss, SigmoidBceLoss, SoftmaxCeLoss};

/// A loss in rows of one length.
pub(crate) struct Timed {
    pub(crate) name: &'static str,
    pub(crate) columns: usize,
    pub(crate) call: fn(&mut Arrays<'_>),
}

macro_rules! timed {
    ($name:literal, $columns:literal, $loss:expr, $label:ident) => {
        Timed {
            name: $name,
            columns: $columns,
            call: |arrays| {
                let call = $loss.on(&arrays.pred, &arrays.$label);
                call.loss_and_grad_into(&mut arrays.loss, &mut arrays.grad)
                    .expect("a valid call");
            },
        }
    };
}

impl Timed {
    pub(crate) const ALL: [Self; 3] = [
        timed!("l2", 1024, L2Loss::new(), label),
        timed!("sigmoid_bce", 1024, SigmoidBceLoss::new(), label),
        timed!("softmax_ce", 1000, SoftmaxCeLoss::new(), class),
    ];
}

/// Arrays for the largest call; the others use the front of them.
pub(crate) struct Memory {
    pred: Array1<f32>,
    label: Array1<f32>,
    class: Array1<u32>,
    loss: Array1<f32>,
    grad: Array1<f32>,
}

pub(crate) struct Arrays<'m> {
    pub(crate) pred: ArrayView2<'m, f32>,
    pub(crate) label: ArrayView2<'m, f32>,
    pub(crate) class: ArrayView1<'m, u32>,
    pub(crate) loss: ArrayViewMut1<'m, f32>,
    pub(crate) grad: ArrayViewMut2<'m, f32>,
}

impl Memory {
    pub(crate) fn new(elements: usize) -> Self {
        let mut random = Rng::with_seed(1);
        let mut array = |len: usize, from: f32, to: f32| {
            let mut array = Array1::zeros(len);
            array.map_inplace(|x| *x = from + (to - from) * random.f32());
            array
        };
        let rows = elements / 1000 + 1;
        Self {
            pred: array(elements, -4.0, 4.0),
            label: array(elements, 0.0, 1.0),
            class: Array1::from_shape_fn(rows, |row| (row * 61 % 250) as u32),
            loss: array(rows, 0.0, 1.0),
            grad: array(elements, 0.0, 1.0),
        }
    }

    /// Whole rows of about so many elements; fewer than a row are a row of their own.
    pub(crate) fn arrays(&mut self, elements: usize, columns: usize) -> Arrays<'_> {
        let columns = columns.min(elements);
        let shape = (elements / columns, columns);
        let values = s![..shape.0 * shape.1];
        let (pred, label) = (self.pred.slice(values), self.label.slice(values));
        let grad = self.grad.slice_mut(values);
        let fits = "as many values as the shape has";
        Arrays {
            pred: pred.into_shape_with_order(shape).expect(fits),
            label: label.into_shape_with_order(shape).expect(fits),
            class: self.class.slice(s![..shape.0]),
            loss: self.loss.slice_mut(s![..shape.0]),
            grad: grad.into_shape_with_order(shape).expect(fits),
        }
    }
}
