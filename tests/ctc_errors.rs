//! Every error of a CTC call, with its message, in every form; outputs stay as they were.

mod common;

use common::levels::for_each_level;
use lossgrad::{
    CtcCall, CtcGreedy, CtcLabelLayout, CtcLayout, CtcLoss, CtcStatus, Error, Exec, Reduction,
};
use ndarray::{Array1, Array2, Array3, ArrayD, ArrayRefD, IxDyn, array, s};

/// A call that is in order, to be spoilt.
struct Call {
    ctc: CtcLoss,
    pred: ArrayD<f32>,
    label: ArrayD<i32>,
    pred_lengths: Option<ArrayD<i64>>,
    label_lengths: Option<ArrayD<i64>>,
    sample_weight: Option<ArrayD<f32>>,
    upstream: Option<ArrayD<f32>>,
    reduction: Reduction,
    loss: Vec<usize>,
    /// Whether that is the right shape, so that the forms without losses are wrong too.
    loss_fits: bool,
    grad: Vec<usize>,
    status: Vec<usize>,
}

impl Default for Call {
    /// Three samples, five frames, four classes of which the last is the blank.
    fn default() -> Self {
        let pred = |(n, t, c)| (n + 2 * t + 3 * c) as f32 * 0.1;
        Self {
            ctc: CtcLoss::new(),
            pred: Array3::from_shape_fn((3, 5, 4), pred).into_dyn(),
            label: array![[0, 1], [2, -1], [1, 1]].into_dyn(),
            pred_lengths: None,
            label_lengths: None,
            sample_weight: None,
            upstream: None,
            reduction: Reduction::SampleMean,
            loss: vec![3],
            loss_fits: true,
            grad: vec![3, 5, 4],
            status: vec![3],
        }
    }
}

impl Call {
    fn concatenated(lengths: Vec<i64>) -> Self {
        Self {
            label: array![0, 1, 2, 1, 1].into_dyn(),
            label_lengths: Some(Array1::from(lengths).into_dyn()),
            ..Self::default()
        }
    }

    fn on(&self, exec: Exec) -> CtcCall<'_, f32, IxDyn> {
        let mut call = self.ctc.on(&self.pred, &self.label).exec(exec);
        if let Some(lengths) = &self.pred_lengths {
            call = call.pred_lengths(lengths);
        }
        if let Some(lengths) = &self.label_lengths {
            call = call.label_lengths(lengths);
        }
        if let Some(weights) = &self.sample_weight {
            call = call.sample_weight(weights);
        }
        if let Some(upstream) = &self.upstream {
            call = call.upstream(upstream);
        }
        call.reduction(self.reduction)
    }

    /// The error of every form, which must be the same, and outputs that nobody touched.
    #[track_caller]
    fn refused(&self) -> Error {
        let mut all = Vec::new();
        for_each_level(|exec| {
            let untouched = |array: &ArrayRefD<f32>| array.iter().all(|&value| value == 42.0);
            let mut loss = ArrayD::from_elem(self.loss.clone(), 42.0);
            let mut grad = ArrayD::from_elem(self.grad.clone(), 42.0);
            // Infeasible is what no sample of these is.
            let mut status = ArrayD::from_elem(self.status.clone(), CtcStatus::Infeasible);
            let grad_fits = self.grad == self.pred.shape();
            let both = self
                .on(exec)
                .status(&mut status)
                .loss_and_grad_into(&mut loss, &mut grad);
            all.push(both.unwrap_err());
            if grad_fits {
                all.push(
                    self.on(exec)
                        .status(&mut status)
                        .loss_into(&mut loss)
                        .unwrap_err(),
                );
            }
            if grad_fits && self.loss_fits {
                all.push(self.on(exec).status(&mut status).loss().unwrap_err());
            }
            if self.loss_fits {
                all.push(
                    self.on(exec)
                        .status(&mut status)
                        .grad_into(&mut grad)
                        .unwrap_err(),
                );
                if grad_fits {
                    all.push(self.on(exec).status(&mut status).grad().unwrap_err());
                    all.push(
                        self.on(exec)
                            .status(&mut status)
                            .loss_and_grad()
                            .unwrap_err(),
                    );
                }
            }
            assert!(untouched(&loss), "an error left its mark on the losses");
            assert!(untouched(&grad), "an error left its mark on the gradient");
            let infeasible = |status: &CtcStatus| *status == CtcStatus::Infeasible;
            assert!(
                status.iter().all(infeasible),
                "an error left its mark on the status"
            );
            if grad_fits {
                let mut pred = self.pred.clone();
                let call = self.ctc.in_place(&mut pred, &self.label);
                let call = match &self.pred_lengths {
                    Some(lengths) => call.pred_lengths(lengths),
                    None => call,
                };
                let call = match &self.label_lengths {
                    Some(lengths) => call.label_lengths(lengths),
                    None => call,
                };
                let call = match &self.sample_weight {
                    Some(weights) => call.sample_weight(weights),
                    None => call,
                };
                let call = match &self.upstream {
                    Some(upstream) => call.upstream(upstream),
                    None => call,
                };
                let call = call
                    .reduction(self.reduction)
                    .exec(exec)
                    .status(&mut status);
                all.push(call.loss_into(&mut loss).unwrap_err());
                assert_eq!(pred, self.pred, "an error left its mark on the predictions");
                assert!(
                    untouched(&loss),
                    "an error in place left its mark on the losses"
                );
                assert!(status.iter().all(infeasible));
            }
        });
        let first = all.swap_remove(0);
        assert!(all.iter().all(|error| *error == first), "{first}, {all:?}");
        first
    }
}

