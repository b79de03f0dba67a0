#![no_main]

use libfuzzer_sys::fuzz_target;
use lossgrad_fuzz::scenarios::{Pairs, Scenario};

fuzz_target!(|scenario: Pairs| scenario.check());
