//! CTC's public cases with the numbers that their sources give, at every level.

mod common;

use common::ctc::{Batch, Ctc, rows, serial};
use common::levels::for_each_level;
use lossgrad::{CtcLoss, Reduction};
use ndarray::{Array2, Array3, Axis, arr0, array, s};

/// One sample with its published loss and gradient.
struct Published<'a> {
    name: &'a str,
    classes: usize,
    logits: &'a [f64],
    label: &'a [usize],
    blank: usize,
    loss: f64,
    /// The last digit that the source gives of the loss.
    digit: f64,
    /// The gradient of the first frames, row by row, and its last digit.
    grad: &'a [f64],
    grad_digit: f64,
}

const PLAIN: Published<'static> = Published {
    name: "",
    classes: 0,
    logits: &[],
    label: &[],
    blank: 0,
    loss: 0.0,
    digit: 1e-10,
    grad: &[],
    grad_digit: 1e-9,
};

impl Published<'_> {
    #[track_caller]
    fn holds(&self) {
        self.holds_in::<f32>(1e-6);
        self.holds_in::<f64>(1e-12);
    }

    /// The input is rounded to `T`, which moves the results by up to `rounding` of their size.
    #[track_caller]
    fn holds_in<T: Ctc>(&self, rounding: f64) {
        let name = self.name;
        let logits = rows::<T>(self.classes, self.logits);
        let batch = Batch::single(logits, self.label).blank(self.blank);
        batch.check_at_every_level(name);
        for_each_level(|exec| {
            let outcome = batch.run(exec);
            let loss = outcome.loss[0].wide();
            let allowed = self.digit + rounding * self.loss.abs().max(1.0);
            assert!(
                (loss - self.loss).abs() <= allowed,
                "{name}: {loss}, published {}",
                self.loss
            );
            for (at, (&ours, &theirs)) in outcome.grad.iter().zip(self.grad).enumerate() {
                assert!(
                    (ours.wide() - theirs).abs() <= self.grad_digit + rounding,
                    "{name}: gradient {at} is {ours}, published {theirs}"
                );
            }
        });
    }
}

/// The probabilities of the example in Graves' code, as TensorFlow's `ctc_loss_op_test`, warp-ctc's
/// `options_test`, MXNet's `test_ctc_loss_grad` and gtn have them; the logits are their logarithms.
const GRAVES: [[f64; 30]; 2] = [
    [
        0.633766, 0.221185, 0.0917319, 0.0129757, 0.0142857, 0.0260553, //
        0.111121, 0.588392, 0.278779, 0.0055756, 0.00569609, 0.010436, //
        0.0357786, 0.633813, 0.321418, 0.00249248, 0.00272882, 0.0037688, //
        0.0663296, 0.643849, 0.280111, 0.00283995, 0.0035545, 0.00331533, //
        0.458235, 0.396634, 0.123377, 0.00648837, 0.00903441, 0.00623107,
    ],
    [
        0.30176, 0.28562, 0.0831517, 0.0862751, 0.0816851, 0.161508, //
        0.24082, 0.397533, 0.0557226, 0.0546814, 0.0557528, 0.19549, //
        0.230246, 0.450868, 0.0389607, 0.038309, 0.0391602, 0.202456, //
        0.280884, 0.429522, 0.0326593, 0.0339046, 0.0326856, 0.190345, //
        0.423286, 0.315517, 0.0338439, 0.0393744, 0.0339315, 0.154046,
    ],
];
const GRAVES_LABELS: [&[usize]; 2] = [&[0, 1, 2, 1, 0], &[0, 1, 1, 0]];
const GRAVES_LOSS: [f64; 2] = [3.34211258509844, 5.42262173098823];
/// The class that is on the path at each frame, and the gradient there; elsewhere it is the
/// probability.
const GRAVES_GRAD: [[(usize, f64); 5]; 2] = [
    [
        (0, -0.366234),
        (1, -0.411608),
        (2, -0.678582),
        (1, -0.356151),
        (0, -0.541765),
    ],
    [
        (0, -0.69824),
        (1, -0.602467),
        (5, -0.797544),
        (1, -0.570478),
        (0, -0.576714),
    ],
];

