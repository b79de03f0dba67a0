//! Every loss against the reference: random shapes, layouts, axes, weights, reductions and
//! upstreams, and every length around the edges of blocks.

mod common;

use common::call::{Form, LabelView, Outcome, Places, Request, assert_every_form, expected, fused};
use common::cases::{Case, Label, Problem, Unit, constant_along, table};
use common::contract::{assert_outcome, report};
use common::layouts::{Laid, Layout};
use common::levels::{emulated, for_each_level};
use common::random::Random;
use common::real::Real;
use lossgrad::Reduction;
use ndarray::{ArrayD, ArrayViewD};
use proptest::prelude::*;

const REDUCTIONS: [Reduction; 5] = [
    Reduction::None,
    Reduction::SampleMean,
    Reduction::SampleSum,
    Reduction::Mean,
    Reduction::Sum,
];

/// A call, drawn at random; what is not spelled out follows from the seed.
#[derive(Clone, Debug)]
struct Scenario {
    entry: usize,
    shape: Vec<usize>,
    /// Rotates the axes, so that the batch and the classes can be anywhere.
    batch_axis: usize,
    class_axis: usize,
    from_the_back: (bool, bool),
    reduction: Reduction,
    weight: f64,
    /// Which of its forms the sample weight has; none at all for 0.
    weight_form: usize,
    upstream_form: usize,
    layouts: u64,
    /// An axis along which the inputs are broadcast from one entry.
    broadcast: Option<usize>,
    seed: u64,
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let extent = prop_oneof![4 => 1..6_usize, 2 => 6..20_usize, 1 => 20..80_usize];
    let shape = prop::collection::vec(extent, 1..=5).prop_map(|mut shape| {
        // Many axes, few elements.
        while shape.iter().product::<usize>() > 4000 {
            let longest = (0..shape.len()).max_by_key(|&axis| shape[axis]).unwrap();
            shape[longest] = shape[longest].div_ceil(2);
        }
        shape
    });
    let axes = (0..5_usize, 0..5_usize, any::<(bool, bool)>());
    let factors = (
        prop::sample::select(vec![1.0, 0.5, -2.0, 0.3, 0.0]),
        0..4_usize,
        0..4_usize,
    );
    let places = (any::<u64>(), prop::option::weighted(0.2, 0..5_usize));
    let reduction = prop::sample::select(REDUCTIONS.to_vec());
    (
        0..table::<f32>().len(),
        shape,
        axes,
        reduction,
        factors,
        places,
        any::<u64>(),
    )
        .prop_map(
            |(entry, shape, axes, reduction, factors, places, seed)| Scenario {
                entry,
                batch_axis: axes.0 % shape.len(),
                class_axis: axes.1 % shape.len(),
                from_the_back: axes.2,
                reduction,
                weight: factors.0,
                weight_form: factors.1,
                upstream_form: factors.2,
                layouts: places.0,
                broadcast: places.1.map(|axis| axis % shape.len()),
                shape,
                seed,
            },
        )
}

/// A scenario with its axes apart: rows need a batch axis besides the class axis.
fn settle<T: Real>(mut scenario: Scenario, case: &Case<T>) -> Scenario {
    if case.classes() && scenario.shape.len() == 1 {
        scenario.shape.insert(0, 3);
    }
    let rank = scenario.shape.len();
    if case.unit == Unit::LastRow {
        scenario.class_axis = rank - 1;
        scenario.batch_axis %= rank - 1;
    } else if case.classes() && scenario.batch_axis == scenario.class_axis {
        scenario.class_axis = (scenario.batch_axis + 1) % rank;
    }
    scenario
}

fn factor<T: Real>(shape: &[usize], random: &mut Random) -> ArrayD<T> {
    ArrayD::from_shape_simple_fn(shape, || match random.below(8) {
        0 => T::of(0.0),
        1 => T::of(-random.unit()),
        _ => T::of(2.0 * random.unit()),
    })
}

/// A sample weight, or an upstream with one value per unit, in one of the three accepted forms.
fn per_unit<T: Real>(
    form: usize,
    scenario: &Scenario,
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
        _ => vec![scenario.shape[scenario.batch_axis]],
    };
    Some(factor(&shape, random))
}

fn upstream<T: Real>(
    scenario: &Scenario,
    shapes: [&[usize]; 2],
    random: &mut Random,
) -> Option<ArrayD<T>> {
    let rank = scenario.shape.len();
    match (scenario.reduction, scenario.upstream_form) {
        (_, 0) => None,
        (Reduction::None, form) => per_unit(form, scenario, shapes, random),
        (Reduction::SampleMean | Reduction::SampleSum, 1) => {
            let mut shape = vec![1; rank];
            shape[scenario.batch_axis] = scenario.shape[scenario.batch_axis];
            Some(factor(&shape, random))
        }
        (Reduction::SampleMean | Reduction::SampleSum, 2) => Some(factor(&vec![1; rank], random)),
        (Reduction::SampleMean | Reduction::SampleSum, _) => {
            Some(factor(&[scenario.shape[scenario.batch_axis]], random))
        }
        (_, 1) => Some(factor(&vec![1; rank], random)),
        _ => Some(factor(&[], random)),
    }
}

