//! Losses of several inputs that each have a gradient.

use super::Scenario;
use super::call::Call;
use crate::common::cases::Unit;
use arbitrary::{Arbitrary, Result, Unstructured};

/// A call of a loss of pairs or triplets.
#[derive(Debug)]
pub struct Pairs(Call);

impl<'a> Arbitrary<'a> for Pairs {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let of_several = |unit| matches!(unit, Unit::LastRow | Unit::Sample);
        let call = Call::arbitrary(bytes, |case| of_several(case.unit))?;
        Ok(Self(call))
    }
}

impl Scenario for Pairs {
    fn check(&self) {
        self.0.check();
    }
}
