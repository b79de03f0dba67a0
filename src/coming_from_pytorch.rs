//! Which loss and options here equal which of `torch.nn`'s.
//!
//! Values are those of PyTorch's documentation. A criterion of PyTorch is called here as in
//!
//! ```
//! use lossgrad::ndarray::{Array2, array};
//! use lossgrad::{L2Loss, Reduction};
//!
//! let (input, target) = (array![[1.0f32, 2.0]], array![[0.0, 4.0]]);
//! let mut grad = Array2::zeros((1, 2));
//! // nn.MSELoss()(input, target), and input.grad after backward()
//! let mse = L2Loss::new().weight(2.0)?;
//! let loss = mse.on(&input, &target).reduction(Reduction::Mean).scalar_and_grad_into(&mut grad)?;
//! assert_eq!(loss, 2.5);
//! assert_eq!(grad, array![[1.0, -2.0]]);
//! # Ok::<(), lossgrad::Error>(())
//! ```
//!
//! # Reductions
//!
//! | PyTorch | here |
//! |---|---|
//! | `'mean'`, the default | [`Reduction::Mean`] |
//! | `'sum'` | [`Reduction::Sum`] |
//! | `'none'` | [`Reduction::None`] |
//! | `'batchmean'` of `KLDivLoss` | [`Reduction::SampleSum`], and the mean of that; or `Reduction::Sum` with `.weight(1.0 / n)?` for n samples, where loss and gradient are to be scaled |
//! | `loss.backward(gradient)` | `.upstream(&gradient)` |
//!
//! The default here is [`Reduction::SampleMean`], one mean per sample.
//!
//! # Criteria
//!
//! | PyTorch | here |
//! |---|---|
//! | `L1Loss()` | `L1Loss::new()` |
//! | `MSELoss()` | `L2Loss::new().weight(2.0)?`: `L2Loss` has a factor ½ |
//! | `SmoothL1Loss(beta=b)` | `HuberLoss::new(b)?`; for b = 0 `L1Loss::new()` |
//! | `HuberLoss(delta=d)` | `HuberLoss::new(d)?.weight(d)?`: `HuberLoss` is divided by its threshold |
//! | `BCEWithLogitsLoss(weight=w, pos_weight=p)` | `SigmoidBceLoss::new()` with `.sample_weight(&w)` and `.pos_weight(&p)` of pred's rank: (1, C) for (C,) |
//! | `BCELoss(weight=w)` | `SigmoidBceLoss::new().from_sigmoid(true)` with `.sample_weight(&w)`. Next to 0 and 1 the values differ: logarithms are of `p + 10⁻¹²`, where PyTorch's are at least −100 |
//! | `CrossEntropyLoss()` of class indices | `SoftmaxCeLoss::new().axis(1)` with integer labels. PyTorch's class axis is 1; the default here is the last, the same for (N, C) |
//! | `CrossEntropyLoss()` of probabilities | the same with labels of pred's type |
//! | `CrossEntropyLoss(weight=w)` | `.sample_weight` of each label's weight. PyTorch's mean of class indices divides by the sum s of these weights: `Reduction::Sum` with `.weight(1.0 / s)?` |
//! | `CrossEntropyLoss(ignore_index=i)` | a sample weight of 0 and any class for a label; PyTorch's mean divides by the number of the others, as with weights |
//! | `CrossEntropyLoss(label_smoothing=a)` | labels of pred's type: `(1 − a)` for the class, and `a / C` for each |
//! | `NLLLoss()` | `SoftmaxCeLoss::new().axis(1).from_logits(true)`; weights and `ignore_index` as for `CrossEntropyLoss` |
//! | `KLDivLoss()` | `KlDivLoss::new()`, of log-probabilities; a target of 0 costs 0 even at −∞, where PyTorch has NaN |
//! | `KLDivLoss(log_target=True)` | the exponentials of the targets as labels |
//! | `SoftMarginLoss()` | `LogisticLoss::new()`; it does not overflow |
//! | `MultiLabelSoftMarginLoss()` | `SigmoidBceLoss::new()`; its `'none'` is `Reduction::SampleMean` |
//! | `MarginRankingLoss(margin=m)(x1, x2, y)` | `HingeLoss::new().margin(m)?.on(&(&x1 - &x2), &y)` |
//! | `PoissonNLLLoss(log_input=l, eps=e)` | `PoissonNllLoss::new().from_logits(l).epsilon(e)?` |
//! | `PoissonNLLLoss(full=True)` | with `.compute_full(LogFactorial::Stirling)`; `LogFactorial::Exact` is ln y! |
//! | `CosineEmbeddingLoss(margin=m)` | `CosineEmbeddingLoss::new().margin(m)?`; labels other than 1 and −1 are an error, and the cosine with a vector of zeros is exactly 0 |
//! | `CTCLoss(blank=b, zero_infinity=z)(log_probs, targets, input_lengths, target_lengths)` | `CtcLoss::new().layout(CtcLayout::Tnc).blank(b).log_probs(true).zero_infinity(z).on(&log_probs, &targets).pred_lengths(&t).label_lengths(&l)`. The blank is 0 in PyTorch, here the last class. `'mean'` is `.per_label(true)` with `Reduction::Mean` |
//! | `TripletMarginLoss` | another loss: `TripletLoss` takes squared distances, without root, `p`, `eps` and `swap` |
//! | `HingeEmbeddingLoss`, `MultiMarginLoss`, `MultiLabelMarginLoss`, `GaussianNLLLoss`, `TripletMarginWithDistanceLoss` | not here |
//!
//! `CTCLoss` gives its gradient as if a log-softmax came before it: `p − posterior`, which is not that
//! with respect to `log_probs`. Here `.log_probs(true)` gives the gradient with respect to
//! log-probabilities, `−posterior`, and without it pred holds logits and the gradient is theirs,
//! `p − posterior`: the log-softmax and its backward pass can be left out.
//!
//! PyTorch broadcasts targets and warns; here labels have pred's shape or are refused. Integer labels
//! may be of any integer type, and are checked.
//!
//! ```
//! use lossgrad::ndarray::{Array2, array};
//! use lossgrad::{CosineEmbeddingLoss, Reduction, SigmoidBceLoss, SoftmaxCeLoss};
//!
//! # fn assert_near(a: f64, b: f64) { assert!((a - b).abs() < 1e-9, "{a}, not {b}") }
//! // nn.CrossEntropyLoss(weight=[2, 4, 6])
//! let logits = array![[0.2, 0.3, 0.5], [0.5, 0.2, 0.3]];
//! let labels = array![2, 1];
//! let weights = labels.mapv(|class| [2.0, 4.0, 6.0][class]);
//! let loss = SoftmaxCeLoss::new()
//!     .weight(1.0 / weights.sum())?
//!     .on(&logits, &labels)
//!     .sample_weight(&weights)
//!     .reduction(Reduction::Sum)
//!     .scalar()?;
//! assert_near(loss, 1.0598310608);
//!
//! // nn.CrossEntropyLoss(), where the third label is ignore_index
//! let logits = array![[1.0, 2.0, 3.0], [0.5, -0.5, 0.0], [2.0, 2.0, 2.0], [-1.0, 0.0, 4.0]];
//! let (labels, kept) = (array![2, 0, 0, 1], array![1.0, 1.0, 0.0, 1.0]);
//! let loss = SoftmaxCeLoss::new()
//!     .weight(1.0 / kept.sum())?
//!     .on(&logits, &labels)
//!     .sample_weight(&kept)
//!     .reduction(Reduction::Sum)
//!     .scalar()?;
//! assert_near(loss, 1.70420684174);
//!
//! // … and label_smoothing=0.1
//! let smoothed = Array2::from_shape_fn((4, 3), |(row, class)| {
//!     0.1 / 3.0 + if class == labels[row] { 0.9 } else { 0.0 }
//! });
//! let loss = SoftmaxCeLoss::new()
//!     .weight(1.0 / kept.sum())?
//!     .on(&logits, &smoothed)
//!     .sample_weight(&kept)
//!     .reduction(Reduction::Sum)
//!     .scalar()?;
//! assert_near(loss, 1.72087350841);
//!
//! // nn.NLLLoss(reduction='none')
//! let log_probs = array![[0.25f64.ln(), 0.75f64.ln()]];
//! let nll = SoftmaxCeLoss::new().axis(1).from_logits(true);
//! assert_near(nll.on(&log_probs, &array![0]).reduction(Reduction::None).loss()?[0], 4f64.ln());
//!
//! // nn.BCEWithLogitsLoss(pos_weight=3, reduction='none')
//! let (input, target) = (array![[0.5], [-2.0]], array![[1.0], [0.0]]);
//! let loss = SigmoidBceLoss::new()
//!     .on(&input, &target)
//!     .pos_weight(&array![[3.0]])
//!     .reduction(Reduction::None)
//!     .loss()?;
//! assert_near(loss[[0, 0]], 1.42223095254);
//! assert_near(loss[[1, 0]], 0.126928011043);
//!
//! // nn.CosineEmbeddingLoss(margin=0.2)
//! let (input1, input2) = (array![[1.0, 2.0], [1.0, 2.0]], array![[2.0, 1.0], [2.0, 1.0]]);
//! let loss = CosineEmbeddingLoss::new()
//!     .margin(0.2)?
//!     .on(&input1, &input2, &array![1, -1])
//!     .reduction(Reduction::Mean)
//!     .scalar()?;
//! assert_near(loss, (0.2 + 0.6) / 2.0);
//! # Ok::<(), lossgrad::Error>(())
//! ```
//!
//! [`Reduction::None`]: crate::Reduction::None
//! [`Reduction::SampleMean`]: crate::Reduction::SampleMean
//! [`Reduction::SampleSum`]: crate::Reduction::SampleSum
//! [`Reduction::Mean`]: crate::Reduction::Mean
//! [`Reduction::Sum`]: crate::Reduction::Sum
