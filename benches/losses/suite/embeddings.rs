//! Losses of vectors that are compared with each other.

use super::cases::{Cases, Shared, extents, shared};
use super::data::{Buffer, uniform};
use super::forms::Form;
use super::traffic::Traffic;
use criterion::Bencher;
use lossgrad::ndarray::{Dimension, Ix1, Ix2};
use lossgrad::{CosineEmbeddingLoss, Exec, SdmlLoss, TripletLoss, Workspace};

/// The vectors of a batch, `K` of each sample, and places for the results.
struct Embeddings<const K: usize> {
    input: [Buffer<f32, Ix2>; K],
    sign: Buffer<i32, Ix1>,
    loss: Buffer<f32, Ix1>,
    grad: [Buffer<f32, Ix2>; K],
    workspace: Workspace,
}

impl<const K: usize> Embeddings<K> {
    /// Vectors with entries from `-most` to `most`.
    fn new(shape: Ix2, most: f32) -> Self {
        let mut seeds = 1..;
        let mut input = || {
            let seed = seeds.next().expect("another seed");
            Buffer::new(shape, uniform(-most..most, seed))
        };
        Self {
            input: [(); K].map(|()| input()),
            sign: Buffer::new(Ix1(shape[0]), |row| 1 - 2 * (row as i32 % 2)),
            loss: Buffer::ones(Ix1(shape[0])),
            grad: [(); K].map(|()| Buffer::ones(shape)),
            workspace: Workspace::new(),
        }
    }
}

const FORMS: [Form; 2] = [Form::Loss, Form::LossAndGrad];

pub fn run(cases: &mut Cases<'_>) {
    for shape in [Ix2(1024, 512), Ix2(65_536, 128)] {
        let data = &mut shared(|| Embeddings::<3>::new(shape, 4.0));
        rows(cases, shape, data);
    }
    for shape in [Ix2(256, 512), Ix2(4096, 512)] {
        // Distances of some units.
        let data = &mut shared(|| Embeddings::<2>::new(shape, 0.08));
        let (bytes, place) = described(shape);
        for form in FORMS {
            let traffic = bytes * (2 + form.writes(2));
            let name = format!("sdml/{place}");
            cases.case(form.group(), &name, traffic, data, |bencher, exec, data| {
                sdml(bencher, form, exec, data);
            });
        }
    }
}

/// Bytes of a stream, and what the shape is called.
fn described(shape: Ix2) -> (usize, String) {
    let place = format!("{}/f32", extents(shape.slice()));
    (shape.size() * size_of::<f32>(), place)
}

/// The losses that compare vectors of one row with each other.
fn rows(cases: &mut Cases<'_>, shape: Ix2, data: &mut Shared<'_, Embeddings<3>>) {
    let (bytes, place) = described(shape);
    for form in FORMS {
        let traffic = bytes * (3 + form.writes(3));
        let name = format!("triplet/{place}");
        cases.case(form.group(), &name, traffic, data, |bencher, exec, data| {
            triplet(bencher, form, exec, data);
        });
        let traffic = bytes * (2 + form.writes(2));
        let name = format!("cosine_embedding/{place}");
        cases.case(form.group(), &name, traffic, data, |bencher, exec, data| {
            cosine_embedding(bencher, form, exec, data);
        });
    }
    cases.limit(&place, bytes, data, |data| {
        let [a, b, _] = data.input.each_ref().map(Buffer::bytes);
        Traffic {
            read: [a, b],
            change: [],
            write: [],
        }
    });
    cases.limit(&place, bytes, data, |data| {
        let [a, b, _] = data.input.each_ref().map(Buffer::bytes);
        let [da, db, _] = data.grad.each_mut().map(Buffer::bytes_mut);
        Traffic {
            read: [a, b],
            change: [],
            write: [da, db],
        }
    });
    cases.limit(&place, bytes, data, |data| Traffic {
        read: data.input.each_ref().map(Buffer::bytes),
        change: [],
        write: [],
    });
    cases.limit(&place, bytes, data, |data| Traffic {
        read: data.input.each_ref().map(Buffer::bytes),
        change: [],
        write: data.grad.each_mut().map(Buffer::bytes_mut),
    });
}

fn triplet(bencher: &mut Bencher<'_>, form: Form, exec: Exec, data: &mut Embeddings<3>) {
    let [a, b, c] = data.input.each_ref().map(|input| input.view(0));
    let [mut da, mut db, mut dc] = data.grad.each_mut().map(|grad| grad.view_mut(0));
    let mut loss = data.loss.view_mut(0);
    bencher.iter(|| {
        let call = TripletLoss::new().on(&a, &b, &c).exec(exec);
        match form {
            Form::Loss => call.loss_into(&mut loss),
            _ => {
                let grads = [Some(&mut *da), Some(&mut *db), Some(&mut *dc)];
                call.loss_and_grads_into(&mut loss, grads)
            }
        }
        .expect("a valid call");
    });
}

fn cosine_embedding(bencher: &mut Bencher<'_>, form: Form, exec: Exec, data: &mut Embeddings<3>) {
    let [a, b, _] = data.input.each_ref().map(|input| input.view(0));
    let [mut da, mut db, _] = data.grad.each_mut().map(|grad| grad.view_mut(0));
    let (sign, mut loss) = (data.sign.view(0), data.loss.view_mut(0));
    bencher.iter(|| {
        let call = CosineEmbeddingLoss::new().on(&a, &b, &sign).exec(exec);
        match form {
            Form::Loss => call.loss_into(&mut loss),
            _ => call.loss_and_grads_into(&mut loss, [Some(&mut *da), Some(&mut *db)]),
        }
        .expect("a valid call");
    });
}

fn sdml(bencher: &mut Bencher<'_>, form: Form, exec: Exec, data: &mut Embeddings<2>) {
    let [a, b] = data.input.each_ref().map(|input| input.view(0));
    let [mut da, mut db] = data.grad.each_mut().map(|grad| grad.view_mut(0));
    let mut loss = data.loss.view_mut(0);
    let workspace = &mut data.workspace;
    bencher.iter(|| {
        let call = SdmlLoss::new().on(&a, &b).exec(exec).workspace(workspace);
        match form {
            Form::Loss => call.loss_into(&mut loss),
            _ => call.loss_and_grads_into(&mut loss, [Some(&mut *da), Some(&mut *db)]),
        }
        .expect("a valid call");
    });
}
