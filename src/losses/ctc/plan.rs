//! How much of a half's lattice is kept.

use super::emission::table_len;
use super::lattice::{Band, block};
use crate::element::Element;

/// What a sample's lattice is shaped by.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) frames: usize,
    pub(super) labels: usize,
    pub(super) classes: usize,
    /// Whether a gradient is wanted, for which the way back is needed.
    pub(super) grad: bool,
}

impl Extent {
    /// The same for a loss alone.
    pub(super) fn without_grad(self) -> Self {
        Self {
            grad: false,
            ..self
        }
    }
}

/// Bytes of rows that a half keeps without checkpoints.
const KEPT: usize = 512 << 10;

/// Bytes of checkpoints beyond which chunks are made longer.
const CHECKPOINTS: usize = 4 << 20;

/// Frames in a chunk.
const CHUNK: usize = 32;

/// Classes beyond which tables hold only those that the labels name, and the blank.
const WIDE: usize = 64;

/// How a half keeps its rows.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) band: Band,
    /// Frames of this half.
    pub(super) frames: usize,
    pub(super) chunk: usize,
    /// How many values a part of a table has.
    pub(super) table: usize,
    pub(super) wide: bool,
    pub(super) grad: bool,
}

impl Plan {
    pub(super) fn new<W: Element>(extent: Extent, frames: usize) -> Self {
        let band = Band {
            frames: extent.frames,
            labels: extent.labels,
        };
        let wide = extent.classes > WIDE;
        let named = (extent.labels + 1).min(extent.classes);
        let row = band.blocks::<W>() * block::<W>() * size_of::<W>();
        // A frame of many classes costs so much that two more megabytes do not.
        let kept = if wide { 4 * KEPT } else { KEPT };
        let mut chunk = frames.next_multiple_of(CHUNK).max(CHUNK);
        if row.saturating_mul(frames) > kept {
            chunk = CHUNK;
            if row.saturating_mul(frames / CHUNK) > CHECKPOINTS {
                chunk = frames.isqrt().next_multiple_of(CHUNK);
            }
        }
        Self {
            band,
            frames,
            chunk,
            // One more than is named, of probability 0.
            table: table_len::<W>(if wide { named + 1 } else { extent.classes }),
            wide,
            grad: extent.grad,
        }
    }

    pub(super) fn pairs<W: Element>(&self) -> usize {
        self.band.blocks::<W>() * W::LANES
    }

    pub(super) fn row<W: Element>(&self) -> usize {
        self.band.blocks::<W>() * block::<W>()
    }

    pub(super) fn chunks(&self) -> usize {
        self.frames.div_ceil(self.chunk).max(1)
    }

    /// How many frames of rows and tables are kept at once.
    pub(super) fn kept(&self) -> usize {
        if self.grad {
            self.chunk.min(self.frames)
        } else {
            0
        }
    }

    /// The first frame whose row stays until the way back.
    pub(super) fn first_kept(&self) -> usize {
        if self.grad {
            (self.chunks() - 1) * self.chunk
        } else {
            self.frames
        }
    }
}
