//! Labels and lengths: every check of them, and where a sample's labels lie.

use super::integers::Integers;
use super::{CtcLabelLayout, CtcLoss};
use crate::{Error, checks};

/// The labels and lengths of a call.
pub(super) struct Labels<'a> {
    pub(super) label: Integers<'a>,
    pub(super) pred_lengths: Option<Integers<'a>>,
    pub(super) label_lengths: Option<Integers<'a>>,
}

/// What the labels of a call are checked against.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) samples: usize,
    pub(super) frames: usize,
    pub(super) classes: usize,
    pub(super) blank: usize,
    label_layout: CtcLabelLayout,
}

impl Limits {
    pub(super) fn new(
        loss: &CtcLoss,
        samples: usize,
        frames: usize,
        classes: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            samples,
            frames,
            classes,
            blank: blank(loss.blank, classes)?,
            label_layout: loss.label_layout,
        })
    }
}

/// Where a sample's labels lie.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// How many labels there are.
    pub(super) len: usize,
    /// For padded labels the sample, for concatenated ones where they begin.
    start: usize,
}

impl Labels<'_> {
    /// How many frames a sample has.
    pub(super) fn frames(&self, limits: Limits, sample: usize) -> usize {
        let lengths = self.pred_lengths.as_ref();
        lengths.map_or(limits.frames, |lengths| length(lengths, sample))
    }

    fn is_concatenated(&self) -> bool {
        self.label.shape.len() == 1
    }

    /// The row and place of a padded label in the array.
    fn position(&self, limits: Limits, sample: usize, at: usize) -> (usize, usize) {
        match limits.label_layout {
            CtcLabelLayout::Nt => (sample, at),
            CtcLabelLayout::Tn => (at, sample),
        }
    }

    /// The position of a label as it is counted in the array.
    fn index(&self, limits: Limits, place: Place, at: usize) -> Vec<usize> {
        if self.is_concatenated() {
            return vec![place.start + at];
        }
        let (row, at) = self.position(limits, place.start, at);
        vec![row, at]
    }

    /// Where a sample's labels lie; `start` is where its predecessor's end.
    pub(super) fn place(&self, limits: Limits, sample: usize, start: usize) -> Place {
        let start = if self.is_concatenated() {
            start
        } else {
            sample
        };
        let len = match &self.label_lengths {
            Some(lengths) => length(lengths, sample),
            None => (0..self.padded_extent(limits))
                .take_while(|&at| {
                    let (row, at) = self.position(limits, sample, at);
                    !self.label.is_minus_one(row, at)
                })
                .count(),
        };
        Place { len, start }
    }

    /// One of a sample's labels.
    pub(super) fn get(&self, limits: Limits, place: Place, at: usize) -> Option<usize> {
        let (row, at) = self.address(limits, place, at);
        self.label.get(row, at)
    }

    fn address(&self, limits: Limits, place: Place, at: usize) -> (usize, usize) {
        if self.is_concatenated() {
            (place.start + at, 0)
        } else {
            self.position(limits, place.start, at)
        }
    }

    /// The length of the padded label axis.
    fn padded_extent(&self, limits: Limits) -> usize {
        match limits.label_layout {
            CtcLabelLayout::Nt => self.label.shape[1],
            CtcLabelLayout::Tn => self.label.shape[0],
        }
    }

    /// Every check of labels and lengths.
    pub(super) fn check(&self, limits: Limits) -> Result<(), Error> {
        let samples = limits.samples;
        let rank = self.label.shape.len();
        if !(1..=2).contains(&rank) {
            return Err(Error::Rank {
                argument: "label",
                found: self.label.shape.to_vec(),
                expected: "1 (concatenated) or 2 (padded)",
            });
        }
        let extent = if self.is_concatenated() {
            if self.label_lengths.is_none() {
                return Err(Error::LabelLengths {
                    found: self.label.shape[0],
                });
            }
            self.label.shape[0]
        } else {
            let extent = self.padded_extent(limits);
            let expected = match limits.label_layout {
                CtcLabelLayout::Nt => [samples, extent],
                CtcLabelLayout::Tn => [extent, samples],
            };
            checks::shape("label", self.label.shape, &expected)?;
            extent
        };
        check_lengths(
            "pred_lengths",
            self.pred_lengths.as_ref(),
            samples,
            limits.frames,
        )?;
        check_lengths(
            "label_lengths",
            self.label_lengths.as_ref(),
            samples,
            extent,
        )?;
        if let (true, Some(lengths)) = (self.is_concatenated(), &self.label_lengths) {
            let total = (0..samples).try_fold(0usize, |total, sample| {
                total.checked_add(length(lengths, sample))
            });
            if total != Some(extent) {
                return Err(Error::LabelTotal {
                    found: total.unwrap_or(usize::MAX),
                    expected: extent,
                });
            }
        }
        let mut start = 0;
        for sample in 0..samples {
            let place = self.place(limits, sample, start);
            start += place.len;
            for at in 0..place.len {
                let class = self.get(limits, place, at);
                if class == Some(limits.blank) {
                    return Err(Error::BlankLabel {
                        index: self.index(limits, place, at),
                        blank: limits.blank,
                    });
                }
                if class.is_none_or(|class| class >= limits.classes) {
                    let (row, column) = self.address(limits, place, at);
                    return Err(Error::Label {
                        index: self.index(limits, place, at),
                        found: self.label.text(row, column),
                        classes: limits.classes,
                    });
                }
            }
        }
        Ok(())
    }

    /// How many equal neighbours a sample's labels have: a blank must stand between them.
    pub(super) fn repeats(&self, limits: Limits, place: Place) -> usize {
        (1..place.len)
            .filter(|&at| self.get(limits, place, at - 1) == self.get(limits, place, at))
            .count()
    }
}

/// The blank: the last class where none is given.
pub(super) fn blank(blank: Option<usize>, classes: usize) -> Result<usize, Error> {
    let blank = blank.unwrap_or(classes - 1);
    if blank >= classes {
        return Err(Error::Blank { blank, classes });
    }
    Ok(blank)
}

/// A length that was checked.
pub(super) fn length(lengths: &Integers<'_>, sample: usize) -> usize {
    lengths.get(sample, 0).unwrap_or(0)
}

/// An argument of lengths, one per sample.
pub(super) fn check_lengths(
    argument: &'static str,
    lengths: Option<&Integers<'_>>,
    samples: usize,
    limit: usize,
) -> Result<(), Error> {
    let Some(lengths) = lengths else {
        return Ok(());
    };
    checks::shape(argument, lengths.shape, &[samples])?;
    for sample in 0..samples {
        if lengths.get(sample, 0).is_none_or(|length| length > limit) {
            return Err(Error::Length {
                argument,
                index: sample,
                found: lengths.text(sample, 0),
                limit,
            });
        }
    }
    Ok(())
}