fn graves_grad(sample: usize) -> Vec<f64> {
    let mut grad = GRAVES[sample].to_vec();
    for (frame, &(class, slope)) in GRAVES_GRAD[sample].iter().enumerate() {
        grad[6 * frame + class] = slope;
    }
    grad
}

#[test]
fn ctc_published_by_graves() {
    for sample in 0..2 {
        let logits = GRAVES[sample].map(f64::ln);
        Published {
            name: "Graves",
            classes: 6,
            logits: &logits,
            label: GRAVES_LABELS[sample],
            blank: 5,
            loss: GRAVES_LOSS[sample],
            // The probabilities' six digits leave rows that add up to 1 within 1e-6.
            digit: 1e-12,
            grad: &graves_grad(sample),
            grad_digit: 2e-6,
        }
        .holds();
    }
}

/// TensorFlow's and MXNet's test of lengths: frames beyond them hold NaN and have the gradient 0.
#[test]
fn ctc_published_by_graves_with_poisoned_frames() {
    let mut pred = Array3::from_elem((2, 8, 6), f32::NAN);
    for (sample, probabilities) in GRAVES.iter().enumerate() {
        let logits = rows::<f32>(6, &probabilities.map(f64::ln));
        pred.slice_mut(s![sample, ..5, ..]).assign(&logits);
    }
    let labels = GRAVES_LABELS.map(<[usize]>::to_vec).to_vec();
    let batch = Batch::new(pred, labels).lengths(vec![5, 5]);
    batch.check_at_every_level("Graves, poisoned frames");
    let grad = batch.run(serial()).grad;
    assert!(grad.slice(s![.., 5.., ..]).iter().all(|&g| g == 0.0));
}

/// As log-probabilities the same inputs cost the same, and the gradient is minus the posterior.
#[test]
fn ctc_published_by_graves_as_log_probabilities() {
    for sample in 0..2 {
        let log_y = rows::<f32>(6, &GRAVES[sample].map(f64::ln));
        let batch = Batch::single(log_y, GRAVES_LABELS[sample]).log_probs();
        batch.check_at_every_level("Graves, log-probabilities");
        let outcome = batch.run(serial());
        // Six digits a probability: five frames, a millionth each.
        assert!((f64::from(outcome.loss[0]) - GRAVES_LOSS[sample]).abs() < 5e-6);
        let posterior = graves_grad(sample).into_iter().zip(GRAVES[sample]);
        for (&ours, (slope, y)) in outcome.grad.iter().zip(posterior) {
            assert!((f64::from(ours) - (slope - y)).abs() < 5e-6);
        }
    }
}

#[test]
fn ctc_published_by_warp_ctc() {
    let slope = 0.1770312168;
    let mut grad = [slope; 10];
    (grad[1], grad[7]) = (-0.7081248673, -0.7081248673);
    Published {
        name: "warp-ctc's small_test",
        classes: 5,
        logits: &[0.1, 0.6, 0.1, 0.1, 0.1, 0.1, 0.1, 0.6, 0.1, 0.1],
        label: &[1, 2],
        loss: 2.46285839154674,
        digit: 1e-14,
        grad: &grad,
        grad_digit: 1e-10,
        ..PLAIN
    }
    .holds();
    Published {
        name: "baidu-research/warp-ctc #23",
        classes: 5,
        logits: &[0.0, -150.0, 0.0, 0.0, 0.0],
        label: &[1],
        loss: 151.386294361,
        digit: 1e-9,
        ..PLAIN
    }
    .holds();
    Published {
        name: "warp-ctc's tutorial",
        classes: 5,
        logits: &[0.2; 5],
        label: &[1],
        loss: 1.6094379124,
        ..PLAIN
    }
    .holds();
}

