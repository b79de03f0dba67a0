//! The same bits on every kind of processor: `data/bits.tsv` holds a hash of what each loss gives in
//! each type, and every level of whichever processor this runs on is held to it.
//!
//! `LOSSGRAD_WRITE_BITS=1 cargo test --test committed_bits` writes the file anew. A change of a
//! loss's bits is to be meant, and to be said in the changelog.

mod common;

use std::fmt::Write;
use std::path::PathBuf;

use common::call::{REDUCTIONS, Request, fused};
use common::cases::{Case, Label, Problem, Unit, table_and_variants};
use common::ctc::{Batch, Ctc, Data, label, logits};
use common::levels::levels;
use common::random::Random;
use common::real::Real;
use lossgrad::{Exec, Level, Threading};
use ndarray::{Array3, ArrayD};
use rayon::prelude::*;

/// FNV-1a, of 64 bits.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add_bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn add(&mut self, bits: u64) {
        self.add_bytes(&bits.to_le_bytes());
    }

    fn add_all<'a, T: Real>(&mut self, values: impl IntoIterator<Item = &'a T>) {
        values.into_iter().for_each(|value| self.add(value.bits()));
    }
}

/// The value that its authors publish.
#[test]
fn the_hash_is_fnv_1a() {
    let mut hash = Fnv::new();
    hash.add_bytes(b"foobar");
    assert_eq!(hash.0, 0x8594_4171_f739_67e8);
}

/// What a loss was given and what it made of that, hashed.
struct Hashes {
    inputs: Fnv,
    results: Fnv,
}

impl Hashes {
    fn new() -> Self {
        Self {
            inputs: Fnv::new(),
            results: Fnv::new(),
        }
    }

    fn add_problem<T: Real>(&mut self, problem: &Problem<T>, request: &Request<T>) {
        let inputs = &mut self.inputs;
        problem.operands().for_each(|input| inputs.add_all(input));
        match &problem.label {
            Label::Dense(label) => inputs.add_all(label),
            Label::Sparse(label) => label.iter().for_each(|&class| inputs.add(class as u64)),
            Label::None => {}
        }
        let factors = [
            &problem.pos_weight,
            &request.sample_weight,
            &request.upstream,
        ];
        let factors = factors.into_iter().flatten();
        factors.for_each(|factor| inputs.add_all(factor));
    }

    /// The payloads of NaN are not promised, so there is none here.
    fn add_results<T: Real>(&mut self, values: &ArrayD<T>) {
        assert!(values.iter().all(|value| !value.wide().is_nan()), "a NaN");
        self.results.add_all(values);
    }

    fn line(&self, name: &str, of: &str) -> String {
        format!(
            "{name}\t{of}\t{:016x}\t{:016x}",
            self.inputs.0, self.results.0
        )
    }
}

/// A shape with its batch axis and its class axis.
type Arrangement = (Vec<usize>, isize, isize);

/// Nothing beside a vector, ends of vectors, blocks and pieces, samples of several leaves, classes on
/// every axis, and more vectors than SDML compares at once.
fn arrangements() -> Vec<Arrangement> {
    let lengths = [
        1, 7, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 255, 256, 257, 511, 513, 1023, 1025, 4095,
        4097,
    ];
    let rows = lengths.map(|length| (vec![2, length], 0, 1));
    let others = [
        (vec![1, 40_003], 0, 1),
        (vec![3, 33, 5], 0, 1),
        (vec![30, 5, 33], 2, 0),
        (vec![8, 30, 37], 1, 2),
        (vec![2, 3, 4, 5], 3, 1),
        (vec![1100, 3], 0, 1),
    ];
    rows.into_iter().chain(others).collect()
}

fn factor<T: Real>(shape: &[usize], random: &mut Random) -> ArrayD<T> {
    ArrayD::from_shape_simple_fn(shape, || T::of(random.within(-0.5, 2.0)))
}

