//! A call of any loss of the table.

use super::judge;
use super::shapes;
use super::specials::{self, Special, Sprinkle};
use super::threads::for_each_pool;
use crate::common::alone::{alone, part};
use crate::common::call::{
    Form, LabelView, Outcome, Places, REDUCTIONS, Request, assert_every_form, assert_refused,
    factor, fused, fused_at,
};
use crate::common::cases::{Case, Label, Problem, Unit, case, constant_along, table_and_variants};
use crate::common::layouts::{Laid, Layout};
use crate::common::levels::levels;
use crate::common::random::Random;
use crate::common::real::Real;
use arbitrary::{Result, Unstructured};
use lossgrad::{Error, Exec, Level, Reduction, Threading};
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};

/// A call. What is not spelled out follows from the seeds.
#[derive(Clone, Debug)]
pub struct Call {
    /// Of the entry of the table.
    name: &'static str,
    /// `f64` instead of `f32`.
    double: bool,
    shape: Vec<usize>,
    batch_axis: usize,
    class_axis: usize,
    from_the_back: [bool; 2],
    reduction: Reduction,
    weight: f64,
    /// The option of the loss that is a number.
    number: Option<f64>,
    /// Which of its forms each factor has; none at all for 0.
    weight_form: u8,
    upstream_form: u8,
    /// An axis along which the inputs are broadcast from one entry.
    broadcast: Option<usize>,
    /// Of the inputs and factors.
    seed: u64,
    /// Of the layouts of everything.
    layouts: u64,
    /// The level at which every form of the call is made.
    level: u8,
    sprinkles: Vec<Sprinkle>,
    /// Values of the sample weight and of the upstream.
    factors: Vec<(u16, Special)>,
}

impl Call {
    /// A call of one of the losses that are of a kind.
    pub fn arbitrary(
        bytes: &mut Unstructured<'_>,
        kind: impl Fn(&Case<f32>) -> bool,
    ) -> Result<Self> {
        let mut cases = table_and_variants();
        cases.retain(kind);
        let case = &cases[bytes.choose_index(cases.len())?];
        let shape = shapes::arbitrary(bytes)?;
        let rank = shape.len();
        let number = bytes.choose_index(1 + case.numbers.len())?;
        let mut call = Self {
            name: case.name,
            double: bytes.arbitrary()?,
            batch_axis: bytes.choose_index(rank)?,
            class_axis: bytes.choose_index(rank)?,
            shape,
            from_the_back: bytes.arbitrary()?,
            reduction: *bytes.choose(&REDUCTIONS)?,
            weight: *bytes.choose(&[1.0, 0.5, -2.0, 0.3, 0.0])?,
            number: case.numbers.get(number).copied(),
            weight_form: bytes.int_in_range(0..=3)?,
            upstream_form: bytes.int_in_range(0..=3)?,
            broadcast: match bytes.int_in_range(0..=4)? {
                0 => Some(bytes.choose_index(rank)?),
                _ => None,
            },
            seed: bytes.arbitrary()?,
            layouts: bytes.arbitrary()?,
            level: bytes.arbitrary()?,
            sprinkles: vec![],
            factors: vec![],
        };
        // Half of the calls have none, and are held to the whole contract.
        let specials = bytes.int_in_range(0..=7)?;
        if matches!(specials, 4..=6) {
            call.sprinkles = Sprinkle::several(bytes)?;
        }
        if specials >= 6 {
            call.factors = vec![bytes.arbitrary()?, bytes.arbitrary()?];
        }
        Ok(call.settled(case))
    }

    /// Axes apart, where rows need a batch axis besides the class axis, and no more work than a
    /// fuzzer has time for.
    fn settled(mut self, case: &Case<f32>) -> Self {
        if case.classes() && self.shape.len() == 1 {
            self.shape.insert(0, 3);
        }
        let rank = self.shape.len();
        if case.unit == Unit::LastRow {
            self.class_axis = rank - 1;
            self.batch_axis %= rank - 1;
        } else if case.classes() && self.batch_axis == self.class_axis {
            self.class_axis = (self.batch_axis + 1) % rank;
        }
        if case.classes() {
            // Without classes there is no call.
            self.shape[self.class_axis] = self.shape[self.class_axis].max(1);
        }
        if !case.independent {
            // Every sample is compared with every other.
            let samples = &mut self.shape[self.batch_axis];
            *samples = (*samples).min(24);
        }
        self.broadcast = self
            .broadcast
            // A class that all rows share, or a label that is no longer a distribution, is fine for
            // any formula; a row of nothing but masked classes is not, and a broadcast class axis
            // can make one.
            .filter(|&axis| self.shape[axis] > 0 && !(case.classes() && axis == self.class_axis));
        self
    }

