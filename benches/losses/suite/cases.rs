//! What is run of the cases, on how many threads and with which instructions.

use super::traffic::{self, Stores, Traffic};
use criterion::{Bencher, Criterion, SamplingMode, Throughput};
use lossgrad::{Exec, Level, Threading};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::cell::LazyCell;
use std::time::Duration;

const THREADS: [usize; 2] = [1, 2];

/// Bytes a stream below which it never leaves the first cache and is no limit of anything.
const LEAST_LIMITED: usize = 64 << 10;
/// Bytes a stream from which stores past the caches may win.
const LEAST_STREAMED: usize = 1 << 20;

/// What several cases share, made by the first of them that runs.
pub type Shared<'a, D> = LazyCell<D, Box<dyn FnOnce() -> D + 'a>>;

pub fn shared<'a, D>(make: impl FnOnce() -> D + 'a) -> Shared<'a, D> {
    LazyCell::new(Box::new(make))
}

/// The extents of a shape, as they appear in names.
pub fn extents(shape: &[usize]) -> String {
    let extents: Vec<_> = shape.iter().map(usize::to_string).collect();
    format!("({})", extents.join(","))
}

pub struct Cases<'c> {
    criterion: &'c mut Criterion,
    chosen: &'c dyn Fn(&str) -> bool,
    pools: [ThreadPool; THREADS.len()],
    exec: Exec,
    pub names: Vec<String>,
}

impl<'c> Cases<'c> {
    pub fn new(criterion: &'c mut Criterion, chosen: &'c dyn Fn(&str) -> bool) -> Self {
        Self {
            criterion,
            chosen,
            pools: THREADS.map(|threads| {
                let builder = ThreadPoolBuilder::new().num_threads(threads);
                builder.build().expect("a pool of threads")
            }),
            exec: Exec::new(level(), Threading::Auto),
            names: Vec::new(),
        }
    }

    /// Times `run`, which moves so many bytes a call, for each number of threads.
    pub fn case<D: Send>(
        &mut self,
        group: &str,
        name: &str,
        bytes: usize,
        data: &mut Shared<'_, D>,
        run: impl Fn(&mut Bencher<'_>, Exec, &mut D) + Sync,
    ) {
        let id = format!("{group}/{name}");
        let chosen = (self.chosen)(&id);
        self.names.push(id);
        if !chosen {
            return;
        }
        let mut group = self.criterion.benchmark_group(group);
        group
            .sampling_mode(SamplingMode::Flat)
            .throughput(Throughput::Bytes(bytes as u64))
            // Enough for ten samples of a slow machine.
            .measurement_time(Duration::from_millis(600 + bytes as u64 / 300_000));
        let exec = self.exec;
        for (threads, pool) in THREADS.iter().zip(&self.pools) {
            group.bench_function(format!("{name}/t{threads}"), |bencher| {
                let data = LazyCell::force_mut(data);
                pool.install(|| run(bencher, exec, data));
            });
        }
        group.finish();
    }

    /// Times the traffic alone, `bytes` a stream; `place` is shape and type.
    pub fn limit<D: Send, const R: usize, const P: usize, const W: usize>(
        &mut self,
        place: &str,
        bytes: usize,
        data: &mut Shared<'_, D>,
        traffic: impl for<'a> Fn(&'a mut D) -> Traffic<'a, R, P, W> + Sync,
    ) {
        if bytes < LEAST_LIMITED || !traffic::is_known() {
            return;
        }
        let kinds: &[(Stores, &str)] = if P + W > 0 && bytes >= LEAST_STREAMED {
            &[(Stores::Ordinary, ""), (Stores::Streaming, "_streaming")]
        } else {
            &[(Stores::Ordinary, "")]
        };
        for &(stores, suffix) in kinds {
            let name = format!("{}{suffix}/{place}", name::<R, P, W>());
            let bytes = bytes * (R + 2 * P + W);
            self.case("limit", &name, bytes, data, |bencher, _, data| {
                bencher.iter(|| traffic(data).run(stores));
            });
        }
    }
}

fn level() -> Level {
    match std::env::var("LOSSGRAD_LEVEL") {
        Ok(name) => Level::all()
            .find(|level| level.name() == name)
            .unwrap_or_else(|| panic!("this CPU has no level {name}")),
        Err(_) => Level::best(),
    }
}

/// What the traffic is called.
fn name<const R: usize, const P: usize, const W: usize>() -> String {
    let number = |streams: usize| ["no", "one", "two", "three"][streams];
    let mut parts = Vec::new();
    if R > 0 {
        parts.push(format!("read_{}", number(R)));
    }
    if P > 0 {
        parts.push("in_place".to_owned());
    }
    if W > 0 {
        parts.push(format!("write_{}", number(W)));
    }
    parts.join("_")
}
