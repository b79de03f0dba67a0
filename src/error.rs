use crate::Reduction;

/// Why a call was refused.
///
/// Every check runs before the first write: when an error is returned, the outputs hold what they
/// held before. Each variant carries the numbers that explain it.
///
/// ```
/// use lossgrad::{Error, L2Loss};
/// use ndarray::array;
///
/// let error = L2Loss::new().loss(&array![1.0f32, 2.0], &array![1.0f32]).unwrap_err();
/// assert_eq!(error.to_string(), "label has shape [1], expected [2]");
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument's shape differs from the one it must have.
    #[error("{argument} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The argument's name.
        argument: &'static str,
        /// The shape it has.
        found: Vec<usize>,
        /// The shape it must have.
        expected: Vec<usize>,
    },

    /// A factor is none of the shapes that spread over the losses.
    #[error(
        "{argument} has shape {found:?}, expected one that broadcasts to {broadcast:?}, \
         or {losses:?}, or [{samples}] for one per sample"
    )]
    Broadcast {
        /// The argument's name.
        argument: &'static str,
        /// The shape it has.
        found: Vec<usize>,
        /// pred's shape with 1 on every axis that the loss reduces.
        broadcast: Vec<usize>,
        /// The shape of the losses.
        losses: Vec<usize>,
        /// How many samples there are.
        samples: usize,
    },

    /// An axis lies outside pred's.
    #[error("{option} is {axis}, pred has {rank} axes")]
    Axis {
        /// `"axis"` or `"batch_axis"`.
        option: &'static str,
        /// The axis that was asked for.
        axis: isize,
        /// How many axes pred has.
        rank: usize,
    },

    /// The class axis is the batch axis too.
    #[error("axis {axis} is both the class axis and the batch axis")]
    SameAxis {
        /// The axis, counted from the front.
        axis: usize,
    },

    /// An argument's rank is none that it may have.
    #[error("{argument} has shape {found:?}, expected rank {expected}")]
    Rank {
        /// The argument's name.
        argument: &'static str,
        /// The shape it has.
        found: Vec<usize>,
        /// The ranks it may have.
        expected: &'static str,
    },

    /// The blank of a CTC loss is none of the classes.
    #[error("blank is {blank}, expected a class below {classes}")]
    Blank {
        /// The blank.
        blank: usize,
        /// How many classes there are.
        classes: usize,
    },

    /// A label is the blank of a CTC loss.
    #[error("label at {index:?} is {blank}, which is the blank")]
    BlankLabel {
        /// The position of the label.
        index: Vec<usize>,
        /// The blank.
        blank: usize,
    },

    /// A length is negative or longer than the axis that it is a part of.
    #[error("{argument} at {index} is {found}, expected 0 to {limit}")]
    Length {
        /// The argument's name.
        argument: &'static str,
        /// The sample.
        index: usize,
        /// The length.
        found: String,
        /// The longest length there may be.
        limit: usize,
    },

    /// Concatenated labels came without their lengths.
    #[error("label has shape [{found}]: concatenated labels need label_lengths")]
    LabelLengths {
        /// How many labels there are.
        found: usize,
    },

    /// The lengths of concatenated labels do not add up to their number.
    #[error("label_lengths add up to {found}, label has {expected} entries")]
    LabelTotal {
        /// The sum of the lengths.
        found: usize,
        /// How many labels there are.
        expected: usize,
    },

    /// An integer label names no class.
    #[error("label at {index:?} is {found}, expected a class below {classes}")]
    Label {
        /// The position of the label.
        index: Vec<usize>,
        /// The label.
        found: String,
        /// How many classes there are.
        classes: usize,
    },

    /// A label is neither 1 nor −1.
    #[error("label at {index:?} is {found}, expected 1 or -1")]
    Sign {
        /// The position of the label.
        index: Vec<usize>,
        /// The label.
        found: String,
    },

    /// An option has a value that the loss is not defined for.
    #[error("{option} is {found}, expected {expected}")]
    Value {
        /// The option's name.
        option: &'static str,
        /// The value.
        found: f64,
        /// What the option takes.
        expected: &'static str,
    },

    /// The class axis has no classes.
    #[error("pred has shape {shape:?}: axis {axis} has no classes")]
    NoClasses {
        /// pred's shape.
        shape: Vec<usize>,
        /// The class axis, counted from the front.
        axis: usize,
    },

    /// A mean over no elements was asked for.
    #[error("pred has shape {shape:?}: {reduction:?} would average no elements")]
    EmptyMean {
        /// pred's shape.
        shape: Vec<usize>,
        /// The reduction that was asked for.
        reduction: Reduction,
    },

    /// There is no memory for a new array.
    #[error("no memory for a new array of {elements} elements")]
    Memory {
        /// How many elements it would have.
        elements: usize,
    },

    /// There is no memory for a workspace.
    #[error("no memory for a workspace of {bytes} bytes")]
    Workspace {
        /// How many bytes it would have.
        bytes: usize,
    },

    /// One number was asked for, but the reduction leaves several losses.
    #[error("{reduction:?} gives an array of losses, a scalar needs Mean or Sum")]
    NotScalar {
        /// The reduction that was asked for.
        reduction: Reduction,
    },
}
