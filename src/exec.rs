use crate::Level;
use crate::simd::is_intel;

/// Whether a call may use more than the calling thread. Results are the same bits either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Threading {
    /// The calling thread does everything.
    Serial,
    /// Large work is spread over the current rayon pool: the one whose `install` the call runs in,
    /// else the global one. Small work stays on the calling thread.
    #[default]
    Auto,
}

/// How gradients are written that, with what they are computed from, are too large for the caches.
/// Smaller ones, and those in place, always go by way of them.
///
/// Measured with gradients of 64 MiB, each against the other kind of stores:
///
/// | | Intel (Xeon, AVX-512) | AMD (Zen 4) |
/// |---|---|---|
/// | elementwise losses without an exponential or logarithm | past the caches | past the caches, 1.2 to 1.4 times as fast |
/// | other elementwise losses | past the caches | cached, 0.85 to 1.1 times, 2 times where gradient and pred lie alike |
/// | softmax cross entropy | past the caches, up to 1.5 times | cached, 1.05 to 1.6 times |
/// | triplets | cached, 1.2 times | past the caches, 1.2 times |
/// | pairs by their angle | cached | cached, 1.0 to 1.1 times |
/// | CTC of many classes | past the caches | past the caches, 1.25 times |
///
/// ```
/// use lossgrad::{Exec, L2Loss, Stores};
/// use ndarray::array;
///
/// let (pred, label) = (array![[1.0f32, 2.0]], array![[0.5f32, 4.0]]);
/// let exec = Exec { stores: Stores::Cached, ..Exec::default() };
/// let read_next = L2Loss::new().on(&pred, &label).exec(exec).grad()?;
/// assert_eq!(read_next, L2Loss::new().on(&pred, &label).grad()?);
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stores {
    /// Past the caches where that is the faster on this CPU, which depends on how much is computed
    /// for each gradient.
    #[default]
    Auto,
    /// By way of the caches: for gradients that are read again at once, from their end.
    Cached,
    /// Past the caches: memory is not read before it is written, and what the caches hold stays there.
    PastCaches,
}

impl Stores {
    /// Whether large gradients go past the caches, those of `operands` in turn; `light` if computing
    /// them takes less time than memory does.
    ///
    /// Intel's processors gain by it unless several runs of memory are written in turn. Others (measured
    /// on Zen 4) gain where little is computed. Where exponentials are computed between such stores,
    /// they take 1.05 to 1.3 times as long as by ordinary ones and, if the gradient lies up to 128 bytes
    /// behind pred in its page, 2 times: what is loaded waits for stores to the same place in another
    /// page.
    pub(crate) fn past_caches(self, light: bool, operands: usize) -> bool {
        match self {
            Self::Auto if is_intel() => operands == 1,
            Self::Auto => light,
            Self::Cached => false,
            Self::PastCaches => true,
        }
    }
}

/// How a call is carried out: with which instructions, on which threads, by which stores. It never
/// changes a result.
///
/// ```
/// use lossgrad::{Exec, L2Loss, Level, Threading};
/// use ndarray::array;
///
/// let (pred, label) = (array![[1.0f32, 2.0]], array![[0.5f32, 4.0]]);
/// let exec = Exec::new(Level::scalar(), Threading::Serial);
/// let slow = L2Loss::new().on(&pred, &label).exec(exec).loss()?;
/// assert_eq!(slow, L2Loss::new().on(&pred, &label).loss()?);
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// The instruction set.
    pub level: Level,
    /// The use of threads.
    pub threading: Threading,
    /// The stores of large gradients; [`Stores::Auto`] where they are not given.
    pub stores: Stores,
}

impl Exec {
    /// The given level and use of threads.
    pub fn new(level: Level, threading: Threading) -> Self {
        Self {
            level,
            threading,
            stores: Stores::Auto,
        }
    }

    /// The best level of this CPU, on the calling thread.
    pub fn serial() -> Self {
        Self::new(Level::best(), Threading::Serial)
    }
}
