use super::Isa;
use core::fmt;

/// An instruction set that this CPU has.
///
/// A value can only be had where the CPU has the instructions, so whoever holds one may run its
/// kernels. Results carry the same bits at every level; the level decides the speed alone.
///
/// ```
/// use lossgrad::Level;
///
/// for level in Level::all() {
///     println!("{level}");
/// }
/// assert!(Level::all().any(|level| level == Level::best()));
/// ```
#[derive(Clone, Copy)]
pub struct Level(Token);

#[derive(Clone, Copy)]
enum Token {
    Scalar(pulp::Scalar),
    #[cfg(target_arch = "x86_64")]
    V3(pulp::x86::V3),
    #[cfg(target_arch = "x86_64")]
    V4(pulp::x86::V4),
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
}

impl Level {
    /// The fastest level of this CPU. Detection happens once a process; later calls read a cached
    /// answer.
    pub fn best() -> Self {
        Self::v4()
            .or_else(Self::v3)
            .or_else(Self::neon)
            .unwrap_or_else(Self::scalar)
    }

    /// Every level of this CPU, the slowest first.
    pub fn all() -> impl Iterator<Item = Self> {
        [Some(Self::scalar()), Self::neon(), Self::v3(), Self::v4()]
            .into_iter()
            .flatten()
    }

    /// One lane at a time, on every CPU: the level of last resort. Where the target has no fused
    /// multiply-add instruction (plain x86-64), each one is a library call, so this is a level for
    /// correctness, not for speed.
    pub fn scalar() -> Self {
        Self(Token::Scalar(pulp::Scalar))
    }

    /// AVX2 with FMA, where this CPU has them (x86-64-v3).
    pub fn v3() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return pulp::x86::V3::try_new().map(|token| Self(Token::V3(token)));
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// AVX-512 (F, BW, CD, DQ, VL), where this CPU has it (x86-64-v4).
    pub fn v4() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return pulp::x86::V4::try_new().map(|token| Self(Token::V4(token)));
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// NEON, on every 64-bit Arm CPU.
    pub fn neon() -> Option<Self> {
        #[cfg(target_arch = "aarch64")]
        return pulp::aarch64::Neon::try_new().map(|token| Self(Token::Neon(token)));
        #[cfg(not(target_arch = "aarch64"))]
        None
    }

    /// Whether it is the level of one lane at a time.
    pub(crate) fn is_scalar(self) -> bool {
        matches!(self.0, Token::Scalar(_))
    }

    /// The level's name: `"scalar"`, `"v3"`, `"v4"` or `"neon"`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Token::Scalar(_) => "scalar",
            #[cfg(target_arch = "x86_64")]
            Token::V3(_) => "v3",
            #[cfg(target_arch = "x86_64")]
            Token::V4(_) => "v4",
            #[cfg(target_arch = "aarch64")]
            Token::Neon(_) => "neon",
        }
    }
}

impl Default for Level {
    fn default() -> Self {
        Self::best()
    }
}

impl PartialEq for Level {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Level {}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Level({})", self.name())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Work that is compiled once for each level.
///
/// `run` and everything below it is `#[inline(always)]`: only what is inlined into the function
/// that enables the instructions is compiled with them. Closures do not inherit them reliably;
/// named functions and structs do.
pub(crate) trait Kernel {
    /// The type in whose module's unit of code the kernel is compiled: a formula's, where there is
    /// one, so that the kernels of different losses are compiled side by side.
    type Home;

    type Output;

    fn run<S: Isa>(self, simd: S) -> Self::Output;
}

struct Bound<K, S>(K, S);

impl<K: Kernel, S: Isa> pulp::NullaryFnOnce for Bound<K, S> {
    type Output = K::Output;

    #[inline(always)]
    fn call(self) -> K::Output {
        self.0.run(self.1)
    }
}

/// Runs `kernel` with the instructions of `level`.
///
/// This is a real call that cannot be inlined into its caller: dispatch for a run of rows or elements,
/// never for each, and inside a task, never around one that spawns others. Inlined, the scalar kernel
/// would be compiled again wherever it is called.
#[inline(always)]
pub(crate) fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Output {
    K::Home::dispatch(level, kernel)
}

/// Where a kernel is compiled: the compiler makes the method of a trait part of its type's module,
/// while free functions of this module would be one unit of code, for one core to compile.
trait Home {
    #[inline(never)]
    fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Output {
        match level.0 {
            Token::Scalar(simd) => kernel.run(simd),
            #[cfg(target_arch = "x86_64")]
            Token::V3(simd) => simd.vectorize(Bound(kernel, simd)),
            #[cfg(target_arch = "x86_64")]
            Token::V4(simd) => simd.vectorize(Bound(kernel, simd)),
            #[cfg(target_arch = "aarch64")]
            Token::Neon(simd) => simd.vectorize(Bound(kernel, simd)),
        }
    }
}

impl<T> Home for T {}
