#![no_main]

use libfuzzer_sys::fuzz_target;
use lossgrad_fuzz::scenarios::{Rows, Scenario};

fuzz_target!(|scenario: Rows| scenario.check());
