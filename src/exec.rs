use crate::Level;

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

/// How a call is carried out: with which instructions, on which threads. It never changes a result.
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
}

impl Exec {
    /// The given level and use of threads.
    pub fn new(level: Level, threading: Threading) -> Self {
        Self { level, threading }
    }

    /// The best level of this CPU, on the calling thread.
    pub fn serial() -> Self {
        Self::new(Level::best(), Threading::Serial)
    }
}
