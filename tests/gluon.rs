//! Every recorded case of Gluon's losses, at every level, through the kernels of both precisions.

mod common;

use std::collections::BTreeMap;

use common::call::{Request, fused};
use common::cases::{Case, Label, Problem, case};
use common::contract::assert_outcome;
use common::ctc::{self, Batch, Ctc};
use common::levels::for_each_level;
use common::real::Real;
use lossgrad::{CtcLabelLayout, CtcLayout, CtcLoss, Reduction};
use ndarray::{Array3, ArrayD, Ix3};
use serde::Deserialize;

/// The recording has ten digits; this much of a value is lost to printing.
const PRINTED: f64 = 1e-9;

/// Losses that Gluon computed in f32, and how far they may be off for that.
const IN_F32: [&str; 2] = ["CosineEmbeddingLoss", "SDMLLoss"];
const F32: f64 = 2e-5;
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
    rho: Option<f64>,
    margin: Option<f64>,
    smoothing_parameter: Option<f64>,
    label_format: Option<String>,
    compute_full: Option<bool>,
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
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")))
        .collect()
}

/// The entry of the table that computes a recorded case.
fn entry_of(recorded: &Recorded) -> &'static str {
    let options = &recorded.options;
    let from_logits = options.from_logits == Some(true);
    let pos_weight = recorded.inputs.contains_key("pos_weight");
    match (&*recorded.loss, options.from_sigmoid == Some(true)) {
        ("CosineEmbeddingLoss", _) => "cosine_embedding",
        ("HingeLoss", _) => "hinge",
        ("HuberLoss", _) => "huber",
        ("KLDivLoss", _) => match options.from_logits {
            // Unlike the other losses' it defaults to true.
            Some(false) => "kl_div of logits",
            _ => "kl_div",
        },
        ("L1Loss", _) => "l1",
        ("L2Loss", _) => "l2",
        ("LogisticLoss", _) => match options.label_format.as_deref() {
            None | Some("signed") => "logistic",
            Some("binary") => "logistic binary",
            Some(format) => panic!("no entry for {format} labels"),
        },
        ("PoissonNLLLoss", _) => {
            // Unlike the other losses' it defaults to true.
            let rate = options.from_logits == Some(false);
            match (rate, options.compute_full == Some(true)) {
                (false, false) => "poisson_nll",
                (true, false) => "poisson_nll rate",
                (false, true) => "poisson_nll stirling",
                (true, true) => "poisson_nll rate stirling",
            }
        }
        ("SDMLLoss", _) => "sdml",
        ("SquaredHingeLoss", _) => "squared_hinge",
        ("TripletLoss", _) => "triplet",
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

fn has_integer_labels<T>(case: &Case<T>) -> bool {
    case.name.contains("sparse") || case.name == "cosine_embedding"
}

/// The inputs that have a gradient, under Gluon's names.
fn operands_of(loss: &str) -> &'static [&'static str] {
    match loss {
        "TripletLoss" => &["pred", "positive", "negative"],
        "CosineEmbeddingLoss" => &["input1", "input2"],
        "SDMLLoss" => &["x1", "x2"],
        _ => &["pred"],
    }
}

fn problem<T: Real>(recorded: &Recorded, sparse: bool) -> Problem<T> {
    let input = |name: &str| recorded.inputs.get(name);
    let wide = |tensor: &Tensor<f32>| tensor.map(|v| T::of(f64::from(v)));
    let label = match input("label").or(input("target")) {
        Some(label) if sparse => Label::Sparse(label.map(|class| class as i32)),
        Some(label) => Label::Dense(wide(label)),
        None => Label::None,
    };
    let mut operands = operands_of(&recorded.loss).iter().map(|name| {
        let operand = input(name).unwrap_or_else(|| panic!("{} has no {name}", recorded.id));
        wide(operand)
    });
    Problem {
        pred: operands.next().expect("an input"),
        others: operands.collect(),
        label,
        pos_weight: input("pos_weight").map(wide),
    }
}

