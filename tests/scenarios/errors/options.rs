//! Options that have a domain.

use crate::scenarios::specials::Special;
use arbitrary::Arbitrary;
use lossgrad::{
    CosineEmbeddingLoss, CtcLoss, HingeLoss, HuberLoss, KlDivLoss, L1Loss, L2Loss, LogisticLoss,
    PoissonNllLoss, SdmlLoss, SigmoidBceLoss, SoftmaxCeLoss, SquaredHingeLoss, TripletLoss,
};

/// A value for every option that is a number.
#[derive(Arbitrary, Debug)]
pub struct Options {
    value: Special,
}

impl Options {
    pub fn check(&self) {
        let value: f64 = self.value.of();
        let finite = value.is_finite();
        let weights = [
            L1Loss::new().weight(value).is_ok(),
            L2Loss::new().weight(value).is_ok(),
            HuberLoss::default().weight(value).is_ok(),
            HingeLoss::new().weight(value).is_ok(),
            SquaredHingeLoss::new().weight(value).is_ok(),
            LogisticLoss::new().weight(value).is_ok(),
            PoissonNllLoss::new().weight(value).is_ok(),
            KlDivLoss::new().weight(value).is_ok(),
            SigmoidBceLoss::new().weight(value).is_ok(),
            SoftmaxCeLoss::new().weight(value).is_ok(),
            TripletLoss::new().weight(value).is_ok(),
            CosineEmbeddingLoss::new().weight(value).is_ok(),
            SdmlLoss::new().weight(value).is_ok(),
            CtcLoss::new().weight(value).is_ok(),
        ];
        assert_eq!(weights, [finite; 14], "weight {value}");
        let margins = [
            HingeLoss::new().margin(value).is_ok(),
            SquaredHingeLoss::new().margin(value).is_ok(),
            TripletLoss::new().margin(value).is_ok(),
            CosineEmbeddingLoss::new().margin(value).is_ok(),
        ];
        assert_eq!(margins, [finite; 4], "margin {value}");
        let epsilon = PoissonNllLoss::new().epsilon(value).is_ok();
        assert_eq!(epsilon, finite && value >= 0.0, "epsilon {value}");
        let threshold = HuberLoss::new(value).is_ok();
        assert_eq!(threshold, finite && value > 0.0, "threshold {value}");
        let smoothing = SdmlLoss::new().smoothing_parameter(value).is_ok();
        assert_eq!(smoothing, (0.0..1.0).contains(&value), "smoothing {value}");
    }
}
