//! Every error, with its message, and outputs that are as they were.

mod common;

use common::call::{Inputs, LabelView, Request, Setters, assert_refused};
use common::cases::{Case, Label, Problem, Unit, case, table};
use common::levels::for_each_level;
use common::random::Random;
use lossgrad::{
    Error, HingeLoss, HuberLoss, L2Loss, PoissonNllLoss, Reduction, SigmoidBceLoss, SoftmaxCeLoss,
    SquaredHingeLoss,
};
use ndarray::{Array1, Array2, ArrayD, array};

/// A call that is in order, to be spoilt.
fn call(case: &Case<f32>, shape: &[usize]) -> (Problem<f32>, Request<f32>) {
    let problem = (case.draw)(shape, shape.len() - 1, &mut Random::new(1));
    (problem, Request::default())
}

/// Outputs of the right shapes are left alone by each form of the call, with the same error.
#[track_caller]
fn refused(case: &Case<f32>, inputs: &Inputs<'_, f32>, setters: &Setters<'_, f32>) -> Error {
    let pred = inputs.pred.shape().to_vec();
    let request = setters.request;
    let axis = request.batch_axis.rem_euclid(pred.len().max(1) as isize) as usize;
    // Some shape, where there is no right one.
    let samples = pred.get(axis).copied().unwrap_or(1);
    let loss = match request.reduction {
        Reduction::SampleMean | Reduction::SampleSum => vec![samples],
        _ => request.loss_shape(&pred, case),
    };
    assert_refused(case, inputs, setters, [&loss, &pred])
}

#[track_caller]
fn assert_message(error: &Error, message: &str) {
    assert_eq!(error.to_string(), message);
}

#[test]
fn label_of_another_shape() {
    let (pred, label) = (array![[1.0_f32, 2.0], [3.0, 4.0]], array![[1.0_f32], [2.0]]);
    let error = L2Loss::new().loss(&pred, &label).unwrap_err();
    assert_message(&error, "label has shape [2, 1], expected [2, 2]");
    for case in table::<f32>() {
        for wrong in [
            vec![4, 3, 4],
            vec![4, 15],
            vec![4, 3],
            vec![4],
            vec![3, 4, 5],
            vec![60],
        ] {
            let (problem, request) = call(&case, &[4, 3, 5]);
            let (dense, sparse) = (ArrayD::zeros(wrong.clone()), ArrayD::zeros(wrong.clone()));
            let mut inputs = problem.views();
            let right: &[usize] = match &problem.label {
                Label::Sparse(_) => {
                    inputs.label = LabelView::Sparse(sparse.view());
                    &[4, 3]
                }
                Label::Dense(_) => {
                    inputs.label = LabelView::Dense(dense.view());
                    &[4, 3, 5]
                }
                Label::None => continue,
            };
            if wrong == right {
                continue;
            }
            let error = refused(&case, &inputs, &request.views());
            assert_message(
                &error,
                &format!("label has shape {wrong:?}, expected {right:?}"),
            );
            assert_eq!(
                error,
                Error::Shape {
                    argument: "label",
                    found: wrong,
                    expected: right.to_vec()
                }
            );
        }
    }
}

/// A column of labels for a row of predictions is a mistake, not an outer product.
#[test]
fn labels_never_broadcast() {
    let pred = Array1::<f32>::zeros(3);
    let label = Array2::<f32>::zeros([3, 1]);
    assert!(L2Loss::new().loss(&pred, &label).is_err());
    assert!(SigmoidBceLoss::new().loss(&pred, &label).is_err());
    let pred = Array2::<f32>::zeros([3, 3]);
    assert!(
        SoftmaxCeLoss::new()
            .loss(&pred, &Array2::<f32>::zeros([3, 1]))
            .is_err()
    );
    assert!(
        SoftmaxCeLoss::new()
            .loss(&pred, &Array2::<i32>::zeros([3, 1]))
            .is_err()
    );
}

#[test]
fn weight_that_does_not_broadcast() {
    let (pred, label) = (Array2::<f32>::zeros([4, 3]), Array2::<f32>::zeros([4, 3]));
    let weight = Array1::<f32>::zeros(3);
    let error = L2Loss::new()
        .on(&pred, &label)
        .sample_weight(&weight)
        .loss()
        .unwrap_err();
    assert_message(
        &error,
        "sample_weight has shape [3], expected one that broadcasts to [4, 3], or [4, 3], \
         or [4] for one per sample",
    );
    let label = Array1::<u8>::zeros(4);
    let weight = Array2::<f32>::zeros([4, 3]);
    let error = SoftmaxCeLoss::new()
        .on(&pred, &label)
        .sample_weight(&weight)
        .loss()
        .unwrap_err();
    assert_message(
        &error,
        "sample_weight has shape [4, 3], expected one that broadcasts to [4, 1], or [4], \
         or [4] for one per sample",
    );
}