/// warp-ctc's `inf_test`: a class that the label starts with is all but impossible, at −10³⁰.
/// Implementations differ in what that costs; it must be a lot, and no NaN.
#[test]
fn ctc_published_by_warp_ctc_inf_test() {
    for_each_level(|exec| {
        let mut logits = Array2::from_shape_fn((50, 15), |(t, c)| ((7 * t + 3 * c) as f32).sin());
        logits.column_mut(2).fill(-1e30);
        let label = [2, 5, 3, 7, 9, 1, 12, 14, 4, 6];
        let outcome = Batch::single(logits, &label).blank(0).run(exec);
        assert!(outcome.loss[0] > 9e29, "{}", outcome.loss);
        assert!(outcome.grad.iter().all(|g| g.is_finite()));
    });
}

/// MXNet's `test_operator.py`.
#[test]
fn ctc_published_by_mxnet() {
    let a = [
        1.2, 3.4, 1.2, -0.1, -2.34, 0.1, 0.2, 0.3, 0.22, 0.123, -15.0, -14.0, -13.0, -12.0, -11.0,
    ];
    Published {
        name: "MXNet, A",
        classes: 5,
        logits: &a,
        label: &[2, 3],
        loss: 4.04789667686,
        digit: 1e-11,
        grad: &[
            -0.1757169783,
            0.7968010234,
            -0.6477068817,
            0.024061306,
            0.0025615307,
            -0.0335785825,
            0.2017715734,
            -0.3050180216,
            -0.0499932218,
            0.1868182525,
            -0.0004772448,
            0.0316849208,
            0.0861285444,
            -0.753744867,
            0.6364086466,
        ],
        grad_digit: 1e-10,
        ..PLAIN
    }
    .holds();
    Published {
        name: "MXNet, B",
        classes: 5,
        logits: &B,
        label: &[2, 3, 1],
        loss: 7.35574318781,
        ..PLAIN
    }
    .holds();
    let mut short = a;
    short[10..].copy_from_slice(&[-15.0, -14.2, -13.5, -12.2, -11.22]);
    Published {
        name: "MXNet, one class",
        classes: 5,
        logits: &short,
        label: &[2],
        loss: 5.40910516771,
        ..PLAIN
    }
    .holds();
}

/// Three rows that count up to −1, −6 and −11.
const B: [f64; 15] = [
    -5.0, -4.0, -3.0, -2.0, -1.0, -10.0, -9.0, -8.0, -7.0, -6.0, -15.0, -14.0, -13.0, -12.0, -11.0,
];

/// MXNet's test of many classes: row j = 2t + n of the logits is 0, 1, … 5999 over 13, rolled by j,
/// but stacked as columns before it is reshaped to frames × samples × classes.
#[test]
fn ctc_published_by_mxnet_with_many_classes() {
    let (frames, samples, classes) = (8, 2, 6000);
    let rolled = |j: usize, k: usize| ((k + classes - j) % classes) as f32 / 13.0;
    let count = frames * samples;
    let flat: Vec<f32> = (0..count * classes)
        .map(|at| rolled(at % count, at / count))
        .collect();
    let tnc = Array3::from_shape_vec((frames, samples, classes), flat).unwrap();
    let pred = tnc
        .permuted_axes([1, 0, 2])
        .as_standard_layout()
        .into_owned();
    let labels = vec![vec![100, 200, 300, 400, 500], vec![1000, 2000, 3000, 4000]];
    let batch = Batch::new(pred, labels).blank(0);
    batch.check_at_every_level("MXNet, many classes");
    for_each_level(|exec| {
        let loss = batch.run(exec).loss;
        for (&ours, theirs) in loss.iter().zip([688.02823492644, 145.344605137617]) {
            assert!((f64::from(ours) - theirs).abs() < 1e-4, "{ours}, {theirs}");
        }
    });
}