#[track_caller]
fn assert_message(call: &Call, message: &str) -> Error {
    let error = call.refused();
    assert_eq!(error.to_string(), message);
    error
}

/// The call that all others are made of is in order.
#[test]
fn ctc_errors_none() {
    for call in [
        Call::default(),
        Call::concatenated(vec![2, 1, 2]),
        Call::concatenated(vec![0, 3, 2]),
        Call {
            pred_lengths: Some(array![5, 1, 3].into_dyn()),
            ..Call::default()
        },
        Call {
            label_lengths: Some(array![2, 0, 1].into_dyn()),
            ..Call::default()
        },
    ] {
        let (loss, grad) = call.on(Exec::default()).loss_and_grad().unwrap();
        assert!(loss.iter().all(|loss| loss.is_finite()));
        assert!(grad.iter().all(|grad| grad.is_finite()));
    }
}

#[test]
fn ctc_errors_of_labels() {
    // Labels are told by their position, and padding is only what −1 begins.
    for (label, at, found) in [
        (array![[0, 1], [2, -1], [4, 1]], [2, 0], "4"),
        (array![[0, 1], [2, -2], [1, 1]], [1, 1], "-2"),
        (array![[0, i32::MAX], [2, -1], [1, 1]], [0, 1], "2147483647"),
        (
            array![[i32::MIN, 1], [2, -1], [1, 1]],
            [0, 0],
            "-2147483648",
        ),
    ] {
        let call = Call {
            label: label.into_dyn(),
            ..Call::default()
        };
        let message = format!("label at {at:?} is {found}, expected a class below 4");
        let error = assert_message(&call, &message);
        let expected = Error::Label {
            index: at.to_vec(),
            found: found.into(),
            classes: 4,
        };
        assert_eq!(error, expected);
    }
    // Where the length says that it is part of the label, −1 is no class.
    let call = Call {
        label_lengths: Some(array![2, 2, 2].into_dyn()),
        ..Call::default()
    };
    assert_message(&call, "label at [1, 1] is -1, expected a class below 4");
    // With the labels along the first axis.
    let call = Call {
        ctc: CtcLoss::new().label_layout(CtcLabelLayout::Tn),
        label: array![[0, 2, 1], [1, 7, 1]].into_dyn(),
        ..Call::default()
    };
    assert_message(&call, "label at [1, 1] is 7, expected a class below 4");
    let mut call = Call::concatenated(vec![2, 1, 2]);
    call.label[3] = -1;
    assert_message(&call, "label at [3] is -1, expected a class below 4");
}

