use super::lanes::run;
use super::{Float, Isa, Kernel, Lanes, Level, Mask, Registers, dispatch};
use crate::unroll::unroll;
use core::marker::PhantomData;

/// Bytes of a cache line and of all lanes: what is written past the caches at a time. A line that is
/// written in pieces, with other memory in between, costs many times as much.
pub(super) const LINE_BYTES: usize = 64;

/// Bytes of the pieces that are written past the caches, and that their places are aligned to.
const PIECE_BYTES: usize = 16;

impl<T: Float, S: Isa> Lanes<T, S> {
    /// The first lanes of `from`, which holds at least [`Float::LANES`] values.
    #[inline(always)]
    pub fn load(simd: S, from: &[T]) -> Self {
        assert!(from.len() >= T::LANES);
        // SAFETY: the slice holds 64 bytes or more.
        unsafe { Self::load_raw(simd, from.as_ptr()) }
    }

    /// The first lanes of `from`, as many as it holds, and zeros behind it.
    #[inline(always)]
    pub fn load_partial(simd: S, from: &[T]) -> Self {
        let mask = Mask::first(simd, from.len());
        // SAFETY: the mask's lanes lie within the slice.
        unsafe { Self::load_raw_masked(mask, simd, from.as_ptr()) }
    }

    /// Writes the lanes to the front of `to`, which holds at least [`Float::LANES`] values.
    #[inline(always)]
    pub fn store(self, to: &mut [T]) {
        assert!(to.len() >= T::LANES);
        // SAFETY: the slice holds 64 bytes or more.
        unsafe { self.store_raw(to.as_mut_ptr()) }
    }

    /// Writes the first lanes to `to`, as many as it holds.
    #[inline(always)]
    pub fn store_partial(self, to: &mut [T]) {
        let mask = Mask::first(self.simd, to.len());
        // SAFETY: the mask's lanes lie within the slice.
        unsafe { self.store_raw_masked(mask, to.as_mut_ptr()) }
    }

    /// # Safety
    /// 64 bytes at `from` are readable.
    #[inline(always)]
    unsafe fn load_raw(simd: S, from: *const T) -> Self {
        #[inline(always)]
        fn load<T: Float, S: Isa>(simd: S, from: *const T) -> Lanes<T, S> {
            // SAFETY: the caller of `load_raw` promises 64 bytes, which every register lies in.
            let first = unsafe { T::load(simd, from) };
            let mut registers = <T::Many<S, _> as Registers<_>>::splat(first);
            unroll!(k in 1..Lanes::<T, S>::REGISTERS => {
                // SAFETY: as above.
                let next = unsafe { T::load(simd, from.add(k * Lanes::<T, S>::PER_REGISTER)) };
                registers.set(k, next);
            });
            Lanes { simd, registers }
        }
        run!(load::<T, S>, simd, from)
    }

    /// # Safety
    /// The lanes of `mask` are readable at `from`.
    #[inline(always)]
    unsafe fn load_raw_masked(mask: Mask<T, S>, simd: S, from: *const T) -> Self {
        #[inline(always)]
        fn load<T: Float, S: Isa>(simd: S, (mask, from): (&Mask<T, S>, *const T)) -> Lanes<T, S> {
            // SAFETY: the caller of `load_raw_masked` promises the lanes of the mask; others are
            // not touched.
            let first = unsafe { T::load_masked(simd, mask.register(0), from) };
            let mut registers = <T::Many<S, _> as Registers<_>>::splat(first);
            unroll!(k in 1..Lanes::<T, S>::REGISTERS => {
                let from = from.wrapping_add(k * Lanes::<T, S>::PER_REGISTER);
                // SAFETY: as above.
                registers.set(k, unsafe { T::load_masked(simd, mask.register(k), from) });
            });
            Lanes { simd, registers }
        }
        run!(load::<T, S>, simd, (&mask, from))
    }

