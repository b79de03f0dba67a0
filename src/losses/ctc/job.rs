//! A checked call: samples taken one by one by as many threads as there are.

use super::backward::Backward;
use super::forward::{Forward, Passed};
use super::half::{Half, Setting};
use super::labels::{Labels, Limits, Place};
use super::plan::Extent;
use super::sequence::{Sequence, Wide, Widened};
use super::{CtcLoss, CtcStatus};
use crate::element::Element;
use crate::simd::dispatch;
use crate::tensor::{Frames, Source};
use crate::workspace::{Plain, Room, Workspace, bytes_of};
use crate::{Error, Exec, Level, Stores, Threading, math};
use core::f64::consts::LN_2;
use std::sync::Mutex;

/// Pairs of states and classes, over all frames, below which a call stays on its thread.
const PARALLEL_WORK: usize = 1 << 16;

/// Bytes of predictions and gradient from which a gradient may go past the caches: around the size of
/// a last-level cache.
const STREAM_BYTES: usize = 32 << 20;

/// The factors of a sample's loss and gradient.
pub(super) struct Factors<'a, T> {
    pub(super) sample_weight: Option<Source<'a, T>>,
    pub(super) upstream: Option<Source<'a, T>>,
}

/// A checked call.
pub struct Job<'a, T> {
    pub(super) loss: CtcLoss,
    pub(super) exec: Exec,
    pub(super) labels: &'a Labels<'a>,
    pub(super) limits: Limits,
    pub(super) factors: Factors<'a, T>,
    /// What the gradient is divided by.
    pub(super) divisor: f64,
    pub(super) frames: Frames<'a, T>,
    pub(super) results: &'a mut dyn Results,
    pub(super) workspace: &'a mut Workspace,
}

/// Takes what became of each sample, in order.
pub(super) trait Results {
    fn take(&mut self, sample: usize, loss: f64, status: CtcStatus);
}

/// Loss for each frame below which a loss in `f32` is computed again in `f64`.
///
/// A dominating path whose mantissa stays just above 1 is rounded by up to 2⁻²⁴ a frame, always the
/// same way where frames are alike, and a little more where it is one of two. From 1 on the
/// contract allows 1.7 times that.
const CONFIDENT: f64 = 1.0;

/// What the workers share.
struct Shared<'s, 'a, T> {
    loss: CtcLoss,
    level: Level,
    weight: f64,
    divisor: f64,
    labels: &'s Labels<'a>,
    limits: Limits,
    factors: &'s Factors<'a, T>,
    /// Whether there are more threads than samples.
    join: bool,
    /// Whether the gradient is better written past the caches.
    stream: bool,
    queue: Mutex<Queue<'s, 'a, T>>,
}

/// The samples that nobody has taken yet.
struct Queue<'s, 'a, T> {
    next: usize,
    /// Where the next sample's labels begin, where they are concatenated.
    start: usize,
    frames: Frames<'a, T>,
    losses: &'s mut [f64],
    infeasible: &'s mut [u8],
}

/// A sample that somebody has taken.
struct Task<'s, 'a, T> {
    sample: usize,
    place: Place,
    frames: Frames<'a, T>,
    loss: &'s mut f64,
    infeasible: &'s mut u8,
}

impl<T: Element + Plain> Job<'_, T> {
    /// Computes everything.
    pub(crate) fn run(self) -> Result<(), Error> {
        let (labels, limits) = (self.labels, self.limits);
        let grad = self.frames.is_writable();
        let samples = limits.samples;
        let (mut bytes, mut work, mut start) = (0, 0usize, 0);
        for sample in 0..samples {
            let place = labels.place(limits, sample, start);
            start += place.len;
            let extent = Extent {
                frames: labels.frames(limits, sample),
                labels: place.len,
                classes: limits.classes,
                grad,
            };
            bytes = bytes.max(Sample::<T>::bytes(extent));
            work = work.saturating_add((place.len + limits.classes).saturating_mul(extent.frames));
        }
        let threads = if self.exec.threading == Threading::Auto && work >= PARALLEL_WORK {
            rayon::current_num_threads()
        } else {
            1
        };
        let workers = threads.min(samples).max(1);
        let all = bytes
            .saturating_mul(workers)
            .saturating_add(bytes_of::<f64>(samples))
            .saturating_add(bytes_of::<u8>(samples));
        let mut room = self.workspace.room(all)?;
        let losses = room.take::<f64>(samples);
        let infeasible = room.take::<u8>(samples);
        let large = samples
            .saturating_mul(limits.frames)
            .saturating_mul(limits.classes)
            .saturating_mul(2 * size_of::<T>())
            >= STREAM_BYTES;
        let shared = Shared {
            loss: self.loss,
            level: self.exec.level,
            weight: T::from_f64(self.loss.weight).to_f64(),
            divisor: self.divisor,
            labels,
            limits,
            factors: &self.factors,
            join: threads > samples,
            // The faster on Intel's processors and on AMD's.
            stream: large && self.exec.stores != Stores::Cached,
            queue: Mutex::new(Queue {
                next: 0,
                start: 0,
                frames: self.frames,
                losses: &mut *losses,
                infeasible: &mut *infeasible,
            }),
        };
        shared.spread(room, bytes, workers);
        for (sample, (&loss, &infeasible)) in losses.iter().zip(&*infeasible).enumerate() {
            let status = match infeasible {
                0 => CtcStatus::Feasible,
                _ => CtcStatus::Infeasible,
            };
            self.results.take(sample, loss, status);
        }
        Ok(())
    }
}

