//! The table of losses.

use lossgrad::reference::{self, Reduced, Terms, Weighting};
use lossgrad::{
    Error, HingeLoss, HuberLoss, KlDivLoss, L1Loss, L2Loss, LabelFormat, LogFactorial,
    LogisticLoss, PoissonNllLoss, SigmoidBceLoss, SoftmaxCeLoss, SquaredHingeLoss,
};
use ndarray::{ArrayD, ArrayViewMutD, Axis};

use super::call::{Answer, Form, Grads, InPlace, Inputs, LabelView, Own, Places, Setters};
use super::layouts::{Laid, make_constant};
use super::random::Random;
use super::real::{Real, widen};

/// A loss, the same loss in the reference, and inputs for both.
pub struct Case<T> {
    pub name: &'static str,
    /// What has a loss of its own.
    pub unit: Unit,
    /// Whether a sample's results are the same in any batch.
    pub independent: bool,
    /// The least loss there can be, for labels that are distributions.
    pub least: f64,
    /// Values of the number that is an option of the loss; none if it has no such option.
    pub numbers: &'static [f64],
    /// Whether the gradient depends on pred at all.
    pub curved: bool,
    /// Random inputs of a shape; the class axis is ignored by losses without classes.
    pub draw: fn(&[usize], usize, &mut Random) -> Problem<T>,
    /// Maps a prediction to where the loss is smooth enough for finite differences.
    pub smooth: fn(f64) -> f64,
    /// The predictions at which the gradient jumps or bends, for a label.
    pub kinks: fn(f64, Own) -> Vec<f64>,
    /// The reference: what it says of each input that has a gradient.
    pub reference: fn(&Problem<f64>, Own, &Weighting) -> Vec<Reduced>,
    pub call: Call<T>,
    pub in_place: InPlaceCall<T>,
}

/// What has a loss of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    Element,
    /// A row along the class axis, which can be any.
    Row,
    /// A row along the class axis, but each of its classes has a loss.
    Class,
    /// A row along the last axis.
    LastRow,
    /// Everything but the batch axis.
    Sample,
}

impl<T> Case<T> {
    /// Whether a unit is a row along an axis.
    pub fn classes(&self) -> bool {
        matches!(self.unit, Unit::Row | Unit::Class | Unit::LastRow)
    }

    /// The class axis of a shape: the given one, if it can be chosen.
    pub fn row_axis(&self, shape: &[usize], chosen: usize) -> usize {
        match self.unit {
            Unit::LastRow => shape.len() - 1,
            _ => chosen,
        }
    }

    /// Whether a unit is a row along an axis that can be chosen.
    pub fn chooses_axis(&self) -> bool {
        matches!(self.unit, Unit::Row | Unit::Class)
    }
}

