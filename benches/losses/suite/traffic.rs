//! The bytes that a loss moves, moved with as little else as possible.

use rayon::join;

/// Bytes from which streams are shared among threads; less takes as long as waking one.
const LEAST_SHARED: usize = 64 << 10;

/// Parts for each thread, so that one which is held up keeps the others waiting less.
const PARTS: usize = 4;

#[derive(Clone, Copy)]
pub enum Stores {
    Ordinary,
    /// Past the caches.
    Streaming,
}

/// Runs of memory of one length that are read, read and overwritten, and written together.
pub struct Traffic<'a, const R: usize, const P: usize, const W: usize> {
    pub read: [&'a [f32]; R],
    pub change: [&'a mut [f32]; P],
    pub write: [&'a mut [f32]; W],
}

/// Whether this CPU has the instructions.
pub fn is_known() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

impl<const R: usize, const P: usize, const W: usize> Traffic<'_, R, P, W> {
    /// Moves everything, on all threads of the current pool.
    pub fn run(self, stores: Stores) {
        let threads = rayon::current_num_threads();
        let shared = threads > 1 && size_of::<f32>() * self.len() >= LEAST_SHARED;
        self.parts(if shared { PARTS * threads } else { 1 }, stores);
    }

    fn parts(self, count: usize, stores: Stores) {
        if count == 1 {
            self.alone(stores);
            return;
        }
        let first = count / 2;
        let (head, tail) = self.split(first, count);
        join(
            || head.parts(first, stores),
            || tail.parts(count - first, stores),
        );
    }

    pub fn len(&self) -> usize {
        let changed = self.change.first().map(|run| run.len());
        let read = self.read.first().map(|run| run.len());
        read.or(changed).expect("something to read")
    }

    /// The first `parts` of `count`, and the rest.
    fn split(self, parts: usize, count: usize) -> (Self, Self) {
        let middle = self.len() / count * parts;
        let read = self.read.map(|run| run.split_at(middle));
        let (change, changed) = halves(self.change, middle);
        let (write, written) = halves(self.write, middle);
        let head = Self {
            read: read.map(|(head, _)| head),
            change,
            write,
        };
        let tail = Self {
            read: read.map(|(_, tail)| tail),
            change: changed,
            write: written,
        };
        (head, tail)
    }

    #[cfg(target_arch = "x86_64")]
    fn alone(self, stores: Stores) {
        assert!(is_known());
        match stores {
            // SAFETY: the CPU has AVX.
            Stores::Ordinary => unsafe { super::avx::run::<R, P, W, false>(self) },
            // SAFETY: as above.
            Stores::Streaming => unsafe { super::avx::run::<R, P, W, true>(self) },
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn alone(self, _: Stores) {
        unreachable!("no limit is timed");
    }
}

type Halves<'a, const N: usize> = ([&'a mut [f32]; N], [&'a mut [f32]; N]);

fn halves<const N: usize>(runs: [&mut [f32]; N], middle: usize) -> Halves<'_, N> {
    let mut tails = [const { None }; N];
    let mut numbers = 0..;
    let heads = runs.map(|run| {
        let (head, tail) = run.split_at_mut(middle);
        tails[numbers.next().expect("a number for each")] = Some(tail);
        head
    });
    (heads, tails.map(|tail| tail.expect("one for each")))
}
