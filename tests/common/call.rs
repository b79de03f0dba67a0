//! One call of the library, spelled out as data, so that every way to make it can be compared.

use lossgrad::reference::{Reduced, Weighting};
use lossgrad::{Error, Exec, Level, Reduction, Threading};
use ndarray::{ArrayD, ArrayRefD, ArrayViewD, ArrayViewMutD};

use super::cases::{Case, Problem, Unit};
use super::layouts::{Laid, Layout};
use super::random::Random;
use super::real::{Real, assert_same_bits, widen};

/// Every reduction.
pub const REDUCTIONS: [Reduction; 5] = [
    Reduction::None,
    Reduction::SampleMean,
    Reduction::SampleSum,
    Reduction::Mean,
    Reduction::Sum,
];

/// What a loss is made from.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// The class axis, for losses that have one to choose.
    pub axis: isize,
    /// A threshold, a margin or a share, for losses that have one; its default where `None`.
    pub number: Option<f64>,
}

impl Own {
    /// The number, or its default.
    pub fn or(self, default: f64) -> f64 {
        self.number.unwrap_or(default)
    }
}

/// What belongs to the loss and what the setters say.
#[derive(Clone, Debug)]
pub struct Request<T> {
    pub weight: f64,
    pub batch_axis: isize,
    /// Ignored by losses without classes.
    pub class_axis: isize,
    /// The number that is an option of the loss, its default where there is none.
    pub number: Option<f64>,
    pub reduction: Reduction,
    pub sample_weight: Option<ArrayD<T>>,
    pub upstream: Option<ArrayD<T>>,
    pub exec: Exec,
}

impl<T: Real> Default for Request<T> {
    fn default() -> Self {
        Self {
            weight: 1.0,
            batch_axis: 0,
            class_axis: -1,
            number: None,
            reduction: Reduction::SampleMean,
            sample_weight: None,
            upstream: None,
            exec: Exec::new(Level::best(), Threading::Serial),
        }
    }
}

impl<T: Real> Request<T> {
    pub fn reduction(reduction: Reduction) -> Self {
        Self {
            reduction,
            ..Self::default()
        }
    }

    pub fn exec(&self, exec: Exec) -> Self {
        Self {
            exec,
            ..self.clone()
        }
    }

    /// What the loss is made from.
    pub fn own(&self) -> Own {
        Own {
            axis: self.class_axis,
            number: self.number,
        }
    }

    pub fn views(&self) -> Setters<'_, T> {
        Setters {
            request: self,
            sample_weight: self.sample_weight.as_ref().map(|w| w.view()),
            upstream: self.upstream.as_ref().map(|u| u.view()),
        }
    }

    /// The reference's idea of the same call.
    pub fn weighting(&self) -> Weighting {
        Weighting {
            // Options are rounded once to the type of the computation.
            weight: T::of(self.weight).wide(),
            sample_weight: self.sample_weight.as_ref().map(|w| widen(w)),
            upstream: self.upstream.as_ref().map(|u| widen(u)),
            batch_axis: self.batch_axis,
            reduction: self.reduction,
        }
    }

    pub fn is_scalar(&self) -> bool {
        matches!(self.reduction, Reduction::Mean | Reduction::Sum)
    }

    /// The shape of the returned losses.
    pub fn loss_shape(&self, pred: &[usize], case: &Case<T>) -> Vec<usize> {
        match self.reduction {
            Reduction::None => {
                let mut shape = pred.to_vec();
                for axis in self.lacking(pred.len(), case).into_iter().rev() {
                    shape.remove(axis);
                }
                shape
            }
            Reduction::SampleMean | Reduction::SampleSum => {
                vec![pred[from_front(self.batch_axis, pred.len())]]
            }
            _ => vec![],
        }
    }

    /// pred's shape with 1 on every axis that the losses lack.
    pub fn units(&self, pred: &[usize], case: &Case<T>) -> Vec<usize> {
        let mut shape = pred.to_vec();
        for axis in self.lacking(pred.len(), case) {
            shape[axis] = 1;
        }
        shape
    }

    /// The axes that the losses lack before any reduction.
    fn lacking(&self, rank: usize, case: &Case<T>) -> Vec<usize> {
        match case.unit {
            Unit::Element | Unit::Class => vec![],
            Unit::Row | Unit::LastRow => vec![from_front(self.class_axis, rank)],
            Unit::Sample => {
                let batch = from_front(self.batch_axis, rank);
                (0..rank).filter(|&axis| axis != batch).collect()
            }
        }
    }
}

/// An axis counted from the front, wherever it is counted from.
fn from_front(axis: isize, rank: usize) -> usize {
    axis.rem_euclid(rank as isize) as usize
}