/// k2's `ctc_loss_test.py`.
#[test]
fn ctc_published_by_k2() {
    let up: Vec<f64> = (1..=15).map(f64::from).collect();
    let (p, q, r, v) = (0.0316849208, 0.0861285444, 0.2341216573, 0.6364086466);
    let ends = [0.011656231, p, q, -0.7658783427, v];
    let middle = [-0.988343769, p, q, r, v];
    Published {
        name: "k2, a repeated class",
        classes: 5,
        logits: &up,
        label: &[3, 3],
        loss: 7.35574318781,
        grad: &[ends, middle, ends].concat(),
        ..PLAIN
    }
    .holds();
    let b = -0.021157989;
    Published {
        name: "k2, two classes",
        classes: 5,
        logits: &B,
        label: &[2, 3],
        loss: 4.93884986702,
        grad: &[
            [b, p, -0.8810572356, r, v],
            [b, p, -0.189151788, -0.4577837903, v],
            [b, p, q, -0.7330641227, v],
        ]
        .concat(),
        ..PLAIN
    }
    .holds();
}

/// OpenVINO's `op_reference/ctc_loss.cpp`, where equal neighbours are merged.
#[test]
fn ctc_published_by_openvino() {
    Published {
        name: "OpenVINO, two classes",
        classes: 3,
        logits: &[0.0, 1.0, 8.0, 5.0, 5.0, 2.0, 0.0, 7.0, 7.0],
        label: &[0, 1],
        blank: 2,
        loss: 1.41156293702,
        grad: &[
            -0.0006869992,
            0.000910746,
            -0.0002237467,
            -0.5114575247,
            0.4871853116,
            0.024272213,
            0.0004557332,
            -0.4998927468,
            0.4994370136,
        ],
        ..PLAIN
    }
    .holds();
    Published {
        name: "OpenVINO, one class",
        classes: 3,
        logits: &[10.0, 4.0, 5.0, 9.0, 0.0, 0.0, 5.0, 7.0, 0.0],
        label: &[1],
        blank: 2,
        loss: 13.2744891154,
        ..PLAIN
    }
    .holds();
}

/// A row of burn's table, computed with PyTorch.
struct Burn {
    classes: usize,
    frames: usize,
    labels: &'static [&'static [usize]],
    lengths: &'static [usize],
    losses: &'static [f64],
}

const BURN: [Burn; 4] = [
    Burn {
        classes: 4,
        frames: 5,
        labels: &[&[1, 2], &[1], &[3, 2, 1]],
        lengths: &[5, 5, 5],
        losses: &[3.52365718907, 3.49531406295, 4.26267758600],
    },
    Burn {
        classes: 6,
        frames: 8,
        labels: &[&[1, 1, 2], &[2, 3, 2, 1], &[5], &[1, 2, 3, 4]],
        lengths: &[8, 8, 8, 8],
        losses: &[8.84203104376, 9.02302940977, 9.39802481465, 9.00806655253],
    },
    Burn {
        classes: 8,
        frames: 10,
        labels: &[&[1, 3, 5, 7, 2], &[2, 4, 6, 1, 3]],
        lengths: &[10, 10],
        losses: &[12.6293996386, 12.2985249863],
    },
    Burn {
        classes: 5,
        frames: 12,
        labels: &[&[1, 4, 2], &[3, 1], &[2, 4, 1, 3]],
        lengths: &[12, 7, 10],
        losses: &[10.5955062833, 6.80785081751, 7.70505678573],
    },
];

impl Burn {
    fn batch<T: Ctc>(&self) -> Batch<T> {
        let shape = (self.labels.len(), self.frames, self.classes);
        let pred = Array3::from_shape_fn(shape, |(n, t, c)| {
            T::of((0.1 * (7 * t + 13 * n + 3 * c) as f64).sin())
        });
        let labels = self.labels.iter().map(|label| label.to_vec()).collect();
        Batch::new(pred, labels)
            .blank(0)
            .lengths(self.lengths.to_vec())
    }
}