impl<'s, 'a, T: Element + Plain> Shared<'s, 'a, T> {
    /// Lets `workers` threads work, each with its own part of the room.
    fn spread(&self, mut room: Room<'_>, bytes: usize, workers: usize) {
        if workers == 1 {
            while let Some(task) = self.next() {
                self.run(task, room.reborrow());
            }
            return;
        }
        let head = workers / 2;
        let first = room.part(bytes * head);
        rayon::join(
            || self.spread(first, bytes, head),
            || self.spread(room, bytes, workers - head),
        );
    }

    fn next(&self) -> Option<Task<'s, 'a, T>> {
        // A thread that panicked has left the queue whole.
        let mut queue = self.queue.lock().unwrap_or_else(|error| error.into_inner());
        if queue.frames.samples() == 0 {
            return None;
        }
        let sample = queue.next;
        queue.next += 1;
        let place = self.labels.place(self.limits, sample, queue.start);
        queue.start += place.len;
        let (loss, losses) = core::mem::take(&mut queue.losses).split_first_mut()?;
        queue.losses = losses;
        let (infeasible, rest) = core::mem::take(&mut queue.infeasible).split_first_mut()?;
        queue.infeasible = rest;
        Some(Task {
            sample,
            place,
            frames: queue.frames.next_sample(),
            loss,
            infeasible,
        })
    }

    fn run(&self, mut task: Task<'_, '_, T>, room: Room<'_>) {
        let frames = self.labels.frames(self.limits, task.sample);
        let get = |factor: &Option<Source<'_, T>>| {
            factor
                .as_ref()
                .map_or(1.0, |factor| factor.get(task.sample, 0).to_f64())
        };
        let weight = self.weight * get(&self.factors.sample_weight);
        let needed = task.place.len + self.labels.repeats(self.limits, task.place);
        let mut infeasible = frames < needed;
        let mut loss = f64::INFINITY;
        if weight == 0.0 {
            loss = 0.0;
            if task.frames.is_writable() {
                task.frames.fill(0..self.limits.frames, T::ZERO);
            }
        } else if !infeasible {
            let labels = if self.loss.per_label {
                task.place.len.max(1)
            } else {
                1
            } as f64;
            let sample = Sample {
                shared: self,
                place: task.place,
                extent: Extent {
                    frames,
                    labels: task.place.len,
                    classes: self.limits.classes,
                    grad: task.frames.is_writable(),
                },
                scale: weight * get(&self.factors.upstream) / (self.divisor * labels),
            };
            loss = sample.run(&mut task.frames, room);
            infeasible = loss == f64::INFINITY;
            loss /= labels;
        } else if task.frames.is_writable() {
            task.frames.fill(0..frames, T::ZERO);
        }
        if task.frames.is_writable() {
            task.frames.fill(frames..self.limits.frames, T::ZERO);
        }
        if weight != 0.0 {
            loss = if infeasible && self.loss.zero_infinity {
                0.0
            } else {
                loss * weight
            };
        }
        *task.loss = loss;
        *task.infeasible = u8::from(infeasible);
    }
}

/// One sample that enough frames are there for.
struct Sample<'x, 's, 'a, T> {
    shared: &'x Shared<'s, 'a, T>,
    place: Place,
    extent: Extent,
    /// What the gradient is multiplied by.
    scale: f64,
}

/// What both halves know where they meet.
struct Met {
    loss: f64,
    /// The exponent of the probability of all paths.
    exponent: f64,
    /// Whether the exponents sufficed.
    exact: bool,
}

fn is_f64<W>() -> bool {
    size_of::<W>() == size_of::<f64>()
}

/// How many frames the first half has.
fn middle(extent: Extent) -> usize {
    extent.frames.div_ceil(2)
}

