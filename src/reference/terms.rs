//! What a formula says about each unit, before any weight or reduction.

use ndarray::{ArrayD, ArrayRefD, Axis, Dimension};

/// The losses and derivatives of all units, unweighted.
///
/// A unit is what has a loss of its own: an element, or a row along the class axis. The first
/// three arrays have one entry per unit, the last three have pred's shape. The [module's
/// page](super) says what magnitude, scale and slack are.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// The loss of each unit.
    pub loss: ArrayD<f64>,
    /// The sum of the absolute values of the terms in each unit's loss.
    pub magnitude: ArrayD<f64>,
    /// How far each loss moves per relative error of the differences inside it.
    pub loss_slack: ArrayD<f64>,
    /// The derivative of each unit's loss with respect to pred.
    pub grad: ArrayD<f64>,
    /// The largest absolute term in each derivative.
    pub grad_scale: ArrayD<f64>,
    /// How far each derivative moves per relative error of the differences inside it.
    pub grad_slack: ArrayD<f64>,
    /// The axes of pred that a unit runs along, in order; none where every element is a unit.
    pub row_axes: Vec<usize>,
}

/// One unit of an elementwise loss. No derivative of such a loss so far needs slack.
pub(super) struct Element {
    pub loss: f64,
    pub magnitude: f64,
    pub loss_slack: f64,
    pub grad: f64,
    pub grad_scale: f64,
}

/// One unit of a loss over rows.
pub(super) struct Row {
    pub loss: f64,
    pub magnitude: f64,
    pub loss_slack: f64,
    pub grad: Vec<f64>,
    pub grad_scale: Vec<f64>,
    pub grad_slack: Vec<f64>,
}

impl Terms {
    /// One unit per element, from the elements in logical order.
    pub(super) fn of_elements(shape: &[usize], elements: &[Element]) -> Self {
        let collect = |field: fn(&Element) -> f64| {
            ArrayD::from_shape_vec(shape, elements.iter().map(field).collect()).expect("one each")
        };
        Self {
            loss: collect(|e| e.loss),
            magnitude: collect(|e| e.magnitude),
            loss_slack: collect(|e| e.loss_slack),
            grad: collect(|e| e.grad),
            grad_scale: collect(|e| e.grad_scale),
            grad_slack: ArrayD::zeros(shape),
            row_axes: Vec::new(),
        }
    }

    /// One unit per element, each from its prediction and its label.
    pub(super) fn of_pairs(
        pred: &ArrayRefD<f64>,
        label: &ArrayRefD<f64>,
        element: impl Fn(f64, f64) -> Element,
    ) -> Self {
        assert_eq!(pred.shape(), label.shape(), "pred and label");
        let pairs = pred.iter().zip(label.iter());
        let elements: Vec<_> = pairs.map(|(&x, &y)| element(x, y)).collect();
        Self::of_elements(pred.shape(), &elements)
    }

    /// One unit per row along `axis`, from the rows in logical order of the other axes.
    pub(super) fn of_rows(shape: &[usize], axis: usize, rows: &[Row]) -> Self {
        let mut units = shape.to_vec();
        units.remove(axis);
        let per_row = |field: fn(&Row) -> f64| {
            ArrayD::from_shape_vec(units.clone(), rows.iter().map(field).collect())
                .expect("one each")
        };
        let per_class = |field: fn(&Row) -> &Vec<f64>| {
            let mut array = ArrayD::zeros(shape);
            for (mut lane, row) in array.lanes_mut(Axis(axis)).into_iter().zip(rows) {
                lane.iter_mut()
                    .zip(field(row))
                    .for_each(|(to, from)| *to = *from);
            }
            array
        };
        Self {
            loss: per_row(|r| r.loss),
            magnitude: per_row(|r| r.magnitude),
            loss_slack: per_row(|r| r.loss_slack),
            grad: per_class(|r| &r.grad),
            grad_scale: per_class(|r| &r.grad_scale),
            grad_slack: per_class(|r| &r.grad_slack),
            row_axes: vec![axis],
        }
    }
}

/// An axis counted from the back where it is negative.
pub(super) fn resolve_axis(axis: isize, rank: usize) -> usize {
    let resolved = if axis < 0 { axis + rank as isize } else { axis };
    assert!(
        (0..rank as isize).contains(&resolved),
        "axis {axis} of an array of rank {rank}"
    );
    resolved as usize
}

/// The rows of `array` along `axis`, in logical order of the other axes.
pub(super) fn rows_of(array: &ArrayRefD<f64>, axis: usize) -> Vec<Vec<f64>> {
    assert!(axis < array.raw_dim().ndim());
    array
        .lanes(Axis(axis))
        .into_iter()
        .map(|lane| lane.to_vec())
        .collect()
}
