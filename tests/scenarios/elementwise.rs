//! Losses of one prediction and one label at a time.

use super::Scenario;
use super::call::Call;
use crate::common::cases::Unit;
use arbitrary::{Arbitrary, Result, Unstructured};

/// A call of an elementwise loss.
#[derive(Debug)]
pub struct Elementwise(Call);

impl<'a> Arbitrary<'a> for Elementwise {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let call = Call::arbitrary(bytes, |case| case.unit == Unit::Element)?;
        Ok(Self(call))
    }
}

impl Scenario for Elementwise {
    fn check(&self) {
        self.0.check();
    }
}