/// Types that hold more than an index.
#[test]
fn ctc_errors_of_labels_of_wide_types() {
    let pred = Array3::<f32>::zeros((1, 3, 4));
    let error = CtcLoss::new().loss(&pred, &array![[u64::MAX]]).unwrap_err();
    let expected = "label at [0, 0] is 18446744073709551615, expected a class below 4";
    assert_eq!(error.to_string(), expected);
    // An unsigned type has no padding: all its bits set are a large number.
    let error = CtcLoss::new()
        .loss(&pred, &array![[1, u8::MAX]])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "label at [0, 1] is 255, expected a class below 4"
    );
    // 2³² is class 0 to whoever cuts it off.
    let error = CtcLoss::new()
        .loss(&pred, &array![[1_i64 << 32]])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "label at [0, 0] is 4294967296, expected a class below 4"
    );
    let error = CtcLoss::new()
        .loss(&pred, &array![[1_i128 << 64]])
        .unwrap_err();
    assert!(matches!(error, Error::Label { .. }), "{error}");
    let lengths = array![1_u128 << 64];
    let label = array![[1]];
    let call = CtcLoss::new().on(&pred, &label).pred_lengths(&lengths);
    let error = call.loss().unwrap_err();
    let expected = "pred_lengths at 0 is 18446744073709551616, expected 0 to 3";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn ctc_errors_of_blanks() {
    let call = Call {
        label: array![[0, 1], [3, -1], [1, 1]].into_dyn(),
        ..Call::default()
    };
    let error = assert_message(&call, "label at [1, 0] is 3, which is the blank");
    assert_eq!(
        error,
        Error::BlankLabel {
            index: vec![1, 0],
            blank: 3
        }
    );
    let call = Call {
        ctc: CtcLoss::new().blank(1),
        ..Call::default()
    };
    assert_message(&call, "label at [0, 1] is 1, which is the blank");
    let mut call = Call::concatenated(vec![2, 1, 2]);
    call.label[4] = 3;
    assert_message(&call, "label at [4] is 3, which is the blank");
    let call = Call {
        ctc: CtcLoss::new().blank(4),
        ..Call::default()
    };
    let error = assert_message(&call, "blank is 4, expected a class below 4");
    assert_eq!(
        error,
        Error::Blank {
            blank: 4,
            classes: 4
        }
    );
    let call = Call {
        ctc: CtcLoss::new().blank(usize::MAX),
        ..Call::default()
    };
    call.refused();
}

#[test]
fn ctc_errors_of_lengths() {
    for (lengths, message) in [
        (array![5, 6, 5], "pred_lengths at 1 is 6, expected 0 to 5"),
        (array![5, 5, -1], "pred_lengths at 2 is -1, expected 0 to 5"),
        (
            array![i64::MIN, 5, 5],
            "pred_lengths at 0 is -9223372036854775808, expected 0 to 5",
        ),
        (
            array![i64::MAX, 5, 5],
            "pred_lengths at 0 is 9223372036854775807, expected 0 to 5",
        ),
    ] {
        let call = Call {
            pred_lengths: Some(lengths.into_dyn()),
            ..Call::default()
        };
        let error = assert_message(&call, message);
        assert!(matches!(
            error,
            Error::Length {
                argument: "pred_lengths",
                limit: 5,
                ..
            }
        ));
    }
    for (lengths, message) in [
        (array![2, 1, 3], "label_lengths at 2 is 3, expected 0 to 2"),
        (
            array![-1, 1, 2],
            "label_lengths at 0 is -1, expected 0 to 2",
        ),
    ] {
        let call = Call {
            label_lengths: Some(lengths.into_dyn()),
            ..Call::default()
        };
        assert_message(&call, message);
    }
}