fn signed(axis: usize, rank: usize, from_the_back: bool) -> isize {
    axis as isize - if from_the_back { rank as isize } else { 0 }
}

fn request<T: Real>(scenario: &Scenario, case: &Case<T>, random: &mut Random) -> Request<T> {
    let rank = scenario.shape.len();
    let plain = Request {
        weight: scenario.weight,
        batch_axis: signed(scenario.batch_axis, rank, scenario.from_the_back.0),
        class_axis: signed(scenario.class_axis, rank, scenario.from_the_back.1),
        ..Request::reduction(Reduction::None)
    };
    let shapes = [
        &plain.units(&scenario.shape, case)[..],
        &plain.loss_shape(&scenario.shape, case),
    ];
    Request {
        reduction: scenario.reduction,
        number: case
            .numbers
            .get(random.below(1 + case.numbers.len()))
            .copied(),
        sample_weight: per_unit(scenario.weight_form, scenario, shapes, random),
        upstream: upstream(scenario, shapes, random),
        ..plain
    }
}

/// A factor in a layout of its own.
fn laid<T: Real>(factor: &Option<ArrayD<T>>, random: &mut Random) -> Option<Laid<T>> {
    let factor = factor.as_ref()?;
    Some(Laid::new(
        factor,
        &Layout::random(factor.ndim(), random),
        T::NAN,
    ))
}

fn check<T: Real>(scenario: Scenario) {
    let case = &table::<T>()[scenario.entry];
    let scenario = settle(scenario, case);
    let random = &mut Random::new(scenario.seed);
    let mut problem = (case.draw)(&scenario.shape, scenario.class_axis, random);
    let request = request::<T>(&scenario, case, random);
    // A class that all rows share, or a label that is no longer a distribution, is fine for any
    // formula; a row of nothing but masked classes is not, and a broadcast class axis can make one.
    let broadcast = scenario
        .broadcast
        .filter(|&axis| !(case.classes() && axis == scenario.class_axis));
    if let Some(axis) = broadcast {
        constant_along(&mut problem, axis);
    }
    let reduced = expected(case, &problem, &request);
    let what = format!(
        "{} of {:?} by {:?}",
        case.name, scenario.shape, request.reduction
    );

    let losses = request.loss_shape(&scenario.shape, case).len();
    let mut first = None;
    for_each_level(|exec| {
        let request = request.exec(exec);
        let what = format!("{what} at {}", exec.level);
        let outcome = fused(case, &problem, &request);
        assert_outcome(&outcome, &reduced, &what);

        let layouts = &mut Random::new(scenario.layouts);
        let places = Places::from(&problem, losses, |rank| Layout::random(rank, layouts));
        let weight = laid(&request.sample_weight, layouts);
        let upstream = laid(&request.upstream, layouts);
        let mut setters = request.views();
        setters.sample_weight = weight.as_ref().map(Laid::view);
        setters.upstream = upstream.as_ref().map(Laid::view);
        assert_every_form(case, &problem, &setters, &places, &outcome, &what);
        if let Some(axis) = broadcast {
            broadcast_inputs(case, &problem, &request, axis, &outcome, &what);
        }
        let first = first.get_or_insert_with(|| outcome.clone());
        outcome.assert_same(first, &what);
    });
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
        array
            .index_axis(ndarray::Axis(axis), 0)
            .insert_axis(ndarray::Axis(axis))
            .to_owned()
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

fn repeat<'a, T>(array: &'a ArrayD<T>, shape: &ndarray::IxDyn) -> ArrayViewD<'a, T> {
    array.broadcast(shape.clone()).expect("1 along the axis")
}

fn config() -> ProptestConfig {
    let cases = if emulated() { 100 } else { 2000 };
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_calls_in_f32_match_the_reference(scenario in scenarios()) {
        check::<f32>(scenario);
    }

    #[test]
    fn random_calls_in_f64_match_the_reference(scenario in scenarios()) {
        check::<f64>(scenario);
    }
}