type Call<T> = fn(&Inputs<'_, T>, &Setters<'_, T>, Form<'_, T>) -> Result<Answer<T>, Error>;

type InPlaceCall<T> = fn(
    Vec<ArrayViewMutD<'_, T>>,
    &Inputs<'_, T>,
    &Setters<'_, T>,
    InPlace<'_, T>,
) -> Result<Answer<T>, Error>;

/// Every loss, with the options that change its course. An entry names the loss, how it is called,
/// its reference, and inputs.
pub fn table<T: Real>() -> Vec<Case<T>> {
    let mut table = of_one_prediction();
    table.extend(super::pairs::table());
    table
}

/// The losses of one prediction.
fn of_one_prediction<T: Real>() -> Vec<Case<T>> {
    vec![
        entry!("l2", elements, least 0.0, draw_regression, |x| x,
            |_| L2Loss::new(), dense, [],
            |p, _| reference::l2(&p.pred, p.label.dense())),
        entry!("l1", elements, least 0.0, kinks |y, _| vec![y], draw_regression, |x| x,
            |_| L1Loss::new(), dense, [],
            |p, _| reference::l1(&p.pred, p.label.dense())),
        entry!("huber", elements, least 0.0, numbers [0.3, 2.5],
            kinks |y, own| vec![y - own.or(1.0), y + own.or(1.0)], draw_regression, |x| x,
            |own| HuberLoss::new(own.or(1.0)).expect("a threshold"), dense, [],
            |p, own| reference::huber(&p.pred, p.label.dense(), own.or(1.0))),
        entry!("hinge", elements, least 0.0, numbers [0.5, -0.2],
            kinks |y, own| vec![own.or(1.0) / y], draw_scores, |x| x,
            |own| HingeLoss::new().margin(own.or(1.0)).expect("a margin"), dense, [],
            |p, own| reference::hinge(&p.pred, p.label.dense(), own.or(1.0))),
        entry!("squared_hinge", elements, least 0.0, numbers [2.0, 0.5],
            kinks |y, own| vec![own.or(1.0) / y], draw_scores, |x| x,
            |own| SquaredHingeLoss::new().margin(own.or(1.0)).expect("a margin"), dense, [],
            |p, own| reference::squared_hinge(&p.pred, p.label.dense(), own.or(1.0))),
        entry!("logistic", elements, least 0.0, draw_signed_logits, |x| x,
            |_| LogisticLoss::new(), dense, [],
            |p, _| reference::logistic(&p.pred, p.label.dense(), LabelFormat::Signed)),
        entry!("poisson_nll", elements, least f64::NEG_INFINITY, draw_log_rates, |x| x,
            |_| PoissonNllLoss::new(), dense, [],
            |p, _| poisson(p, true, LogFactorial::Omitted)),
        entry!("poisson_nll rate", elements, least f64::NEG_INFINITY, draw_rates, |x| 1.0 + x,
            |_| PoissonNllLoss::new().from_logits(false), dense, [],
            |p, _| poisson(p, false, LogFactorial::Omitted)),
        entry!("poisson_nll exact", elements, least f64::NEG_INFINITY, draw_log_rates, |x| x,
            |_| PoissonNllLoss::new().compute_full(LogFactorial::Exact), dense, [],
            |p, _| poisson(p, true, LogFactorial::Exact)),
        entry!("poisson_nll rate stirling", elements, least f64::NEG_INFINITY,
            draw_rates, |x| 1.0 + x,
            |_| PoissonNllLoss::new().from_logits(false).compute_full(LogFactorial::Stirling),
            dense, [],
            |p, _| poisson(p, false, LogFactorial::Stirling)),
        entry!("kl_div", elements, least f64::NEG_INFINITY, straight draw_log_shares, |x| x,
            |_| KlDivLoss::new(), dense, [],
            |p, _| reference::kl_div(&p.pred, p.label.dense())),
        Case {
            reference: |p, own, how| {
                vec![reference::kl_div_of_logits(
                    &p.pred,
                    p.label.dense(),
                    own.axis,
                    how,
                )]
            },
            ..entry!("kl_div of logits", classes, least f64::NEG_INFINITY, draw_distributions,
                |x| x, |own| KlDivLoss::new().from_logits(false).axis(own.axis), dense, [],
                |_, _| unreachable!("a row's derivatives belong together"))
        },
        entry!("sigmoid_bce", elements, least 0.0, draw_logits, |x| x,
            |_| SigmoidBceLoss::new(), dense, [],
            |p, _| reference::sigmoid_bce(&p.pred, p.label.dense(), None, false)),
        entry!("sigmoid_bce pos_weight", elements, least 0.0, draw_weighted_logits, |x| x,
            |_| SigmoidBceLoss::new(), dense, [pos_weight],
            |p, _| reference::sigmoid_bce(&p.pred, p.label.dense(), p.pos_weight(), false)),
        entry!(
            "sigmoid_bce from_sigmoid",
            elements,
            least - 1.1e-12,
            draw_probabilities,
            inside,
            |_| SigmoidBceLoss::new().from_sigmoid(true),
            dense,
            [],
            |p, _| reference::sigmoid_bce(&p.pred, p.label.dense(), None, true)
        ),
        entry!(
            "sigmoid_bce from_sigmoid pos_weight",
            elements,
            least - 3.1e-12,
            draw_weighted_probabilities,
            inside,
            |_| SigmoidBceLoss::new().from_sigmoid(true),
            dense,
            [pos_weight],
            |p, _| reference::sigmoid_bce(&p.pred, p.label.dense(), p.pos_weight(), true)
        ),
        entry!("softmax_ce sparse", rows, least 0.0, draw_classes, |x| x,
            |own| SoftmaxCeLoss::new().axis(own.axis), sparse, [],
            |p, own| reference::softmax_ce_sparse(&p.pred, &p.label.indices(), own.axis, false)),
        entry!("softmax_ce dense", rows, least 0.0, draw_distributions, |x| x,
            |own| SoftmaxCeLoss::new().axis(own.axis), dense, [],
            |p, own| reference::softmax_ce_dense(&p.pred, p.label.dense(), own.axis, false)),
        entry!("softmax_ce sparse from_logits", rows, least 0.0, straight draw_log_classes, |x| x,
            |own| SoftmaxCeLoss::new().axis(own.axis).from_logits(true), sparse, [],
            |p, own| reference::softmax_ce_sparse(&p.pred, &p.label.indices(), own.axis, true)),
        entry!("softmax_ce dense from_logits", rows, least 0.0, straight draw_log_distributions,
            |x| x,
            |own| SoftmaxCeLoss::new().axis(own.axis).from_logits(true), dense, [],
            |p, own| reference::softmax_ce_dense(&p.pred, p.label.dense(), own.axis, true)),
    ]
}

/// The same losses with further options, which the properties would say nothing new about.
fn variants<T: Real>() -> Vec<Case<T>> {
    vec![
        entry!("logistic binary", elements, least 0.0, draw_logits, |x| x,
            |_| LogisticLoss::new().label_format(LabelFormat::Binary), dense, [],
            |p, _| reference::logistic(&p.pred, p.label.dense(), LabelFormat::Binary)),
        entry!("poisson_nll stirling", elements, least f64::NEG_INFINITY, draw_log_rates, |x| x,
            |_| PoissonNllLoss::new().compute_full(LogFactorial::Stirling), dense, [],
            |p, _| poisson(p, true, LogFactorial::Stirling)),
        entry!("poisson_nll rate exact", elements, least f64::NEG_INFINITY,
            draw_rates, |x| 1.0 + x,
            |_| PoissonNllLoss::new().from_logits(false).compute_full(LogFactorial::Exact),
            dense, [],
            |p, _| poisson(p, false, LogFactorial::Exact)),
    ]
}

fn poisson(problem: &Problem<f64>, from_logits: bool, full: LogFactorial) -> Terms {
    let (pred, label) = (&problem.pred, problem.label.dense());
    reference::poisson_nll(pred, label, from_logits, 1e-8, full)
}

/// The table and the variants.
pub fn table_and_variants<T: Real>() -> Vec<Case<T>> {
    let mut all = table();
    all.extend(variants());
    all
}

/// The entry of that name.
pub fn case<T: Real>(name: &str) -> Case<T> {
    table_and_variants()
        .into_iter()
        .find(|case| case.name == name)
        .expect("an entry of the table")
}

/// An entry: its name, `elements` or `rows`, the least loss, values of its option and its kinks if it
/// has any, how inputs are drawn (`straight` where the loss is a straight line), where it is smooth,
/// the loss made from what is its own, the kind of label, the setters that only this loss has, and
/// the reference.
macro_rules! entry {
    ($name:expr, $kind:ident, least $least:expr, numbers $numbers:expr, $($rest:tt)*) => {
        Case {
            numbers: &$numbers,
            ..entry!($name, $kind, least $least, $($rest)*)
        }
    };
    ($name:expr, $kind:ident, least $least:expr, kinks $kinks:expr, $($rest:tt)*) => {
        Case {
            kinks: $kinks,
            ..entry!($name, $kind, least $least, $($rest)*)
        }
    };
    ($name:expr, $kind:ident, least $least:expr, straight $draw:ident, $smooth:expr,
     $loss:expr, $label:ident, [$($extra:ident),*], $terms:expr) => {
        Case {
            curved: false,
            ..entry!($name, $kind, least $least, $draw, $smooth, $loss, $label, [$($extra),*], $terms)
        }
    };
    ($name:expr, $kind:ident, least $least:expr, $draw:ident, $smooth:expr,
     $loss:expr, $label:ident, [$($extra:ident),*], $terms:expr) => {
        Case {
            name: $name,
            unit: entry!(@$kind),
            independent: true,
            numbers: &[],
            least: $least,
            curved: true,
            draw: $draw::<T>,
            smooth: $smooth,
            kinks: |_, _| vec![],
            reference: |problem, own, how| {
                let terms: fn(&Problem<f64>, Own) -> Terms = $terms;
                vec![terms(problem, own).reduce(how)]
            },
            call: |inputs, setters, form| {
                let request = setters.request;
                let make: fn(Own) -> _ = $loss;
                let loss = make(request.own());
                let loss = loss.weight(request.weight)?.batch_axis(request.batch_axis);
                let (pred, label) = (&*inputs.pred, inputs.label.$label());
                let call = set!(loss.on(pred, label)$(.$extra(inputs.$extra()))*, setters);
                let mut answer = Answer::NOTHING;
                match form {
                    Form::LossInto(mut loss) => call.loss_into(&mut loss)?,
                    Form::GradInto(grads) => call.grad_into(&mut only(grads))?,
                    Form::BothInto(mut loss, grads) => {
                        call.loss_and_grad_into(&mut loss, &mut only(grads))?;
                    }
                    Form::Loss => answer.loss = Some(call.loss()?),
                    Form::Grad => answer.grads = Some(vec![call.grad()?]),
                    Form::Both => {
                        let (loss, grad) = call.loss_and_grad()?;
                        answer = Answer { loss: Some(loss), grads: Some(vec![grad]) };
                    }
                    Form::Scalar => answer.loss = Some(ndarray::arr0(call.scalar()?).into_dyn()),
                    Form::ScalarAndGradInto(grads) => {
                        let loss = call.scalar_and_grad_into(&mut only(grads))?;
                        answer.loss = Some(ndarray::arr0(loss).into_dyn());
                    }
                    // Without setters there is no pos_weight either.
                    _ if inputs.pos_weight.is_some() => {}
                    Form::EasyLoss => answer.loss = Some(loss.loss(pred, label)?.into_dyn()),
                    Form::EasyGrad => answer.grads = Some(vec![loss.grad(pred, label)?]),
                    Form::EasyBoth => {
                        let (loss, grad) = loss.loss_and_grad(pred, label)?;
                        answer = Answer { loss: Some(loss.into_dyn()), grads: Some(vec![grad]) };
                    }
                }
                Ok(answer)
            },
            in_place: |mut operands, inputs, setters, form| {
                let request = setters.request;
                let make: fn(Own) -> _ = $loss;
                let loss = make(request.own());
                let loss = loss.weight(request.weight)?.batch_axis(request.batch_axis);
                let label = inputs.label.$label();
                let call = loss.in_place(&mut operands[0], label)$(.$extra(inputs.$extra()))*;
                let call = set!(call, setters);
                let mut answer = Answer::NOTHING;
                match form {
                    InPlace::LossInto(mut loss) => call.loss_into(&mut loss)?,
                    InPlace::Grad => call.grad()?,
                    InPlace::Scalar => answer.loss = Some(ndarray::arr0(call.scalar()?).into_dyn()),
                }
                Ok(answer)
            },
        }
    };
    (@elements) => { Unit::Element };
    (@rows) => { Unit::Row };
    (@classes) => { Unit::Class };
}
use entry;

/// The setters that every call has.
macro_rules! set {
    ($call:expr, $setters:expr) => {{
        let setters = $setters;
        let mut call = $call
            .reduction(setters.request.reduction)
            .exec(setters.request.exec);
        if let Some(weight) = &setters.sample_weight {
            call = call.sample_weight(weight);
        }
        if let Some(upstream) = &setters.upstream {
            call = call.upstream(upstream);
        }
        call
    }};
}
pub(super) use set;

/// The one place of a gradient that a loss of one prediction has.
fn only<T>(grads: Grads<'_, T>) -> ArrayViewMutD<'_, T> {
    let mut places = grads.into_iter().flatten();
    match (places.next(), places.next()) {
        (Some(place), None) => place,
        _ => panic!("the loss has one gradient"),
    }
}

/// The inputs of a loss.
#[derive(Clone, Debug)]
pub struct Problem<T> {
    pub pred: ArrayD<T>,
    /// The other inputs that have a gradient.
    pub others: Vec<ArrayD<T>>,
    pub label: Label<T>,
    pub pos_weight: Option<ArrayD<T>>,
}

/// A label per element, or a class per row.
#[derive(Clone, Debug)]
pub enum Label<T> {
    Dense(ArrayD<T>),
    Sparse(ArrayD<i32>),
    None,
}

/// The inputs of a loss, each in its own layout.
pub struct LaidProblem<T> {
    pred: Laid<T>,
    others: Vec<Laid<T>>,
    label: LaidLabel<T>,
    pos_weight: Option<Laid<T>>,
}

enum LaidLabel<T> {
    Dense(Laid<T>),
    Sparse(Laid<i32>),
    None,
}

impl<T: Real> Problem<T> {
    /// The inputs that have a gradient.
    pub fn operands(&self) -> impl Iterator<Item = &ArrayD<T>> {
        [&self.pred].into_iter().chain(&self.others)
    }

    /// The same, to change.
    pub fn operands_mut(&mut self) -> impl Iterator<Item = &mut ArrayD<T>> {
        [&mut self.pred].into_iter().chain(&mut self.others)
    }

    pub fn views(&self) -> Inputs<'_, T> {
        Inputs {
            pred: self.pred.view(),
            others: self.others.iter().map(|other| other.view()).collect(),
            label: match &self.label {
                Label::Dense(label) => LabelView::Dense(label.view()),
                Label::Sparse(label) => LabelView::Sparse(label.view()),
                Label::None => LabelView::None,
            },
            pos_weight: self.pos_weight.as_ref().map(|p| p.view()),
        }
    }

    pub fn laid(&self, places: &Places) -> LaidProblem<T> {
        LaidProblem {
            pred: Laid::new(&self.pred, &places.pred, T::NAN),
            others: self
                .others
                .iter()
                .map(|other| Laid::new(other, &places.pred, T::NAN))
                .collect(),
            label: match &self.label {
                Label::Dense(label) => LaidLabel::Dense(Laid::new(label, &places.label, T::NAN)),
                Label::Sparse(label) => {
                    LaidLabel::Sparse(Laid::new(label, &places.label, i32::MIN))
                }
                Label::None => LaidLabel::None,
            },
            pos_weight: self
                .pos_weight
                .as_ref()
                .map(|p| Laid::new(p, &places.pos_weight, T::NAN)),
        }
    }

    /// The same numbers in `f64`, exactly.
    pub fn widen(&self) -> Problem<f64> {
        Problem {
            pred: widen(&self.pred),
            others: self.others.iter().map(|other| widen(other)).collect(),
            label: match &self.label {
                Label::Dense(label) => Label::Dense(widen(label)),
                Label::Sparse(label) => Label::Sparse(label.clone()),
                Label::None => Label::None,
            },
            pos_weight: self.pos_weight.as_ref().map(|p| widen(p)),
        }
    }

    /// One sample, or a few, as a batch of its own. Labels of rows lack the class axis.
    pub fn samples(
        &self,
        batch_axis: usize,
        class_axis: Option<usize>,
        range: std::ops::Range<usize>,
    ) -> Self {
        let unit_axis = match class_axis {
            Some(class) if class < batch_axis => batch_axis - 1,
            _ => batch_axis,
        };
        let cut = |array: &ArrayD<T>, axis: usize| {
            array
                .slice_axis(Axis(axis), range.clone().into())
                .to_owned()
        };
        Self {
            pred: cut(&self.pred, batch_axis),
            others: self
                .others
                .iter()
                .map(|other| cut(other, batch_axis))
                .collect(),
            label: match &self.label {
                Label::Dense(label) => Label::Dense(cut(label, batch_axis)),
                Label::Sparse(label) => Label::Sparse(
                    label
                        .slice_axis(Axis(unit_axis), range.clone().into())
                        .to_owned(),
                ),
                Label::None => Label::None,
            },
            pos_weight: self
                .pos_weight
                .as_ref()
                .map(|p| match p.len_of(Axis(batch_axis)) {
                    1 => p.clone(),
                    _ => cut(p, batch_axis),
                }),
        }
    }
}

impl<T: Real> LaidProblem<T> {
    pub fn views(&self) -> Inputs<'_, T> {
        Inputs {
            pred: self.pred.view(),
            others: self.others.iter().map(Laid::view).collect(),
            label: match &self.label {
                LaidLabel::Dense(label) => LabelView::Dense(label.view()),
                LaidLabel::Sparse(label) => LabelView::Sparse(label.view()),
                LaidLabel::None => LabelView::None,
            },
            pos_weight: self.pos_weight.as_ref().map(Laid::view),
        }
    }
}

