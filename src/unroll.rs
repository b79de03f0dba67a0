//! Loops over a few numbers that the compiler knows, written out.
//!
//! Kernels are inlined whole before anything in them is simplified. A loop for each operation's
//! registers, or for a polynomial's coefficients, makes thousands of loops in one function, which keep
//! the compiler busy for most of its time.

/// Runs a block for each number from 0 or 1 up to `$count`, an expression of constants: without a loop
/// up to 4.
macro_rules! unroll {
    // Of arrays that have just so many places.
    ($k:ident in 0..2 => $body:block) => {{
        crate::unroll::unroll!(@each $k, $body, 0 1);
    }};
    ($k:ident in 0..4 => $body:block) => {{
        crate::unroll::unroll!(@each $k, $body, 0 1 2 3);
    }};
    (@each $k:ident, $body:block, $($number:literal)*) => {
        $({
            let $k = $number;
            $body
        })*
    };
    ($k:ident in 0..$count:expr => $body:block) => {{
        if const { $count > 0 } {
            let $k = 0;
            $body
        }
        crate::unroll::unroll!($k in 1..$count => $body);
    }};
    ($k:ident in 1..$count:expr => $body:block) => {{
        if const { $count > 1 } {
            let $k = 1;
            $body
        }
        if const { $count > 2 } {
            let $k = 2;
            $body
        }
        if const { $count > 3 } {
            let $k = 3;
            $body
        }
        if const { $count > 4 } {
            #[allow(clippy::needless_range_loop, reason = "the others are no loops")]
            for $k in 4..$count $body
        }
    }};
}

/// Runs a block for each number below `$count`, an expression of constants up to 24, from the highest
/// to 0.
macro_rules! unroll_down {
    ($k:ident below $count:expr => $body:block) => {{
        const { assert!($count <= 24) };
        crate::unroll::unroll_down!(
            @each $k, $count, $body,
            23 22 21 20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0
        );
    }};
    (@each $k:ident, $count:expr, $body:block, $($number:literal)*) => {
        $(if const { $number < $count } {
            let $k = $number;
            $body
        })*
    };
}

pub(crate) use {unroll, unroll_down};
