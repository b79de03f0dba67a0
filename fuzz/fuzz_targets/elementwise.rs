#![no_main]

use libfuzzer_sys::fuzz_target;
use lossgrad_fuzz::scenarios::{Elementwise, Scenario};

fuzz_target!(|scenario: Elementwise| scenario.check());