    /// # Safety
    /// 64 bytes at `to` are writable.
    #[inline(always)]
    unsafe fn store_raw(self, to: *mut T) {
        #[inline(always)]
        fn store<T: Float, S: Isa>(simd: S, (lanes, to): (&Lanes<T, S>, *mut T)) {
            unroll!(k in 0..Lanes::<T, S>::REGISTERS => {
                let to = to.wrapping_add(k * Lanes::<T, S>::PER_REGISTER);
                // SAFETY: the caller of `store_raw` promises 64 bytes, which the register lies in.
                unsafe { T::store(simd, to, lanes.registers.get(k)) }
            });
        }
        run!(store::<T, S>, self.simd, (&self, to));
    }

    /// # Safety
    /// The lanes of `mask` are writable at `to`.
    #[inline(always)]
    unsafe fn store_raw_masked(self, mask: Mask<T, S>, to: *mut T) {
        #[inline(always)]
        fn store<T: Float, S: Isa>(
            simd: S,
            (lanes, mask, to): (&Lanes<T, S>, &Mask<T, S>, *mut T),
        ) {
            unroll!(k in 0..Lanes::<T, S>::REGISTERS => {
                let to = to.wrapping_add(k * Lanes::<T, S>::PER_REGISTER);
                // SAFETY: the caller of `store_raw_masked` promises the lanes of the mask; others
                // are not touched.
                unsafe { T::store_masked(simd, mask.register(k), to, lanes.registers.get(k)) }
            });
        }
        run!(store::<T, S>, self.simd, (&self, &mask, to));
    }

    /// # Safety
    /// 64 bytes at `to` are writable, and aligned to 16.
    #[inline(always)]
    unsafe fn stream_raw(self, to: *mut T) {
        #[inline(always)]
        fn stream<T: Float, S: Isa>(simd: S, (lanes, to): (&Lanes<T, S>, *mut T)) {
            unroll!(k in 0..Lanes::<T, S>::REGISTERS => {
                let to = to.wrapping_add(k * Lanes::<T, S>::PER_REGISTER);
                // SAFETY: the caller of `stream_raw` promises 64 bytes, aligned to 16.
                unsafe { T::stream(simd, to, lanes.registers.get(k)) }
            });
        }
        run!(stream::<T, S>, self.simd, (&self, to));
    }
}

/// Asks for the cache line `ahead` bytes behind the first of some values, wherever that is.
#[inline(always)]
pub(crate) fn prefetch<T, S: Isa>(simd: S, from: &[T], ahead: usize) {
    simd.prefetch(from.as_ptr().cast::<u8>().wrapping_add(ahead));
}

/// Asks for all cache lines of some values.
#[inline(always)]
pub(crate) fn prefetch_all<T, S: Isa>(simd: S, from: &[T]) {
    for ahead in (0..size_of_val(from)).step_by(LINE_BYTES) {
        prefetch(simd, from, ahead);
    }
}

/// Orders what kernels of `level` wrote past the caches before everything that follows.
pub(crate) fn fence(level: Level) {
    struct Fence;

    impl Kernel for Fence {
        type Home = Self;
        type Output = ();

        #[inline(always)]
        fn run<S: Isa>(self, simd: S) {
            simd.fence();
        }
    }

    dispatch(level, Fence);
}

/// A copy past the caches, in whole lines but for the first and the last, that goes on a line at a
/// time beside other work; needs a fence before another thread may read.
///
/// Kernels write to a buffer what they compute, and this empties it while they fill the next:
/// stores past the caches that come in bursts, or in pieces of lines, hold up everything behind them.
pub(crate) struct Trail<'a, T> {
    run: InOut<'a, T>,
    at: usize,
}

impl<'a, T: Float> Trail<'a, T> {
    /// The first values are copied at once, up to where a line begins.
    #[inline(always)]
    pub(crate) fn new<S: Isa>(simd: S, from: &'a [T], to: &'a mut [T]) -> Self {
        let mut run = InOut::copy(from, to);
        let at = run.first_line().min(from.len());
        let mut head = run.part(0, at);
        head.store::<S, false>(0, head.load::<S, false>(simd, 0));
        Self { run, at }
    }

    /// Copies a line, if there is a whole one left.
    #[inline(always)]
    pub(crate) fn line<S: Isa>(&mut self, simd: S) {
        if self.run.len() - self.at >= T::LANES {
            let lanes = self.run.load::<S, true>(simd, self.at);
            self.run.stream(self.at, lanes);
            self.at += T::LANES;
        }
    }

