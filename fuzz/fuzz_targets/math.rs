#![no_main]

use libfuzzer_sys::fuzz_target;
use lossgrad_fuzz::scenarios::{Math, Scenario};

fuzz_target!(|scenario: Math| scenario.check());