/// A request with its factors as views of any layout.
pub struct Setters<'a, T> {
    pub request: &'a Request<T>,
    pub sample_weight: Option<ArrayViewD<'a, T>>,
    pub upstream: Option<ArrayViewD<'a, T>>,
}

/// Weights or derivatives of upstream: some 0, some negative.
pub fn factor<T: Real>(shape: &[usize], random: &mut Random) -> ArrayD<T> {
    ArrayD::from_shape_simple_fn(shape, || match random.below(8) {
        0 => T::of(0.0),
        1 => T::of(-random.unit()),
        _ => T::of(2.0 * random.unit()),
    })
}

/// What goes in.
pub struct Inputs<'a, T> {
    pub pred: ArrayViewD<'a, T>,
    /// The other inputs that have a gradient.
    pub others: Vec<ArrayViewD<'a, T>>,
    pub label: LabelView<'a, T>,
    pub pos_weight: Option<ArrayViewD<'a, T>>,
}

/// Labels as views.
#[derive(Clone)]
pub enum LabelView<'a, T> {
    Dense(ArrayViewD<'a, T>),
    Sparse(ArrayViewD<'a, i32>),
    None,
}

impl<'a, T> LabelView<'a, T> {
    pub fn dense(&self) -> &ArrayRefD<T> {
        match self {
            Self::Dense(label) => label,
            _ => panic!("the loss takes a label per element"),
        }
    }

    pub fn sparse(&self) -> &ArrayRefD<i32> {
        match self {
            Self::Sparse(label) => label,
            _ => panic!("the loss takes a class per row"),
        }
    }
}

impl<'a, T> Inputs<'a, T> {
    pub fn pos_weight(&self) -> &ArrayRefD<T> {
        self.pos_weight
            .as_ref()
            .expect("the problem has a pos_weight")
    }
}

/// Places for gradients, one for each input that has one; some may be left out.
pub type Grads<'a, T> = Vec<Option<ArrayViewMutD<'a, T>>>;

/// A way to make the call, with its outputs.
pub enum Form<'a, T> {
    LossInto(ArrayViewMutD<'a, T>),
    GradInto(Grads<'a, T>),
    BothInto(ArrayViewMutD<'a, T>, Grads<'a, T>),
    Loss,
    Grad,
    Both,
    Scalar,
    ScalarAndGradInto(Grads<'a, T>),
    /// Straight from the loss, without setters.
    EasyLoss,
    EasyGrad,
    EasyBoth,
}

/// A way to make the call in place.
pub enum InPlace<'a, T> {
    LossInto(ArrayViewMutD<'a, T>),
    Grad,
    Scalar,
}

/// What an owned form returns; empty where outputs were given.
#[derive(Debug)]
pub struct Answer<T> {
    pub loss: Option<ArrayD<T>>,
    pub grads: Option<Vec<ArrayD<T>>>,
}

impl<T> Answer<T> {
    pub const NOTHING: Self = Self {
        loss: None,
        grads: None,
    };
}

/// The losses and the gradients of one call.
#[derive(Clone, Debug)]
pub struct Outcome<T> {
    pub loss: ArrayD<T>,
    pub grads: Vec<ArrayD<T>>,
}

impl<T: Real> Outcome<T> {
    /// The gradient of the predictions.
    pub fn grad(&self) -> &ArrayD<T> {
        &self.grads[0]
    }

    /// Fails unless both outcomes have the same bits.
    #[track_caller]
    pub fn assert_same(&self, expected: &Self, what: &str) {
        assert_same_bits(&self.loss, &expected.loss, &format!("{what}, loss"));
        assert_same_grads(&self.grads, &expected.grads, what);
    }
}

#[track_caller]
fn assert_same_grads<T: Real>(actual: &[ArrayD<T>], expected: &[ArrayD<T>], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}: gradients");
    for (number, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        assert_same_bits(actual, expected, &format!("{what}, gradient {number}"));
    }
}

/// Where everything lies.
#[derive(Clone, Debug)]
pub struct Places {
    pub pred: Layout,
    pub label: Layout,
    pub pos_weight: Layout,
    pub loss: Layout,
    pub grad: Layout,
}

impl Places {
    /// The layout that `make` gives for each rank.
    pub fn from(
        problem: &Problem<impl Real>,
        losses: usize,
        mut make: impl FnMut(usize) -> Layout,
    ) -> Self {
        let rank = problem.pred.ndim();
        Self {
            pred: make(rank),
            label: make(problem.label.ndim()),
            pos_weight: make(problem.pos_weight.as_ref().map_or(rank, |p| p.ndim())),
            loss: make(losses),
            grad: make(rank),
        }
    }
}

/// Makes the fused call on dense arrays.
#[track_caller]
pub fn fused<T: Real>(case: &Case<T>, problem: &Problem<T>, request: &Request<T>) -> Outcome<T> {
    let answer = (case.call)(&problem.views(), &request.views(), Form::Both).unwrap();
    Outcome {
        loss: answer.loss.unwrap(),
        grads: answer.grads.unwrap(),
    }
}

/// Places for all gradients.
fn all<T: Copy>(grads: &mut [Laid<T>]) -> Grads<'_, T> {
    grads.iter_mut().map(|grad| Some(grad.view_mut())).collect()
}

/// Makes the fused call into given outputs, everything laid out as `places` says, and checks that
/// nothing around the outputs was touched.
#[track_caller]
pub fn fused_at<T: Real>(
    case: &Case<T>,
    problem: &Problem<T>,
    setters: &Setters<'_, T>,
    places: &Places,
) -> Outcome<T> {
    let loss_shape = setters.request.loss_shape(problem.pred.shape(), case);
    let laid = problem.laid(places);
    let mut loss = Laid::filled(&loss_shape, &places.loss, T::NAN);
    let new_grad = || Laid::filled(problem.pred.shape(), &places.grad, T::NAN);
    let mut grads: Vec<_> = problem.operands().map(|_| new_grad()).collect();
    let form = Form::BothInto(loss.view_mut(), all(&mut grads));
    (case.call)(&laid.views(), setters, form).unwrap();
    for output in grads.iter().chain([&loss]) {
        assert!(
            output.margins_hold(|a, b| a.bits() == b.bits()),
            "wrote around the outputs"
        );
    }
    Outcome {
        loss: loss.to_dense(),
        grads: grads.iter().map(Laid::to_dense).collect(),
    }
}

/// Makes the call in every way there is, everything laid out as `places` says, and checks that
/// each gives the bits of `expected`.
#[track_caller]
pub fn assert_every_form<T: Real>(
    case: &Case<T>,
    problem: &Problem<T>,
    setters: &Setters<'_, T>,
    places: &Places,
    expected: &Outcome<T>,
    what: &str,
) {
    let request = setters.request;
    let laid = problem.laid(places);
    let same = |a: T, b: T| a.bits() == b.bits();
    let check = |answer: Answer<T>, form: &str| {
        let what = format!("{what}, {form}");
        if let Some(loss) = answer.loss {
            assert_same_bits(&loss, &expected.loss, &what);
        }
        if let Some(grads) = answer.grads {
            assert_same_grads(&grads, &expected.grads, &what);
        }
    };
    let call = |form: Form<'_, T>| (case.call)(&laid.views(), setters, form).unwrap();
    let new_loss = || Laid::filled(expected.loss.shape(), &places.loss, T::NAN);
    let new_grad = |grad: &ArrayD<T>| Laid::filled(grad.shape(), &places.grad, T::NAN);
    let new_grads = || -> Vec<_> { expected.grads.iter().map(new_grad).collect() };
    let loss_is = |loss: &Laid<T>, form: &str| {
        assert!(
            loss.margins_hold(same),
            "{what}, {form} wrote around the losses"
        );
        assert_same_bits(&loss.to_dense(), &expected.loss, &format!("{what}, {form}"));
    };
    let grad_is = |grad: &Laid<T>, number: usize, form: &str| {
        assert!(
            grad.margins_hold(same),
            "{what}, {form} wrote around gradient {number}"
        );
        let what = format!("{what}, {form}, gradient {number}");
        assert_same_bits(&grad.to_dense(), &expected.grads[number], &what);
    };
    let grads_are = |grads: &[Laid<T>], form: &str| {
        for (number, grad) in grads.iter().enumerate() {
            grad_is(grad, number, form);
        }
    };

    let (mut loss, mut grads) = (new_loss(), new_grads());
    call(Form::LossInto(loss.view_mut()));
    loss_is(&loss, "loss_into");
    call(Form::GradInto(all(&mut grads)));
    grads_are(&grads, "grad_into");
    (loss, grads) = (new_loss(), new_grads());
    call(Form::BothInto(loss.view_mut(), all(&mut grads)));
    loss_is(&loss, "loss_and_grad_into");
    grads_are(&grads, "loss_and_grad_into");
    check(call(Form::Loss), "loss");
    check(call(Form::Grad), "grad");
    check(call(Form::Both), "loss_and_grad");
    if request.is_scalar() {
        check(call(Form::Scalar), "scalar");
        grads = new_grads();
        check(
            call(Form::ScalarAndGradInto(all(&mut grads))),
            "scalar_and_grad_into",
        );
        grads_are(&grads, "scalar_and_grad_into");
    }
    // Each gradient alone, and each left out.
    for number in (0..expected.grads.len()).filter(|_| expected.grads.len() > 1) {
        for wanted in [true, false] {
            let form = format!("gradient {number} alone: {wanted}");
            (loss, grads) = (new_loss(), new_grads());
            let mut some = all(&mut grads);
            for (other, place) in some.iter_mut().enumerate() {
                if (other == number) != wanted {
                    *place = None;
                }
            }
            call(Form::BothInto(loss.view_mut(), some));
            loss_is(&loss, &form);
            for (other, grad) in grads.iter().enumerate() {
                if (other == number) == wanted {
                    grad_is(grad, other, &form);
                } else {
                    assert!(grad.to_dense().iter().all(|g| g.wide().is_nan()), "{form}");
                }
            }
        }
    }
    let plain = request.sample_weight.is_none() && request.upstream.is_none();
    if plain && request.reduction == Reduction::SampleMean {
        check(call(Form::EasyLoss), "loss without setters");
        check(call(Form::EasyGrad), "grad without setters");
        check(call(Form::EasyBoth), "loss_and_grad without setters");
    }

    let in_place = |form: InPlace<'_, T>, name: &str| {
        let laid_out = |input: &ArrayD<T>| Laid::new(input, &places.pred, T::NAN);
        let mut inputs: Vec<_> = problem.operands().map(laid_out).collect();
        let views = inputs.iter_mut().map(Laid::view_mut).collect();
        check(
            (case.in_place)(views, &laid.views(), setters, form).unwrap(),
            name,
        );
        grads_are(&inputs, name);
    };
    let mut loss = new_loss();
    in_place(InPlace::LossInto(loss.view_mut()), "in place, loss_into");
    loss_is(&loss, "in place, loss_into");
    in_place(InPlace::Grad, "in place, grad");
    if request.is_scalar() {
        in_place(InPlace::Scalar, "in place, scalar");
    }
}

