use smallvec::SmallVec;
use std::sync::OnceLock;

/// The extent and the stride of an axis, in elements.
pub(super) type Axis = (usize, isize);

/// Some axes in their logical order, with neighbours merged where memory allows.
#[derive(Clone, Copy)]
pub(crate) struct Axes<'l> {
    /// The slower ones.
    pub(super) slower: &'l [Axis],
    /// The fastest one; of stride 0 where all entries share one place.
    pub(super) last: Axis,
}

impl Axes<'_> {
    /// The offset of an entry, and how many lie one stride apart from it on.
    #[inline]
    pub(crate) fn locate(self, entry: usize) -> (isize, usize) {
        let (last, stride) = self.last;
        if self.slower.is_empty() {
            return (entry as isize * stride, last - entry);
        }
        let (mut rest, position) = (entry / last, entry % last);
        let mut offset = position as isize * stride;
        for &(extent, stride) in self.slower.iter().rev() {
            offset += (rest % extent) as isize * stride;
            rest /= extent;
        }
        (offset, last - position)
    }

    /// The stride from entry to entry within what [`locate`](Self::locate) calls a stretch.
    #[inline]
    pub(crate) fn stride(self) -> isize {
        self.last.1
    }

    /// Whether all entries lie one stride apart.
    #[inline]
    pub(crate) fn is_single(self) -> bool {
        self.slower.is_empty()
    }

    /// Whether the entries are neighbours in memory, all of them.
    #[inline]
    pub(crate) fn is_run(self) -> bool {
        self.slower.is_empty() && self.last.1 == 1
    }
}

/// The slower axes of a layout, those of units and then those of rows. Up to rank 4 there are three of
/// them at most.
#[derive(Debug, Default)]
pub(super) struct Slower {
    axes: SmallVec<[Axis; 3]>,
    units: usize,
}

impl Slower {
    /// Keeps an axis of units, or else of rows, that memory does not merge with the next one.
    #[cold]
    pub(super) fn keep(&mut self, axis: Axis, of_units: bool) {
        if of_units {
            self.axes.insert(self.units, axis);
            self.units += 1;
        } else {
            self.axes.push(axis);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.axes.is_empty()
    }

    pub(super) fn units(&self) -> &[Axis] {
        &self.axes[..self.units]
    }

    pub(super) fn row(&self) -> &[Axis] {
        &self.axes[self.units..]
    }
}

/// As many as any call has layouts with slower axes: of two embeddings, their gradients, labels, losses,
/// weights and upstream.
const PLACES: usize = 8;

/// Where the slower axes of a call's layouts are kept. Most layouts have none; without them a layout is
/// a few numbers, cheap to copy where work is split among threads.
#[derive(Debug)]
pub(crate) struct Shelf {
    places: [OnceLock<Slower>; PLACES],
}

impl Shelf {
    pub(crate) fn new() -> Self {
        Self {
            places: [const { OnceLock::new() }; PLACES],
        }
    }

    /// Keeps the axes of one more layout. Panics if those of [`PLACES`] are kept already.
    #[cold]
    pub(super) fn keep(&self, mut slower: Slower) -> &Slower {
        for place in &self.places {
            match place.set(slower) {
                Ok(()) => return place.get().expect("what was just set"),
                Err(back) => slower = back,
            }
        }
        panic!("a call has more layouts than there are places");
    }
}

/// An axis along which entries lie `stride` apart.
#[inline]
pub(super) fn axis(extent: usize, stride: usize) -> Axis {
    match extent {
        1 => (1, 0),
        _ => (extent, stride as isize),
    }
}

/// Lets `next` follow the fastest axis so far: merged with it where memory allows, else in its place,
/// and the other is returned.
#[inline]
pub(super) fn follow(last: &mut Axis, next: Axis) -> Option<Axis> {
    let ((slower, slower_stride), (extent, stride)) = (*last, next);
    if extent == 1 {
        return None;
    }
    if slower != 1 && slower_stride != stride * extent as isize {
        return Some(core::mem::replace(last, next));
    }
    *last = (slower * extent, stride);
    None
}
