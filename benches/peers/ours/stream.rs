//! The traffic of a loss without its computation: as fast as it can be on this memory.

/// How results are written.
#[derive(Clone, Copy, PartialEq)]
pub enum Stores {
    Ordinary,
    /// Past the caches, where the processor can.
    Streaming,
}

/// Elements of which parts for threads are multiples, which keeps the alignment.
const GRAIN: usize = 64;

/// Reads `R` arrays and writes `W`, on all threads of the current pool.
pub fn stream<const R: usize, const W: usize>(
    read: [&[f32]; R],
    write: [&mut [f32]; W],
    stores: Stores,
) {
    parts(read, write, stores, rayon::current_num_threads());
}

fn parts<const R: usize, const W: usize>(
    mut read: [&[f32]; R],
    mut write: [&mut [f32]; W],
    stores: Stores,
    threads: usize,
) {
    let len = write[0].len();
    assert!(read.iter().all(|from| from.len() == len));
    assert!(write.iter().all(|to| to.len() == len));
    if threads < 2 {
        return part(read, write, stores);
    }
    let middle = (len / threads * (threads / 2))
        .next_multiple_of(GRAIN)
        .min(len);
    let read_on = read
        .each_mut()
        .map(|from| from.split_off(middle..).expect("a middle"));
    let write_on = write
        .each_mut()
        .map(|to| to.split_off_mut(middle..).expect("a middle"));
    rayon::join(
        || parts(read, write, stores, threads / 2),
        || parts(read_on, write_on, stores, threads.div_ceil(2)),
    );
}

fn part<const R: usize, const W: usize>(
    read: [&[f32]; R],
    mut write: [&mut [f32]; W],
    stores: Stores,
) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx") {
        // SAFETY: the processor has AVX.
        unsafe {
            match stores {
                Stores::Ordinary => avx::<R, W, false>(read, &mut write),
                Stores::Streaming => avx::<R, W, true>(read, &mut write),
            }
        }
        return;
    }
    let _ = stores;
    from(0, read, &mut write);
}

/// Entries from `start` on.
fn from<const R: usize, const W: usize>(
    start: usize,
    read: [&[f32]; R],
    write: &mut [&mut [f32]; W],
) {
    for i in start..write[0].len() {
        let sum = read.iter().map(|from| from[i]).sum();
        write.iter_mut().for_each(|to| to[i] = sum);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
fn avx<const R: usize, const W: usize, const STREAMING: bool>(
    read: [&[f32]; R],
    write: &mut [&mut [f32]; W],
) {
    use std::arch::x86_64::*;

    const VECTOR: usize = 8;
    // Whole lines of each array in turn, which stores past the caches need.
    const VECTORS: usize = 8;
    const BLOCK: usize = VECTORS * VECTOR;
    let len = write[0].len();
    assert!(read.iter().all(|from| from.len() == len));
    assert!(write.iter().all(|to| to.len() == len));
    // As every large allocation is.
    assert!(
        write
            .iter()
            .all(|to| to.as_ptr().cast::<__m128>().is_aligned())
    );
    let whole = len / BLOCK * BLOCK;
    for block in (0..whole).step_by(BLOCK) {
        let mut sums = [_mm256_setzero_ps(); VECTORS];
        for from in read {
            for (k, sum) in sums.iter_mut().enumerate() {
                // SAFETY: all arrays have `len` entries, and the block ends within `whole`.
                let x = unsafe { _mm256_loadu_ps(from.as_ptr().add(block + k * VECTOR)) };
                *sum = _mm256_add_ps(*sum, x);
            }
        }
        for to in write.iter_mut() {
            for (k, &sum) in sums.iter().enumerate() {
                // SAFETY: as above; the arrays are aligned to 16 bytes, and so is every vector.
                unsafe {
                    let to = to.as_mut_ptr().add(block + k * VECTOR);
                    if STREAMING {
                        _mm_stream_ps(to, _mm256_castps256_ps128(sum));
                        _mm_stream_ps(to.add(4), _mm256_extractf128_ps::<1>(sum));
                    } else {
                        _mm256_storeu_ps(to, sum);
                    }
                }
            }
        }
    }
    if STREAMING {
        _mm_sfence();
    }
    from(whole, read, write);
}
