//! This library as a worker of `compare.py`, which starts it with `--threads N` and asks it line by
//! line; `README.md` says what. The other workers answer the same.

#[cfg(target_arch = "x86_64")]
#[path = "../../losses/suite/avx.rs"]
mod avx;
mod data;
mod losses;
#[path = "../../losses/suite/traffic.rs"]
mod traffic;

use data::Data;
use losses::Run;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::time::Instant;
use traffic::Stores;

/// What is prepared.
type Prepared = Option<(Run, Data)>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().collect();
    let Some(option) = arguments
        .iter()
        .position(|argument| argument == "--threads")
    else {
        println!("To compare with other libraries: bash benches/peers/run.sh");
        return Ok(());
    };
    let threads = arguments.get(option + 1).ok_or("--threads N")?.parse()?;
    let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
    let mut prepared = None;
    for line in stdin().lock().lines() {
        let line = line?;
        let words: Vec<_> = line.split(' ').collect();
        let reply =
            answer(&pool, &mut prepared, &words).unwrap_or_else(|error| format!("failed {error}"));
        println!("{reply}");
        stdout().flush()?;
    }
    Ok(())
}

fn answer(
    pool: &ThreadPool,
    prepared: &mut Prepared,
    words: &[&str],
) -> Result<String, Box<dyn Error>> {
    match words {
        ["prepare", loss, directory, arrays @ ..] => {
            let Some((run, gradients)) = losses::find(loss) else {
                return Ok("lacks".into());
            };
            let mut data = Data::read(Path::new(directory), arrays, gradients)?;
            pool.install(|| run(&mut data, 1));
            let (loss, gradient) = data.totals();
            *prepared = Some((run, data));
            Ok(format!("ok {loss} {gradient}"))
        }
        ["time", what, calls] => {
            let (run, data) = prepared.as_mut().ok_or("nothing is prepared")?;
            let calls = calls.parse()?;
            if *what != "loss" && !traffic::is_known() {
                return Ok("lacks".into());
            }
            let seconds = pool.install(|| {
                let start = Instant::now();
                match *what {
                    "loss" => run(data, calls),
                    "ordinary" => data.stream(Stores::Ordinary, calls),
                    "streaming" => data.stream(Stores::Streaming, calls),
                    _ => return None,
                }
                Some(start.elapsed().as_secs_f64())
            });
            Ok(format!("ok {}", seconds.ok_or("no such thing to time")?))
        }
        ["drop"] => {
            *prepared = None;
            Ok("ok".into())
        }
        _ => Err("no such request".into()),
    }
}