#[test]
fn factors_of_another_shape() {
    // The last has one entry per class, which is no weight of a row.
    let wrong = [
        vec![],
        vec![1],
        vec![3],
        vec![5],
        vec![2, 3, 5],
        vec![4, 3, 5, 1],
        vec![4, 3, 2],
    ];
    for case in table::<f32>() {
        let (problem, request) = call(&case, &[4, 3, 5]);
        let mut all = wrong.to_vec();
        if !matches!(case.unit, Unit::Element | Unit::Class) {
            all.push(vec![4, 3, 5]);
            all.push(vec![1, 1, 5]);
        }
        if !matches!(case.unit, Unit::Row | Unit::LastRow) {
            all.push(vec![4, 3]);
        }
        for shape in all {
            for reduction in [Reduction::None, Reduction::SampleMean, Reduction::Sum] {
                let weight = ArrayD::zeros(shape.clone());
                let request = Request {
                    reduction,
                    sample_weight: Some(weight.clone()),
                    ..request.clone()
                };
                let error = refused(&case, &problem.views(), &request.views());
                let named = matches!(
                    &error,
                    Error::Broadcast { argument: "sample_weight", found, samples: 4, .. }
                        if *found == shape
                );
                assert!(
                    named,
                    "{}: {error} for a weight of shape {shape:?}",
                    case.name
                );
            }
            let upstream = Some(ArrayD::zeros(shape.clone()));
            let request = Request {
                upstream,
                reduction: Reduction::None,
                ..request.clone()
            };
            let error = refused(&case, &problem.views(), &request.views());
            let named = matches!(
                &error,
                Error::Broadcast {
                    argument: "upstream",
                    ..
                }
            );
            assert!(
                named,
                "{}: {error} for an upstream of shape {shape:?}",
                case.name
            );
        }
    }
}

#[test]
fn upstream_that_is_not_one_per_returned_loss() {
    for case in table::<f32>() {
        let (problem, request) = call(&case, &[4, 3, 5]);
        let per_sample: [&[usize]; 5] = [&[3], &[4, 3], &[4, 3, 1], &[1, 3, 1], &[]];
        for shape in per_sample {
            let upstream = Some(ArrayD::zeros(shape));
            let request = Request {
                upstream,
                ..request.clone()
            };
            let error = refused(&case, &problem.views(), &request.views());
            let named = matches!(
                &error,
                Error::Broadcast {
                    argument: "upstream",
                    ..
                }
            );
            assert!(
                named,
                "{}: {error} for an upstream of shape {shape:?}",
                case.name
            );
        }
        let whole_batch: [&[usize]; 3] = [&[4], &[4, 1, 1], &[2]];
        for shape in whole_batch {
            let upstream = Some(ArrayD::zeros(shape));
            let request = Request {
                upstream,
                reduction: Reduction::Mean,
                ..request.clone()
            };
            let error = refused(&case, &problem.views(), &request.views());
            let named = matches!(
                &error,
                Error::Shape {
                    argument: "upstream",
                    ..
                }
            );
            assert!(
                named,
                "{}: {error} for an upstream of shape {shape:?}",
                case.name
            );
        }
    }
}

/// One sample has one loss, but the losses of a sum are none of a sample.
#[test]
fn upstream_per_sample_of_a_batch_of_one() {
    for case in table::<f32>() {
        for reduction in [Reduction::Mean, Reduction::Sum] {
            let (problem, request) = call(&case, &[1, 1, 3]);
            let request = Request {
                reduction,
                upstream: Some(ArrayD::zeros(vec![1])),
                ..request
            };
            let error = refused(&case, &problem.views(), &request.views());
            assert_message(&error, "upstream has shape [1], expected []");
        }
    }
}

