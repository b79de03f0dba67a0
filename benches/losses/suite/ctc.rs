//! CTC in a workspace that is kept.

use super::cases::{Cases, extents, shared};
use super::data::{Buffer, Data};
use super::traffic::Traffic;
use fastrand::Rng;
use lossgrad::ndarray::{Dimension, Ix2, Ix3};
use lossgrad::{CtcLoss, Workspace};

/// Batches of some samples, frames and classes, and as many labels a sample.
const BATCHES: [(&str, Ix3, usize, Logits); 6] = [
    ("A", Ix3(32, 500, 32), 80, Logits::Normal),
    ("A-peaky", Ix3(32, 500, 32), 80, Logits::Peaky),
    ("B", Ix3(16, 150, 80), 20, Logits::Normal),
    ("C", Ix3(16, 1500, 5000), 60, Logits::Normal),
    ("D", Ix3(1, 10_000, 32), 1500, Logits::Normal),
    ("D-peaky", Ix3(1, 10_000, 32), 1500, Logits::Peaky),
];

#[derive(Clone, Copy, PartialEq)]
enum Logits {
    /// Normally distributed.
    Normal,
    /// As trained networks give them: ten times as large, the blank in front.
    Peaky,
}

pub fn run(cases: &mut Cases<'_>) {
    for (name, shape, labels, logits) in BATCHES {
        let data = &mut shared(|| (batch(shape, labels, logits), Workspace::new()));
        let place = format!("{}/f32", extents(shape.slice()));
        let bytes = shape.size() * size_of::<f32>();
        let name = format!("ctc_{name}/{place}");
        cases.case(
            "loss_and_grad",
            &name,
            2 * bytes,
            data,
            |bencher, exec, (data, workspace)| {
                let mut views = data.views(0);
                bencher.iter(|| {
                    let call = CtcLoss::new().on(&views.pred, &views.label).exec(exec);
                    call.workspace(workspace)
                        .loss_and_grad_into(&mut views.loss, &mut views.grad)
                        .expect("a valid call");
                });
            },
        );
        if logits == Logits::Normal {
            cases.limit(&place, bytes, data, |(data, _)| Traffic {
                read: [data.pred.bytes()],
                change: [],
                write: [data.grad.bytes_mut()],
            });
        }
    }
}

fn batch(shape: Ix3, labels: usize, logits: Logits) -> Data<f32, i32, Ix3, Ix2> {
    let (samples, classes) = (shape[0], shape[2]);
    let mut random = Rng::with_seed(1);
    let pred = Buffer::new(shape, |i| {
        // Nearly normal: of four uniform numbers.
        let x = 3_f32.sqrt() * ((0..4).map(|_| random.f32()).sum::<f32>() - 2.0);
        match (logits, i % classes + 1 == classes) {
            (Logits::Normal, _) => x,
            (Logits::Peaky, false) => 10.0 * x,
            (Logits::Peaky, true) => 10.0 * x + 10.0,
        }
    });
    let label = Buffer::new(Ix2(samples, labels), |i| {
        let (sample, i) = (i / labels, i % labels);
        ((sample * 7919 + i * 104_729 + i * i * 31) % (classes - 1)) as i32
    });
    Data::new(pred, label)
}
