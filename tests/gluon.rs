//! Every recorded case of Gluon's losses, at every level, through the kernels of both precisions.

mod common;

use std::collections::BTreeMap;

use common::call::{Request, expected, fused};
use common::cases::{Label, Problem, case};
use common::contract::assert_near;
use common::ctc::{self, Batch, Ctc};
use common::levels::for_each_level;
use common::real::Real;
use lossgrad::{CtcLabelLayout, CtcLayout, CtcLoss};
use ndarray::{Array3, ArrayD, Ix3};
use serde::Deserialize;

/// Losses that the recording has and this library not yet. A loss leaves this list when it enters
/// [`entry_of`].
const NOT_YET: [&str; 10] = [
    "CosineEmbeddingLoss",
    "HingeLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LogisticLoss",
    "PoissonNLLLoss",
    "SDMLLoss",
    "SquaredHingeLoss",
    "TripletLoss",
];

const SUPPORTED: [&str; 4] = ["CTCLoss", "L2Loss", "SigmoidBCELoss", "SoftmaxCELoss"];

/// The recording has ten digits; this much of a value is lost to printing.
const PRINTED: f64 = 1e-9;

/// Gluon computed CTC in `f32`: this, of a loss relative, is its error. A gradient is the
/// exponential of sums as large as the loss, whose last rounding comes on top. Ours is held to the
/// contract, against the reference.
const GLUONS_CTC: f64 = 2e-5;

#[derive(Deserialize)]
struct Recorded {
    id: String,
    loss: String,
    options: Options,
    inputs: BTreeMap<String, Tensor<f32>>,
    loss_out: Tensor<Option<f64>>,
    grads: BTreeMap<String, Tensor<Option<f64>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    weight: Option<f64>,
    batch_axis: Option<isize>,
    axis: Option<isize>,
    from_sigmoid: Option<bool>,
    from_logits: Option<bool>,
    sparse_label: Option<bool>,
    layout: Option<String>,
    label_layout: Option<String>,
}

#[derive(Deserialize)]
struct Tensor<V> {
    shape: Vec<usize>,
    data: Vec<V>,
}

impl<V: Copy> Tensor<V> {
    fn map<W>(&self, to: impl FnMut(V) -> W) -> ArrayD<W> {
        let data = self.data.iter().copied().map(to).collect();
        ArrayD::from_shape_vec(self.shape.clone(), data).expect("as many numbers as the shape says")
    }
}

fn recording() -> Vec<Recorded> {
    let path = std::env::var("GLUON_GOLDEN").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/gluon.jsonl").to_owned()
    });
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    // Options of other losses are not for this test to know.
    lines
        .filter(|line| {
            let head: Head = serde_json::from_str(line).expect("a case");
            !NOT_YET.contains(&&*head.loss)
        })
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")))
        .collect()
}

#[derive(Deserialize)]
struct Head {
    loss: String,
}

/// The entry of the table that computes a recorded case.
fn entry_of(recorded: &Recorded) -> &'static str {
    let options = &recorded.options;
    let from_logits = options.from_logits == Some(true);
    let pos_weight = recorded.inputs.contains_key("pos_weight");
    match (&*recorded.loss, options.from_sigmoid == Some(true)) {
        ("L2Loss", _) => "l2",
        ("SigmoidBCELoss", false) if pos_weight => "sigmoid_bce pos_weight",
        ("SigmoidBCELoss", false) => "sigmoid_bce",
        ("SigmoidBCELoss", true) if pos_weight => "sigmoid_bce from_sigmoid pos_weight",
        ("SigmoidBCELoss", true) => "sigmoid_bce from_sigmoid",
        ("SoftmaxCELoss", _) => match (options.sparse_label == Some(false), from_logits) {
            (false, false) => "softmax_ce sparse",
            (true, false) => "softmax_ce dense",
            (false, true) => "softmax_ce sparse from_logits",
            (true, true) => "softmax_ce dense from_logits",
        },
        (other, _) => panic!("{other} is neither supported nor listed as missing"),
    }
}

fn problem<T: Real>(recorded: &Recorded, sparse: bool) -> Problem<T> {
    let input = |name: &str| recorded.inputs.get(name);
    let wide = |tensor: &Tensor<f32>| tensor.map(|v| T::of(f64::from(v)));
    let label = input("label").expect("a label");
    let label = if sparse {
        Label::Sparse(label.map(|class| class as i32))
    } else {
        Label::Dense(wide(label))
    };
    Problem {
        pred: wide(input("pred").expect("a pred")),
        label,
        pos_weight: input("pos_weight").map(wide),
    }
}

