//! Losses of labels that have the predictions' shape.

use super::cases::{Cases, Shared, extents, shared};
use super::data::{Buffer, Data, Number, Views, uniform};
use super::forms::{Form, time};
use super::traffic::Traffic;
use criterion::Bencher;
use lossgrad::ndarray::{Dimension, Ix2};
use lossgrad::{
    Exec, HingeLoss, HuberLoss, KlDivLoss, L1Loss, L2Loss, LogisticLoss, PoissonNllLoss,
    SigmoidBceLoss, SquaredHingeLoss,
};
use std::any::type_name;

type Dense<T> = Data<T, T, Ix2, Ix2>;

/// A loss with its name.
type Timed<T> = (
    &'static str,
    fn(&mut Bencher<'_>, Form, Exec, Views<'_, T, T, Ix2, Ix2>),
);

macro_rules! timed {
    ($($name:literal: $loss:expr;)*) => {
        [$((
            $name,
            |bencher, form, exec, views| time!($loss, form, bencher, exec, views),
        )),*]
    };
}

const ELEMENTWISE: [Timed<f32>; 8] = timed! {
    "l1": L1Loss::new();
    "l2": L2Loss::new();
    "huber": HuberLoss::default();
    "hinge": HingeLoss::new();
    "squared_hinge": SquaredHingeLoss::new();
    "logistic": LogisticLoss::new();
    "sigmoid_bce": SigmoidBceLoss::new();
    "poisson_nll": PoissonNllLoss::new();
};

const L2: [Timed<f32>; 1] = timed!("l2": L2Loss::new(););
const L2_F64: [Timed<f64>; 1] = timed!("l2": L2Loss::new(););

const KL_DIV: [Timed<f32>; 2] = timed! {
    "kl_div": KlDivLoss::new();
    "kl_div_logits": KlDivLoss::new().from_logits(false);
};

/// The losses that are also timed with moved arrays.
const MOVED: [&str; 2] = ["l2", "sigmoid_bce"];

pub fn run(cases: &mut Cases<'_>) {
    losses(cases, Ix2(1, 16), &L2);
    losses(cases, Ix2(64, 1024), &ELEMENTWISE);
    losses(cases, Ix2(4096, 4096), &ELEMENTWISE);
    losses(cases, Ix2(4096, 4096), &L2_F64);
    losses(cases, Ix2(4096, 1000), &KL_DIV);
}

fn losses<T: Number + From<f32>>(cases: &mut Cases<'_>, shape: Ix2, losses: &[Timed<T>]) {
    let data = &mut shared(|| {
        let pred = Buffer::new(shape, uniform(-4.0..4.0, 1));
        // Labels from 0 to 1 are something to every loss.
        Dense::<T>::new(pred, Buffer::new(shape, uniform(0.0..1.0, 2)))
    });
    let place = format!("{}/{}", extents(shape.slice()), type_name::<T>());
    let bytes = shape.size() * size_of::<T>();
    for form in Form::ALL {
        for (name, loss) in losses {
            if form == Form::Offset && !(MOVED.contains(name) && bytes >= 1 << 16) {
                continue;
            }
            let traffic = bytes * (2 + form.writes(1));
            let name = format!("{name}/{place}");
            cases.case(form.group(), &name, traffic, data, |bencher, exec, data| {
                loss(bencher, form, exec, data.views(form.offset()));
            });
        }
    }
    limits(cases, &place, bytes, data);
}

fn limits<T: Number>(
    cases: &mut Cases<'_>,
    place: &str,
    bytes: usize,
    data: &mut Shared<'_, Dense<T>>,
) {
    cases.limit(place, bytes, data, |data| Traffic {
        read: [data.pred.bytes(), data.label.bytes()],
        change: [],
        write: [],
    });
    cases.limit(place, bytes, data, |data| Traffic {
        read: [data.pred.bytes(), data.label.bytes()],
        change: [],
        write: [data.grad.bytes_mut()],
    });
    cases.limit(place, bytes, data, |data| Traffic {
        read: [data.label.bytes()],
        change: [data.pred.bytes_mut()],
        write: [],
    });
}
