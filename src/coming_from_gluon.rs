//! How each loss of `mxnet.gluon.loss` is called here, and every difference in what it computes.
//!
//! Gluon stands for Apache MXNet 1.9.1, whose code and documentation differ in places: what is
//! compared with here is what the code computes. Its values are recorded in the tests, 777 calls of
//! all fourteen losses. Where a value or a shape differs, the tables below say so, and why.
//!
//! # The call
//!
//! ```text
//! loss = gluon.loss.L2Loss(weight=0.5, batch_axis=0)
//! with autograd.record():
//!     l = loss(pred, label, sample_weight)
//! l.backward()    # pred.grad
//! ```
//!
//! is one call, which gives both:
//!
//! ```
//! use lossgrad::L2Loss;
//! use lossgrad::ndarray::{Array1, Array2, array};
//!
//! let (pred, label) = (array![[1.0f32, 2.0], [3.0, 4.0]], array![[0.0, 2.0], [3.0, 0.0]]);
//! let sample_weight = array![[1.0], [0.5]];
//! let (mut l, mut grad) = (Array1::zeros(2), Array2::zeros((2, 2)));
//! L2Loss::new()
//!     .weight(0.5)?
//!     .batch_axis(0)
//!     .on(&pred, &label)
//!     .sample_weight(&sample_weight)
//!     .loss_and_grad_into(&mut l, &mut grad)?;
//! assert_eq!(l, array![0.125, 1.0]);
//! assert_eq!(grad, array![[0.25, 0.0], [0.0, 0.5]]);
//! # Ok::<(), lossgrad::Error>(())
//! ```
//!
//! | Gluon | here |
//! |---|---|
//! | `weight`, `batch_axis` of the constructor | `.weight(w)?`, `.batch_axis(a)` of the loss; Gluon's `None` is 1 |
//! | `sample_weight` of the call | `.sample_weight(&s)` of the call |
//! | a loss of shape (N,) | the same: [`Reduction::SampleMean`] is the default |
//! | `l.backward()` | the gradient, which is that of the sum of the returned losses |
//! | `l.backward(head_grad)` | `.upstream(&head_grad)` |
//! | `l.mean()`, and `trainer.step(batch_size)`, which divides gradients by the batch's size | [`Reduction::Mean`], for loss and gradient |
//! | `grad_req='add'` | the gradient is always written: add it where you need a sum |
//! | float32, float64 | `f32`, `f64`; float16 is not taken |
//! | an exception | an [`Error`], before anything is written |
//!
//! # Loss by loss
//!
//! All take the methods of the table above (`CtcLoss` has no `batch_axis`: its layout says it); what is
//! left out has the same default as in Gluon. `on` is followed by any of the methods of a [`Call`].
//!
//! | Gluon | here |
//! |---|---|
//! | `L1Loss()(pred, label)` | `L1Loss::new().on(&pred, &label)` |
//! | `L2Loss()(pred, label)` | `L2Loss::new().on(&pred, &label)` |
//! | `HuberLoss(rho=r)(pred, label)` | `HuberLoss::new(r)?.on(&pred, &label)` |
//! | `HingeLoss(margin=m)(pred, label)` | `HingeLoss::new().margin(m)?.on(&pred, &label)` |
//! | `SquaredHingeLoss(margin=m)(pred, label)` | `SquaredHingeLoss::new().margin(m)?.on(&pred, &label)` |
//! | `LogisticLoss(label_format='signed')(pred, label)` | `LogisticLoss::new().on(&pred, &label)` |
//! | `LogisticLoss(label_format='binary')(pred, label)` | `LogisticLoss::new().label_format(LabelFormat::Binary).on(&pred, &label)` |
//! | `SigmoidBCELoss(from_sigmoid=f)(pred, label, sample_weight, pos_weight)` | `SigmoidBceLoss::new().from_sigmoid(f).on(&pred, &label).pos_weight(&p)` |
//! | `SoftmaxCELoss(axis=a, from_logits=f)(pred, label)` | `SoftmaxCeLoss::new().axis(a).from_logits(f).on(&pred, &label)` with labels of any integer type |
//! | `SoftmaxCELoss(sparse_label=False)(pred, label)` | the same with labels of pred's type |
//! | `KLDivLoss(from_logits=f, axis=a)(pred, label)` | `KlDivLoss::new().from_logits(f).axis(a).on(&pred, &label).reduction(Reduction::SampleSum)` |
//! | `PoissonNLLLoss(from_logits=f)(pred, target, sample_weight, epsilon)` | `PoissonNllLoss::new().from_logits(f).epsilon(e)?.on(&pred, &target).reduction(Reduction::Mean)` |
//! | `PoissonNLLLoss(compute_full=True)(pred, target)` | the same with `.compute_full(LogFactorial::Stirling)` |
//! | `CosineEmbeddingLoss(margin=m)(input1, input2, label)` | `CosineEmbeddingLoss::new().margin(m)?.on(&input1, &input2, &label)` |
//! | `TripletLoss(margin=m)(pred, positive, negative)` | `TripletLoss::new().margin(m)?.on(&pred, &positive, &negative)` |
//! | `SDMLLoss(smoothing_parameter=s)(x1, x2)` | `SdmlLoss::new().smoothing_parameter(s)?.on(&x1, &x2)` |
//! | `CTCLoss(layout='NTC', label_layout='NT')(pred, label)` | `CtcLoss::new().on(&pred, &label)` |
//! | `CTCLoss(layout='TNC', label_layout='TN')(pred, label, pred_lengths, label_lengths)` | `CtcLoss::new().layout(CtcLayout::Tnc).label_layout(CtcLabelLayout::Tn).on(&pred, &label).pred_lengths(&t).label_lengths(&l)` |
//!
//! Losses that compare several inputs have a gradient for each: `loss_and_grads` and its kin instead
//! of `loss_and_grad`.
//!
//! `from_logits` keeps Gluon's name, though what it announces are log-probabilities (and for counts
//! log-rates), the output of a log-softmax. `CtcLoss` takes them with `.log_probs(true)`, which
//! Gluon does not have.
//!
//! Three of MXNet's own values, as recorded:
//!
//! ```
//! use lossgrad::ndarray::array;
//! use lossgrad::{L2Loss, SdmlLoss, SigmoidBceLoss};
//!
//! # fn assert_near(a: f32, b: f32) { assert!((a - b).abs() <= 1e-6 * b.abs(), "{a}, not {b}") }
//! let l2 = L2Loss::new().weight(0.5)?;
//! let (loss, grad) = l2.loss_and_grad(&array![-1.0563436f32], &array![-2.1459372])?;
//! assert_near(loss[0], 0.2968035799);
//! assert_near(grad[0], 0.5447968245);
//!
//! let bce = SigmoidBceLoss::new().from_sigmoid(true);
//! let (loss, grad) = bce.loss_and_grad(&array![0.26415667f32], &array![0.7437472])?;
//! assert_near(loss[0], 1.06868833);
//! assert_near(grad[0], -2.467309543);
//!
//! let x1 = array![[-0.033634525f32, -0.6128795, -0.039822128], [0.36091557, -0.11184083, 0.42186016]];
//! let x2 = array![[0.31779265f32, 0.006379859, 0.19585204], [0.90365803, 0.26960024, -0.113779545]];
//! let loss = SdmlLoss::new().loss(&x1, &x2)?;
//! # fn assert_near_f32(a: f32, b: f32) { assert!((a - b).abs() <= 2e-5, "{a}, not {b}") }
//! assert_near_f32(loss[0], 0.006480749696); // computed in f32, unlike the others
//! assert_near_f32(loss[1], 0.2677921057);
//! # Ok::<(), lossgrad::Error>(())
//! ```
//!
//! # What differs everywhere
//!
//! | Gluon | here | why |
//! |---|---|---|
//! | labels are reshaped to pred's shape: (N, 1) for (N,) | an error | the same mistake elsewhere pairs every prediction with every label |
//! | a `sample_weight` of shape (N,) makes N × N losses of the (N, 1) that `SoftmaxCELoss` and `CosineEmbeddingLoss` have; the former then returns `loss_i · mean(weights)` | one weight per sample, whatever the batch axis | nobody means the other |
//! | `weight` is ignored by `SDMLLoss` | it works | as for the others |
//! | `sample_weight` is not taken by `TripletLoss` and `SDMLLoss` | it is | as for the others |
//! | `batch_axis` is ignored by `PoissonNLLLoss`, `CosineEmbeddingLoss` and `SDMLLoss`, and by all in NumPy mode | it works, but for `CtcLoss`, whose layout says it | as for the others |
//! | a weight of 0 leaves a NaN or infinite loss NaN | it masks: loss and gradient are 0 | padding may hold anything |
//! | labels can have a gradient too | predictions and embeddings have one, labels never | labels are given |
//! | options are not checked: `HuberLoss(rho=0)` divides by 0 when called | an error where the option is set | it is found where it is made |
//!
//! ```
//! use lossgrad::ndarray::array;
//! use lossgrad::{L2Loss, SoftmaxCeLoss};
//!
//! let error = L2Loss::new().loss(&array![1.0f32, 2.0], &array![[1.0], [2.0]]).unwrap_err();
//! assert_eq!(error.to_string(), "label has shape [2, 1], expected [2]");
//!
//! // Both samples cost ln 2, whose weights are 3 and 0: Gluon gives 1.5 ln 2 for both.
//! let logits = array![[0.0f32, 0.0], [0.0, 0.0]];
//! let (labels, weights) = (array![0, 1], array![3.0, 0.0]);
//! let loss = SoftmaxCeLoss::new().on(&logits, &labels).sample_weight(&weights).loss()?;
//! assert_eq!(loss, array![3.0 * std::f32::consts::LN_2, 0.0].into_dyn());
//! # Ok::<(), lossgrad::Error>(())
//! ```
//!
//! # What differs in single losses
//!
//! `L1Loss`, `L2Loss`, `HingeLoss` and `SquaredHingeLoss` compute the same. `L2Loss` has the factor ½
//! of Gluon, where it comes from half the weight.
//!
//! | loss | Gluon | here | why |
//! |---|---|---|---|
//! | `SigmoidBceLoss`, `LogisticLoss` | at a pred of exactly 0 the gradient is `−y`, or `1 − y` with a `pos_weight` | `½ − y`, or with a `pos_weight` p `½ (1 − y) − ½ p y` | it is the derivative; Gluon's comes from that of an absolute value. Output layers that start at 0 stand exactly there |
//! | | a confident prediction can cost 0: the logit −20 with the label 0 in `f32`, with `pos_weight` | it costs 2.06·10⁻⁹ | relative accuracy |
//! | `SigmoidBceLoss` | `pos_weight` spreads like any array | it has pred's rank: (1, C) for (C,) | see `sample_weight` |
//! | `LogisticLoss` | another `label_format` raises `ValueError` | there is no other | |
//! | `SoftmaxCeLoss` | a class outside the range is clipped: −1 is class 0, C and above are C − 1 | an error that names its position | a wrong label trains towards a wrong class |
//! | | `sparse_label` says what labels are; fractions of classes are cut off | the labels' type says it: classes are integers | `labels.mapv(\|class\| class as usize)` converts |
//! | | a share of 0 of a class with the logit −∞ is NaN | it costs 0 | masked classes have probability 0 |
//! | `KlDivLoss` | a sum over the sample; versions up to 1.8 and 2.0, and 1.9's own documentation, average | the average over everything but the batch axis; `Reduction::SampleSum` is the 1.9 value | Gluon's other losses average, and so did Gluon before and after |
//! | | `ln(y + 10⁻¹²)` | `ln y`, with 0 ln 0 = 0, also where the log-probability is −∞ | no epsilon is needed |
//! | `PoissonNllLoss` | one mean over everything, of shape (1,) | one mean per sample; `Reduction::Mean` is Gluon's | all losses reduce alike |
//! | | `epsilon` is an argument of the call | an option of the loss | as the other options |
//! | | with `compute_full` a target of 0 makes the whole mean NaN | its term is 0 | 0! = 1 |
//! | | `compute_full` is Stirling's approximation, and 0 for targets up to 1 | the same with `LogFactorial::Stirling`; `LogFactorial::Exact` is ln y! | 2! costs 0.6518 with the one and 0.6931 with the other |
//! | `HuberLoss` | an infinite difference has a NaN gradient | the loss is +∞, the gradient ±1 | the other branch is not taken |
//! | `CosineEmbeddingLoss` | a loss of shape (N, 1) | of shape (N,); longer inputs (N, …, D) have one for each pair of vectors, averaged by the default reduction | as for the others |
//! | | the product of lengths is at least 10⁻¹²; the gradient of a vector of zeros is NaN | no epsilon; the cosine with a vector of zeros is 0, and so is the gradient | short vectors have angles too |
//! | | labels other than 1 and −1 cost 0 | an error | a label 0 for "different" would train nothing |
//! | | the documentation leaves out `max(0, …)` and `margin` | they are there, as in Gluon's code | |
//! | `TripletLoss` | `weight` only | `weight`, `sample_weight`, any `batch_axis` | |
//! | `SdmlLoss` | `weight` and `batch_axis` are ignored, `sample_weight` is not taken | they work | |
//! | | a batch of one pair is NaN | it costs 0 | there is no other vector to give a share to |
//! | | `ln(share + 10⁻¹²)` | `ln share`, with 0 ln 0 = 0 | no epsilon is needed |
//! | | a `smoothing_parameter` of 1 or above, or below 0, is not checked | an error | some share would be 0 or below |
//! | | the documentation speaks of distances | both take squared ones | |
//! | `CtcLoss` | labels that do not fit into the frames cost 0, their gradient is whatever the memory held | they cost +∞, with gradient 0; `.zero_infinity(true)` makes the cost 0; `.status(&mut s)` tells | a sample that cannot be learnt is not a perfect one |
//! | | at least as many frames as the padded labels are wide | as many as a sample's own labels need: their number and a blank between equal neighbours | padding has no meaning |
//! | | the gradient of a perfect prediction is wrong: logits (1000, 0, 0) for the label 0 give (1, 0, 0) | it is 0 | a probability of 1 is taken for none |
//! | | a class with the logit −∞ that is needed costs ∞, with the softmax as gradient | it costs +∞, with gradient 0 | as above |
//! | | labels and lengths are not checked | an error that names the position: a class out of range, a blank as label, a length beyond its axis | reading out of bounds |
//! | | labels and lengths are floats | integers of any type, a signed one for the padding −1 | as for `SoftmaxCeLoss` |
//! | | the blank is the last class | any, `.blank(b)`; the last by default | |
//! | | `f32` inside, whatever the input | `f32` or `f64`, without loss of the gradient in long sequences | |
//! | | −1 or the length ends labels | the same; entries past a given length are not read. Labels joined end to end are taken too, as an array of rank 1 with lengths | |
//!
//! ```
//! use lossgrad::ndarray::array;
//! use lossgrad::{CosineEmbeddingLoss, SdmlLoss, SigmoidBceLoss, SoftmaxCeLoss, TripletLoss};
//!
//! // A logit of exactly 0.
//! let grad = SigmoidBceLoss::new().grad(&array![0.0f32, 0.0], &array![0.0, 1.0])?;
//! assert_eq!(grad, array![0.5, -0.5]);
//! let (pred, label) = (array![0.0f32, -20.0], array![1.0, 0.0]);
//! let bce = SigmoidBceLoss::new().on(&pred, &label);
//! let (loss, grad) = bce.pos_weight(&array![3.0]).loss_and_grad()?;
//! assert_eq!(grad[0], -1.5);
//! assert!((loss[1] - 2.0611536e-9).abs() < 1e-15);
//!
//! // Labels that are no class, and classes that are no integers.
//! let logits = array![[1.0f32, 2.0, 3.0], [0.0, 0.0, 0.0]];
//! let error = SoftmaxCeLoss::new().loss(&logits, &array![2, -1]).unwrap_err();
//! assert_eq!(error.to_string(), "label at [1] is -1, expected a class below 3");
//! let floats = array![2.0f32, 0.0];
//! let error = SoftmaxCeLoss::new().loss(&logits, &floats).unwrap_err();
//! assert_eq!(error.to_string(), "label has shape [2], expected [2, 3]");
//! let loss = SoftmaxCeLoss::new().loss(&logits, &floats.mapv(|class| class as usize))?;
//! assert!((loss[1] - 3f32.ln()).abs() < 1e-6);
//!
//! // Pairs of vectors: one loss a pair, and labels that are 1 or −1.
//! let (input1, input2) = (array![[1.0f32, 2.0], [0.0, 0.0]], array![[2.0, 1.0], [1.0, 0.0]]);
//! let cosine = CosineEmbeddingLoss::new().margin(0.2)?;
//! let (loss, [grad, _]) = cosine.loss_and_grads(&input1, &input2, &array![-1, 1])?;
//! assert!((loss[0] - 0.6).abs() < 1e-6); // 4/5 − 0.2
//! assert_eq!((loss[1], grad[[1, 0]]), (1.0, 0.0)); // a vector of zeros
//! let error = cosine.loss(&input1, &input2, &array![0, 1]).unwrap_err();
//! assert_eq!(error.to_string(), "label at [0] is 0, expected 1 or -1");
//!
//! // Weights of triplets: each costs 1 unweighted.
//! let pred = array![[1.0f32, 2.0], [1.0, 2.0]];
//! let (positive, negative) = (array![[1.5, 2.0], [1.5, 2.0]], array![[0.0, 1.5], [0.0, 1.5]]);
//! let triplet = TripletLoss::new().margin(2.0)?.weight(2.0)?;
//! let weights = array![0.5, 0.0];
//! let call = triplet.on(&pred, &positive, &negative).sample_weight(&weights);
//! assert_eq!(call.loss()?, array![1.0, 0.0].into_dyn());
//!
//! // One pair alone; and the weight of a batch of three.
//! let alone = SdmlLoss::new().loss(&array![[1.0f32, 2.0]], &array![[3.0, 4.0]])?;
//! assert_eq!(alone, array![0.0]);
//! let x1 = array![[0.0f32, 0.0], [1.0, 1.0], [2.0, 0.0]];
//! let x2 = array![[0.0f32, 0.1], [1.0, 0.9], [1.5, 0.5]];
//! let loss = SdmlLoss::new().weight(10.0)?.loss(&x1, &x2)?;
//! for (loss, expected) in loss.iter().zip([0.464011513, 1.00138657, 1.66338070]) {
//!     assert!((loss - expected).abs() < 1e-6);
//! }
//! # Ok::<(), lossgrad::Error>(())
//! ```
//!
//! [`Call`]: crate::Call
//! [`Error`]: crate::Error
//! [`Reduction::SampleMean`]: crate::Reduction::SampleMean
//! [`Reduction::Mean`]: crate::Reduction::Mean
