use super::{Outputs, Plan};
use crate::element::Element;

/// A checked call, ready to run.
pub struct Work<'w, 'a, T, I, const K: usize = 1> {
    pub(crate) plan: &'w Plan<'a, T>,
    pub(crate) inputs: I,
    pub(crate) outputs: &'w mut Outputs<'a, T, K>,
}

/// A loss whose kernels are compiled once, in this crate, for each element type.
///
/// Generic code is compiled by whoever calls it, with the caller's settings: every user would wait
/// for every kernel, and a debug build would run unoptimised ones. The functions here are not
/// generic; [`Element::run`] leads from a type parameter to them.
pub trait Compiled<const K: usize = 1>: Sized {
    /// What the loss reads beside its operands.
    type Inputs<'a, T: Element>;

    /// Runs the call for `f32`.
    fn run_f32<'a>(self, work: Work<'_, 'a, f32, Self::Inputs<'a, f32>, K>);

    /// Runs the call for `f64`.
    fn run_f64<'a>(self, work: Work<'_, 'a, f64, Self::Inputs<'a, f64>, K>);
}

/// Compiles a loss for each element type, given a generic function of the loss and its [`Work`].
///
/// Not in unit tests, which run no loss and need not wait for the kernels a second time.
macro_rules! compiled {
    ($loss:ty, inputs: $inputs:ty, run: $run:path) => {
        compiled!($loss, operands: 1, inputs: $inputs, run: $run);
    };
    ($loss:ty, operands: $k:literal, inputs: $inputs:ty, run: $run:path) => {
        impl crate::drivers::Compiled<$k> for $loss {
            type Inputs<'a, T: crate::Element> = $inputs;

            fn run_f32<'a>(
                self,
                work: crate::drivers::Work<'_, 'a, f32, <Self as crate::drivers::Compiled<$k>>::Inputs<'a, f32>, $k>,
            ) {
                if cfg!(test) {
                    unreachable!("no unit test runs a loss");
                }
                $run(self, work);
            }

            fn run_f64<'a>(
                self,
                work: crate::drivers::Work<'_, 'a, f64, <Self as crate::drivers::Compiled<$k>>::Inputs<'a, f64>, $k>,
            ) {
                if cfg!(test) {
                    unreachable!("no unit test runs a loss");
                }
                $run(self, work);
            }
        }
    };
}
pub(crate) use compiled;