impl Problem<f64> {
    fn pos_weight(&self) -> Option<&ndarray::ArrayRefD<f64>> {
        self.pos_weight.as_deref()
    }
}

impl<T: Real> Label<T> {
    pub fn dense(&self) -> &ArrayD<T> {
        match self {
            Self::Dense(label) => label,
            _ => panic!("the loss takes a label per element"),
        }
    }

    pub fn sparse(&self) -> &ArrayD<i32> {
        match self {
            Self::Sparse(label) => label,
            _ => panic!("the loss takes a class per row"),
        }
    }

    pub fn ndim(&self) -> usize {
        match self {
            Self::Dense(label) => label.ndim(),
            Self::Sparse(label) => label.ndim(),
            Self::None => 0,
        }
    }

    /// Classes as the reference takes them.
    fn indices(&self) -> ArrayD<usize> {
        self.sparse()
            .mapv(|class| usize::try_from(class).expect("a class"))
    }
}

fn filled<T: Real>(shape: &[usize], mut value: impl FnMut() -> f64) -> ArrayD<T> {
    ArrayD::from_shape_simple_fn(shape, || T::of(value()))
}

fn without<T: Real>(pred: ArrayD<T>, label: Label<T>) -> Problem<T> {
    Problem {
        pred,
        others: vec![],
        label,
        pos_weight: None,
    }
}