    pub fn check(&self) {
        if self.double {
            self.check_as::<f64>();
        } else {
            self.check_as::<f32>();
        }
    }

    fn check_as<T: Real>(&self) {
        let case = &case::<T>(self.name);
        let random = &mut Random::new(self.seed);
        let problem = self.problem(case, random);
        let request = self.request(case, random);
        let what = format!("{} of {:?} by {:?}", self.name, self.shape, self.reduction);
        if self.averages_nothing(case, &request) {
            let loss = match self.reduction {
                Reduction::Mean => vec![],
                _ => vec![self.shape[self.batch_axis]],
            };
            let outputs = [&loss[..], &self.shape];
            let error = assert_refused(case, &problem.views(), &request.views(), outputs);
            assert!(matches!(error, Error::EmptyMean { .. }), "{what}: {error}");
            return;
        }

        let outcome = self.at_every_level(case, &problem, &request, &what);
        judge::assert_as_expected(
            case,
            &problem,
            &request,
            &outcome,
            !self.sprinkles.is_empty() || !self.factors.is_empty(),
            &what,
        );
        self.anywhere(case, &problem, &request, &outcome, &what);
        if case.independent {
            self.alone(case, &problem, &request, &outcome, &what);
        }
        if let Some(axis) = self.broadcast {
            broadcast_inputs(case, &problem, &request, axis, &outcome, &what);
        }
    }

    fn problem<T: Real>(&self, case: &Case<T>, random: &mut Random) -> Problem<T> {
        let mut problem = (case.draw)(&self.shape, self.class_axis, random);
        for sprinkle in &self.sprinkles {
            sprinkle.put(&mut problem);
        }
        if let Some(axis) = self.broadcast {
            constant_along(&mut problem, axis);
        }
        problem
    }

    fn request<T: Real>(&self, case: &Case<T>, random: &mut Random) -> Request<T> {
        let rank = self.shape.len();
        let signed = |axis: usize, from_the_back: bool| {
            axis as isize - if from_the_back { rank as isize } else { 0 }
        };
        let plain = Request {
            weight: self.weight,
            batch_axis: signed(self.batch_axis, self.from_the_back[0]),
            class_axis: signed(self.class_axis, self.from_the_back[1]),
            number: self.number,
            ..Request::reduction(Reduction::None)
        };
        let units = plain.units(&self.shape, case);
        let losses = plain.loss_shape(&self.shape, case);
        let mut request = Request {
            reduction: self.reduction,
            sample_weight: self.per_unit(self.weight_form, [&units, &losses], random),
            upstream: self.upstream([&units, &losses], random),
            ..plain
        };
        let factors = [&mut request.sample_weight, &mut request.upstream];
        for (factor, &(at, value)) in factors.into_iter().zip(&self.factors) {
            if let Some(factor) = factor {
                specials::put(factor, at, value.of_factor());
            }
        }
        request
    }

    /// A sample weight, or an upstream with one value per unit, in one of the three accepted forms.
    fn per_unit<T: Real>(
        &self,
        form: u8,
        [units, losses]: [&[usize]; 2],
        random: &mut Random,
    ) -> Option<ArrayD<T>> {
        let shape: Vec<usize> = match form {
            0 => return None,
            1 => units
                .iter()
                .map(|&extent| if random.once_in(3) { 1 } else { extent })
                .collect(),
            2 => losses.to_vec(),
            _ => vec![self.shape[self.batch_axis]],
        };
        Some(factor(&shape, random))
    }

    fn upstream<T: Real>(&self, shapes: [&[usize]; 2], random: &mut Random) -> Option<ArrayD<T>> {
        let mut spread = vec![1; self.shape.len()];
        match (self.reduction, self.upstream_form) {
            (_, 0) => None,
            (Reduction::None, form) => self.per_unit(form, shapes, random),
            (Reduction::SampleMean | Reduction::SampleSum, 1) => {
                spread[self.batch_axis] = self.shape[self.batch_axis];
                Some(factor(&spread, random))
            }
            (Reduction::SampleMean | Reduction::SampleSum, 2) => Some(factor(&spread, random)),
            (Reduction::SampleMean | Reduction::SampleSum, _) => {
                Some(factor(&[self.shape[self.batch_axis]], random))
            }
            (_, 1) => Some(factor(&spread, random)),
            _ => Some(factor(&[], random)),
        }
    }

