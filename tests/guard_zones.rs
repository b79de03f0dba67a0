//! Nothing is read or written outside of what a call was given, not even a vector's width: inputs and
//! outputs of every short length lie at the edge of memory that nobody may touch, and at every small
//! distance from it.
//!
//! Whoever touches a guarded page is killed; `cargo test --test guard_zones -- --nocapture` then says
//! what was being called.

mod common;

use bytemuck::Pod;
use common::call::{Form, Grads, InPlace, Inputs, LabelView, Outcome, Request, Setters, fused};
use common::cases::{Case, Label, Problem, Unit, table_and_variants};
use common::ctc::{self, Batch, Ctc, Data};
use common::levels::levels;
use common::random::Random;
use common::real::{Real, assert_same_bits};
use lossgrad::{Exec, Reduction, Threading, Workspace};
use mmap_rs::{MmapMut, MmapNone, MmapOptions};
use ndarray::{ArrayD, ArrayRefD, ArrayViewD, ArrayViewMutD, Ix1, Ix2, Ix3};
use rayon::prelude::*;

/// The longest arrays, in elements.
const LONGEST: usize = 200;

/// The largest distance from a guarded page, in elements: a vector of the widest registers.
const FARTHEST: usize = 16;

/// Elements that are looked after on either side of an array.
const MARGIN: usize = 64;

/// Where an array lies: some elements after the page before it, or before the page after it.
#[derive(Clone, Copy, Debug)]
enum Place {
    AfterStart(usize),
    BeforeEnd(usize),
}

/// Both ends, at distances up to a vector's.
fn places() -> impl Iterator<Item = Place> {
    (0..=FARTHEST).flat_map(|gap| [Place::AfterStart(gap), Place::BeforeEnd(gap)])
}

/// Memory between two pages that nobody may touch.
struct Guarded {
    _before: MmapNone,
    memory: MmapMut,
    _after: MmapNone,
}

impl Guarded {
    fn new() -> Self {
        let page = MmapOptions::page_size();
        let room = ((3 * LONGEST + 2 * MARGIN) * size_of::<f64>()).next_multiple_of(page);
        let options = MmapOptions::new(room + 2 * page).expect("a size");
        let mut before = options.map_mut().expect("memory");
        let mut memory = before.split_off(page).expect("a page");
        let after = memory.split_off(room).expect("a page");
        let closed = |page: MmapMut| page.make_none().map_err(|(_, error)| error);
        Self {
            _before: closed(before).expect("a guarded page"),
            memory,
            _after: closed(after).expect("a guarded page"),
        }
    }

    /// Where `len` elements begin.
    fn start<E: Pod>(&self, len: usize, place: Place) -> usize {
        match place {
            Place::AfterStart(gap) => gap,
            Place::BeforeEnd(gap) => self.memory.len() / size_of::<E>() - len - gap,
        }
    }

    /// Fills the place of an array, and its surroundings.
    fn fill<E: Pod>(&mut self, len: usize, place: Place, filler: E) {
        let start = self.start::<E>(len, place);
        let elements: &mut [E] = bytemuck::cast_slice_mut(&mut self.memory);
        let end = (start + len + MARGIN).min(elements.len());
        elements[start.saturating_sub(MARGIN)..end].fill(filler);
    }

    fn put<E: Pod>(&mut self, values: &ArrayRefD<E>, place: Place, filler: E) {
        self.fill(values.len(), place, filler);
        self.view_mut(values.shape(), place).assign(values);
    }