/// `null` stands for anything that is not finite, which the reference then has to name.
fn printed(tensor: &Tensor<Option<f64>>, reference: &ArrayD<f64>, id: &str) -> ArrayD<f64> {
    let recorded = tensor.map(|value| value.unwrap_or(f64::NAN));
    assert_eq!(recorded.shape(), reference.shape(), "{id}: shapes");
    let mut agreed = reference.clone();
    for (ours, &gluons) in agreed.iter_mut().zip(&recorded) {
        if gluons.is_nan() {
            assert!(
                !ours.is_finite(),
                "{id}: {ours} where Gluon's value is not finite"
            );
        } else {
            let error = (*ours - gluons).abs();
            assert!(
                error <= PRINTED * gluons.abs(),
                "{id}: the reference says {ours}, Gluon {gluons}"
            );
            *ours = gluons;
        }
    }
    agreed
}

fn run<T: Real>(recorded: &Recorded) {
    let id = &recorded.id;
    let case = case::<T>(entry_of(recorded));
    let sparse = case.name.contains("sparse");
    let problem = problem::<T>(recorded, sparse);
    let options = &recorded.options;
    let request = Request::<T> {
        weight: options.weight.unwrap_or(1.0),
        batch_axis: options.batch_axis.unwrap_or(0),
        class_axis: options.axis.unwrap_or(-1),
        sample_weight: recorded
            .inputs
            .get("sample_weight")
            .map(|tensor| tensor.map(|v| T::of(f64::from(v)))),
        ..Request::default()
    };
    let mut reduced = expected(&case, &problem, &request);
    reduced.loss = printed(&recorded.loss_out, &reduced.loss, id);
    reduced.grad = printed(&recorded.grads["pred"], &reduced.grad, id);
    for_each_level(|exec| {
        let outcome = fused(&case, &problem, &request.exec(exec));
        let what = format!("{id} ({}) at {}", case.name, exec.level);
        let loss =
            &reduced.magnitude * T::CONTRACT.loss + &reduced.loss_slack * T::CONTRACT.epsilon;
        let loss = loss + reduced.loss.abs() * PRINTED;
        assert_near(
            &outcome.loss,
            &reduced.loss,
            &loss,
            &format!("loss of {what}"),
        );
        let grad = &reduced.scale * T::CONTRACT.grad + &reduced.grad_slack * T::CONTRACT.epsilon;
        let grad = grad + reduced.grad.abs() * PRINTED;
        assert_near(
            &outcome.grad,
            &reduced.grad,
            &grad,
            &format!("gradient of {what}"),
        );
    });
}