/// burn's `crates/burn-nn/src/loss/ctc.rs`.
#[test]
fn ctc_published_by_pytorch() {
    for case in &BURN {
        let (single, double) = (case.batch::<f32>(), case.batch::<f64>());
        single.check_at_every_level("PyTorch");
        double.check_at_every_level("PyTorch");
        for_each_level(|exec| {
            let (single, double) = (single.run(exec).loss, double.run(exec).loss);
            for (sample, &theirs) in case.losses.iter().enumerate() {
                assert!((f64::from(single[sample]) - theirs).abs() < 1e-6);
                assert!((double[sample] - theirs).abs() < 1e-10);
            }
        });
    }
}

#[test]
fn ctc_published_by_pytorch_gradient() {
    let grad = [
        [-0.1679009477, -0.4595539179, 0.2795598371, 0.3478950285],
        [-0.0544800793, -0.3144550464, 0.0847886398, 0.2841464859],
        [-0.0482986676, -0.0098768276, -0.1533525162, 0.2115280114],
        [-0.0895632351, 0.1996460144, -0.2741114368, 0.1640286574],
        [-0.2163616677, 0.2740726637, -0.2124866173, 0.1547756213],
    ];
    for_each_level(|exec| {
        let ours = BURN[0].batch::<f64>().run(exec).grad;
        for (ours, theirs) in ours.index_axis(Axis(0), 0).iter().zip(grad.concat()) {
            assert!((ours - theirs).abs() < 1e-10, "{ours}, published {theirs}");
        }
    });
}

/// PyTorch's mean divides each loss by the length of its label first.
#[test]
fn ctc_published_by_pytorch_reductions() {
    let batch = BURN[0].batch::<f64>();
    let labels = array![[1, 2, -1], [1, -1, -1], [3, 2, 1]];
    let ctc = CtcLoss::new().blank(0);
    let total = ctc
        .on(&batch.pred, &labels)
        .reduction(Reduction::Sum)
        .scalar();
    assert!((total.unwrap() - 11.281648838).abs() < 1e-9);
    let per_label = ctc.per_label(true).on(&batch.pred, &labels);
    let mean = per_label.reduction(Reduction::Mean).scalar();
    assert!((mean.unwrap() - 2.22601172872).abs() < 1e-11);
}

/// k2's mean divides by the length of the target too.
#[test]
fn ctc_published_by_k2_mean() {
    let pred = rows::<f64>(5, &B).insert_axis(Axis(0));
    let call = CtcLoss::new().blank(0).per_label(true);
    let mut mean = arr0(0.0);
    call.on(&pred, &array![[2, 3]])
        .reduction(Reduction::Mean)
        .loss_into(&mut mean)
        .unwrap();
    assert!((mean.into_scalar() - 4.93884986702 / 2.0).abs() < 1e-10);
}

/// optax: where every frame has to be one class of the label, CTC is the cross entropy of them.
#[test]
fn ctc_published_by_optax_one_path() {
    for (label, path) in [
        (vec![1, 2, 3, 1], vec![1, 2, 3, 1]),
        (vec![1, 2, 2, 3], vec![1, 2, 0, 2, 3]),
        (vec![1, 1, 1, 1], vec![1, 0, 1, 0, 1, 0, 1]),
    ] {
        let logits =
            Array2::from_shape_fn((path.len(), 4), |(t, c)| ((5 * t + 3 * c) as f32).sin());
        let wide = logits.mapv(f64::from);
        let entropy: f64 = (wide.rows().into_iter().zip(&path))
            .map(|(row, &class)| row.mapv(f64::exp).sum().ln() - row[class])
            .sum();
        let batch = Batch::single(logits, &label).blank(0);
        batch.check_at_every_level("one path");
        let outcome = batch.run(serial());
        assert!((f64::from(outcome.loss[0]) - entropy).abs() < 1e-6 * entropy);
        // The posterior is 1 on the path.
        for (t, (row, &class)) in wide.rows().into_iter().zip(&path).enumerate() {
            let p = row[class].exp() / row.mapv(f64::exp).sum();
            let grad = f64::from(outcome.grad[[0, t, class]]);
            assert!((grad - (p - 1.0)).abs() < 1e-6);
        }
    }
}