    fn view<E: Pod>(&self, shape: &[usize], place: Place) -> ArrayViewD<'_, E> {
        let len = shape.iter().product();
        let start = self.start::<E>(len, place);
        let elements: &[E] = bytemuck::cast_slice(&self.memory);
        ArrayViewD::from_shape(shape, &elements[start..start + len]).expect("as many elements")
    }

    fn view_mut<E: Pod>(&mut self, shape: &[usize], place: Place) -> ArrayViewMutD<'_, E> {
        let len = shape.iter().product();
        let start = self.start::<E>(len, place);
        let elements: &mut [E] = bytemuck::cast_slice_mut(&mut self.memory);
        ArrayViewMutD::from_shape(shape, &mut elements[start..start + len])
            .expect("as many elements")
    }

    /// Fails unless the array holds these values and what lies around it is still the filler.
    fn assert_holds<T: Real + Pod>(
        &self,
        values: &ArrayRefD<T>,
        place: Place,
        filler: T,
        what: &str,
    ) {
        assert_same_bits(&self.view::<T>(values.shape(), place), values, what);
        let start = self.start::<T>(values.len(), place);
        let elements: &[T] = bytemuck::cast_slice(&self.memory);
        let end = start + values.len();
        let around = [
            &elements[start.saturating_sub(MARGIN)..start],
            &elements[end..(end + MARGIN).min(elements.len())],
        ];
        let kept = |value: &T| value.bits() == filler.bits();
        assert!(
            around.into_iter().flatten().all(kept),
            "{what}: wrote around an output"
        );
    }
}

/// Guarded memory for everything that a call is given.
struct Room {
    operands: [Guarded; 3],
    label: Guarded,
    pos_weight: Guarded,
    sample_weight: Guarded,
    upstream: Guarded,
    loss: Guarded,
    grads: [Guarded; 3],
}

impl Room {
    fn new() -> Self {
        Self {
            operands: std::array::from_fn(|_| Guarded::new()),
            label: Guarded::new(),
            pos_weight: Guarded::new(),
            sample_weight: Guarded::new(),
            upstream: Guarded::new(),
            loss: Guarded::new(),
            grads: std::array::from_fn(|_| Guarded::new()),
        }
    }
}

/// What lies around an output and in it.
fn untouched<T: Real>() -> T {
    T::of(-7.25)
}

/// A call on plain memory and what it gives.
struct Call<'c, T> {
    case: &'c Case<T>,
    problem: &'c Problem<T>,
    request: &'c Request<T>,
    expected: Outcome<T>,
}

impl<T: Real + Pod> Call<'_, T> {
    /// Makes the call with everything at the edge of memory, with outputs of its own and in place.
    fn check(&self, room: &mut Room, place: Place) {
        let (problem, request) = (self.problem, self.request);
        let Room {
            operands,
            label,
            pos_weight,
            sample_weight,
            upstream,
            loss,
            grads,
        } = room;
        match &problem.label {
            Label::Dense(values) => label.put(values, place, T::NAN),
            Label::Sparse(values) => label.put(values, place, i32::MIN),
            Label::None => {}
        }
        let factors = [
            (&problem.pos_weight, &mut *pos_weight),
            (&request.sample_weight, sample_weight),
            (&request.upstream, upstream),
        ];
        for (values, memory) in factors {
            if let Some(values) = values {
                memory.put(values, place, T::NAN);
            }
        }
        for (values, memory) in problem.operands().zip(&mut *operands) {
            memory.put(values, place, T::NAN);
        }
        let inputs = Inputs {
            pred: operands[0].view(problem.pred.shape(), place),
            others: problem
                .others
                .iter()
                .zip(&operands[1..])
                .map(|(other, memory)| memory.view(other.shape(), place))
                .collect(),
            label: match &problem.label {
                Label::Dense(values) => LabelView::Dense(label.view(values.shape(), place)),
                Label::Sparse(values) => LabelView::Sparse(label.view(values.shape(), place)),
                Label::None => LabelView::None,
            },
            pos_weight: view_of(&problem.pos_weight, pos_weight, place),
        };
        let setters = Setters {
            request,
            sample_weight: view_of(&request.sample_weight, sample_weight, place),
            upstream: view_of(&request.upstream, upstream, place),
        };
        let expected = &self.expected;
        let what = format!(
            "{} of {:?} at {place:?}",
            self.case.name,
            problem.pred.shape()
        );

        loss.fill(expected.loss.len(), place, untouched::<T>());
        for (memory, grad) in grads.iter_mut().zip(&expected.grads) {
            memory.fill(grad.len(), place, untouched::<T>());
        }
        let shape = problem.pred.shape();
        let all: Grads<'_, T> = grads
            .iter_mut()
            .take(expected.grads.len())
            .map(|memory| Some(memory.view_mut(shape, place)))
            .collect();
        let form = Form::BothInto(loss.view_mut(expected.loss.shape(), place), all);
        (self.case.call)(&inputs, &setters, form).expect("a valid call");
        loss.assert_holds(&expected.loss, place, untouched(), &what);
        for (memory, grad) in grads.iter().zip(&expected.grads) {
            memory.assert_holds(grad, place, untouched(), &what);
        }

        let what = format!("{what}, in place");
        loss.fill(expected.loss.len(), place, untouched::<T>());
        for (memory, values) in grads.iter_mut().zip(problem.operands()) {
            memory.put(values, place, untouched());
        }
        let all = grads
            .iter_mut()
            .take(expected.grads.len())
            .map(|memory| memory.view_mut(shape, place))
            .collect();
        let form = InPlace::LossInto(loss.view_mut(expected.loss.shape(), place));
        (self.case.in_place)(all, &inputs, &setters, form).expect("a valid call");
        loss.assert_holds(&expected.loss, place, untouched(), &what);
        for (memory, grad) in grads.iter().zip(&expected.grads) {
            memory.assert_holds(grad, place, untouched(), &what);
        }
    }
}

