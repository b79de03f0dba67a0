//! The calls that are timed.

use crate::data::{Data, Gradient, view};
use lossgrad::ndarray::{Dimension, Ix1, Ix2, Ix3, Ix4};
use lossgrad::{
    CosineEmbeddingLoss, CtcLoss, HingeLoss, HuberLoss, KlDivLoss, L1Loss, L2Loss, LogisticLoss,
    PoissonNllLoss, Reduction, SdmlLoss, SigmoidBceLoss, SoftmaxCeLoss, SquaredHingeLoss,
    TripletLoss,
};

/// Computes loss and gradients so many times.
pub type Run = fn(&mut Data, usize);

/// A loss of predictions and labels of one shape.
macro_rules! dense {
    ($loss:expr $(, $reduction:expr)?) => {
        |data, calls| {
            let pred = view::<_, Ix2>(&data.inputs[0]);
            let label = view::<_, Ix2>(&data.inputs[1]);
            let mut grad = data.gradients[0].view_mut::<Ix2>();
            for _ in 0..calls {
                let call = $loss.on(&pred, &label)$(.reduction($reduction))?;
                call.loss_and_grad_into(&mut data.loss, &mut grad)
                    .expect("a valid call");
            }
        }
    };
}

/// How a loss is called, and how many of its inputs have gradients.
pub fn find(name: &str) -> Option<(Run, usize)> {
    Some(match name {
        "l1" => (dense!(L1Loss::new()), 1),
        "l2" => (dense!(L2Loss::new()), 1),
        "huber" => (dense!(HuberLoss::default()), 1),
        "hinge" => (dense!(HingeLoss::new()), 1),
        "squared_hinge" => (dense!(SquaredHingeLoss::new()), 1),
        "logistic" => (dense!(LogisticLoss::new()), 1),
        "sigmoid_bce" => (dense!(SigmoidBceLoss::new()), 1),
        "poisson_nll" => (dense!(PoissonNllLoss::new()), 1),
        "kl_div" => (dense!(KlDivLoss::new(), Reduction::SampleSum), 1),
        "softmax_ce" => (softmax_ce, 1),
        "triplet" => (triplet, 3),
        "cosine_embedding" => (cosine_embedding, 2),
        "sdml" | "sdml_by_products" => (sdml, 2),
        "ctc" => (ctc, 1),
        _ => return None,
    })
}

fn softmax_ce(data: &mut Data, calls: usize) {
    match data.inputs[0].ndim() {
        2 => classes::<Ix2, Ix1>(data, calls),
        _ => classes::<Ix4, Ix3>(data, calls),
    }
}

fn classes<D: Dimension, E: Dimension>(data: &mut Data, calls: usize) {
    let pred = view::<_, D>(&data.inputs[0]);
    let label = view::<_, E>(&data.classes);
    let mut grad = data.gradients[0].view_mut::<D>();
    for _ in 0..calls {
        let call = SoftmaxCeLoss::new().axis(1).on(&pred, &label);
        call.loss_and_grad_into(&mut data.loss, &mut grad)
            .expect("a valid call");
    }
}

fn triplet(data: &mut Data, calls: usize) {
    let [pred, positive, negative] = &data.inputs[..] else {
        unreachable!("three inputs")
    };
    let inputs = [pred, positive, negative].map(view::<_, Ix2>);
    let [a, b, c] = &mut data.gradients[..] else {
        unreachable!("three gradients")
    };
    let [mut a, mut b, mut c] = [a, b, c].map(Gradient::view_mut::<Ix2>);
    for _ in 0..calls {
        let call = TripletLoss::new().on(&inputs[0], &inputs[1], &inputs[2]);
        call.loss_and_grads_into(&mut data.loss, [Some(&mut a), Some(&mut b), Some(&mut c)])
            .expect("a valid call");
    }
}

fn cosine_embedding(data: &mut Data, calls: usize) {
    let inputs = [&data.inputs[0], &data.inputs[1]].map(view::<_, Ix2>);
    let label = view::<_, Ix1>(&data.classes);
    let [a, b] = &mut data.gradients[..] else {
        unreachable!("two gradients")
    };
    let [mut a, mut b] = [a, b].map(Gradient::view_mut::<Ix2>);
    for _ in 0..calls {
        let call = CosineEmbeddingLoss::new().on(&inputs[0], &inputs[1], &label);
        call.loss_and_grads_into(&mut data.loss, [Some(&mut a), Some(&mut b)])
            .expect("a valid call");
    }
}

fn sdml(data: &mut Data, calls: usize) {
    let inputs = [&data.inputs[0], &data.inputs[1]].map(view::<_, Ix2>);
    let [a, b] = &mut data.gradients[..] else {
        unreachable!("two gradients")
    };
    let [mut a, mut b] = [a, b].map(Gradient::view_mut::<Ix2>);
    for _ in 0..calls {
        let call = SdmlLoss::new().on(&inputs[0], &inputs[1]);
        call.workspace(&mut data.workspace)
            .loss_and_grads_into(&mut data.loss, [Some(&mut a), Some(&mut b)])
            .expect("a valid call");
    }
}

fn ctc(data: &mut Data, calls: usize) {
    let pred = view::<_, Ix3>(&data.inputs[0]);
    let label = view::<_, Ix2>(&data.classes);
    let mut grad = data.gradients[0].view_mut::<Ix3>();
    for _ in 0..calls {
        let call = CtcLoss::new().on(&pred, &label);
        call.workspace(&mut data.workspace)
            .loss_and_grad_into(&mut data.loss, &mut grad)
            .expect("a valid call");
    }
}