    fn averages_nothing<T: Real>(&self, case: &Case<T>, request: &Request<T>) -> bool {
        let losses: usize = request.units(&self.shape, case).iter().product();
        match self.reduction {
            Reduction::Mean => losses == 0,
            Reduction::SampleMean => losses == 0 && self.shape[self.batch_axis] > 0,
            _ => false,
        }
    }

    /// The call at every level and with any number of threads, which all give the same bits.
    fn at_every_level<T: Real>(
        &self,
        case: &Case<T>,
        problem: &Problem<T>,
        request: &Request<T>,
        what: &str,
    ) -> Outcome<T> {
        let on =
            |level, threading| fused(case, problem, &request.exec(Exec::new(level, threading)));
        let expected = on(Level::scalar(), Threading::Serial);
        for level in levels() {
            let what = format!("{what} at {level}");
            on(level, Threading::Serial).assert_same(&expected, &what);
            // Small work never leaves its thread.
            if shapes::is_small(&self.shape) {
                on(level, Threading::Auto).assert_same(&expected, &what);
            } else {
                for_each_pool(|threads| {
                    let what = format!("{what} on {threads} threads");
                    on(level, Threading::Auto).assert_same(&expected, &what);
                });
            }
        }
        expected
    }

    /// Everything in layouts of its own, small calls in every form.
    fn anywhere<T: Real>(
        &self,
        case: &Case<T>,
        problem: &Problem<T>,
        request: &Request<T>,
        expected: &Outcome<T>,
        what: &str,
    ) {
        let random = &mut Random::new(self.layouts);
        let losses = request.loss_shape(&self.shape, case).len();
        let places = Places::from(problem, losses, |rank| Layout::random(rank, random));
        let mut laid = |factor: &Option<ArrayD<T>>| {
            let factor = factor.as_ref()?;
            let layout = Layout::random(factor.ndim(), random);
            Some(Laid::new(factor, &layout, T::NAN))
        };
        let (weight, upstream) = (laid(&request.sample_weight), laid(&request.upstream));
        let levels = levels();
        let level = levels[usize::from(self.level) % levels.len()];
        let request = request.exec(Exec::new(level, Threading::Auto));
        let mut setters = request.views();
        setters.sample_weight = weight.as_ref().map(Laid::view);
        setters.upstream = upstream.as_ref().map(Laid::view);
        let what = format!("{what} at {level}, laid out");
        if shapes::is_small(&self.shape) {
            assert_every_form(case, problem, &setters, &places, expected, &what);
        } else {
            fused_at(case, problem, &setters, &places).assert_same(expected, &what);
        }
    }

    /// A sample alone has the bits that it has in its batch: whatever the others hold does not reach
    /// it.
    fn alone<T: Real>(
        &self,
        case: &Case<T>,
        problem: &Problem<T>,
        request: &Request<T>,
        whole: &Outcome<T>,
        what: &str,
    ) {
        let samples = self.shape[self.batch_axis];
        if request.is_scalar() || samples == 0 {
            return;
        }
        let sample = self.layouts as usize % samples;
        let range = sample..sample + 1;
        let (problem, alone) = alone(case, problem, request, range.clone());
        let expected = part(case, &self.shape, request, whole, range);
        let what = format!("{what}, sample {sample} alone");
        fused(case, &problem, &alone).assert_same(&expected, &what);
    }
}

/// The same call with views that repeat one entry along `axis` without its being there.
fn broadcast_inputs<T: Real>(
    case: &Case<T>,
    problem: &Problem<T>,
    request: &Request<T>,
    axis: usize,
    expected: &Outcome<T>,
    what: &str,
) {
    let single = |array: &ArrayD<T>| {
        let first = array.index_axis(Axis(axis), 0);
        first.insert_axis(Axis(axis)).to_owned()
    };
    let shape = problem.pred.raw_dim();
    let singles: Vec<_> = problem.operands().map(single).collect();
    let mut inputs = problem.views();
    inputs.pred = repeat(&singles[0], &shape);
    inputs.others = singles[1..]
        .iter()
        .map(|other| repeat(other, &shape))
        .collect();
    let label;
    if let Label::Dense(dense) = &problem.label {
        label = single(dense);
        inputs.label = LabelView::Dense(repeat(&label, &shape));
    }
    let answer = (case.call)(&inputs, &request.views(), Form::Both).unwrap();
    let actual = Outcome {
        loss: answer.loss.unwrap(),
        grads: answer.grads.unwrap(),
    };
    actual.assert_same(expected, &format!("{what}, broadcast along {axis}"));
}

fn repeat<'a, T>(array: &'a ArrayD<T>, shape: &IxDyn) -> ArrayViewD<'a, T> {
    array.broadcast(shape.clone()).expect("1 along the axis")
}
