//! One call of the library, spelled out as data, so that every way to make it can be compared.

use lossgrad::reference::{Reduced, Weighting};
use lossgrad::{Error, Exec, Level, Reduction, Threading};
use ndarray::{ArrayD, ArrayRefD, ArrayViewD, ArrayViewMutD};

use super::cases::{Case, Problem};
use super::layouts::{Laid, Layout};
use super::real::{Real, assert_same_bits, widen};

/// What belongs to the loss and what the setters say.
#[derive(Clone, Debug)]
pub struct Request<T> {
    pub weight: f64,
    pub batch_axis: isize,
    /// Ignored by losses without classes.
    pub class_axis: isize,
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
    pub fn loss_shape(&self, pred: &[usize], classes: bool) -> Vec<usize> {
        let resolve = |axis: isize| axis.rem_euclid(pred.len() as isize) as usize;
        match self.reduction {
            Reduction::None => {
                let mut shape = pred.to_vec();
                if classes {
                    shape.remove(resolve(self.class_axis));
                }
                shape
            }
            Reduction::SampleMean | Reduction::SampleSum => vec![pred[resolve(self.batch_axis)]],
            _ => vec![],
        }
    }
}

/// A request with its factors as views of any layout.
pub struct Setters<'a, T> {
    pub request: &'a Request<T>,
    pub sample_weight: Option<ArrayViewD<'a, T>>,
    pub upstream: Option<ArrayViewD<'a, T>>,
}

/// What goes in.
pub struct Inputs<'a, T> {
    pub pred: ArrayViewD<'a, T>,
    pub label: LabelView<'a, T>,
    pub pos_weight: Option<ArrayViewD<'a, T>>,
}

