//! Arrays in every memory layout that a view can describe.

use ndarray::{ArrayD, ArrayRefD, ArrayViewD, ArrayViewMutD, Axis, Slice};

use super::random::Random;

/// How an array lies in memory.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Axes from the slowest to the fastest.
    order: Vec<usize>,
    /// Distance from one index to the next along each axis, in multiples of the densest; negative
    /// where memory runs backwards.
    step: Vec<isize>,
    /// Elements before and after, along each axis.
    margin: Vec<usize>,
}

impl Layout {
    /// Dense, the last axis the fastest.
    pub fn contiguous(rank: usize) -> Self {
        Self {
            order: (0..rank).collect(),
            step: vec![1; rank],
            margin: vec![0; rank],
        }
    }

    /// Dense, the first axis the fastest.
    pub fn fortran(rank: usize) -> Self {
        Self {
            order: (0..rank).rev().collect(),
            ..Self::contiguous(rank)
        }
    }

    /// Every axis backwards.
    pub fn reversed(rank: usize) -> Self {
        Self {
            step: vec![-1; rank],
            ..Self::contiguous(rank)
        }
    }

    /// Every `step`th element, with elements around.
    pub fn stepped(rank: usize, step: isize) -> Self {
        Self {
            step: vec![step; rank],
            margin: vec![1; rank],
            ..Self::contiguous(rank)
        }
    }

    /// A window of a larger array, so that rows do not touch and nothing is aligned.
    pub fn window(rank: usize) -> Self {
        Self {
            margin: vec![3; rank],
            ..Self::contiguous(rank)
        }
    }

    /// The named layouts above.
    pub fn all(rank: usize) -> Vec<Self> {
        vec![
            Self::contiguous(rank),
            Self::fortran(rank),
            Self::reversed(rank),
            Self::stepped(rank, 2),
            Self::stepped(rank, -3),
            Self::window(rank),
        ]
    }

    /// Any layout, often a plain one.
    pub fn random(rank: usize, random: &mut Random) -> Self {
        let mut layout = Self::contiguous(rank);
        if random.once_in(3) {
            return layout;
        }
        if random.once_in(2) {
            layout.order = random.shuffled(rank);
        }
        for axis in 0..rank {
            if random.once_in(3) {
                layout.step[axis] = [1, -1, 2, -2, 3][random.below(5)];
            }
            if random.once_in(3) {
                layout.margin[axis] = random.below(4);
            }
        }
        layout
    }
}

/// An array in some layout, with a filler around and between its elements.
#[derive(Clone)]
pub struct Laid<T> {
    storage: ArrayD<T>,
    layout: Layout,
    shape: Vec<usize>,
    filler: T,
}

impl<T: Copy> Laid<T> {
    /// The values of `array`, laid out.
    pub fn new(array: &ArrayRefD<T>, layout: &Layout, filler: T) -> Self {
        let mut laid = Self::filled(array.shape(), layout, filler);
        laid.view_mut().assign(array);
        laid
    }

    /// Nothing but filler.
    pub fn filled(shape: &[usize], layout: &Layout, filler: T) -> Self {
        assert_eq!(shape.len(), layout.order.len());
        let extent = |&axis: &usize| {
            shape[axis] * layout.step[axis].unsigned_abs() + 2 * layout.margin[axis]
        };
        let extents: Vec<usize> = layout.order.iter().map(extent).collect();
        Self {
            storage: ArrayD::from_elem(extents, filler),
            layout: layout.clone(),
            shape: shape.to_vec(),
            filler,
        }
    }

    pub fn view(&self) -> ArrayViewD<'_, T> {
        let mut view = self.storage.view();
        for (at, &axis) in self.layout.order.iter().enumerate() {
            view.slice_axis_inplace(Axis(at), self.slice(axis));
        }
        view.permuted_axes(self.inverse())
    }

    pub fn view_mut(&mut self) -> ArrayViewMutD<'_, T> {
        let slices: Vec<Slice> = self
            .layout
            .order
            .iter()
            .map(|&axis| self.slice(axis))
            .collect();
        let inverse = self.inverse();
        let mut view = self.storage.view_mut();
        for (at, slice) in slices.into_iter().enumerate() {
            view.slice_axis_inplace(Axis(at), slice);
        }
        view.permuted_axes(inverse)
    }

    /// The values in their logical order, dense.
    pub fn to_dense(&self) -> ArrayD<T> {
        self.view().as_standard_layout().into_owned()
    }

    /// Whether everything around and between the elements is still the filler.
    pub fn margins_hold(&self, same: impl Fn(T, T) -> bool) -> bool {
        let mut copy = self.clone();
        copy.view_mut().fill(self.filler);
        copy.storage.iter().all(|&value| same(value, self.filler))
    }

    fn slice(&self, axis: usize) -> Slice {
        let start = self.layout.margin[axis] as isize;
        let length = (self.shape[axis] * self.layout.step[axis].unsigned_abs()) as isize;
        Slice::new(start, Some(start + length), self.layout.step[axis])
    }

    fn inverse(&self) -> Vec<usize> {
        let mut inverse = vec![0; self.layout.order.len()];
        for (at, &axis) in self.layout.order.iter().enumerate() {
            inverse[axis] = at;
        }
        inverse
    }
}

/// `array` with every entry along `axis` made equal to the first, so that a view which broadcasts
/// that axis from a single entry means the same.
pub fn make_constant<T: Copy>(array: &mut ArrayD<T>, axis: usize) {
    if array.len_of(Axis(axis)) > 0 {
        let first = array
            .index_axis(Axis(axis), 0)
            .insert_axis(Axis(axis))
            .to_owned();
        let constant = first.broadcast(array.raw_dim()).expect("1 along the axis");
        let constant = constant.to_owned();
        array.assign(&constant);
    }
}