/// One length, as the only axis, as a sample's extent, and as the batch's.
fn check_length<T: Real>(case: &Case<T>, length: usize, reduction: Reduction, dense_only: bool) {
    let random = &mut Random::new(length as u64);
    let shapes: &[&[usize]] = match (case.unit, dense_only) {
        (Unit::Element, true) => &[&[1, length]],
        (Unit::Element, false) => &[&[length], &[2, length], &[length, 3]],
        (Unit::Sample, true) => &[&[2, length]],
        (Unit::Sample, false) => &[&[2, length], &[3, length, 2], &[length, 3]],
        (Unit::Row | Unit::Class | Unit::LastRow, true) => &[&[1, length], &[1, length, 3]],
        // Long rows, and rows side by side with the classes outside.
        (Unit::Row | Unit::Class | Unit::LastRow, false) => {
            &[&[2, length], &[2, 3, length], &[length, 5]]
        }
    };
    for (number, &shape) in shapes.iter().enumerate() {
        let class_axis = if case.chooses_axis() && number == 1 && shape.len() == 3 {
            1
        } else {
            shape.len() - 1
        };
        let weighted = !dense_only && random.once_in(2);
        let mut request = Request::<T> {
            reduction,
            class_axis: class_axis as isize,
            ..Request::default()
        };
        if weighted {
            request.sample_weight = Some(factor(&request.units(shape, case), random));
        }
        let problem = (case.draw)(shape, class_axis, random);
        let reduced = expected(case, &problem, &request);
        let losses = request.loss_shape(shape, case).len();
        for_each_level(|exec| {
            let request = request.exec(exec);
            let what = format!(
                "{} of {shape:?} by {reduction:?} at {}",
                case.name, exec.level
            );
            let outcome = fused(case, &problem, &request);
            assert_outcome(&outcome, &reduced, &what);
            let places = Places::from(&problem, losses, Layout::window);
            assert_every_form(case, &problem, &request.views(), &places, &outcome, &what);
        });
    }
}

fn every_short_length<T: Real>() {
    for case in table::<T>() {
        for length in 1..=if emulated() { 70 } else { 300 } {
            let reduction = REDUCTIONS[length % REDUCTIONS.len()];
            check_length(&case, length, reduction, false);
        }
    }
    report();
}

#[test]
fn every_short_length_in_f32() {
    every_short_length::<f32>();
}

#[test]
fn every_short_length_in_f64() {
    every_short_length::<f64>();
}

/// Blocks, leaves, and the length at which rows change their algorithm, in either type.
const EDGES: [usize; 8] = [512, 1024, 2048, 4096, 8192, 16384, 24576, 32768];

fn around_every_edge<T: Real>() {
    for case in table::<T>() {
        for edge in EDGES {
            for length in edge - 1..=edge + 1 {
                check_length(&case, length, Reduction::SampleMean, true);
            }
        }
    }
    report();
}

#[test]
fn around_every_edge_in_f32() {
    around_every_edge::<f32>();
}

#[test]
fn around_every_edge_in_f64() {
    around_every_edge::<f64>();
}

/// Several leaves a sample, and several samples of several leaves, plain and weighted.
#[test]
fn long_samples_match_the_reference() {
    fn check<T: Real>() {
        for case in table::<T>() {
            for shape in [vec![1, 100_003], vec![3, 40_001], vec![2, 9000, 5]] {
                let random = &mut Random::new(7);
                let class_axis = case.row_axis(&shape, 1);
                let problem = (case.draw)(&shape, class_axis, random);
                for reduction in [Reduction::SampleMean, Reduction::Sum] {
                    let plain = Request::<T> {
                        class_axis: class_axis as isize,
                        ..Request::reduction(reduction)
                    };
                    let losses = plain.loss_shape(&shape, &case);
                    let units = plain.units(&shape, &case);
                    let weighted = Request {
                        weight: -0.7,
                        sample_weight: Some(factor(&units, random)),
                        upstream: Some(factor(&losses, random)),
                        ..plain.clone()
                    };
                    for request in [plain, weighted] {
                        let reduced = expected(&case, &problem, &request);
                        let outcome = fused(&case, &problem, &request);
                        let what = format!("{} of {shape:?} by {reduction:?} at best", case.name);
                        assert_outcome(&outcome, &reduced, &what);
                    }
                }
            }
        }
    }
    check::<f32>();
    check::<f64>();
    report();
}

/// Labels of every integer type are the same labels.
#[test]
fn every_integer_type_is_a_label() {
    let pred = ndarray::array![[1.0_f32, 2.0, 0.5], [0.0, -1.0, 3.0]];
    let expected = lossgrad::SoftmaxCeLoss::new().loss_and_grad(&pred, &ndarray::array![2_i32, 1]);
    macro_rules! same {
        ($($int:ty)*) => {$(
            let label = ndarray::array![2 as $int, 1];
            let actual = lossgrad::SoftmaxCeLoss::new().loss_and_grad(&pred, &label);
            assert_eq!(actual, expected, stringify!($int));
        )*};
    }
    same!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);
}
