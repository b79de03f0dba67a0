//! How long a call takes.

use std::time::{Duration, Instant};

#[derive(Clone, Copy)]
pub(crate) struct Clock {
    runs: usize,
    /// How long a run takes at least, of as many calls as that needs.
    run: Duration,
}

impl Clock {
    pub(crate) const ONCE: Self = Self {
        runs: 1,
        run: Duration::ZERO,
    };

    pub(crate) const CAREFUL: Self = Self {
        runs: 5,
        run: Duration::from_millis(50),
    };

    /// The median of the runs, which come after some calls that warm up.
    pub(crate) fn nanoseconds(self, mut call: impl FnMut()) -> f64 {
        let mut calls = 1;
        loop {
            let taken = time(calls, &mut call);
            if taken >= self.run {
                break;
            }
            // Towards the time of a run by steps of ten: the first calls may be slow.
            let wanted = self.run.as_secs_f64() / taken.as_secs_f64().max(1e-9);
            calls = (calls as f64 * wanted.clamp(1.1, 10.0)).ceil() as u64;
        }
        let mut runs: Vec<_> = (0..self.runs).map(|_| time(calls, &mut call)).collect();
        runs.sort();
        1e9 * runs[self.runs / 2].as_secs_f64() / calls as f64
    }
}

fn time(calls: u64, call: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        call();
    }
    start.elapsed()
}
