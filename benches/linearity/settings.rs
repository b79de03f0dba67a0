//! What the bench is asked for.

use super::LEAST;
use super::clock::Clock;
use std::error::Error;
use std::path::PathBuf;

pub(crate) struct Settings {
    /// The largest number of elements, as a power of 2.
    pub(crate) largest: u32,
    pub(crate) picture: Option<PathBuf>,
    pub(crate) clock: Clock,
}

impl Settings {
    pub(crate) fn given() -> Result<Self, Box<dyn Error>> {
        let mut largest = None;
        let mut picture = None;
        let mut test = false;
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // What cargo itself adds.
                "--bench" => {}
                "--test" => test = true,
                "--picture" => picture = Some(arguments.next().ok_or("--picture needs a path")?),
                power => largest = Some(power.parse::<u32>()?.clamp(LEAST + 1, 30)),
            }
        }
        Ok(if test {
            Self {
                largest: largest.unwrap_or(12),
                picture: picture.map(PathBuf::from),
                clock: Clock::ONCE,
            }
        } else {
            let drawn = concat!(env!("CARGO_MANIFEST_DIR"), "/target/linearity.svg");
            Self {
                largest: largest.unwrap_or(28),
                picture: Some(picture.unwrap_or_else(|| drawn.to_owned()).into()),
                clock: Clock::CAREFUL,
            }
        })
    }
}
