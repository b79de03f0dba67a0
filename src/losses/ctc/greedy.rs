use super::{CtcLayout, Integer, Integers};
use crate::Error;
use crate::call::zeros;
use crate::element::Element;
use crate::tensor::{Frames, Tensor};
use ndarray::{ArrayRef, Dimension, Ix1};

/// Greedy (best-path) decoding: the likeliest class of every frame, repeats merged, blanks dropped.
///
/// Of equally likely classes the first counts, and NaN is never the likeliest; a frame of NaN alone
/// is read as its first class. It is what a model trained with [`CtcLoss`](crate::CtcLoss) is read
/// with; the likeliest labels may be others, since many paths spell the same.
///
/// ```
/// use lossgrad::CtcGreedy;
/// use ndarray::array;
///
/// let blank = 2;
/// let pred = array![[[2.0f32, 0.0, 1.0], [3.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 5.0, 1.0]]];
/// assert_eq!(CtcGreedy::new().blank(blank).decode(&pred)?, [[0, 1]]);
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[doc(alias("ctc_greedy_decoder", "best_path"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtcGreedy {
    layout: CtcLayout,
    blank: Option<usize>,
}

impl CtcGreedy {
    /// The decoder of the default layout and blank, those of [`CtcLoss`](crate::CtcLoss).
    pub fn new() -> Self {
        Self::default()
    }

    /// The order of pred's axes; [`CtcLayout::Ntc`] where it is not given.
    pub fn layout(mut self, layout: CtcLayout) -> Self {
        self.layout = layout;
        self
    }

    /// The class that stands for no label; the last where it is not given.
    pub fn blank(mut self, class: usize) -> Self {
        self.blank = Some(class);
        self
    }

    /// The labels of each sample, all of whose frames count.
    pub fn decode<T: Element, D: Dimension>(
        self,
        pred: &ArrayRef<T, D>,
    ) -> Result<Vec<Vec<usize>>, Error> {
        self.read(pred, None)
    }

    /// The labels of each sample, of whose frames as many count as `pred_lengths`, of shape (N,),
    /// says. What lies behind is not read.
    pub fn decode_lengths<T: Element, J: Integer, D: Dimension, E: Dimension>(
        self,
        pred: &ArrayRef<T, D>,
        pred_lengths: &ArrayRef<J, E>,
    ) -> Result<Vec<Vec<usize>>, Error> {
        self.read(pred, Some(J::erase(pred_lengths)))
    }

    fn read<T: Element, D: Dimension>(
        self,
        pred: &ArrayRef<T, D>,
        lengths: Option<Integers<'_>>,
    ) -> Result<Vec<Vec<usize>>, Error> {
        let pred = Tensor::new(pred);
        let axes = self.layout.axes(pred.shape)?;
        let [samples, frames, classes] = axes.map(|axis| pred.shape[axis]);
        let blank = super::labels::blank(self.blank, classes)?;
        super::labels::check_lengths("pred_lengths", lengths.as_ref(), samples, frames)?;
        let mut all = Frames::read(pred, axes);
        // Nothing is read of an empty batch, however many its classes.
        let read = if samples == 0 || frames == 0 {
            0
        } else {
            classes
        };
        let mut buffer = zeros(Ix1(read))?;
        let buffer = buffer.as_slice_mut().expect("one run");
        let mut decoded = Vec::new();
        if decoded.try_reserve_exact(samples).is_err() {
            return Err(Error::Memory { elements: samples });
        }
        for sample in 0..samples {
            let frame = all.next_sample();
            let frames = lengths
                .as_ref()
                .map_or(frames, |lengths| super::labels::length(lengths, sample));
            let mut labels = Vec::new();
            let mut before = None;
            for at in 0..frames {
                let class = likeliest(frame.row(at, buffer));
                if class != blank && before != Some(class) {
                    labels.push(class);
                }
                before = Some(class);
            }
            decoded.push(labels);
        }
        Ok(decoded)
    }
}

/// The first of the largest values that are numbers.
fn likeliest<T: PartialOrd + Copy>(row: &[T]) -> usize {
    let mut best = None;
    for (class, value) in row.iter().enumerate() {
        let better = match best {
            Some(best) => *value > row[best],
            None => value.partial_cmp(value).is_some(),
        };
        if better {
            best = Some(class);
        }
    }
    best.unwrap_or(0)
}
