use crate::Error;
use crate::drivers::{Compiled, Flat, Work};
use crate::losses::{ClassLabel, ctc};
use crate::math::Functions;
use crate::workspace::Plain;

/// What tensors hold: `f32` or `f64`. Kernels compute in the same type and sum in `f64`.
///
/// The trait is sealed: its methods are the crate's own.
pub trait Element: Functions + ClassLabel<Self> + Plain {
    /// Runs a checked call with the kernels that are compiled for this type.
    fn run<'a, const K: usize, C: Compiled<K>>(
        loss: C,
        work: Work<'_, 'a, Self, C::Inputs<'a, Self>, K>,
    );

    /// As [`run`](Self::run), of a flat call.
    fn run_flat<'a, const K: usize, C: Compiled<K>>(
        loss: C,
        flat: Flat<'a, Self, C::FlatInputs<'a, Self>, K>,
    );

    /// Runs a checked call of the CTC loss with the kernels that are compiled for this type.
    fn ctc(job: ctc::Job<'_, Self>) -> Result<(), Error>;
}

impl Element for f32 {
    fn run<'a, const K: usize, C: Compiled<K>>(
        loss: C,
        work: Work<'_, 'a, f32, C::Inputs<'a, f32>, K>,
    ) {
        loss.run_f32(work);
    }

    fn run_flat<'a, const K: usize, C: Compiled<K>>(
        loss: C,
        flat: Flat<'a, f32, C::FlatInputs<'a, f32>, K>,
    ) {
        loss.run_flat_f32(flat);
    }

    fn ctc(job: ctc::Job<'_, f32>) -> Result<(), Error> {
        job.run()
    }
}

impl Element for f64 {
    fn run<'a, const K: usize, C: Compiled<K>>(
        loss: C,
        work: Work<'_, 'a, f64, C::Inputs<'a, f64>, K>,
    ) {
        loss.run_f64(work);
    }

    fn run_flat<'a, const K: usize, C: Compiled<K>>(
        loss: C,
        flat: Flat<'a, f64, C::FlatInputs<'a, f64>, K>,
    ) {
        loss.run_flat_f64(flat);
    }

    fn ctc(job: ctc::Job<'_, f64>) -> Result<(), Error> {
        job.run()
    }
}