/// Anything, sometimes close to its label, sometimes far from it, sometimes right on it or exactly 1
/// away.
fn draw_regression<T: Real>(shape: &[usize], _: usize, random: &mut Random) -> Problem<T> {
    let scale = [1.0, 1e-3, 1e4][random.below(3)];
    // Eighths now and then, so that differences can be exact.
    let label: ArrayD<T> = filled(shape, || match random.below(4) {
        0 => random.below(32) as f64 / 8.0 - 2.0,
        _ => random.normal(),
    });
    let pred = label.mapv(|y| {
        let distance = match random.below(12) {
            0 => 0.0,
            1 => 1.0,
            2 => -1.0,
            _ => scale * random.normal(),
        };
        T::of(y.wide() + distance)
    });
    without(pred, Label::Dense(label))
}

/// A label of -1 or 1, now and then another number.
fn signed_label(random: &mut Random) -> f64 {
    match random.below(10) {
        0 => random.within(-2.0, 2.0),
        1 => [0.0, 0.5, -2.0][random.below(3)],
        n => [-1.0, 1.0][n % 2],
    }
}

/// Scores on both sides of every margin, and right at it.
fn draw_scores<T: Real>(shape: &[usize], _: usize, random: &mut Random) -> Problem<T> {
    let scale = [2.0, 0.01, 1e4][random.below(3)];
    let label: ArrayD<T> = filled(shape, || signed_label(random));
    let pred = label.mapv(|y| {
        let score = match random.below(6) {
            0 => y.wide() * [0.5, 1.0, 2.0][random.below(3)],
            1 => y.wide() + 1e-3 * random.normal(),
            _ => scale * random.normal(),
        };
        T::of(score)
    });
    without(pred, Label::Dense(label))
}

