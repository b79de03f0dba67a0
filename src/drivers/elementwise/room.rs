use crate::drivers::terms::block;
use crate::element::Element;

/// The longest block of any type, in elements: what a copied stretch needs room for.
const LONGEST_BLOCK: usize = block::<f32>();

/// Room for the operands of one block that do not lie in runs.
#[repr(align(64))]
pub(super) struct Copies<T, const K: usize> {
    pub(super) pred: [T; LONGEST_BLOCK],
    pub(super) inputs: [[T; LONGEST_BLOCK]; K],
    pub(super) each: [T; LONGEST_BLOCK],
    /// Each unit's weight and what its loss and its derivative are multiplied by.
    pub(super) factors: [[T; LONGEST_BLOCK]; 3],
}

impl<T: Element, const K: usize> Copies<T, K> {
    pub(super) fn new() -> Self {
        let zeros = [T::ZERO; LONGEST_BLOCK];
        Self {
            pred: zeros,
            inputs: [zeros; K],
            each: zeros,
            factors: [zeros; 3],
        }
    }
}
