//! Shapes: mostly small, of any rank, now and then long or empty.

use arbitrary::{Result, Unstructured};

/// Elements of a call that is made in every form.
const SMALL: usize = 400;

/// Elements of a call that is larger than blocks and leaves are.
const MEDIUM: usize = 4000;

/// The length of the longest axis.
const LONG: usize = 40_000;

/// One to five axes. One of them may be long; the others then are short.
pub fn arbitrary(bytes: &mut Unstructured<'_>) -> Result<Vec<usize>> {
    let rank = bytes.int_in_range(1..=5)?;
    let kind = bytes.int_in_range(0..=31)?;
    let mut shape = Vec::with_capacity(rank);
    for _ in 0..rank {
        shape.push(match bytes.int_in_range(0..=6)? {
            0..=3 => bytes.int_in_range(1..=5)?,
            4..=5 => bytes.int_in_range(6..=19)?,
            _ => bytes.int_in_range(20..=79)?,
        });
    }
    let axis = bytes.choose_index(rank)?;
    match kind {
        30 => shape[axis] = 0,
        31 => {
            // And at most two of these.
            for (other, extent) in shape.iter_mut().enumerate() {
                *extent = if other == (axis + 1) % rank {
                    *extent % 2 + 1
                } else {
                    1
                };
            }
            shape[axis] = bytes.int_in_range(1000..=LONG)?;
        }
        26..=29 => {
            shape[axis] *= 1 + bytes.int_in_range(0..=40)?;
            shrink(&mut shape, MEDIUM);
        }
        _ => shrink(&mut shape, SMALL),
    }
    Ok(shape)
}

/// Halves the longest axes until there are at most `elements`.
pub fn shrink(shape: &mut [usize], elements: usize) {
    while shape.iter().product::<usize>() > elements {
        let longest = (0..shape.len()).max_by_key(|&axis| shape[axis]);
        let longest = longest.expect("an axis");
        shape[longest] = shape[longest].div_ceil(2);
    }
}

/// Whether every form of a call of this shape takes no time.
pub fn is_small(shape: &[usize]) -> bool {
    shape.iter().product::<usize>() <= SMALL
}
