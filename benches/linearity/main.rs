//! The time of an element, from a few hundred elements to hundreds of millions: losses and gradients
//! into places that are given and were touched, with one thread and with two. Prints a table and
//! draws a picture.
//!
//! ```text
//! cargo bench --bench linearity                            # up to 2^28 elements, 3 GiB
//! cargo bench --bench linearity -- 20                      # up to 2^20
//! cargo bench --bench linearity -- --picture picture.svg   # instead of target/linearity.svg
//! cargo bench --bench linearity -- --test                  # up to 2^12, each once
//! ```

mod calls;
mod clock;
mod picture;
mod settings;

use calls::{Memory, Timed};
use clock::Clock;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::ThreadPoolBuilder;
use settings::Settings;
use std::error::Error;
use std::ops::RangeInclusive;

/// The smallest number of elements, as a power of 2.
const LEAST: u32 = 8;

const THREADS: [usize; 2] = [1, 2];

/// How long a loss takes with so many threads.
pub(crate) struct Curve {
    name: &'static str,
    threads: usize,
    /// The power of 2, and nanoseconds an element.
    points: Vec<(u32, f64)>,
}

impl Curve {
    fn threads(&self) -> &'static str {
        if self.threads == 1 {
            "one thread"
        } else {
            "two threads"
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let settings = Settings::given()?;
    let powers = LEAST..=settings.largest;
    let mut memory = Memory::new(1 << settings.largest);
    let mut curves = Vec::new();
    let bar = ProgressBar::new((powers.clone().count() * Timed::ALL.len() * THREADS.len()) as u64)
        .with_style(ProgressStyle::with_template("{bar:40} {msg}")?);
    for loss in Timed::ALL {
        for threads in THREADS {
            bar.set_message(format!("{}, threads: {threads}", loss.name));
            let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
            let mut time = |power| {
                bar.inc(1);
                pool.install(|| (power, time(&loss, &mut memory, power, settings.clock)))
            };
            curves.push(Curve {
                name: loss.name,
                threads,
                points: powers.clone().map(&mut time).collect(),
            });
        }
    }
    bar.finish_and_clear();
    print(&curves, powers);
    if let Some(path) = settings.picture {
        picture::draw(&curves, &path)?;
        println!("\n{}", path.display());
    }
    Ok(())
}

/// Nanoseconds an element.
fn time(loss: &Timed, memory: &mut Memory, power: u32, clock: Clock) -> f64 {
    let mut arrays = memory.arrays(1 << power, loss.columns);
    let elements = arrays.pred.len() as f64;
    clock.nanoseconds(|| (loss.call)(&mut arrays)) / elements
}

fn print(curves: &[Curve], powers: RangeInclusive<u32>) {
    println!("nanoseconds an element, t1 and t2: one thread and two\n");
    print!("{:>8}", "elements");
    for Curve { name, threads, .. } in curves {
        print!("{:>16}", format!("{name} t{threads}"));
    }
    println!();
    for (row, power) in powers.enumerate() {
        print!("{:>8}", format!("2^{power}"));
        for curve in curves {
            print!("{:>16.4}", curve.points[row].1);
        }
        println!();
    }
}
