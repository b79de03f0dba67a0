//! What the embeddings of a batch cost, and in which direction each should move.

use lossgrad::{Error, Reduction, SdmlLoss, TripletLoss, Workspace};
use ndarray::{Array2, Axis};

use crate::batches::Role;
use crate::data::CLASSES;

/// What the network is trained with.
pub(crate) enum Objective {
    /// Of all positives of the batch, the anchor's own is to be the nearest.
    Sdml {
        loss: SdmlLoss,
        /// Grows in the first step and serves all others.
        workspace: Workspace,
    },
    /// The positive is to be nearer to the anchor than the negative.
    Triplet(TripletLoss),
}

impl Objective {
    pub(crate) fn named(name: &str) -> Result<Self, Box<dyn std::error::Error>> {
        match name {
            "sdml" => Ok(Self::Sdml {
                loss: SdmlLoss::new().smoothing_parameter(0.05)?,
                workspace: Workspace::new(),
            }),
            // Its gradients grow with the distances: the weight keeps the steps as short as SDML's.
            "triplet" => Ok(Self::Triplet(TripletLoss::new().margin(8.0)?.weight(0.1)?)),
            _ => Err(format!("there is no loss {name:?}: it is \"sdml\" or \"triplet\"").into()),
        }
    }

    /// What a batch consists of: so many embeddings for each role, one role after the other.
    pub(crate) fn roles(&self) -> &'static [Role] {
        match self {
            Self::Sdml { .. } => &[Role::Anchor, Role::Positive],
            Self::Triplet(_) => &[Role::Anchor, Role::Positive, Role::Negative],
        }
    }

    /// The batch's mean loss; `grad` receives its gradient, row for row.
    pub(crate) fn loss_and_grad(
        &mut self,
        embeddings: &Array2<f32>,
        grad: &mut Array2<f32>,
    ) -> Result<f32, Error> {
        let (anchor, others) = embeddings.view().split_at(Axis(0), CLASSES);
        let (mut anchor_grad, mut others_grad) = grad.view_mut().split_at(Axis(0), CLASSES);
        match self {
            Self::Sdml { loss, workspace } => loss
                .on(&anchor, &others)
                .workspace(workspace)
                .reduction(Reduction::Mean)
                .scalar_and_grads_into([Some(&mut anchor_grad), Some(&mut others_grad)]),
            Self::Triplet(loss) => {
                let (positive, negative) = others.split_at(Axis(0), CLASSES);
                let (mut positive_grad, mut negative_grad) = others_grad.split_at(Axis(0), CLASSES);
                loss.on(&anchor, &positive, &negative)
                    .reduction(Reduction::Mean)
                    .scalar_and_grads_into([
                        Some(&mut anchor_grad),
                        Some(&mut positive_grad),
                        Some(&mut negative_grad),
                    ])
            }
        }
    }
}