fn draw_signed_logits<T: Real>(shape: &[usize], axis: usize, random: &mut Random) -> Problem<T> {
    let mut problem = draw_logits(shape, axis, random);
    // Beyond -1 and 1 a loss may be negative.
    let label = || signed_label(random).clamp(-1.0, 1.0);
    problem.label = Label::Dense(filled(shape, label));
    problem
}

/// Counts, often 0 or 1, now and then large or not whole.
fn draw_counts<T: Real>(shape: &[usize], random: &mut Random) -> Label<T> {
    let scale = [2.0, 30.0, 1e5][random.below(3)];
    Label::Dense(filled(shape, || match random.below(8) {
        0 => 0.0,
        1 => 1.0,
        2 => 3.0 * random.unit(),
        3 => scale * random.exponential(),
        _ => (scale * random.exponential()).floor(),
    }))
}

fn draw_log_rates<T: Real>(shape: &[usize], _: usize, random: &mut Random) -> Problem<T> {
    let scale = [1.0, 0.01, 6.0][random.below(3)];
    let pred = filled(shape, || match random.below(12) {
        0 => 0.0,
        _ => scale * random.normal(),
    });
    without(pred, draw_counts(shape, random))
}

fn draw_rates<T: Real>(shape: &[usize], _: usize, random: &mut Random) -> Problem<T> {
    let scale = [1.0, 1e-3, 100.0][random.below(3)];
    let pred = filled(shape, || match random.below(12) {
        0 => 0.0,
        1 => 1.0,
        2 => random.small(40),
        _ => scale * random.exponential(),
    });
    without(pred, draw_counts(shape, random))
}