/// google-deepmind/optax #1771: a confident recogniser must not be paid.
#[test]
fn ctc_published_by_optax_never_negative() {
    for_each_level(|exec| {
        let pred = array![[0.0, 17.0], [0.0, 17.0]];
        let double = Batch::single(pred.clone(), &[1]).blank(0).run(exec).loss[0];
        assert!((0.0..1e-14).contains(&double), "{double:e}");
        let pred = pred.mapv(|x| x as f32);
        let single = Batch::single(pred, &[1]).blank(0).run(exec).loss[0];
        assert!((0.0..4e-8).contains(&single), "{single:e}");
    });
}

/// TensorFlow: a single class, which is the blank, reads as nothing and costs nothing.
#[test]
fn ctc_published_by_tensorflow_blank_alone() {
    let pred = Array2::from_shape_fn((4, 1), |(t, _)| t as f32);
    let batch = Batch::single(pred, &[]).blank(0);
    batch.check_at_every_level("the blank alone");
    assert_eq!(batch.run(serial()).loss[0], 0.0);
}

/// The paths of these were enumerated; the gradient of the first two frames.
#[test]
fn ctc_published_by_enumeration() {
    let logits = [
        0.1, 0.2, 0.3, 0.4, -0.5, 0.6, -0.7, 0.8, -0.9, 1.0, 0.0, -1.0,
    ];
    let (u, v, w) = (0.332224994, 0.367165401, 0.464770007);
    let cases: [(usize, &[usize], f64, [f64; 6]); 8] = [
        (
            0,
            &[1, 2],
            2.65532826393,
            [
                0.0795797487,
                -0.44674515,
                v,
                0.0740196893,
                -0.0911519366,
                0.0171322473,
            ],
        ),
        (
            0,
            &[1, 1],
            2.4019296516,
            [0.280658047, -0.647823448, v, -0.577477062, 0.112707056, w],
        ),
        (
            0,
            &[],
            4.41637768758,
            [-0.699390395, u, v, -0.619478502, 0.154708496, w],
        ),
        (
            0,
            &[1],
            1.79851706506,
            [-0.385005835, 0.0178404341, v, -0.174217737, -0.29055227, w],
        ),
        (
            0,
            &[1, 2, 1],
            2.1371629512,
            [
                0.288074407,
                -0.655239808,
                v,
                0.346447296,
                0.128319761,
                -0.474767057,
            ],
        ),
        (
            0,
            &[1, 1, 2],
            4.81637768758,
            [0.300609605, -0.667775006, v, -0.619478502, 0.154708496, w],
        ),
        (
            2,
            &[0, 1],
            2.00679344011,
            [
                -0.329144404,
                u,
                -0.00308058934,
                f64::NAN,
                f64::NAN,
                f64::NAN,
            ],
        ),
        (
            2,
            &[0, 0],
            2.98000056961,
            [-0.461602718, u, 0.129377724, f64::NAN, f64::NAN, f64::NAN],
        ),
    ];
    for (blank, label, loss, grad) in cases {
        let known = grad.iter().position(|g| g.is_nan()).unwrap_or(grad.len());
        Published {
            name: "enumerated",
            classes: 3,
            logits: &logits,
            label,
            blank,
            loss,
            digit: 1e-11,
            grad: &grad[..known],
            grad_digit: 1e-9,
        }
        .holds();
    }
    let infeasible = Batch::single(rows::<f32>(3, &logits), &[1, 1, 1]).blank(0);
    infeasible.check_at_every_level("enumerated, no path");
    assert_eq!(infeasible.run(serial()).loss[0], f32::INFINITY);
}