#[test]
fn ctc_errors_of_concatenated_labels() {
    let call = Call {
        label_lengths: None,
        ..Call::concatenated(vec![])
    };
    let error = assert_message(
        &call,
        "label has shape [5]: concatenated labels need label_lengths",
    );
    assert_eq!(error, Error::LabelLengths { found: 5 });
    for (lengths, total) in [(vec![2, 1, 1], 4), (vec![5, 1, 0], 6), (vec![0, 0, 0], 0)] {
        let message = format!("label_lengths add up to {total}, label has 5 entries");
        let error = assert_message(&Call::concatenated(lengths), &message);
        assert_eq!(
            error,
            Error::LabelTotal {
                found: total,
                expected: 5
            }
        );
    }
    assert_message(
        &Call::concatenated(vec![6, -1, 0]),
        "label_lengths at 0 is 6, expected 0 to 5",
    );
    Call::concatenated(vec![i64::MAX, i64::MAX, 7]).refused();
}

#[test]
fn ctc_errors_of_shapes() {
    let shaped = |shape: &[usize]| ArrayD::<f32>::zeros(shape);
    for shape in [vec![], vec![4], vec![5, 4], vec![3, 5, 4, 1]] {
        let call = Call {
            pred: shaped(&shape),
            grad: shape.clone(),
            ..Call::default()
        };
        let message = format!("pred has shape {shape:?}, expected rank 3");
        assert_message(&call, &message);
    }
    for shape in [vec![], vec![3, 2, 1]] {
        let call = Call {
            label: ArrayD::zeros(shape.clone()),
            ..Call::default()
        };
        let message =
            format!("label has shape {shape:?}, expected rank 1 (concatenated) or 2 (padded)");
        assert_message(&call, &message);
    }
    for shape in [[2, 3], [4, 2], [0, 2]] {
        let call = Call {
            label: ArrayD::zeros(&shape[..]),
            ..Call::default()
        };
        assert_message(
            &call,
            &format!("label has shape {shape:?}, expected [3, {}]", shape[1]),
        );
    }
    let call = Call {
        ctc: CtcLoss::new().label_layout(CtcLabelLayout::Tn),
        ..Call::default()
    };
    assert_message(&call, "label has shape [3, 2], expected [3, 3]");
    // Three samples are five where the frames come first.
    let call = Call {
        ctc: CtcLoss::new().layout(CtcLayout::Tnc),
        ..Call::default()
    };
    assert_message(&call, "label has shape [3, 2], expected [5, 2]");
    let call = Call {
        pred: shaped(&[3, 5, 0]),
        grad: vec![3, 5, 0],
        ..Call::default()
    };
    assert_message(&call, "pred has shape [3, 5, 0]: axis 2 has no classes");
    for shape in [vec![2], vec![4], vec![3, 1], vec![]] {
        let lengths = Some(ArrayD::<i64>::ones(shape.clone()));
        let call = Call {
            pred_lengths: lengths.clone(),
            ..Call::default()
        };
        assert_message(
            &call,
            &format!("pred_lengths has shape {shape:?}, expected [3]"),
        );
        let call = Call {
            label_lengths: lengths,
            ..Call::default()
        };
        assert_message(
            &call,
            &format!("label_lengths has shape {shape:?}, expected [3]"),
        );
        let call = Call {
            status: shape.clone(),
            ..Call::default()
        };
        assert_message(&call, &format!("status has shape {shape:?}, expected [3]"));
        let call = Call {
            loss: shape.clone(),
            loss_fits: false,
            ..Call::default()
        };
        assert_message(&call, &format!("loss has shape {shape:?}, expected [3]"));
    }
    for shape in [vec![5, 3, 4], vec![3, 5], vec![60]] {
        let call = Call {
            grad: shape.clone(),
            ..Call::default()
        };
        assert_message(
            &call,
            &format!("grad has shape {shape:?}, expected [3, 5, 4]"),
        );
    }
    let call = Call {
        reduction: Reduction::Sum,
        loss_fits: false,
        ..Call::default()
    };
    assert_message(&call, "loss has shape [3], expected []");
}