/// A label in [0, 1], often at its ends.
fn binary_label(random: &mut Random) -> f64 {
    [0.0, 1.0, random.unit()][random.below(3)]
}

fn draw_logits<T: Real>(shape: &[usize], _: usize, random: &mut Random) -> Problem<T> {
    let scale = [1.0, 0.01, 12.0][random.below(3)];
    let pred = filled(shape, || {
        if random.once_in(20) {
            0.0
        } else {
            scale * random.normal()
        }
    });
    without(pred, Label::Dense(filled(shape, || binary_label(random))))
}

fn draw_probabilities<T: Real>(shape: &[usize], _: usize, random: &mut Random) -> Problem<T> {
    let pred = filled(shape, || match random.below(8) {
        0 => 0.0,
        1 => 1.0,
        2 => random.small(46),
        3 => 1.0 - random.small(46),
        _ => random.unit(),
    });
    without(pred, Label::Dense(filled(shape, || binary_label(random))))
}

/// With a pos_weight that broadcasts along some of the axes.
fn weighted<T: Real>(mut problem: Problem<T>, random: &mut Random) -> Problem<T> {
    let kept = |&extent: &usize| if random.once_in(2) { 1 } else { extent };
    let shape: Vec<usize> = problem.pred.shape().iter().map(kept).collect();
    problem.pos_weight = Some(filled(&shape, || random.within(0.1, 3.0)));
    problem
}

