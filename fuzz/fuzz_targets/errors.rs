#![no_main]

use libfuzzer_sys::fuzz_target;
use lossgrad_fuzz::scenarios::{Errors, Scenario};

fuzz_target!(|scenario: Errors| scenario.check());
