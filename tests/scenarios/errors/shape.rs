//! Shapes that may be wrong, and arrays of any shape in no memory.

use arbitrary::{Arbitrary, Result, Unstructured};
use ndarray::{ArrayD, ArrayRefD, ArrayViewD, IxDyn};

/// More elements than a call of the fuzzer has time for.
const MANY: usize = 50_000;

/// What is wrong with a shape.
#[derive(Clone, Debug)]
pub enum Change {
    Extent(usize, usize),
    Without(usize),
    With(usize, usize),
    Swapped(usize, usize),
}

impl<'a> Arbitrary<'a> for Change {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let axis = bytes.int_in_range(0..=5)?;
        Ok(match bytes.int_in_range(0..=3)? {
            0 => Self::Extent(axis, extent(bytes)?),
            1 => Self::Without(axis),
            2 => Self::With(axis, extent(bytes)?),
            _ => Self::Swapped(axis, bytes.int_in_range(0..=5)?),
        })
    }
}

impl Change {
    pub fn apply(&self, shape: &mut Vec<usize>) {
        let rank = shape.len();
        match *self {
            Self::With(axis, extent) => shape.insert(axis % (rank + 1), extent),
            _ if rank == 0 => {}
            Self::Extent(axis, extent) => shape[axis % rank] = extent,
            Self::Without(axis) => {
                shape.remove(axis % rank);
            }
            Self::Swapped(one, other) => shape.swap(one % rank, other % rank),
        }
    }
}

/// Mostly small, 0 too; now and then more than any memory holds.
fn extent(bytes: &mut Unstructured<'_>) -> Result<usize> {
    Ok(match bytes.int_in_range(0..=5)? {
        0 => 1 << bytes.int_in_range(10..=62)?,
        1 => usize::MAX >> bytes.int_in_range(0..=40)?,
        _ => bytes.int_in_range(0..=5)?,
    })
}

/// One value as an array of any shape; nothing where no array can have that shape.
pub fn everywhere<'a, T>(value: &'a ArrayD<T>, shape: &[usize]) -> Option<ArrayViewD<'a, T>> {
    value.broadcast(IxDyn(shape))
}

/// A new array, of another shape where there is no memory for this one.
pub fn output<T: Clone>(shape: &[usize], value: T) -> ArrayD<T> {
    let representable = everywhere(&ndarray::arr0(()).into_dyn(), shape).is_some();
    let shape = if representable && !is_huge(shape) {
        shape
    } else {
        &[3, 1, 2]
    };
    ArrayD::from_elem(shape, value)
}

/// Whether it takes long to visit every element of an array of this shape.
pub fn is_huge(shape: &[usize]) -> bool {
    let product = shape
        .iter()
        .try_fold(1_usize, |product, &extent| product.checked_mul(extent));
    !shape.contains(&0) && product.is_none_or(|product| product > MANY)
}

/// Whether a shape spreads over another of its rank by NumPy's rule.
pub fn spreads(shape: &[usize], over: &[usize]) -> bool {
    shape.len() == over.len()
        && shape
            .iter()
            .zip(over)
            .all(|(&extent, &whole)| extent == 1 || extent == whole)
}

/// Whether every element still is `value`.
pub fn untouched<T: PartialEq>(array: &ArrayRefD<T>, value: &T) -> bool {
    array.iter().all(|element| element == value)
}
