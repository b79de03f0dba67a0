#![no_main]

use libfuzzer_sys::fuzz_target;
use lossgrad_fuzz::scenarios::{Ctc, Scenario};

fuzz_target!(|scenario: Ctc| scenario.check());