/// A recorded case of CTC with the arrays as they were recorded: as Gluon took them, and the batch
/// that they mean.
fn run_ctc<T: Ctc>(recorded: &Recorded) {
    let id = &recorded.id;
    let options = &recorded.options;
    let layout = match options.layout.as_deref() {
        None | Some("NTC") => CtcLayout::Ntc,
        Some("TNC") => CtcLayout::Tnc,
        Some(other) => panic!("{id}: layout {other}"),
    };
    let label_layout = match options.label_layout.as_deref() {
        None | Some("NT") => CtcLabelLayout::Nt,
        Some("TN") => CtcLabelLayout::Tn,
        Some(other) => panic!("{id}: label_layout {other}"),
    };
    let known = ["pred", "label", "pred_lengths", "label_lengths"];
    assert!(recorded.inputs.keys().all(|name| known.contains(&&**name)));
    let input = |name: &str| recorded.inputs.get(name);
    let integers = |tensor: &Tensor<f32>| tensor.map(|n| n as i32);
    let pred = input("pred").expect("a pred").map(|v| T::of(f64::from(v)));
    let label = integers(input("label").expect("a label"));
    let pred_lengths = input("pred_lengths").map(integers);
    let label_lengths = input("label_lengths").map(integers);
    let weight = options.weight.unwrap_or(1.0);
    let loss = CtcLoss::new().weight(weight).expect("a weight");
    let loss = loss.layout(layout).label_layout(label_layout);

    let cube = |array: &ArrayD<T>| -> Array3<T> {
        let cube = array
            .view()
            .into_dimensionality::<Ix3>()
            .expect("three axes");
        ctc::laid_out(&cube, layout)
    };
    let rows = match label_layout {
        CtcLabelLayout::Nt => label.view(),
        CtcLabelLayout::Tn => label.view().reversed_axes(),
    };
    let labels = rows.outer_iter().enumerate().map(|(sample, row)| {
        let length = label_lengths
            .as_ref()
            .map(|lengths| lengths[sample] as usize);
        let real = row.iter().take(length.unwrap_or(row.len()));
        let ended = real.take_while(|&&class| length.is_some() || class != -1);
        ended.map(|&class| class as usize).collect()
    });
    let frames = pred_lengths
        .as_ref()
        .map(|all| all.iter().map(|&n| n as usize).collect());
    let batch = Batch {
        lengths: frames,
        weight,
        ..Batch::new(cube(&pred), labels.collect())
    };
    let expected = batch.expected();
    let recorded_loss = recorded.loss_out.map(|value| value.expect("a finite loss"));
    let recorded_grad =
        cube(&recorded.grads["pred"].map(|value| T::of(value.expect("a finite slope"))));

    for_each_level(|exec| {
        let what = format!("{id} at {}", exec.level);
        let call = loss.on(&pred, &label).exec(exec);
        let call = match &pred_lengths {
            Some(lengths) => call.pred_lengths(lengths),
            None => call,
        };
        let call = match &label_lengths {
            Some(lengths) => call.label_lengths(lengths),
            None => call,
        };
        let (loss, grad) = call.loss_and_grad().expect("a call that Gluon made");
        let near = |a: f64, gluons: f64| (a - gluons).abs() <= GLUONS_CTC * gluons.abs().max(1.0);
        let losses = loss.iter().zip(&recorded_loss).zip(&expected.loss);
        for ((ours, &gluons), &exact) in losses {
            let all = format!("{what}: loss {ours}, Gluon's {gluons}, the reference's {exact}");
            assert!(near(ours.wide(), gluons) && near(exact, gluons), "{all}");
        }
        let grads = cube(&grad);
        let samples = grads.outer_iter().zip(recorded_grad.outer_iter());
        for ((ours, gluons), loss) in samples.zip(&recorded_loss) {
            let allowed = GLUONS_CTC + f64::from(f32::EPSILON) * loss;
            for (ours, gluons) in ours.iter().zip(&gluons) {
                assert!(
                    (ours.wide() - gluons.wide()).abs() <= allowed,
                    "{what}: gradient {ours}, Gluon's {gluons}"
                );
            }
        }
        // Meant as we think, the contract holds too.
        let outcome = ctc::Outcome {
            loss: loss.into_dimensionality().expect("one loss a sample"),
            grad: grads,
            status: batch.run(exec).status,
        };
        ctc::assert_near(&outcome, &expected, &what);
    });
}

fn run_all(loss: &str) {
    let cases: Vec<Recorded> = recording()
        .into_iter()
        .filter(|case| case.loss == loss)
        .collect();
    for recorded in &cases {
        if loss == "CTCLoss" {
            run_ctc::<f32>(recorded);
            run_ctc::<f64>(recorded);
        } else {
            run::<f32>(recorded);
            run::<f64>(recorded);
        }
    }
    println!("{loss}: {} cases, each in f32 and f64", cases.len());
    // Another file may well lack a loss; the one that comes with the sources does not.
    assert!(
        !cases.is_empty() || std::env::var_os("GLUON_GOLDEN").is_some(),
        "no case of {loss} ran"
    );
}

#[test]
fn gluon_ctc_loss() {
    run_all("CTCLoss");
}

#[test]
fn gluon_l2_loss() {
    run_all("L2Loss");
}

#[test]
fn gluon_sigmoid_bce_loss() {
    run_all("SigmoidBCELoss");
}

#[test]
fn gluon_softmax_ce_loss() {
    run_all("SoftmaxCELoss");
}

/// No case falls through: each belongs to a loss that runs, in full, or to one that is listed.
#[test]
fn gluon_cases_are_all_accounted_for() {
    let mut counts = BTreeMap::<String, usize>::new();
    for recorded in recording() {
        assert!(
            SUPPORTED.contains(&&*recorded.loss),
            "{} is not run by any test",
            recorded.loss
        );
        // Panics where no entry of the table takes the case. CTC is called as it was recorded.
        if recorded.loss != "CTCLoss" {
            case::<f32>(entry_of(&recorded));
        }
        assert!(
            recorded.grads.keys().eq(["pred"]),
            "{}: gradients nobody checks",
            recorded.id
        );
        *counts.entry(recorded.loss).or_default() += 1;
    }
    if std::env::var_os("GLUON_GOLDEN").is_none() {
        assert_eq!(counts["CTCLoss"], 48);
    }
    println!("cases that run: {counts:?}; losses still missing: {NOT_YET:?}");
}