impl<T: Element + Plain> Sample<'_, '_, '_, T> {
    /// What a sample takes of the workspace, in either type or in both.
    fn bytes(extent: Extent) -> usize {
        fn halves<W: Element + Plain>(extent: Extent) -> usize {
            let (first, second) = (middle(extent), extent.frames - middle(extent));
            Half::<W>::bytes(extent, first).saturating_add(Half::<W>::bytes(extent, second))
        }
        let wide = halves::<f64>(extent);
        if is_f64::<T>() {
            return wide;
        }
        let loss = halves::<f64>(extent.without_grad());
        halves::<T>(extent).saturating_add(loss).max(wide)
    }

    /// The loss, before any factor; the gradient is written.
    fn run(&self, frames: &mut Frames<'_, T>, mut room: Room<'_>) -> f64 {
        let middle = middle(self.extent);
        let (head, tail) = frames.split(middle);
        let loss = match self.run_in::<T, _>([head, tail], room.reborrow()) {
            Some(loss) => loss,
            None => {
                let (head, tail) = frames.split(middle);
                self.run_in::<f64, _>([Wide(head), Wide(tail)], room)
                    .unwrap_or(f64::NAN)
            }
        };
        if frames.is_writable() && !loss.is_finite() {
            let grad = if loss == f64::INFINITY { 0.0 } else { f64::NAN };
            frames.fill(0..self.extent.frames, T::from_f64(grad));
        }
        loss
    }

    /// As [`run`](Self::run), computed in `W`; nothing where its exponents do not suffice. The
    /// gradient is not written where the loss is not finite.
    fn run_in<W: Element + Plain, Q: Sequence<W>>(
        &self,
        [mut head, mut tail]: [Q; 2],
        mut room: Room<'_>,
    ) -> Option<f64> {
        let level = self.shared.level;
        let mut halves = self.halves::<W>(self.extent, &mut room);
        let early = halves[0].can_write_early(&head) && halves[1].can_write_early(&tail);
        let settings = self.settings(early);
        let Met {
            mut loss,
            exponent,
            exact,
        } = self.forward(&mut halves, [&mut head, &mut tail], settings);
        // A cost beyond the exponents looks like an impossible label.
        if !(is_f64::<W>() || (exact && loss != f64::INFINITY)) {
            return None;
        }
        // Before the way back, which may write over the frames.
        if !is_f64::<W>() && loss.abs() < CONFIDENT * self.extent.frames as f64 {
            let mut halves = self.halves::<f64>(self.extent.without_grad(), &mut room);
            let frames: [&mut dyn Sequence<f64>; 2] = [&mut Widened(&head), &mut Widened(&tail)];
            loss = self.forward(&mut halves, frames, self.settings(false)).loss;
        }
        if !self.extent.grad || !loss.is_finite() {
            return Some(loss);
        }
        let [first, second] = &mut halves;
        first.take_future(second);
        second.take_future(first);
        let backward = |half, sequence, setting| {
            dispatch(
                level,
                Backward {
                    half,
                    sequence,
                    setting,
                    exponent,
                },
            );
        };
        self.both(
            || backward(first, &mut head, settings[0]),
            || backward(second, &mut tail, settings[1]),
        );
        Some(loss)
    }

    /// Both halves, their labels laid out.
    fn halves<'w, W: Element + Plain>(
        &self,
        extent: Extent,
        room: &mut Room<'w>,
    ) -> [Half<'w, W>; 2] {
        let Shared { limits, labels, .. } = *self.shared;
        let half = middle(extent);
        let mut first = Half::new(extent, half, limits.blank, room);
        let mut second = Half::new(extent, extent.frames - half, limits.blank, room);
        let label = |at| labels.get(limits, self.place, at).unwrap_or(0) as u32;
        first.set_labels((0..self.place.len).map(label));
        second.set_labels((0..self.place.len).rev().map(label));
        [first, second]
    }

    fn settings(&self, early: bool) -> [Setting; 2] {
        [false, true].map(|backward| Setting {
            log_probs: self.shared.loss.log_probs,
            blank: self.shared.limits.blank,
            backward,
            start: if backward {
                self.extent.frames.saturating_sub(1)
            } else {
                0
            },
            scale: self.scale,
            early,
            stream: self.shared.stream,
        })
    }

    /// Takes both halves to where they meet.
    fn forward<W: Element + Plain>(
        &self,
        [first, second]: &mut [Half<'_, W>; 2],
        [head, tail]: [&mut dyn Sequence<W>; 2],
        settings: [Setting; 2],
    ) -> Met {
        let level = self.shared.level;
        let forward = |half, sequence, setting| {
            dispatch(
                level,
                Forward {
                    half,
                    sequence,
                    setting,
                },
            )
        };
        let (of_head, of_tail) = self.both(
            || forward(first, head, settings[0]),
            || forward(second, tail, settings[1]),
        );
        let total = first.meet(second);
        Met {
            exact: of_head.exact && of_tail.exact,
            loss: self.loss(of_head, of_tail, total.mantissa, total.exponent),
            exponent: total.exponent,
        }
    }

    /// Runs both halves, on two threads where there are some to spare.
    fn both<A: Send, B: Send>(
        &self,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        if self.shared.join {
            rayon::join(first, second)
        } else {
            (first(), second())
        }
    }

    fn loss(&self, head: Passed, tail: Passed, mantissa: f64, exponent: f64) -> f64 {
        let normaliser = head.normaliser * tail.normaliser;
        if normaliser.is_nan() {
            return f64::NAN;
        }
        let mut logarithm = [normaliser / mantissa];
        math::log(self.shared.level, &mut logarithm);
        let loss = logarithm[0] + (head.shift + tail.shift - exponent) * LN_2;
        if self.shared.loss.log_probs {
            loss - (head.max + tail.max)
        } else if loss < 0.0 {
            0.0
        } else {
            loss
        }
    }
}
