//! Cross entropy of class labels, along the last axis or another.

use super::cases::{Cases, extents, shared};
use super::data::{Buffer, Data, Number, uniform};
use super::forms::{Form, time};
use super::traffic::Traffic;
use lossgrad::ndarray::{Axis, Ix2, Ix4, RemoveAxis};
use lossgrad::{Element, SoftmaxCeLoss};
use std::any::type_name;

/// The shapes that are also timed with moved arrays.
const MOVED: [Ix2; 2] = [Ix2(128, 1000), Ix2(4096, 1000)];

pub fn run(cases: &mut Cases<'_>) {
    for shape in [
        Ix2(1, 10),
        Ix2(1, 1000),
        Ix2(128, 1000),
        Ix2(4096, 1000),
        Ix2(65_536, 10),
        Ix2(512, 32_000),
        Ix2(256, 128_256),
        Ix2(1, 128_256),
    ] {
        softmax_ce::<f32, _>(cases, shape, MOVED.contains(&shape));
    }
    softmax_ce::<f32, _>(cases, Ix4(8, 21, 512, 512), false);
    softmax_ce::<f64, _>(cases, Ix2(4096, 1000), false);
}

fn softmax_ce<T, D>(cases: &mut Cases<'_>, shape: D, moved: bool)
where
    T: Number + Element + From<f32>,
    D: RemoveAxis,
{
    let classes = shape[1];
    let data = &mut shared(|| {
        let pred = Buffer::new(shape.clone(), uniform::<T>(-4.0..4.0, 1));
        let label = |i: usize| (i * 7919 % classes) as u32;
        Data::new(pred, Buffer::new(shape.remove_axis(Axis(1)), label))
    });
    let place = format!("{}/{}", extents(shape.slice()), type_name::<T>());
    let bytes = shape.size() * size_of::<T>();
    let loss = SoftmaxCeLoss::new().axis(1);
    for form in Form::ALL {
        if form == Form::Offset && !moved {
            continue;
        }
        let traffic = bytes * (1 + form.writes(1));
        let name = format!("softmax_ce/{place}");
        cases.case(form.group(), &name, traffic, data, |bencher, exec, data| {
            time!(loss, form, bencher, exec, data.views(form.offset()));
        });
    }
    cases.limit(&place, bytes, data, |data| Traffic {
        read: [data.pred.bytes()],
        change: [],
        write: [],
    });
    cases.limit(&place, bytes, data, |data| Traffic {
        read: [data.pred.bytes()],
        change: [],
        write: [data.grad.bytes_mut()],
    });
    cases.limit(&place, bytes, data, |data| Traffic {
        read: [],
        change: [data.pred.bytes_mut()],
        write: [],
    });
}