/// Losses of one class row a sample have the shape of no sample's reduced loss.
#[test]
fn upstream_in_the_shape_of_losses_that_were_reduced() {
    let case = case::<f32>("softmax_ce sparse");
    for reduction in [Reduction::SampleMean, Reduction::SampleSum] {
        let (problem, request) = call(&case, &[4, 1, 3]);
        let request = Request {
            reduction,
            upstream: Some(ArrayD::zeros(vec![4, 1])),
            ..request
        };
        let error = refused(&case, &problem.views(), &request.views());
        assert_message(
            &error,
            "upstream has shape [4, 1], expected one that broadcasts to [4, 1, 1], or [4], or [4] \
             for one per sample",
        );
    }
}

#[test]
fn positive_weight_that_does_not_broadcast() {
    let case = case::<f32>("sigmoid_bce pos_weight");
    for shape in [vec![], vec![5], vec![4, 3], vec![1, 1, 4], vec![4, 3, 5, 1]] {
        let (mut problem, request) = call(&case, &[4, 3, 5]);
        problem.pos_weight = Some(ArrayD::zeros(shape.clone()));
        let error = refused(&case, &problem.views(), &request.views());
        assert_message(
            &error,
            &format!("pos_weight has shape {shape:?}, expected [4, 3, 5]"),
        );
    }
}

#[test]
fn axis_out_of_range() {
    for case in table::<f32>() {
        for axis in [3, -4, 100, isize::MAX, isize::MIN] {
            let (problem, mut request) = call(&case, &[4, 3, 5]);
            request.batch_axis = axis;
            let error = refused_axis(&case, &problem, &request);
            assert_eq!(
                error,
                Error::Axis {
                    option: "batch_axis",
                    axis,
                    rank: 3
                }
            );
            assert_message(&error, &format!("batch_axis is {axis}, pred has 3 axes"));
            if case.chooses_axis() {
                (request.batch_axis, request.class_axis) = (0, axis);
                let error = refused_axis(&case, &problem, &request);
                assert_eq!(
                    error,
                    Error::Axis {
                        option: "axis",
                        axis,
                        rank: 3
                    }
                );
                assert_message(&error, &format!("axis is {axis}, pred has 3 axes"));
            }
        }
    }
}

/// Without an axis there is no right shape of the losses; the axis is complained about first.
#[track_caller]
fn refused_axis(case: &Case<f32>, problem: &Problem<f32>, request: &Request<f32>) -> Error {
    let pred = problem.pred.shape();
    assert_refused(case, &problem.views(), &request.views(), [&pred[..1], pred])
}

/// A single number has no axis to count samples along.
#[test]
fn no_axis_at_all() {
    let (pred, label) = (ndarray::arr0(1.0_f32), ndarray::arr0(0.0_f32));
    let error = L2Loss::new().loss(&pred, &label).unwrap_err();
    assert_message(&error, "batch_axis is 0, pred has 0 axes");
}

#[test]
fn batch_axis_that_is_the_class_axis() {
    for case in table::<f32>().into_iter().filter(|case| case.classes()) {
        for (batch_axis, class_axis, axis) in [(0, 0, 0), (2, -1, 2), (-2, 1, 1), (-3, -3, 0)] {
            if case.unit == Unit::LastRow && axis != 2 {
                continue;
            }
            let (problem, request) = call(&case, &[4, 4, 4]);
            let request = Request {
                batch_axis,
                class_axis,
                ..request
            };
            let error = refused_axis(&case, &problem, &request);
            assert_eq!(error, Error::SameAxis { axis });
            let message = format!("axis {axis} is both the class axis and the batch axis");
            assert_message(&error, &message);
        }
    }
    // One axis cannot be both.
    let error = SoftmaxCeLoss::new()
        .loss(&array![1.0_f32, 2.0], &ndarray::arr0(0))
        .unwrap_err();
    assert_eq!(error, Error::SameAxis { axis: 0 });
}

#[test]
fn label_that_is_no_class() {
    for name in ["softmax_ce sparse", "softmax_ce sparse from_logits"] {
        let case = case::<f32>(name);
        for (index, class) in [
            ([0, 0], 5),
            ([3, 2], -1),
            ([2, 1], i32::MAX),
            ([1, 0], i32::MIN),
        ] {
            let (mut problem, request) = call(&case, &[4, 3, 5]);
            let Label::Sparse(label) = &mut problem.label else {
                unreachable!()
            };
            label[index] = class;
            let error = refused(&case, &problem.views(), &request.views());
            assert_eq!(
                error,
                Error::Label {
                    index: index.to_vec(),
                    found: class.to_string(),
                    classes: 5
                }
            );
            let message = format!("label at {index:?} is {class}, expected a class below 5");
            assert_message(&error, &message);
        }
    }
}