fn draw_weighted_logits<T: Real>(shape: &[usize], axis: usize, random: &mut Random) -> Problem<T> {
    weighted(draw_logits(shape, axis, random), random)
}

fn draw_weighted_probabilities<T: Real>(
    shape: &[usize],
    axis: usize,
    random: &mut Random,
) -> Problem<T> {
    weighted(draw_probabilities(shape, axis, random), random)
}

/// Logits of every temperature, sometimes far from 0, sometimes with masked classes.
fn logits<T: Real>(shape: &[usize], random: &mut Random) -> ArrayD<T> {
    let scale = [1.0, 4.0, 0.01][random.below(3)];
    let offset = [0.0, 0.0, 50.0, -1000.0][random.below(4)];
    let masked = random.once_in(4);
    filled(shape, || match masked && random.once_in(3) {
        true => f64::NEG_INFINITY,
        false => offset + scale * random.normal(),
    })
}

/// A class per row, drawn among those that are not masked; a row of nothing but masked classes gets
/// one back.
fn classes<T: Real>(pred: &mut ArrayD<T>, axis: usize, random: &mut Random) -> ArrayD<i32> {
    let mut shape = pred.shape().to_vec();
    let count = shape.remove(axis);
    let lanes = pred.lanes_mut(Axis(axis)).into_iter();
    let label = |mut lane: ndarray::ArrayViewMut1<'_, T>| {
        let class = random.below(count.max(1));
        if count > 0 && lane[class].wide() == f64::NEG_INFINITY {
            lane[class] = T::of(random.normal());
        }
        class as i32
    };
    ArrayD::from_shape_vec(shape, lanes.map(label).collect()).expect("one per row")
}

