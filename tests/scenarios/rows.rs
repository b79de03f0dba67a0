//! Losses of whole rows of classes.

use super::Scenario;
use super::call::Call;
use crate::common::cases::Unit;
use arbitrary::{Arbitrary, Result, Unstructured};

/// A call of a loss of rows.
#[derive(Debug)]
pub struct Rows(Call);

impl<'a> Arbitrary<'a> for Rows {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let of_rows = |unit| matches!(unit, Unit::Row | Unit::Class);
        let call = Call::arbitrary(bytes, |case| of_rows(case.unit))?;
        Ok(Self(call))
    }
}

impl Scenario for Rows {
    fn check(&self) {
        self.0.check();
    }
}