fn view_of<'m, T: Real + Pod>(
    values: &Option<ArrayD<T>>,
    memory: &'m Guarded,
    place: Place,
) -> Option<ArrayViewD<'m, T>> {
    let values = values.as_ref()?;
    Some(memory.view(values.shape(), place))
}

fn factor<T: Real>(shape: &[usize], random: &mut Random) -> ArrayD<T> {
    ArrayD::from_shape_simple_fn(shape, || T::of(random.within(-0.5, 2.0)))
}

/// One row; three of them side by side, their classes apart; with and without factors. Every place is
/// tried for the plain call, two for each of the others.
fn check_case<T: Real + Pod>(case: &Case<T>) {
    let room = &mut Room::new();
    for len in 0..=LONGEST {
        let arrangements = [(vec![1, len], 0, 1), (vec![3, len], 1, 0)];
        for (number, (shape, batch_axis, class_axis)) in arrangements.into_iter().enumerate() {
            if case.unit == Unit::LastRow && class_axis == 0 {
                continue;
            }
            // No classes, which is an error.
            if case.classes() && shape[class_axis as usize] == 0 {
                continue;
            }
            let random = &mut Random::new(len as u64);
            let problem = (case.draw)(&shape, class_axis as usize, random);
            let plain = Request {
                batch_axis,
                class_axis,
                reduction: [Reduction::SampleSum, Reduction::None][number],
                ..Request::default()
            };
            let mut weighted = plain.clone();
            weighted.sample_weight = Some(factor(&plain.units(&shape, case), random));
            weighted.upstream = Some(factor(&plain.loss_shape(&shape, case), random));
            for request in [plain, weighted] {
                println!("{} in {} of {shape:?}", case.name, T::NAME);
                let expected = fused(case, &problem, &request);
                let every_place = number == 0 && request.upstream.is_none();
                for level in levels() {
                    let call = Call {
                        case,
                        problem: &problem,
                        request: &request.exec(Exec::new(level, Threading::Serial)),
                        expected: expected.clone(),
                    };
                    for place in places().take(if every_place { usize::MAX } else { 2 }) {
                        call.check(room, place);
                    }
                }
            }
        }
    }
}

fn check_table<T: Real + Pod>() {
    table_and_variants::<T>().par_iter().for_each(check_case);
}