/// Positions are the label's own, whichever axis the classes are on, and the first one counts.
#[test]
fn the_first_label_that_is_no_class_is_named_by_its_own_position() {
    let pred = ArrayD::<f32>::zeros(vec![2, 5, 3]);
    let mut label = ArrayD::<i64>::zeros(vec![2, 3]);
    label[[1, 0]] = 5;
    label[[1, 2]] = -7;
    let loss = SoftmaxCeLoss::new().axis(1);
    let error = loss.loss(&pred, &label).unwrap_err();
    assert_message(&error, "label at [1, 0] is 5, expected a class below 5");
    let classes_first = pred.view().permuted_axes(vec![1, 2, 0]);
    let label = label.t();
    let error = SoftmaxCeLoss::new()
        .axis(0)
        .batch_axis(2)
        .loss(&classes_first, &label)
        .unwrap_err();
    assert!(matches!(&error, Error::Label { classes: 5, .. }), "{error}");
    // Masked rows are labelled too.
    let weight = array![1.0_f32, 0.0].into_dyn();
    let call = loss.on(&pred, &label.t()).sample_weight(&weight).loss();
    assert!(matches!(call, Err(Error::Label { .. })), "{call:?}");
}

/// Numbers beyond any class of any integer type.
#[test]
fn labels_beyond_every_range() {
    let pred = Array2::<f32>::zeros([1, 200]);
    macro_rules! no_class {
        ($($label:expr),*) => {$(
            let error = SoftmaxCeLoss::new().loss(&pred, &array![$label]).unwrap_err();
            let message = format!("label at [0] is {}, expected a class below 200", $label);
            assert_message(&error, &message);
        )*};
    }
    no_class!(
        200_u8,
        -1_i8,
        i8::MIN,
        u16::MAX,
        i16::MIN,
        u32::MAX,
        u64::MAX,
        i64::MIN,
        i64::MAX
    );
    no_class!(
        usize::MAX,
        isize::MIN,
        u128::MAX,
        i128::MIN,
        i128::MAX,
        1_u128 << 64,
        200_u32
    );
    // 2⁶⁴ and 2³² would be class 0 if they were cut short.
    no_class!(1_i128 << 64, 1_u64 << 32, 1_i64 << 32);
}

#[test]
fn options_that_are_no_numbers() {
    for weight in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let errors = [
            L2Loss::new().weight(weight).unwrap_err(),
            SigmoidBceLoss::new().weight(weight).unwrap_err(),
            SoftmaxCeLoss::new().weight(weight).unwrap_err(),
        ];
        for error in errors {
            assert_message(
                &error,
                &format!("weight is {weight}, expected a finite number"),
            );
            let Error::Value { option, found, .. } = error else {
                panic!("{error}")
            };
            assert_eq!((option, found.to_bits()), ("weight", weight.to_bits()));
        }
    }
}

#[test]
fn options_that_a_loss_is_not_defined_for() {
    fn refused<L: std::fmt::Debug>(
        result: Result<L, Error>,
        option: &str,
        found: f64,
        expected: &str,
    ) {
        let error = result.unwrap_err();
        assert_message(&error, &format!("{option} is {found}, expected {expected}"));
    }
    let no_numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    for found in no_numbers {
        let finite = "a finite number";
        refused(HingeLoss::new().margin(found), "margin", found, finite);
        refused(
            SquaredHingeLoss::new().margin(found),
            "margin",
            found,
            finite,
        );
        refused(HuberLoss::default().weight(found), "weight", found, finite);
    }
    for found in [0.0, -0.0, -1.0, -f64::MIN_POSITIVE]
        .into_iter()
        .chain(no_numbers)
    {
        refused(
            HuberLoss::new(found),
            "rho",
            found,
            "a finite number above 0",
        );
    }
    for found in [-1e-8, -f64::MIN_POSITIVE].into_iter().chain(no_numbers) {
        let poisson = PoissonNllLoss::new().epsilon(found);
        refused(poisson, "epsilon", found, "a finite number, 0 or more");
    }
    assert_eq!(HuberLoss::new(1.0), Ok(HuberLoss::default()));
    assert!(HuberLoss::new(f64::MIN_POSITIVE / 2.0).is_ok());
    assert!(HingeLoss::new().margin(-2.0).is_ok());
    assert!(PoissonNllLoss::new().epsilon(0.0).is_ok());
}

