//! Inputs, as `compare.py` wrote them, and places for the results.

use crate::traffic::{Stores, Traffic};
use aligned_vec::{AVec, CACHELINE_ALIGN};
use bytemuck::Pod;
use lossgrad::Workspace;
use lossgrad::ndarray::{Array1, ArrayD, ArrayView, ArrayViewMut, Dimension};
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;

pub struct Data {
    /// What is compared: predictions and labels, or embeddings.
    pub inputs: Vec<ArrayD<f32>>,
    /// Labels that are integers.
    pub classes: ArrayD<i32>,
    pub loss: Array1<f32>,
    pub gradients: Vec<Gradient>,
    pub workspace: Workspace,
}

/// A place for a gradient, from a cache line on: as PyTorch, JAX and MXNet place theirs.
pub struct Gradient {
    values: AVec<f32>,
    shape: Vec<usize>,
}

impl Gradient {
    fn of(input: &ArrayD<f32>) -> Self {
        Self {
            values: AVec::from_slice(CACHELINE_ALIGN, slice(input)),
            shape: input.shape().to_vec(),
        }
    }

    pub fn view_mut<D: Dimension>(&mut self) -> ArrayViewMut<'_, f32, D> {
        let view = ArrayViewMut::from_shape(&self.shape[..], &mut self.values);
        let view = view.expect("as many values as the input has");
        view.into_dimensionality().expect("the loss's rank")
    }
}

impl Data {
    /// Reads arrays that are described as `name:type:shape`. The first `gradients` of them have
    /// gradients.
    pub fn read(
        directory: &Path,
        arrays: &[&str],
        gradients: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let mut inputs = Vec::new();
        let mut classes = ArrayD::zeros(vec![0]);
        for array in arrays {
            let mut parts = array.split(':');
            let mut part = || parts.next().ok_or("an array is name:type:shape");
            let (name, element, shape) = (part()?, part()?, part()?);
            let path = directory.join(name);
            let shape: Vec<usize> = shape.split(',').map(str::parse).collect::<Result<_, _>>()?;
            match element {
                "f32" => inputs.push(read(&path, shape)?),
                "i32" => classes = read(&path, shape)?,
                _ => return Err(format!("arrays of {element}").into()),
            }
        }
        let gradients: Vec<_> = inputs.iter().take(gradients).map(Gradient::of).collect();
        let first = gradients.first().ok_or("nothing has a gradient")?;
        Ok(Self {
            loss: Array1::ones(first.shape[0]),
            inputs,
            classes,
            gradients,
            workspace: Workspace::new(),
        })
    }

    /// The mean of the losses, and the sum of that mean's absolute derivatives.
    pub fn totals(&self) -> (f64, f64) {
        let samples = self.loss.len() as f64;
        let loss: f64 = self.loss.iter().map(|&x| f64::from(x)).sum();
        let gradients = self.gradients.iter().flat_map(|gradient| &*gradient.values);
        let gradient: f64 = gradients.map(|&x| f64::from(x.abs())).sum();
        (loss / samples, gradient / samples)
    }

    /// Reads every input and writes every gradient, `calls` times, and does nothing else.
    pub fn stream(&mut self, stores: Stores, calls: usize) {
        for _ in 0..calls {
            match (&self.inputs[..], &mut self.gradients[..]) {
                ([a], [to]) => stream([a], [to], stores),
                ([a, b], [to]) => stream([a, b], [to], stores),
                ([a, b], [to, to_b]) => stream([a, b], [to, to_b], stores),
                ([a, b, c], [to, to_b, to_c]) => stream([a, b, c], [to, to_b, to_c], stores),
                _ => unreachable!("no loss has such inputs"),
            }
        }
    }
}

fn stream<const R: usize, const W: usize>(
    read: [&ArrayD<f32>; R],
    write: [&mut Gradient; W],
    stores: Stores,
) {
    let traffic = Traffic {
        read: read.map(slice),
        change: [],
        write: write.map(|gradient| &mut gradient.values[..]),
    };
    traffic.run(stores);
}

fn read<T: Pod>(path: &Path, shape: Vec<usize>) -> Result<ArrayD<T>, Box<dyn Error>> {
    let mut values = vec![T::zeroed(); shape.iter().product()];
    File::open(path)?.read_exact(bytemuck::cast_slice_mut(&mut values))?;
    Ok(ArrayD::from_shape_vec(shape, values)?)
}

fn slice(array: &ArrayD<f32>) -> &[f32] {
    array.as_slice().expect("one run of memory")
}

pub fn view<T, D: Dimension>(array: &ArrayD<T>) -> ArrayView<'_, T, D> {
    array.view().into_dimensionality().expect("the loss's rank")
}