#[test]
fn calls_in_f32_stay_within_their_arrays() {
    check_table::<f32>();
}

#[test]
fn calls_in_f64_stay_within_their_arrays() {
    check_table::<f64>();
}

/// The lattice's calls: any number of classes, of frames, and of labels.
fn check_ctc<T: Ctc + Pod>() {
    let [
        mut pred,
        mut labels,
        mut lengths,
        mut label_lengths,
        mut loss,
        mut grad,
    ] = std::array::from_fn(|_| Guarded::new());
    let mut workspace = Workspace::new();
    let of_classes = (2..=LONGEST).map(|classes| (3, classes, 1));
    let of_frames = (1..=LONGEST / 2).map(|frames| (frames, 5, frames / 2));
    for (frames, classes, length) in of_classes.chain(of_frames) {
        let random = &mut Random::new((frames * classes) as u64);
        let values = ctc::logits::<T>([1, frames, classes], 0, Data::Normal(2.0), random);
        let label = ctc::label(length, classes, 0, 4, random);
        let batch = Batch::new(values, vec![label]).blank(0);
        println!("CTC in {} of {frames} × {classes}", T::NAME);
        for level in levels() {
            let exec = Exec::new(level, Threading::Serial);
            let expected = batch.run(exec);
            let (expected_loss, expected_grad) =
                (expected.loss.into_dyn(), expected.grad.into_dyn());
            let padded = ctc::padded(&batch.labels).into_dyn();
            for place in places() {
                pred.put(&batch.pred.clone().into_dyn(), place, T::NAN);
                labels.put(&padded, place, i32::MIN);
                for (memory, length) in [(&mut lengths, frames), (&mut label_lengths, length)] {
                    let length = ndarray::arr1(&[length as u64]).into_dyn();
                    memory.put(&length, place, u64::MAX);
                }
                loss.fill(1, place, untouched::<T>());
                grad.fill(frames * classes, place, untouched::<T>());
                let shape = [1, frames, classes];
                let (labels, lengths, label_lengths) = (
                    labels.view::<i32>(padded.shape(), place),
                    lengths.view::<u64>(&[1], place),
                    label_lengths.view::<u64>(&[1], place),
                );
                let labels = labels.into_dimensionality::<Ix2>().expect("two axes");
                let lengths = lengths.into_dimensionality::<Ix1>().expect("one axis");
                let label_lengths = label_lengths.into_dimensionality::<Ix1>().expect("one");
                let ctc = batch.ctc();
                let inputs = pred.view::<T>(&shape, place);
                let inputs = inputs.into_dimensionality::<Ix3>().expect("three axes");
                ctc.on(&inputs, &labels)
                    .pred_lengths(&lengths)
                    .label_lengths(&label_lengths)
                    .exec(exec)
                    .workspace(&mut workspace)
                    .loss_and_grad_into(
                        &mut loss.view_mut::<T>(&[1], place),
                        &mut grad.view_mut::<T>(&shape, place),
                    )
                    .expect("a valid call");
                let what = format!("{frames} × {classes} at {place:?}, {level}");
                loss.assert_holds(&expected_loss, place, untouched(), &what);
                grad.assert_holds(&expected_grad, place, untouched(), &what);

                grad.put(&batch.pred.clone().into_dyn(), place, untouched());
                ctc.in_place(&mut grad.view_mut::<T>(&shape, place), &labels)
                    .pred_lengths(&lengths)
                    .label_lengths(&label_lengths)
                    .exec(exec)
                    .workspace(&mut workspace)
                    .grad()
                    .expect("a valid call");
                grad.assert_holds(&expected_grad, place, untouched(), &what);
            }
        }
    }
}

#[test]
fn ctc_in_f32_stays_within_its_arrays() {
    check_ctc::<f32>();
}

#[test]
fn ctc_in_f64_stays_within_its_arrays() {
    check_ctc::<f64>();
}