#[test]
fn outputs_of_another_shape() {
    let (pred, label) = (Array2::<f32>::ones([4, 3]), Array2::<f32>::zeros([4, 3]));
    let call = L2Loss::new().on(&pred, &label);
    let (mut loss, mut grad) = (
        Array1::<f32>::from_elem(4, 7.0),
        Array2::<f32>::from_elem([4, 3], 7.0),
    );
    let mut wrong_loss = Array1::<f32>::from_elem(3, 7.0);
    let mut wrong_grad = Array2::<f32>::from_elem([3, 4], 7.0);
    let error = call.loss_into(&mut wrong_loss).unwrap_err();
    assert_message(&error, "loss has shape [3], expected [4]");
    let error = call.grad_into(&mut wrong_grad).unwrap_err();
    assert_message(&error, "grad has shape [3, 4], expected [4, 3]");
    call.loss_and_grad_into(&mut wrong_loss, &mut grad)
        .unwrap_err();
    call.loss_and_grad_into(&mut loss, &mut wrong_grad)
        .unwrap_err();
    L2Loss::new()
        .in_place(&mut grad, &label)
        .loss_into(&mut wrong_loss)
        .unwrap_err();
    let mean = L2Loss::new().on(&pred, &label).reduction(Reduction::Mean);
    mean.scalar_and_grad_into(&mut wrong_grad).unwrap_err();
    let error = mean.loss_into(&mut loss).unwrap_err();
    assert_message(&error, "loss has shape [4], expected []");
    let each = L2Loss::new().on(&pred, &label).reduction(Reduction::None);
    let error = each.loss_into(&mut loss).unwrap_err();
    assert_message(&error, "loss has shape [4], expected [4, 3]");
    for untouched in [loss.view(), wrong_loss.view()] {
        assert!(untouched.iter().all(|&l| l == 7.0));
    }
    for untouched in [&grad, &wrong_grad] {
        assert!(untouched.iter().all(|&g| g == 7.0));
    }
}

#[test]
fn outputs_of_another_shape_for_rows() {
    let (pred, label) = (Array2::<f32>::ones([4, 3]), Array1::<u32>::zeros(4));
    let call = SoftmaxCeLoss::new()
        .on(&pred, &label)
        .reduction(Reduction::None);
    let (mut loss, mut grad) = (
        Array2::from_elem([4, 1], 7.0),
        Array2::from_elem([4, 1], 7.0),
    );
    let error = call.loss_into(&mut loss).unwrap_err();
    assert_message(&error, "loss has shape [4, 1], expected [4]");
    let error = call.grad_into(&mut grad).unwrap_err();
    assert_message(&error, "grad has shape [4, 1], expected [4, 3]");
    assert!(loss.iter().chain(&grad).all(|&v| v == 7.0));
}

#[test]
fn no_classes() {
    for case in table::<f32>().into_iter().filter(|case| case.classes()) {
        for batch in [4, 0] {
            let mut shape = vec![batch, 3, 5];
            let (mut problem, request) = call(&case, &shape);
            shape[2] = 0;
            for operand in problem.operands_mut() {
                *operand = ArrayD::zeros(shape.clone());
            }
            if let Label::Dense(label) = &mut problem.label {
                *label = ArrayD::zeros(shape.clone());
            }
            let error = refused(&case, &problem.views(), &request.views());
            assert_eq!(
                error,
                Error::NoClasses {
                    shape: shape.clone(),
                    axis: 2
                }
            );
            assert_message(
                &error,
                &format!("pred has shape {shape:?}: axis 2 has no classes"),
            );
        }
    }
}

#[test]
fn a_mean_over_nothing() {
    for case in table::<f32>() {
        // Samples of nothing, and no samples.
        for (shape, reduction) in [
            ([4, 0, 5], Reduction::SampleMean),
            ([4, 0, 5], Reduction::Mean),
            ([0, 3, 5], Reduction::Mean),
        ] {
            // A sample of nothing has a loss all the same, where the sample is what has it.
            if case.unit == Unit::Sample && shape[0] > 0 {
                continue;
            }
            let (problem, request) = call(&case, &shape);
            let request = Request {
                reduction,
                ..request
            };
            let error = refused(&case, &problem.views(), &request.views());
            assert_eq!(
                error,
                Error::EmptyMean {
                    shape: shape.to_vec(),
                    reduction
                }
            );
            let message =
                format!("pred has shape {shape:?}: {reduction:?} would average no elements");
            assert_message(&error, &message);
        }
    }
}