    /// Copies what is left.
    #[inline(always)]
    pub(crate) fn finish<S: Isa>(mut self, simd: S) {
        while self.run.len() - self.at >= T::LANES {
            self.line(simd);
        }
        let rest = self.run.load::<S, false>(simd, self.at);
        self.run.store::<S, false>(self.at, rest);
    }
}

/// A run of values to read and, at the same positions, a run to write: two runs of memory or, for
/// work in place, one.
///
/// A position is written only after it was read, so a kernel has one body for both cases.
pub struct InOut<'a, T> {
    source: *const T,
    target: *mut T,
    len: usize,
    writable: usize,
    memory: PhantomData<&'a mut [T]>,
}

impl<'a, T: Float> InOut<'a, T> {
    /// Nothing to read and nothing to write, of which all is [writable](Self::is_writable).
    pub const EMPTY: Self = Self {
        source: core::ptr::null(),
        target: core::ptr::null_mut(),
        len: 0,
        writable: 0,
        memory: PhantomData,
    };

    /// Values to read and nothing to write.
    #[inline(always)]
    pub fn read(source: &'a [T]) -> Self {
        Self {
            source: source.as_ptr(),
            target: core::ptr::null_mut(),
            len: source.len(),
            writable: 0,
            memory: PhantomData,
        }
    }

    /// Values to read and as many to write elsewhere.
    #[inline(always)]
    pub fn copy(source: &'a [T], target: &'a mut [T]) -> Self {
        assert_eq!(source.len(), target.len());
        Self {
            source: source.as_ptr(),
            target: target.as_mut_ptr(),
            len: source.len(),
            writable: source.len(),
            memory: PhantomData,
        }
    }

    /// Values to read and to overwrite.
    #[inline(always)]
    pub fn in_place(target: &'a mut [T]) -> Self {
        let len = target.len();
        let target = target.as_mut_ptr();
        Self {
            source: target,
            target,
            len,
            writable: len,
            memory: PhantomData,
        }
    }

    /// Runs at addresses that are known by other means.
    ///
    /// # Safety
    /// For as long as `'a` lasts, `len` values at `source` are readable and, if `writable`, as many
    /// at `target` writable, by nobody else; the two runs are one or do not overlap.
    #[inline(always)]
    pub unsafe fn from_raw(source: *const T, target: *mut T, len: usize, writable: bool) -> Self {
        let writable = if writable { len } else { 0 };
        Self {
            source,
            target,
            len,
            writable,
            memory: PhantomData,
        }
    }

    /// Whether there is a run to write, which is as long as the one to read.
    #[inline(always)]
    pub fn is_writable(&self) -> bool {
        self.writable == self.len
    }

