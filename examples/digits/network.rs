//! A network with one hidden layer: pixels → ReLU → logits.

use fastrand::Rng;
use ndarray::{Array, Array1, Array2, ArrayRef2, Axis, Dimension, Zip};

/// How much of the last step is taken again in the next.
const MOMENTUM: f32 = 0.9;

pub(crate) struct Network {
    hidden: Layer,
    output: Layer,
}

/// What `forward` computed, and `learn` needs again.
pub(crate) struct Activations {
    hidden: Array2<f32>,
    /// One row an image, one column a class; `SoftmaxCeLoss` takes them as they are.
    pub(crate) logits: Array2<f32>,
}

impl Network {
    pub(crate) fn new([inputs, hidden, outputs]: [usize; 3], rng: &mut Rng) -> Self {
        Self {
            hidden: Layer::new(inputs, hidden, rng),
            output: Layer::new(hidden, outputs, rng),
        }
    }

    pub(crate) fn forward(&self, images: &ArrayRef2<f32>) -> Activations {
        let hidden = self.hidden.forward(images).mapv_into(|x| x.max(0.0));
        let logits = self.output.forward(&hidden);
        Activations { hidden, logits }
    }

    /// One step downhill; `grad` is the gradient of the logits.
    pub(crate) fn learn(
        &mut self,
        images: &ArrayRef2<f32>,
        at: &Activations,
        grad: &ArrayRef2<f32>,
        rate: f32,
    ) {
        let mut hidden_grad = grad.dot(&self.output.weights.value.t());
        // ReLU passes the gradient on where it passed the value on.
        Zip::from(&mut hidden_grad)
            .and(&at.hidden)
            .for_each(|grad, &value| {
                if value == 0.0 {
                    *grad = 0.0;
                }
            });
        self.output.learn(&at.hidden, grad, rate);
        self.hidden.learn(images, &hidden_grad, rate);
    }
}

/// For each row of logits the class with the largest.
pub(crate) fn most_likely(logits: &ArrayRef2<f32>) -> impl Iterator<Item = usize> {
    logits.rows().into_iter().map(|row| {
        let best = row
            .iter()
            .enumerate()
            .max_by(|(_, a), (_, b)| a.total_cmp(b));
        best.map_or(0, |(class, _)| class)
    })
}

/// `inputs · weights + bias`.
struct Layer {
    weights: Parameter<ndarray::Ix2>,
    bias: Parameter<ndarray::Ix1>,
}

impl Layer {
    /// Weights drawn so that ReLU layers neither amplify nor damp what passes through them.
    fn new(inputs: usize, outputs: usize, rng: &mut Rng) -> Self {
        let bound = (6.0 / inputs as f32).sqrt();
        let weights =
            Array2::from_shape_simple_fn((inputs, outputs), || bound * (2.0 * rng.f32() - 1.0));
        Self {
            weights: Parameter::new(weights),
            bias: Parameter::new(Array1::zeros(outputs)),
        }
    }

    fn forward(&self, inputs: &ArrayRef2<f32>) -> Array2<f32> {
        inputs.dot(&self.weights.value) + &self.bias.value
    }

    fn learn(&mut self, inputs: &ArrayRef2<f32>, grad: &ArrayRef2<f32>, rate: f32) {
        self.weights.step(&inputs.t().dot(grad), rate);
        self.bias.step(&grad.sum_axis(Axis(0)), rate);
    }
}

/// Something that is learnt, with the momentum of its last steps.
struct Parameter<D: Dimension> {
    value: Array<f32, D>,
    velocity: Array<f32, D>,
}

impl<D: Dimension> Parameter<D> {
    fn new(value: Array<f32, D>) -> Self {
        Self {
            velocity: Array::zeros(value.raw_dim()),
            value,
        }
    }

    fn step(&mut self, grad: &Array<f32, D>, rate: f32) {
        Zip::from(&mut self.velocity)
            .and(&mut self.value)
            .and(grad)
            .for_each(|velocity, value, &grad| {
                *velocity = MOMENTUM * *velocity - rate * grad;
                *value += *velocity;
            });
    }
}
