//! Pools that are built once.

use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::LazyLock;

/// Pools of 1, 2 and 7 threads.
static POOLS: LazyLock<[ThreadPool; 3]> = LazyLock::new(|| {
    [1, 2, 7].map(|threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool")
    })
});

/// Runs `test` in each of the pools.
pub fn for_each_pool(mut test: impl FnMut(usize) + Send) {
    for pool in POOLS.iter() {
        pool.install(|| test(pool.current_num_threads()));
    }
}