/// The reference's results for the same problem and request, one for each input that has a
/// gradient.
pub fn expected<T: Real>(
    case: &Case<T>,
    problem: &Problem<T>,
    request: &Request<T>,
) -> Vec<Reduced> {
    // Options are rounded once to the type of the computation.
    let own = Own {
        number: request.number.map(|number| T::of(number).wide()),
        ..request.own()
    };
    (case.reference)(&problem.widen(), own, &request.weighting())
}

/// Checks that the call fails in every form and leaves every output as it was.
#[track_caller]
pub fn assert_refused<T: Real>(
    case: &Case<T>,
    inputs: &Inputs<'_, T>,
    setters: &Setters<'_, T>,
    [loss_shape, grad_shape]: [&[usize]; 2],
) -> Error {
    let before = T::of(42.0);
    let mut errors = Vec::new();
    let mut loss = ArrayD::from_elem(loss_shape, before);
    let count = 1 + inputs.others.len();
    let mut grads = vec![ArrayD::from_elem(grad_shape, before); count];
    fn all<T>(grads: &mut [ArrayD<T>]) -> Grads<'_, T> {
        grads.iter_mut().map(|grad| Some(grad.view_mut())).collect()
    }
    let form = Form::BothInto(loss.view_mut(), all(&mut grads));
    errors.push((case.call)(inputs, setters, form).unwrap_err());
    errors.push((case.call)(inputs, setters, Form::LossInto(loss.view_mut())).unwrap_err());
    errors.push((case.call)(inputs, setters, Form::GradInto(all(&mut grads))).unwrap_err());
    errors.push((case.call)(inputs, setters, Form::Loss).unwrap_err());
    errors.push((case.call)(inputs, setters, Form::Grad).unwrap_err());
    errors.push((case.call)(inputs, setters, Form::Both).unwrap_err());
    let operands: Vec<_> = [&inputs.pred].into_iter().chain(&inputs.others).collect();
    for form in [InPlace::LossInto(loss.view_mut()), InPlace::Grad] {
        let mut copies: Vec<ArrayD<T>> =
            operands.iter().map(|input| (**input).to_owned()).collect();
        let views = copies.iter_mut().map(|copy| copy.view_mut()).collect();
        errors.push((case.in_place)(views, inputs, setters, form).unwrap_err());
        for (copy, input) in copies.iter().zip(&operands) {
            assert_same_bits(copy, input, "inputs in place after an error");
        }
    }
    assert!(
        loss.iter().all(|&l| l == before),
        "an error left its mark on the losses"
    );
    assert!(
        grads.iter().flatten().all(|&g| g == before),
        "an error left its mark on the gradient"
    );
    let first = errors[0].clone();
    for error in errors {
        assert_eq!(error, first);
    }
    first
}