#[test]
fn an_empty_batch_is_fine() {
    for case in table::<f32>() {
        for_each_level(|exec| {
            let cases: [(&[usize], Reduction); 7] = [
                (&[0, 3, 5], Reduction::None),
                (&[0, 3, 5], Reduction::SampleMean),
                (&[0, 3, 5], Reduction::SampleSum),
                (&[0, 3, 5], Reduction::Sum),
                (&[4, 0, 5], Reduction::None),
                (&[4, 0, 5], Reduction::SampleSum),
                (&[4, 0, 5], Reduction::Sum),
            ];
            for (shape, reduction) in cases {
                if case.unit == Unit::Sample && shape[0] > 0 {
                    continue;
                }
                let (problem, request) = call(&case, shape);
                let request = Request {
                    reduction,
                    ..request.exec(exec)
                };
                let outcome = common::call::fused(&case, &problem, &request);
                let what = format!("{} of {shape:?} by {reduction:?}", case.name);
                assert_eq!(
                    outcome.loss.shape(),
                    request.loss_shape(shape, &case),
                    "{what}"
                );
                assert_eq!(outcome.grad().shape(), shape, "{what}");
                assert!(outcome.loss.iter().all(|&l| l == 0.0), "{what}");
                let places = common::call::Places::from(
                    &problem,
                    outcome.loss.ndim(),
                    common::layouts::Layout::contiguous,
                );
                let setters = request.views();
                common::call::assert_every_form(
                    &case, &problem, &setters, &places, &outcome, &what,
                );
            }
        });
    }
}

#[test]
fn one_number_of_several_losses() {
    let (pred, label) = (Array2::<f32>::ones([4, 3]), Array2::<f32>::zeros([4, 3]));
    for reduction in [Reduction::None, Reduction::SampleMean, Reduction::SampleSum] {
        let call = L2Loss::new().on(&pred, &label).reduction(reduction);
        let error = call.scalar().unwrap_err();
        assert_eq!(error, Error::NotScalar { reduction });
        let message = format!("{reduction:?} gives an array of losses, a scalar needs Mean or Sum");
        assert_message(&error, &message);
        let mut grad = Array2::<f32>::from_elem([4, 3], 7.0);
        let error = call.scalar_and_grad_into(&mut grad).unwrap_err();
        assert_eq!(error, Error::NotScalar { reduction });
        let in_place = L2Loss::new()
            .in_place(&mut grad, &label)
            .reduction(reduction);
        assert_eq!(
            in_place.scalar().unwrap_err(),
            Error::NotScalar { reduction }
        );
        assert!(grad.iter().all(|&g| g == 7.0));
    }
}

/// An error is a value like any other.
#[test]
fn errors_travel() {
    fn travels<T: std::error::Error + Clone + PartialEq + Send + Sync + 'static>() {}
    travels::<Error>();
}

/// A view can have more elements than any memory: an owned result of its shape is refused, after
/// the checks.
#[test]
fn results_beyond_all_memory() {
    let (pred, label) = (ndarray::arr0(0_f32), ndarray::arr0(0_f32));
    let shape = [1_usize << 61];
    let pred = pred.broadcast(shape).unwrap();
    let short = ndarray::array![0_f32];
    let error = L2Loss::new().grad(&pred, &short).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }), "{error}");
    let error = L2Loss::new()
        .grad(&pred, &label.broadcast(shape).unwrap())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("no memory for a new array of {} elements", shape[0])
    );
}

/// The coefficient of a gradient is within the type's range where its factors' products are not.
#[test]
fn factors_that_cancel_keep_the_gradient() {
    let (pred, label) = (array![[1.0_f32, 1.0]], array![[0.0, 0.0]]);
    for tiny in [1e-30_f32, 1e30] {
        let (weights, upstream) = (array![[tiny, tiny]], array![[1.0 / tiny, 1.0 / tiny]]);
        let loss = L2Loss::new().weight(f64::from(tiny)).unwrap();
        let call = loss
            .on(&pred, &label)
            .sample_weight(&weights)
            .upstream(&upstream);
        let grad = call.reduction(Reduction::None).grad().unwrap();
        for &grad in &grad {
            assert!((grad / tiny - 1.0).abs() < 1e-6, "{grad}, expected {tiny}");
        }
    }
}
