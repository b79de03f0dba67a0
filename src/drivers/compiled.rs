use super::{Flat, Outputs, Plan};
use crate::element::Element;
use core::convert::Infallible;

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

    /// The same of a flat call; [`Infallible`] for the losses that have none.
    type FlatInputs<'a, T: Element>;

    /// Runs the call for `f32`.
    fn run_f32<'a>(self, work: Work<'_, 'a, f32, Self::Inputs<'a, f32>, K>);

    /// Runs the call for `f64`.
    fn run_f64<'a>(self, work: Work<'_, 'a, f64, Self::Inputs<'a, f64>, K>);

    /// Runs the flat call for `f32`.
    fn run_flat_f32<'a>(self, flat: Flat<'a, f32, Self::FlatInputs<'a, f32>, K>);

    /// Runs the flat call for `f64`.
    fn run_flat_f64<'a>(self, flat: Flat<'a, f64, Self::FlatInputs<'a, f64>, K>);
}

/// Compiles a loss for each element type, given a generic function of the loss and its [`Work`] and,
/// where it has flat calls, one of the loss and its [`Flat`].
///
/// Not in unit tests, which run no loss and need not wait for the kernels a second time.
macro_rules! compiled {
    ($loss:ty, inputs: $inputs:ty, run: $run:path $(, flat: $flat:ty, run: $run_flat:path)?) => {
        compiled!($loss, operands: 1, inputs: $inputs, run: $run $(, flat: $flat, run: $run_flat)?);
    };
    ($loss:ty, operands: $k:literal, inputs: $inputs:ty, run: $run:path) => {
        compiled!(
            $loss, operands: $k, inputs: $inputs, run: $run,
            flat: core::convert::Infallible, run: crate::drivers::no_flat
        );
    };
    (
        $loss:ty, operands: $k:literal, inputs: $inputs:ty, run: $run:path,
        flat: $flat:ty, run: $run_flat:path
    ) => {
        impl crate::drivers::Compiled<$k> for $loss {
            type Inputs<'a, T: crate::Element> = $inputs;
            type FlatInputs<'a, T: crate::Element> = $flat;

            compiled!(@function 'a, run_f32, Work, f32, Inputs, $k, $run);
            compiled!(@function 'a, run_f64, Work, f64, Inputs, $k, $run);
            compiled!(@function 'a, run_flat_f32, Flat, f32, FlatInputs, $k, $run_flat);
            compiled!(@function 'a, run_flat_f64, Flat, f64, FlatInputs, $k, $run_flat);
        }
    };
    (@function $a:lifetime, $name:ident, Work, $t:ty, $inputs:ident, $k:literal, $run:path) => {
        fn $name<$a>(
            self,
            work: crate::drivers::Work<'_, $a, $t, <Self as crate::drivers::Compiled<$k>>::$inputs<$a, $t>, $k>,
        ) {
            compiled!(@run $run, self, work);
        }
    };
    (@function $a:lifetime, $name:ident, Flat, $t:ty, $inputs:ident, $k:literal, $run:path) => {
        fn $name<$a>(
            self,
            flat: crate::drivers::Flat<$a, $t, <Self as crate::drivers::Compiled<$k>>::$inputs<$a, $t>, $k>,
        ) {
            compiled!(@run $run, self, flat);
        }
    };
    (@run $run:path, $loss:ident, $call:ident) => {
        if cfg!(test) {
            unreachable!("no unit test runs a loss");
        }
        $run($loss, $call);
    };
}
pub(crate) use compiled;

/// The flat calls of losses that have none.
pub(crate) fn no_flat<L, T, const K: usize>(_: L, flat: Flat<'_, T, Infallible, K>) {
    match flat.inputs {}
}