    /// How many values there are to read.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The `len` positions from `start` on.
    #[inline(always)]
    pub fn part(&mut self, start: usize, len: usize) -> InOut<'_, T> {
        assert!(start <= self.len && len <= self.len - start);
        let writable = if self.writable == 0 { 0 } else { len };
        InOut {
            source: self.source.wrapping_add(start),
            target: self.target.wrapping_add(start),
            len,
            writable,
            memory: PhantomData,
        }
    }

    /// The lanes from `at` on. Unless `FULL`, the end of the run may cut them off: zeros follow.
    #[inline(always)]
    pub fn load<S: Isa, const FULL: bool>(&self, simd: S, at: usize) -> Lanes<T, S> {
        assert!(at <= self.len);
        let rest = self.len - at;
        if FULL {
            assert!(T::LANES <= rest);
            // SAFETY: the lanes lie within the readable run.
            unsafe { Lanes::load_raw(simd, self.source.add(at)) }
        } else {
            // SAFETY: the mask's lanes lie within the readable run.
            unsafe { Lanes::load_raw_masked(Mask::first(simd, rest), simd, self.source.add(at)) }
        }
    }

    /// A value to read.
    #[inline(always)]
    pub fn value(&self, at: usize) -> T {
        assert!(at < self.len);
        // SAFETY: the position lies within the readable run.
        unsafe { *self.source.add(at) }
    }

    /// Asks for the line that will be read `ahead` bytes behind `at`, wherever that is.
    #[inline(always)]
    pub fn prefetch<S: Isa>(&self, simd: S, at: usize, ahead: usize) {
        let from = self.source.wrapping_add(at).cast::<u8>();
        simd.prefetch(from.wrapping_add(ahead));
    }

    /// Asks for the line that will be written `ahead` bytes behind `at`, wherever that is, unless it
    /// is the one to be read.
    #[inline(always)]
    pub fn prefetch_target<S: Isa>(&self, simd: S, at: usize, ahead: usize) {
        if self.writable == 0 || core::ptr::eq(self.source, self.target) {
            return;
        }
        let to = self.target.wrapping_add(at).cast::<u8>();
        simd.prefetch(to.wrapping_add(ahead));
    }

    /// Writes lanes at `at`. Unless `FULL`, only as many as the run has room for.
    #[inline(always)]
    pub fn store<S: Isa, const FULL: bool>(&mut self, at: usize, lanes: Lanes<T, S>) {
        assert!(at <= self.writable);
        let rest = self.writable - at;
        if FULL {
            assert!(T::LANES <= rest);
            // SAFETY: the lanes lie within the writable run.
            unsafe { lanes.store_raw(self.target.add(at)) }
        } else {
            // SAFETY: the mask's lanes lie within the writable run.
            unsafe { lanes.store_raw_masked(Mask::first(lanes.simd, rest), self.target.add(at)) }
        }
    }

    /// The first position at which a cache line begins.
    #[inline(always)]
    pub fn first_line(&self) -> usize {
        self.target.addr().wrapping_neg() % LINE_BYTES / size_of::<T>()
    }

    /// Whether vectors from the first position on can be written past the caches.
    #[inline(always)]
    pub fn is_streamable(&self) -> bool {
        self.writable > 0 && self.target.addr().is_multiple_of(PIECE_BYTES)
    }

    /// Whether everything can be written past the caches.
    #[inline(always)]
    pub fn is_streamable_to_its_end(&self) -> bool {
        self.is_streamable() && (self.writable * size_of::<T>()).is_multiple_of(PIECE_BYTES)
    }

    /// Whether what is written begins and ends with cache lines.
    #[inline(always)]
    pub fn is_made_of_lines(&self) -> bool {
        self.is_streamable() && self.first_line() == 0 && self.writable.is_multiple_of(T::LANES)
    }

    /// Writes lanes at `at` past the caches; needs a fence before another thread may read. Lines are
    /// best written whole, from the [first](Self::first_line) on, or else one vector after the other
    /// with nothing else in between.
    #[inline(always)]
    pub fn stream<S: Isa>(&mut self, at: usize, lanes: Lanes<T, S>) {
        assert!(at <= self.writable && T::LANES <= self.writable - at);
        let target = self.target.wrapping_add(at);
        assert!(target.addr().is_multiple_of(PIECE_BYTES));
        // SAFETY: the lanes lie within the writable run, aligned to 16 bytes.
        unsafe { lanes.stream_raw(target) }
    }

    /// Writes lanes at `at`, as many as the run has room for: past the caches, as
    /// [`stream`](Self::stream) does, if those are whole pieces of 16 bytes.
    #[inline(always)]
    pub fn stream_some<S: Isa>(&mut self, at: usize, lanes: Lanes<T, S>) {
        assert!(at <= self.writable);
        let count = T::LANES.min(self.writable - at);
        let target = self.target.wrapping_add(at);
        let pieces = count * size_of::<T>();
        if !(target.addr() | pieces).is_multiple_of(PIECE_BYTES) {
            self.store::<S, false>(at, lanes);
            return;
        }
        let mut values = [T::ZERO; 16];
        lanes.store(&mut values);
        for start in (0..pieces).step_by(PIECE_BYTES) {
            let from = values.as_ptr().wrapping_byte_add(start).cast();
            // SAFETY: the piece lies within the values and within the writable run, aligned to 16 bytes.
            unsafe {
                lanes
                    .simd
                    .stream_piece(target.wrapping_byte_add(start).cast(), from)
            }
        }
    }
}