fn draw_classes<T: Real>(shape: &[usize], axis: usize, random: &mut Random) -> Problem<T> {
    let mut pred = logits(shape, random);
    let label = classes(&mut pred, axis, random);
    without(pred, Label::Sparse(label))
}

/// A distribution over the classes of each row that are not masked; sometimes all on one class.
fn distributions<T: Real>(pred: &ArrayD<T>, axis: usize, random: &mut Random) -> ArrayD<T> {
    let mut label = ArrayD::from_elem(pred.raw_dim(), T::of(0.0));
    let rows = pred
        .lanes(Axis(axis))
        .into_iter()
        .zip(label.lanes_mut(Axis(axis)));
    for (x, mut y) in rows {
        let sharp = random.once_in(3);
        let raw: Vec<f64> = x
            .iter()
            .map(
                |x| match x.wide() == f64::NEG_INFINITY || random.once_in(4) {
                    true => 0.0,
                    false => random.exponential(),
                },
            )
            .collect();
        let total: f64 = raw.iter().sum();
        if sharp || total == 0.0 {
            if let Some(class) = x.iter().position(|x| x.wide() > f64::NEG_INFINITY) {
                y[class] = T::of(1.0);
            }
        } else {
            y.iter_mut()
                .zip(&raw)
                .for_each(|(y, r)| *y = T::of(r / total));
        }
    }
    label
}

fn draw_distributions<T: Real>(shape: &[usize], axis: usize, random: &mut Random) -> Problem<T> {
    let mut pred = logits(shape, random);
    // Leaves every row a class that is not masked.
    classes(&mut pred, axis, random);
    let label = distributions(&pred, axis, random);
    without(pred, Label::Dense(label))
}

fn log_probabilities<T: Real>(shape: &[usize], random: &mut Random) -> ArrayD<T> {
    filled(shape, || -random.exponential() * 4.0)
}

fn draw_log_classes<T: Real>(shape: &[usize], axis: usize, random: &mut Random) -> Problem<T> {
    let mut pred = log_probabilities(shape, random);
    let label = classes(&mut pred, axis, random);
    without(pred, Label::Sparse(label))
}

fn draw_log_distributions<T: Real>(
    shape: &[usize],
    axis: usize,
    random: &mut Random,
) -> Problem<T> {
    let pred = log_probabilities(shape, random);
    let label = distributions(&pred, axis, random);
    without(pred, Label::Dense(label))
}

/// Shares of single classes, sometimes none of a class of probability 0.
fn draw_log_shares<T: Real>(shape: &[usize], _: usize, random: &mut Random) -> Problem<T> {
    let label: ArrayD<T> = filled(shape, || match random.below(4) {
        0 => 0.0,
        1 => 1.0,
        _ => random.unit(),
    });
    let pred = label.mapv(|share| match share.wide() == 0.0 && random.once_in(3) {
        true => T::of(f64::NEG_INFINITY),
        false => T::of(-4.0 * random.exponential()),
    });
    without(pred, Label::Dense(label))
}

/// Away from the ends of [0, 1], where logarithms bend too sharply for finite differences.
fn inside(x: f64) -> f64 {
    0.1 + 0.8 * x
}

/// Makes the predictions and, where it has one per element, the label equal along an axis.
pub fn constant_along<T: Real>(problem: &mut Problem<T>, axis: usize) {
    for operand in problem.operands_mut() {
        make_constant(operand, axis);
    }
    if let Label::Dense(label) = &mut problem.label {
        make_constant(label, axis);
    }
}