#[test]
fn ctc_errors_of_factors() {
    for shape in [
        vec![2],
        vec![4],
        vec![3, 4],
        vec![3, 5],
        vec![3, 5, 1],
        vec![3, 1, 4],
        vec![2, 1, 1],
    ] {
        let factors = Some(ArrayD::<f32>::ones(shape.clone()));
        let call = Call {
            sample_weight: factors.clone(),
            ..Call::default()
        };
        let error = call.refused();
        assert!(
            error
                .to_string()
                .starts_with(&format!("sample_weight has shape {shape:?}")),
            "{error}"
        );
        let call = Call {
            upstream: factors,
            ..Call::default()
        };
        let error = call.refused();
        assert!(
            error
                .to_string()
                .starts_with(&format!("upstream has shape {shape:?}")),
            "{error}"
        );
    }
    let call = Call {
        upstream: Some(ArrayD::ones(vec![3])),
        reduction: Reduction::Mean,
        loss: vec![],
        ..Call::default()
    };
    assert!(
        call.refused()
            .to_string()
            .starts_with("upstream has shape [3]")
    );
}

#[test]
fn ctc_errors_of_options() {
    for weight in [f64::NAN, f64::INFINITY] {
        let error = CtcLoss::new().weight(weight).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Value {
                    option: "weight",
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn ctc_errors_of_reductions() {
    let call = Call::default();
    for reduction in [Reduction::None, Reduction::SampleMean, Reduction::SampleSum] {
        let on = call.ctc.on(&call.pred, &call.label).reduction(reduction);
        assert_eq!(on.scalar(), Err(Error::NotScalar { reduction }));
        let mut grad = ArrayD::from_elem(call.pred.raw_dim(), 42.0);
        assert_eq!(
            on.scalar_and_grad_into(&mut grad),
            Err(Error::NotScalar { reduction })
        );
        assert!(grad.iter().all(|&value| value == 42.0));
        let mut pred = call.pred.clone();
        let in_place = call
            .ctc
            .in_place(&mut pred, &call.label)
            .reduction(reduction);
        assert_eq!(in_place.scalar(), Err(Error::NotScalar { reduction }));
        assert_eq!(pred, call.pred);
    }
    let empty = Call {
        pred: ArrayD::zeros(vec![0, 5, 4]),
        label: Array2::zeros((0, 2)).into_dyn(),
        reduction: Reduction::Mean,
        loss: vec![],
        grad: vec![0, 5, 4],
        status: vec![0],
        ..Call::default()
    };
    assert!(matches!(empty.refused(), Error::EmptyMean { .. }));
}

/// Shapes that cost nothing to describe are refused before anything is allocated for them.
#[test]
fn ctc_errors_of_enormous_shapes() {
    let one = array![[[0.0_f32]]];
    let pred = one.broadcast((1 << 20, 1 << 20, 1 << 20)).unwrap();
    let label = Array2::<i32>::zeros((3, 1));
    let error = CtcLoss::new().loss_and_grad(&pred, &label).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Shape {
                argument: "label",
                ..
            }
        ),
        "{error}"
    );
    let label = array![[0_i32]];
    let label = label
        .slice(s![.., ..0])
        .broadcast((1 << 20, 0))
        .map(|view| view.to_owned());
    let error = CtcLoss::new().grad(&pred, &label.unwrap()).unwrap_err();
    assert!(matches!(error, Error::Memory { .. }), "{error}");
}

/// A decoder makes room for what it reads, and not before it knows that there is any.
#[test]
fn ctc_errors_of_enormous_shapes_to_be_decoded() {
    let one = array![[[0.0_f32]]];
    let none = one.slice(s![.., ..0, ..]);
    let decoded = CtcGreedy::new().decode(&none.broadcast((2, 0, 1 << 58)).unwrap());
    assert_eq!(decoded, Ok(vec![vec![], vec![]]));
    let classes = one.broadcast((1, 1, 1 << 58)).unwrap();
    let error = CtcGreedy::new().decode(&classes).unwrap_err();
    assert_eq!(error, Error::Memory { elements: 1 << 58 });
    let samples = none.broadcast((1 << 58, 0, 1)).unwrap();
    let error = CtcGreedy::new().decode(&samples).unwrap_err();
    assert_eq!(error, Error::Memory { elements: 1 << 58 });
}