/// What the reference says, as Gluon printed it. `null` stands for anything that is not finite, which
/// the reference then has to name.
fn printed(
    tensor: &Tensor<Option<f64>>,
    reference: &ArrayD<f64>,
    recorded: &Recorded,
) -> ArrayD<f64> {
    let id = &recorded.id;
    let in_f32 = IN_F32.contains(&&*recorded.loss);
    let values = tensor.map(|value| value.unwrap_or(f64::NAN));
    // Gluon keeps some axes of extent 1 that were summed over.
    assert_eq!(values.len(), reference.len(), "{id}: shapes");
    let mut agreed = reference.clone();
    for (ours, &gluons) in agreed.iter_mut().zip(&values) {
        if gluons.is_nan() {
            assert!(
                !ours.is_finite(),
                "{id}: {ours} where Gluon's value is not finite"
            );
            continue;
        }
        let allowed = match in_f32 {
            true => F32 * gluons.abs().max(1.0),
            false => PRINTED * gluons.abs(),
        };
        assert!(
            (*ours - gluons).abs() <= allowed,
            "{id}: the reference says {ours}, Gluon {gluons}"
        );
        if !in_f32 {
            *ours = gluons;
        }
    }
    agreed
}

fn run<T: Real>(recorded: &Recorded) {
    let id = &recorded.id;
    let case = case::<T>(entry_of(recorded));
    let problem = problem::<T>(recorded, has_integer_labels(&case));
    let request = request(recorded);
    // Gluon's options were not rounded to f32.
    let mut reduced = (case.reference)(&problem.widen(), request.own(), &request.weighting());
    for (reduced, name) in reduced.iter_mut().zip(operands_of(&recorded.loss)) {
        reduced.loss = printed(&recorded.loss_out, &reduced.loss, recorded);
        reduced.grad = printed(&recorded.grads[*name], &reduced.grad, recorded);
        // What printing has lost.
        let digits = PRINTED / T::CONTRACT.epsilon;
        reduced.loss_slack = &reduced.loss_slack + &(reduced.loss.mapv(f64::abs) * digits);
        reduced.grad_slack = &reduced.grad_slack + &(reduced.grad.mapv(f64::abs) * digits);
    }
    for_each_level(|exec| {
        let outcome = fused(&case, &problem, &request.exec(exec));
        let what = format!("{id} ({}) at {}", case.name, exec.level);
        assert_outcome(&outcome, &reduced, &what);
    });
}

fn request<T: Real>(recorded: &Recorded) -> Request<T> {
    let options = &recorded.options;
    Request {
        // Gluon averages Poisson over the batch too, and sums a divergence.
        reduction: match &*recorded.loss {
            "PoissonNLLLoss" => Reduction::Mean,
            "KLDivLoss" => Reduction::SampleSum,
            _ => Reduction::SampleMean,
        },
        weight: match &*recorded.loss {
            // Gluon takes a weight and does nothing with it.
            "SDMLLoss" => 1.0,
            _ => options.weight.unwrap_or(1.0),
        },
        batch_axis: options.batch_axis.unwrap_or(0),
        class_axis: options.axis.unwrap_or(-1),
        number: options
            .rho
            .or(options.margin)
            .or(options.smoothing_parameter),
        sample_weight: recorded
            .inputs
            .get("sample_weight")
            .map(|tensor| tensor.map(|v| T::of(f64::from(v)))),
        ..Request::default()
    }
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

/// A test for each loss: a loss that is supported is run.
macro_rules! losses {
    ($($test:ident $loss:literal)*) => {
        const SUPPORTED: &[&str] = &[$($loss),*];

        $(
            #[test]
            fn $test() {
                run_all($loss);
            }
        )*
    };
}

losses! {
    gluon_cosine_embedding_loss "CosineEmbeddingLoss"
    gluon_ctc_loss "CTCLoss"
    gluon_hinge_loss "HingeLoss"
    gluon_huber_loss "HuberLoss"
    gluon_kl_div_loss "KLDivLoss"
    gluon_l1_loss "L1Loss"
    gluon_l2_loss "L2Loss"
    gluon_logistic_loss "LogisticLoss"
    gluon_poisson_nll_loss "PoissonNLLLoss"
    gluon_sdml_loss "SDMLLoss"
    gluon_sigmoid_bce_loss "SigmoidBCELoss"
    gluon_softmax_ce_loss "SoftmaxCELoss"
    gluon_squared_hinge_loss "SquaredHingeLoss"
    gluon_triplet_loss "TripletLoss"
}

/// No case falls through: each belongs to a loss that runs, in full.
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
            recorded
                .grads
                .keys()
                .all(|name| operands_of(&recorded.loss).contains(&&**name)),
            "{}: gradients nobody checks",
            recorded.id
        );
        *counts.entry(recorded.loss).or_default() += 1;
    }
    println!("cases that run: {counts:?}");
    if std::env::var_os("GLUON_GOLDEN").is_none() {
        assert_eq!(counts.values().sum::<usize>(), 777, "{counts:?}");
    }
}
