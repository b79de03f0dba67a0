//! The only room that knows instruction sets.
//!
//! A kernel is written once over [`Lanes`], 64 bytes of f32 or f64 with operators, and compiled for
//! every [`Level`] by [`dispatch`]. Two rules make that sound and fast:
//!
//! - A token (`S: Isa`) exists only where the CPU has the instructions, so safe code cannot run
//!   what is missing. Lanes carry their token.
//! - Everything below [`Kernel::run`] is a named `#[inline(always)]` function. What is not inlined
//!   into the dispatched function is compiled without its instructions, and is slow.

mod float;
mod isa;
mod lanes;
mod level;
mod memory;
mod registers;
mod scalar;
mod sum;
#[cfg(test)]
mod tests;
mod vendor;
mod widen;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use float::Float;
pub use isa::Isa;
pub use lanes::{Bits, Lanes, Mask};
pub use level::Level;
pub(crate) use level::{Kernel, dispatch};
pub use memory::InOut;
pub(crate) use memory::{Trail, fence, prefetch, prefetch_all};
pub use registers::Registers;
pub(crate) use sum::{LaneTotals, Sum};
pub(crate) use vendor::is_intel;