/// Every arrangement, by turns with each reduction, with and without factors.
fn of_the_table<T: Real>(case: &Case<T>, level: Level) -> Hashes {
    let mut hashes = Hashes::new();
    for (number, (shape, batch_axis, class_axis)) in arrangements().into_iter().enumerate() {
        if case.unit == Unit::LastRow && class_axis as usize != shape.len() - 1 {
            continue;
        }
        let random = &mut Random::new(number as u64);
        let problem = (case.draw)(&shape, class_axis as usize, random);
        let plain = Request {
            batch_axis,
            class_axis,
            reduction: REDUCTIONS[number % REDUCTIONS.len()],
            exec: Exec::new(level, Threading::Serial),
            ..Request::default()
        };
        let mut weighted = plain.clone();
        weighted.weight = 0.3;
        weighted.number = case.numbers.last().copied();
        weighted.reduction = REDUCTIONS[(number / REDUCTIONS.len()) % REDUCTIONS.len()];
        weighted.sample_weight = Some(factor(&weighted.units(&shape, case), random));
        weighted.upstream = Some(factor(&weighted.loss_shape(&shape, case), random));
        for request in [plain, weighted] {
            let outcome = fused(case, &problem, &request);
            hashes.add_problem(&problem, &request);
            hashes.add_results(&outcome.loss);
            outcome.grads.iter().for_each(|g| hashes.add_results(g));
        }
    }
    hashes
}

/// Short and long sequences, few and many classes, lattices that are kept and that are made twice.
fn of_ctc<T: Ctc>(log_probs: bool, level: Level) -> Hashes {
    let mut hashes = Hashes::new();
    let shapes = [
        (1, 1, 2, 1),
        (7, 70, 21, 30),
        (3, 33, 32, 10),
        (2, 129, 65, 40),
        (1, 40, 1000, 12),
        (2, 1500, 12, 300),
    ];
    for (number, (samples, frames, classes, length)) in shapes.into_iter().enumerate() {
        let random = &mut Random::new(number as u64);
        let blank = [0, classes - 1][number % 2];
        let shape = [samples, frames, classes];
        for kind in [Data::Normal(2.0), Data::Peaky] {
            let pred: Array3<T> = match log_probs {
                true => Array3::from_shape_simple_fn(shape, || T::of(-4.0 * random.exponential())),
                false => logits(shape, blank, kind, random),
            };
            let labels = (0..samples).map(|sample| {
                // All lengths down to nothing; the first may be too long.
                let length = length - length * sample / samples;
                let repeats = if classes == 2 { 1 } else { 4 };
                label(length, classes, blank, repeats, random)
            });
            let labels: Vec<Vec<usize>> = labels.collect();
            let lengths = (0..samples).map(|sample| frames - sample * frames / 8);
            let batch = Batch {
                log_probs,
                per_label: number % 3 == 1,
                weight: 0.7,
                ..Batch::new(pred, labels)
                    .blank(blank)
                    .lengths(lengths.collect())
            };
            let outcome = batch.run(Exec::new(level, Threading::Serial));
            hashes.inputs.add_all(&batch.pred);
            let classes = batch.labels.iter().flatten();
            classes.for_each(|&class| hashes.inputs.add(class as u64));
            hashes.add_results(&outcome.loss.into_dyn());
            hashes.add_results(&outcome.grad.into_dyn());
        }
    }
    hashes
}

/// A line for each loss of a type.
fn of_type<T: Ctc>(level: Level) -> Vec<String> {
    let table = table_and_variants::<T>();
    let mut lines: Vec<String> = table
        .par_iter()
        .map(|case| of_the_table(case, level).line(case.name, T::NAME))
        .collect();
    for (name, log_probs) in [("ctc", false), ("ctc log_probs", true)] {
        lines.push(of_ctc::<T>(log_probs, level).line(name, T::NAME));
    }
    lines
}

const HEAD: &str = "\
# What each loss gives for the inputs of tests/committed_bits.rs: FNV-1a of the bits, of 64 bits.
# loss\ttype\tinputs\tlosses and gradients
";

#[test]
fn every_level_gives_the_committed_bits() {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "data", "bits.tsv"]
        .iter()
        .collect();
    let lines = |level: Level| {
        let mut lines = HEAD.to_owned();
        for line in [of_type::<f32>(level), of_type::<f64>(level)].concat() {
            writeln!(lines, "{line}").expect("a string grows");
        }
        lines
    };
    if std::env::var_os("LOSSGRAD_WRITE_BITS").is_some() {
        std::fs::write(&path, lines(Level::best())).expect("a file to write");
        return;
    }
    let committed = std::fs::read_to_string(&path).expect("the committed file");
    for level in levels() {
        let actual = lines(level);
        for (actual, committed) in actual.lines().zip(committed.lines()) {
            assert_eq!(actual, committed, "at {level}, here and committed");
        }
        assert_eq!(actual.lines().count(), committed.lines().count(), "losses");
    }
}