/// Labels as views.
#[derive(Clone)]
pub enum LabelView<'a, T> {
    Dense(ArrayViewD<'a, T>),
    Sparse(ArrayViewD<'a, i32>),
}

impl<'a, T> LabelView<'a, T> {
    pub fn dense(&self) -> &ArrayRefD<T> {
        match self {
            Self::Dense(label) => label,
            Self::Sparse(_) => panic!("the loss takes a label per element"),
        }
    }

    pub fn sparse(&self) -> &ArrayRefD<i32> {
        match self {
            Self::Sparse(label) => label,
            Self::Dense(_) => panic!("the loss takes a class per row"),
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

/// A way to make the call, with its outputs.
pub enum Form<'a, T> {
    LossInto(ArrayViewMutD<'a, T>),
    GradInto(ArrayViewMutD<'a, T>),
    BothInto(ArrayViewMutD<'a, T>, ArrayViewMutD<'a, T>),
    Loss,
    Grad,
    Both,
    Scalar,
    ScalarAndGradInto(ArrayViewMutD<'a, T>),
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
    pub grad: Option<ArrayD<T>>,
}

impl<T> Answer<T> {
    pub const NOTHING: Self = Self {
        loss: None,
        grad: None,
    };
}

/// The losses and the gradient of one call.
#[derive(Clone, Debug)]
pub struct Outcome<T> {
    pub loss: ArrayD<T>,
    pub grad: ArrayD<T>,
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
        grad: answer.grad.unwrap(),
    }
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
    let loss_shape = setters
        .request
        .loss_shape(problem.pred.shape(), case.classes);
    let laid = problem.laid(places);
    let mut loss = Laid::filled(&loss_shape, &places.loss, T::NAN);
    let mut grad = Laid::filled(problem.pred.shape(), &places.grad, T::NAN);
    let form = Form::BothInto(loss.view_mut(), grad.view_mut());
    (case.call)(&laid.views(), setters, form).unwrap();
    assert!(
        loss.margins_hold(|a, b| a.bits() == b.bits()),
        "wrote around the losses"
    );
    assert!(
        grad.margins_hold(|a, b| a.bits() == b.bits()),
        "wrote around the gradient"
    );
    Outcome {
        loss: loss.to_dense(),
        grad: grad.to_dense(),
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
        if let Some(grad) = answer.grad {
            assert_same_bits(&grad, &expected.grad, &what);
        }
    };
    let call = |form: Form<'_, T>| (case.call)(&laid.views(), setters, form).unwrap();
    let new_loss = || Laid::filled(expected.loss.shape(), &places.loss, T::NAN);
    let new_grad = || Laid::filled(expected.grad.shape(), &places.grad, T::NAN);
    let loss_is = |loss: &Laid<T>, form: &str| {
        assert!(
            loss.margins_hold(same),
            "{what}, {form} wrote around the losses"
        );
        check(
            Answer {
                loss: Some(loss.to_dense()),
                grad: None,
            },
            form,
        );
    };
    let grad_is = |grad: &Laid<T>, form: &str| {
        assert!(
            grad.margins_hold(same),
            "{what}, {form} wrote around the gradient"
        );
        check(
            Answer {
                loss: None,
                grad: Some(grad.to_dense()),
            },
            form,
        );
    };

    let (mut loss, mut grad) = (new_loss(), new_grad());
    call(Form::LossInto(loss.view_mut()));
    loss_is(&loss, "loss_into");
    call(Form::GradInto(grad.view_mut()));
    grad_is(&grad, "grad_into");
    (loss, grad) = (new_loss(), new_grad());
    call(Form::BothInto(loss.view_mut(), grad.view_mut()));
    loss_is(&loss, "loss_and_grad_into");
    grad_is(&grad, "loss_and_grad_into");
    check(call(Form::Loss), "loss");
    check(call(Form::Grad), "grad");
    check(call(Form::Both), "loss_and_grad");
    if request.is_scalar() {
        check(call(Form::Scalar), "scalar");
        grad = new_grad();
        check(
            call(Form::ScalarAndGradInto(grad.view_mut())),
            "scalar_and_grad_into",
        );
        grad_is(&grad, "scalar_and_grad_into");
    }
    let plain = request.sample_weight.is_none() && request.upstream.is_none();
    if plain && request.reduction == Reduction::SampleMean {
        check(call(Form::EasyLoss), "loss without setters");
        check(call(Form::EasyGrad), "grad without setters");
        check(call(Form::EasyBoth), "loss_and_grad without setters");
    }

    let in_place = |form: InPlace<'_, T>, name: &str| {
        let mut pred = Laid::new(&problem.pred, &places.pred, T::NAN);
        check(
            (case.in_place)(pred.view_mut(), &laid.views(), setters, form).unwrap(),
            name,
        );
        grad_is(&pred, name);
    };
    let mut loss = new_loss();
    in_place(InPlace::LossInto(loss.view_mut()), "in place, loss_into");
    loss_is(&loss, "in place, loss_into");
    in_place(InPlace::Grad, "in place, grad");
    if request.is_scalar() {
        in_place(InPlace::Scalar, "in place, scalar");
    }
}

/// The reference's results for the same problem and request.
pub fn expected<T: Real>(case: &Case<T>, problem: &Problem<T>, request: &Request<T>) -> Reduced {
    (case.terms)(&problem.widen(), request.class_axis).reduce(&request.weighting())
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
    let mut grad = ArrayD::from_elem(grad_shape, before);
    let (l, g) = (loss.view_mut(), grad.view_mut());
    errors.push((case.call)(inputs, setters, Form::BothInto(l, g)).unwrap_err());
    errors.push((case.call)(inputs, setters, Form::LossInto(loss.view_mut())).unwrap_err());
    errors.push((case.call)(inputs, setters, Form::GradInto(grad.view_mut())).unwrap_err());
    errors.push((case.call)(inputs, setters, Form::Loss).unwrap_err());
    errors.push((case.call)(inputs, setters, Form::Grad).unwrap_err());
    errors.push((case.call)(inputs, setters, Form::Both).unwrap_err());
    let mut pred = inputs.pred.to_owned();
    let in_place = InPlace::LossInto(loss.view_mut());
    errors.push((case.in_place)(pred.view_mut(), inputs, setters, in_place).unwrap_err());
    assert_same_bits(&pred, &inputs.pred, "predictions in place after an error");
    errors.push((case.in_place)(pred.view_mut(), inputs, setters, InPlace::Grad).unwrap_err());
    assert_same_bits(&pred, &inputs.pred, "predictions in place after an error");
    assert!(
        loss.iter().all(|&l| l == before),
        "an error left its mark on the losses"
    );
    assert!(
        grad.iter().all(|&g| g == before),
        "an error left its mark on the gradient"
    );
    let first = errors[0].clone();
    for error in errors {
        assert_eq!(error, first);
    }
    first
}
