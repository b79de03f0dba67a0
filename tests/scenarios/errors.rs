//! Calls whose arguments need not fit together: only an `Err`, which leaves the outputs alone, and only
//! where the documented rules of shapes say so.

mod ctc;
mod loss;
mod options;
mod shape;

use super::Scenario;
use arbitrary::Arbitrary;

/// Any call that can be refused.
#[derive(Arbitrary, Debug)]
pub enum Errors {
    Loss(loss::LossCall),
    Ctc(ctc::CtcCall),
    Options(options::Options),
}

impl Scenario for Errors {
    fn check(&self) {
        match self {
            Self::Loss(call) => call.check(),
            Self::Ctc(call) => call.check(),
            Self::Options(options) => options.check(),
        }
    }
}
