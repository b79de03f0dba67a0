//! [`Traffic`] with AVX. Values are only combined by exclusive or: it is as fast as moving them, and
//! no number is slow for it.

use super::traffic::Traffic;
use core::arch::x86_64::{
    __m256, _MM_HINT_T0, _mm_prefetch, _mm_sfence, _mm_stream_ps, _mm256_castps256_ps128,
    _mm256_extractf128_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps, _mm256_xor_ps,
};
use core::ops::Range;
use std::hint::black_box;

/// Values of a vector.
const LANES: usize = 8;
/// Vectors of a stream in each step: two cache lines.
const VECTORS: usize = 4;
const STEP: usize = VECTORS * LANES;
/// How far ahead memory is asked for beside stores past the caches, in values. Without such stores
/// the CPU's own prefetching does better.
const AHEAD: usize = 128;

/// Moves everything; what is written is the exclusive or of what was read.
#[target_feature(enable = "avx")]
pub fn run<const R: usize, const P: usize, const W: usize, const STREAM: bool>(
    mut traffic: Traffic<'_, R, P, W>,
) {
    let written = traffic.change.first().or(traffic.write.first());
    let to_line = written.map_or(0, |run| run.as_ptr().align_offset(64));
    let len = traffic.len();
    let head = to_line.min(len);
    let end = head + (len - head) / STEP * STEP;

    one_by_one(&mut traffic, 0..head);
    let mut all = [_mm256_setzero_ps(); VECTORS];
    // The compiler must not know this zero: it would leave out to write in place what is there.
    let zero = black_box(_mm256_setzero_ps());
    for at in (head..end).step_by(STEP) {
        let mut sum = [zero; VECTORS];
        for run in &traffic.read {
            load::<STREAM>(&mut sum, run, at);
        }
        for run in &traffic.change {
            load::<STREAM>(&mut sum, run, at);
        }
        for run in traffic.change.iter_mut().chain(&mut traffic.write) {
            store::<STREAM>(sum, run, at);
        }
        if P + W == 0 {
            for (all, sum) in all.iter_mut().zip(sum) {
                *all = _mm256_xor_ps(*all, sum);
            }
        }
    }
    one_by_one(&mut traffic, end..len);
    black_box(all);
    if STREAM {
        _mm_sfence();
    }
}

/// Adds a step of a run to the sum.
#[inline]
#[target_feature(enable = "avx")]
fn load<const STREAM: bool>(sum: &mut [__m256; VECTORS], run: &[f32], at: usize) {
    if STREAM {
        // Prefetching is no access: it may be asked for behind the run's end.
        let ahead = run.as_ptr().wrapping_add(at + AHEAD);
        _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
        _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(STEP / 2).cast());
    }
    for (sum, values) in sum.iter_mut().zip(run[at..at + STEP].chunks_exact(LANES)) {
        // SAFETY: the chunk holds a vector.
        let x = unsafe { _mm256_loadu_ps(values.as_ptr()) };
        *sum = _mm256_xor_ps(*sum, x);
    }
}

/// Writes a step of a run. Stores past the caches are of 16 bytes, to which all allocators align.
#[inline]
#[target_feature(enable = "avx")]
fn store<const STREAM: bool>(sum: [__m256; VECTORS], run: &mut [f32], at: usize) {
    let run = &mut run[at..at + STEP];
    assert!(!STREAM || run.as_ptr().addr().is_multiple_of(16));
    for (x, values) in sum.into_iter().zip(run.chunks_exact_mut(LANES)) {
        let to = values.as_mut_ptr();
        if STREAM {
            let halves = [_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x)];
            // SAFETY: the chunk holds both halves; it begins at a multiple of 16 bytes.
            unsafe { _mm_stream_ps(to, halves[0]) };
            // SAFETY: as above.
            unsafe { _mm_stream_ps(to.add(LANES / 2), halves[1]) };
        } else {
            // SAFETY: the chunk holds a vector.
            unsafe { _mm256_storeu_ps(to, x) };
        }
    }
}

/// The values that no step reaches.
fn one_by_one<const R: usize, const P: usize, const W: usize>(
    traffic: &mut Traffic<'_, R, P, W>,
    range: Range<usize>,
) {
    let mut all = 0;
    for at in range {
        let changed = traffic.change.iter().map(|run| run[at].to_bits());
        let read = traffic.read.iter().map(|run| run[at].to_bits());
        let sum = read.chain(changed).fold(0, |sum, x| sum ^ x);
        for run in traffic.change.iter_mut().chain(&mut traffic.write) {
            run[at] = f32::from_bits(sum);
        }
        all ^= sum;
    }
    black_box(all);
}
