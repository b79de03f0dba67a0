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

/// By which stores gradients are written that are too large for the caches: of inputs and gradients of
/// 32 MiB together. Smaller ones, and those in place, always go by way of them.
///
/// What [`Auto`](Self::Auto) chooses, and how many times as fast as the other choice it was measured
/// to be, with gradients of 16 to 64 MiB on two threads:
///
/// | | Intel (Xeon with AVX-512) | AMD (Zen 4) |
/// |---|---|---|
/// | elementwise losses of arithmetic alone | past the caches | past the caches, 1.2 |
/// | other elementwise losses | past the caches | cached, 0.9 to 1.1; 2 where the gradient lies up to 128 bytes further into a page than pred |
/// | softmax cross entropy of logits | past the caches from 512 classes on, 1.6 | cached, 1.0 to 1.6 |
/// | the same of log-probabilities | past the caches from 4000 classes on | past the caches from 4000 classes on, 1.3 |
/// | triplets | cached, 1.2 | past the caches from 128 entries on where rows are whole cache lines, 1.2 |
/// | pairs by their angle | cached | past the caches from 192 entries on where rows are whole cache lines, 1.0 to 1.2 |
/// | CTC of many classes | past the caches | past the caches, 1.3 |
///
/// Where there are no such stores, as on Arm, all gradients are cached.
///
/// ```
/// use lossgrad::{Exec, L2Loss, Stores};
/// use ndarray::array;
///
/// let (pred, label) = (array![[1.0f32, 2.0]], array![[0.5f32, 4.0]]);
/// let exec = Exec { stores: Stores::Cached, ..Exec::default() };
/// let grad = L2Loss::new().on(&pred, &label).exec(exec).grad()?;
/// assert_eq!(grad, array![[0.25, -1.0]]);
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stores {
    /// What is the faster for the loss on this CPU.
    #[default]
    Auto,
    /// By way of the caches, which hold the end of the gradient afterwards.
    Cached,
    /// Past the caches where runs of memory are long enough and aligned to 16 bytes, as allocators
    /// align them. What is written need not be read first, and what the caches hold stays there.
    PastCaches,
}

impl Stores {
    /// Whether large gradients, runs of `operands` operands in turn, go past the caches; `light` if
    /// computing them takes less time than memory does.
    ///
    /// AMD's processors lose by such stores between exponentials: what is loaded waits for stores to
    /// the same place in another page, and these take long.
    pub(crate) fn past_caches(self, light: bool, operands: usize) -> bool {
        match self {
            Self::Auto if cfg!(not(target_arch = "x86_64")) => false,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_those_that_are_asked_for() {
        for light in [false, true] {
            for operands in [1, 3] {
                assert!(!Stores::Cached.past_caches(light, operands));
                assert!(Stores::PastCaches.past_caches(light, operands));
            }
        }
        let past_caches = cfg!(target_arch = "x86_64");
        assert_eq!(Stores::Auto.past_caches(true, 1), past_caches);
        assert!(!Stores::Auto.past_caches(false, 3));
    }
}
